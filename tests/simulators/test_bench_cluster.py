# SPDX-License-Identifier: EUPL-1.2
"""What the bench of the broker's cluster reads from commits and logs. tests/chain/test_cluster.py kills."""

from datetime import datetime

import pytest

from simulators.bench_cluster import (
    GATEWAY,
    META,
    STREAM,
    Kill,
    Outcome,
    dissect,
    flows,
    longest_stall,
    metrics,
    stamped,
)
from simulators.load_town import Verdict

BOTH = frozenset({GATEWAY, STREAM})
KILLED_AT = datetime(2026, 11, 22, 11, 44, 20).timestamp()  # logs are in local time

GATEWAY_LOG = """\
2026-11-22 11:44:10,500 INFO gateway.forwarder broker connected host=127.0.0.1 port=1
2026-11-22 11:44:20,250 WARNING gateway.forwarder broker lost host=127.0.0.1 port=1: disconnected
2026-11-22 11:44:21,500 DEBUG gateway.forwarder broker lost host=127.0.0.2 port=2: Unspecified error
2026-11-22 11:44:26,750 INFO gateway.forwarder broker connected host=127.0.0.3 port=3
2026-11-22 11:44:40,000 WARNING gateway.forwarder broker lost host=127.0.0.3 port=3: disconnected
"""
NODE_LOG = """\
[26276] 2026/11/22 11:44:18.000000 [INF] Self is new JetStream cluster metadata leader
[26276] 2026/11/22 11:44:24.500000 [INF] JetStream cluster new stream leader for 'CITY > $MQTT_sess'
[26276] 2026/11/22 11:44:25.500000 [INF] JetStream cluster new consumer leader for 'CITY > $MQTT_msgs > stadtfunk-ingest'
[26276] 2026/11/22 11:44:26.000000 [INF] JetStream cluster new consumer leader for 'CITY > $MQTT_msgs > stadtfunk-ingest-alarm'
[26276] 2026/11/22 11:44:26.500000 [INF] JetStream cluster new metadata leader: 127.0.0.2-4222/stadtfunk
goroutine 1 [running]:
"""  # noqa: E501


class TestDissection:
    def test_a_stall_is_told_in_its_parts(self) -> None:
        commits = [KILLED_AT - 0.5, KILLED_AT - 0.25, KILLED_AT + 7.0, KILLED_AT + 7.25]

        kill = dissect(BOTH, KILLED_AT, commits, GATEWAY_LOG, [NODE_LOG, ""])

        assert kill == Kill(BOTH, 7.25, noticed=0.25, elected=5.5, connected=6.75, committed=7.0)

    def test_without_a_stall_there_are_no_parts(self) -> None:
        commits = [KILLED_AT - 0.25, KILLED_AT + 0.25, KILLED_AT + 0.5]

        assert dissect(BOTH, KILLED_AT, commits, GATEWAY_LOG, [NODE_LOG]) == Kill(BOTH, 0.5)

    def test_lines_without_a_time_are_left_out(self) -> None:
        times = [at - KILLED_AT for at, _ in stamped(NODE_LOG)]

        assert times == [-2.0, 4.5, 5.5, 6.0, 6.5]


class TestCommits:
    def test_a_stall_before_the_kill_is_not_its(self) -> None:
        assert longest_stall([0.0, 9.0, 9.5, 12.5, 13.0], since=10.0) == (3.0, 12.5)

    @pytest.mark.parametrize(
        ("commits", "now", "does"),
        [
            ([n / 2 for n in range(21)], 10.25, True),
            ([n / 2 for n in range(21)], 11.25, False),  # nothing for 1.25 s
            ([n / 2 for n in range(21) if n != 15], 10.25, False),  # a pause of 1 s, 2.5 s ago
            ([n / 2 for n in range(21) if n > 11], 10.25, False),  # they have only begun
            ([n / 2 for n in range(21) if n != 3], 10.25, True),  # the pause was long ago
        ],
    )
    def test_they_flow_when_they_have_followed_each_other_for_six_seconds(
        self, commits: list[float], now: float, does: bool
    ) -> None:
        assert flows(commits, now) is does


class TestMetrics:
    def test_a_stall_of_more_than_ten_seconds_does_not_hold(self) -> None:
        kills = [
            Kill(BOTH, 6.0, 0.0, 5.0, 5.5, 5.75),
            Kill(BOTH, 10.5, 0.5, 9.0, 9.25, 10.25),
            Kill(frozenset({META}), 0.25),
        ]

        rows = {row.metric: row for row in metrics(Outcome(kills, Verdict(100, 100, 0, 0, 0, 0, 0, 0), 1.5))}

        assert (rows["kills"].value, rows["kills_with_a_stall"].value) == (3, 2)
        assert (rows["stall_p50"].value, rows["stall_max"].value) == (8.25, 10.5)
        assert rows["stall_max"].holds is False
        assert rows["stall_meta_max"].holds is True
        assert rows["committed_after_elected_max"].value == 1.25
        assert rows["lost"].holds is True
