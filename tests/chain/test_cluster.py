# SPDX-License-Identifier: EUPL-1.2
"""A node of the broker's cluster dies under the real gateway and ingest. `stadtfunk bench cluster` does it 25 times,
and measures for how long nothing goes on; here the machine may be too busy for that.
"""

from simulators.bench_cluster import STREAM, run


class TestCluster:
    def test_the_leader_of_the_stream_is_killed_and_everything_arrives_once(self, tmp_path):
        outcome = run(tmp_path / "town", 1, seed=3)

        assert [STREAM in kill.roles for kill in outcome.kills] == [True]
        assert outcome.verdict.acknowledged > 100
        assert outcome.verdict.is_clean, outcome.verdict
