# SPDX-License-Identifier: EUPL-1.2
"""The whole city without a broker, and a gateway that loses power meanwhile. `make bench-outage` does 30 days."""

from collections import Counter

import pytest

from simulators.outage import Plan, judge, run

SENT = {("L-01", "co2", 3600 * hour): 400.0 + hour for hour in range(4)}
PLAN = Plan(days=1.0, before_days=0.25, cuts=1, trees=1, air=1, traffic=1, seed=2)


@pytest.fixture(scope="module")
def outage(tmp_path_factory):
    return run(tmp_path_factory.mktemp("outage") / "town", PLAN)


class TestOutage:
    def test_every_reading_is_public_once_and_in_its_own_time(self, outage):
        assert outage.verdict.acknowledged > 300
        assert outage.verdict.is_clean, outage.verdict
        assert set(outage.public.values()) == {1}

    def test_it_was_one(self, outage):
        assert outage.power_cuts == 2
        assert outage.public_at_return == outage.public_before
        assert outage.backlog_rows > 20

    def test_its_times_are_those_at_which_the_sensors_had_power(self, outage):
        assert outage.farthest_s < 10
        assert outage.samples > 30
        assert outage.samples_public > 0.8 * outage.samples

    def test_all_goals_of_the_bench_hold(self, outage):
        assert {metric.metric for metric in outage.metrics() if metric.holds is False} == set()


class TestJudge:
    """It sees what it is there for: each mutation of what is public has its own verdict."""

    @staticmethod
    def public(*changes: tuple[int, float | None]) -> Counter:
        return Counter([("L-01", "co2", at, value) for at, value in changes])

    @pytest.mark.parametrize(
        ("changes", "lost", "doubled", "wrong_time", "wrong_value", "unsent"),
        [
            ([(0, 400.0), (3600, 401.0), (7200, 402.0), (10800, 403.0)], 0, 0, 0, 0, 0),
            ([(0, 400.0), (3600, None), (7200, 402.0), (10800, 403.0)], 0, 0, 0, 0, 0),
            ([(0, 400.0), (7200, 402.0), (10800, 403.0)], 1, 0, 0, 0, 0),
            ([(0, 400.0), (3600, 401.0), (3600, 401.0), (7200, 402.0), (10800, 403.0)], 0, 1, 0, 0, 0),
            ([(0, 400.0), (3600, 401.0), (3600, None), (7200, 402.0), (10800, 403.0)], 0, 1, 0, 0, 0),
            ([(0, 400.0), (3601, 401.0), (7200, 402.0), (10800, 403.0)], 0, 0, 1, 0, 0),
            ([(0, 400.0), (7200, 401.0), (7200, 402.0), (10800, 403.0)], 1, 1, 0, 0, 0),
            ([(0, 400.0), (3600, 401.5), (7200, 402.0), (10800, 403.0)], 0, 0, 0, 1, 0),
            ([(0, 400.0), (1800, 7.0), (3600, 401.0), (7200, 402.0), (10800, 403.0)], 0, 0, 0, 0, 1),
        ],
        ids=["all well", "withheld", "lost", "doubled", "doubled, one withheld", "restamped", "restamped onto another",
             "changed", "invented"],
    )  # fmt: skip
    def test_each_kind_of_wrong_is_counted_as_what_it_is(self, changes, lost, doubled, wrong_time, wrong_value, unsent):
        verdict = judge(SENT, SENT, self.public(*changes))

        assert verdict == (4, lost, doubled, wrong_time, wrong_value, unsent)
        assert verdict.is_clean == (not any((lost, doubled, wrong_time, wrong_value, unsent)))

    def test_what_was_sent_into_a_power_cut_may_be_public_or_not(self):
        heard = {key: value for key, value in SENT.items() if key[2]}
        without = self.public((3600, 401.0), (7200, 402.0), (10800, 403.0))

        assert judge(heard, SENT, without).is_clean
        assert judge(heard, SENT, without + self.public((0, 400.0))).is_clean

    def test_a_real_outage_with_one_reading_changed_is_not_clean(self, outage):
        kept = {(thing, quantity, at): value for thing, quantity, at, value in outage.public if value is not None}
        key = next(key for key in kept if key[1] == "soil_moisture")
        entry = (*key, kept[key])
        late = (*key[:2], key[2] + 3600 * 24 * 30, kept[key])

        assert judge(kept, kept, outage.public - Counter([entry])).lost == 1
        assert judge(kept, kept, outage.public + Counter([entry])).doubled == 1
        assert judge(kept, kept, outage.public - Counter([entry]) + Counter([late])).wrong_time == 1
