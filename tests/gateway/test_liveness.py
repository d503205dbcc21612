# SPDX-License-Identifier: EUPL-1.2
"""Who has fallen silent, as a function of times: learned intervals, fair judgement, each change told once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.liveness import Liveness, NodeRecord
from gateway.silence import DOWN, LATE, OK, Change, Limits, fair, judge, usual

NODE = "70b3d57ed1000001"
HERE, THERE = "0016c001ff10b001", "0016c001ff10b002"
LIMITS = Limits(2.5, 6.0)
TICK_S = 10.0


class Street:
    """One node, two concentrators, and a gateway that ticks; ``told`` are the events in order."""

    def __init__(self, interval_s=600.0):
        self.now_s, self.f_cnt, self.told = 1000.0, -1, []
        self.alive = {HERE}
        self.interval_s = interval_s
        self.liveness = self.start()

    def start(self):
        liveness = Liveness(LIMITS, 60.0)
        liveness.registered({NODE: self.interval_s})
        return liveness

    def uplink(self, *concentrators, skip=0):
        self.f_cnt += 1 + skip
        first, *others = concentrators or (HERE,)
        self.liveness.uplink(NODE, 7, self.f_cnt, first, self.now_s)
        self.liveness.proved(first)
        for other in others:
            self.liveness.copied(NODE, other)
            self.liveness.proved(other)

    def wait(self, seconds):
        """Tick on; returns what was told meanwhile."""
        before = len(self.told)
        for _ in range(round(seconds / TICK_S)):
            self.now_s += TICK_S
            for concentrator in self.alive:
                self.liveness.spoke(concentrator)
            for change in self.liveness.tick(self.now_s):
                self.liveness.settle(change)
                self.told.append((change.event, change.eui))
        return [event for event, _ in self.told[before:]]

    def restart(self, off_s=0.0):
        kept = {NODE: self.liveness.record(NODE)} if self.liveness.node(NODE) else {}
        concentrators = {eui: state for eui, (state, _) in self.liveness.concentrators().items()}
        self.now_s += off_s
        self.liveness = self.start()
        self.liveness.restore(kept, concentrators)


@pytest.fixture
def street():
    street = Street()
    street.uplink()
    street.wait(TICK_S)
    return street


class TestUsualInterval:
    @pytest.mark.parametrize(
        ("spacings", "interval_s"),
        [
            ([], None),
            ([900.0, 900.0], None),
            ([900.0, 905.0, 895.0], 905.0),
            ([10.0, 1790.0] * 4, 1790.0),  # two frames each time
            ([0.1] * 5 + [900.0] * 3, 900.0),  # a forwarder was cut off and delivers all at once
            ([900.0] * 6 + [86_400.0, 90_000.0], 900.0),
            ([5.0] * 8, 60.0),
            ([1e7] * 8, 604_800.0),
        ],
    )
    def test_it_is_the_upper_quartile_within_bounds(self, spacings, interval_s):
        assert usual(spacings) == interval_s

    @given(st.lists(st.floats(0.0, 1e9), max_size=20))
    def test_it_is_one_of_the_spacings_or_a_bound(self, spacings):
        found = usual(spacings)

        assert (found is None) == (len(spacings) < 3)
        assert found is None or found in (*spacings, 60.0, 604_800.0)


class TestJudgement:
    def test_a_node_is_late_after_two_and_a_half_intervals_and_down_after_six(self):
        assert [judge(s, 600.0, LIMITS) for s in (0, 1500, 1501, 3600, 3601)] == [OK, OK, LATE, LATE, DOWN]

    @given(st.floats(0, 1e7), st.floats(60, 1e6))
    def test_fairness_leaves_one_interval_and_forgives_nothing_that_was_judged(self, silent_s, interval_s):
        left = fair(silent_s, interval_s, LIMITS)

        assert left <= silent_s
        assert judge(left, interval_s, LIMITS) == judge(silent_s, interval_s, LIMITS)
        worse = judge(left + 0.99 * interval_s, interval_s, LIMITS)
        assert worse == judge(silent_s, interval_s, LIMITS)


class TestNodes:
    def test_silence_is_told_step_by_step_and_once(self, street):
        assert street.wait(1490) == []
        assert street.wait(20) == ["node_late"]
        assert street.wait(2080) == []
        assert street.wait(20) == ["node_down"]
        assert street.wait(100_000) == []

    def test_an_uplink_brings_it_back_at_the_next_tick(self, street):
        street.wait(4000)
        street.uplink()

        assert street.wait(TICK_S) == ["node_back"]
        assert street.wait(600) == []

    def test_a_join_is_a_sign_of_life(self, street):
        street.wait(4000)
        street.liveness.joined(NODE, HERE)

        assert street.wait(TICK_S) == ["node_back"]

    def test_one_that_was_never_heard_is_not_judged(self):
        assert Street().wait(100_000) == []

    def test_its_interval_is_learned_from_distinct_uplinks_whatever_is_lost(self):
        street = Street(interval_s=None)
        for n in range(6):
            street.uplink(HERE, THERE, skip=n % 3)
            street.alive = {HERE, THERE}
            street.wait(900 * (1 + (n + 1) % 3))

        assert street.liveness.interval_s(NODE) == 900.0
        assert street.liveness.record(NODE).missed == 0 + 1 + 2 + 0 + 1 + 2

    def test_before_it_is_learned_a_day_is_expected(self):
        street = Street(interval_s=None)
        street.uplink()

        assert street.wait(2.4 * 86_400) == []
        assert street.wait(0.2 * 86_400) == ["node_late"]

    def test_a_frame_that_comes_late_is_missed_no_more(self, street):
        for f_cnt in (5, 3, 4, 9):
            street.liveness.uplink(NODE, 7, f_cnt, HERE, street.now_s)

        record = street.liveness.record(NODE)
        assert (record.received, record.missed, record.f_cnt) == (5, 4 - 2 + 3, 9)

    def test_a_new_session_begins_anew(self, street):
        street.liveness.uplink(NODE, 8, 100, HERE, street.now_s)

        record = street.liveness.record(NODE)
        assert (record.session, record.f_cnt, record.missed) == (8, 100, 0)

    def test_a_longer_interval_set_by_hand_does_not_say_that_it_is_back(self, street):
        street.wait(1600)
        street.liveness.registered({NODE: 86_400.0})

        assert street.wait(3600) == []

    def test_a_device_that_is_removed_is_forgotten(self, street):
        street.liveness.registered({})

        assert street.wait(10_000) == []
        assert street.liveness.node(NODE) is None


class TestConcentrators:
    def test_one_that_says_nothing_is_late_then_down_then_back(self, street):
        street.alive = set()
        assert street.wait(120) == []
        assert street.wait(20) == ["concentrator_late"]
        assert street.wait(180) == ["concentrator_down"]
        street.alive = {HERE}

        assert street.wait(TICK_S) == ["concentrator_back"]

    def test_one_that_was_down_before_a_restart_is_back_only_when_it_speaks(self, street):
        street.alive = set()
        street.wait(400)
        street.restart()

        assert street.wait(1000) == []
        street.alive = {HERE}
        assert street.wait(TICK_S) == ["concentrator_back"]

    def test_one_that_never_brought_a_frame_of_ours_is_nobody(self, street):
        street.liveness.spoke("00000000000000ff")

        assert HERE in street.liveness.concentrators()
        assert "00000000000000ff" not in street.liveness.concentrators()

    def test_no_node_is_judged_while_nobody_could_hear_it(self, street):
        street.alive = set()

        assert street.wait(100_000) == ["concentrator_late", "concentrator_down"]

    def test_afterwards_it_has_an_interval_to_speak_in(self, street):
        street.wait(1400)
        street.alive = set()
        street.wait(5000)
        street.alive = {HERE}

        assert street.wait(590) == ["concentrator_back"]
        assert street.wait(30) == ["node_late"]

    def test_another_one_that_does_not_hear_it_does_not_count(self, street):
        street.alive = {THERE}
        street.liveness.proved(THERE)

        assert "node_late" not in street.wait(100_000)

    def test_when_its_only_one_is_taken_down_for_good_the_others_count(self, street):
        street.alive = {THERE}
        street.liveness.proved(THERE)
        street.liveness.only_concentrators([THERE])

        assert street.wait(3000) == ["node_late"]


class TestOutagesOfOurOwn:
    def test_what_was_told_before_a_restart_is_not_told_again(self, street):
        street.wait(4000)
        street.restart()

        assert street.wait(100_000) == []
        street.uplink()
        assert street.wait(TICK_S) == ["node_back"]

    def test_a_month_switched_off_makes_nobody_late_who_then_speaks(self, street):
        street.wait(1400)
        street.restart(off_s=30 * 86_400.0)

        assert street.wait(590) == []
        street.uplink()
        assert street.wait(1400) == []

    def test_restarts_do_not_hide_one_that_is_silent(self, street):
        told = []
        for _ in range(20):
            told += street.wait(700)
            street.restart(off_s=100.0)

        assert told == ["node_late", "node_down"]

    def test_a_process_that_was_suspended_has_not_listened(self, street):
        street.now_s += 1e6

        assert street.wait(580) == []

    def test_a_learned_interval_outlasts_a_restart(self):
        street = Street(interval_s=None)
        for _ in range(5):
            street.uplink()
            street.wait(900)
        street.restart()

        assert street.liveness.interval_s(NODE) == 900.0
        assert street.wait(900 * 2) == ["node_late"]


def test_a_change_that_could_not_be_stored_is_proposed_again(street):
    street.liveness.spoke(HERE)
    for _ in range(200):
        street.now_s += TICK_S
        street.liveness.spoke(HERE)
        proposed = street.liveness.tick(street.now_s)

    assert proposed == [Change("node", NODE, LATE, OK, 2000.0, 600.0)]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(1, 400)),
        st.tuples(st.just("uplink"), st.integers(0, 3)),
        st.tuples(st.just("alive"), st.booleans()),
        st.tuples(st.just("off"), st.integers(0, 10**6)),
        st.tuples(st.just("suspended"), st.integers(0, 10**6)),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_whatever_happens_each_change_is_told_once_and_nobody_is_down_unheard(steps):
    street = Street()
    street.uplink()
    listened_s, spoke, state = 0.0, False, OK  # since the last uplink
    for step, number in steps:
        if step == "wait":
            for _ in range(number):
                listened_s += TICK_S if HERE in street.alive else 0.0
                for event in street.wait(TICK_S):
                    if event.startswith("node"):
                        before, state = state, {"node_late": LATE, "node_down": DOWN, "node_back": OK}[event]
                        assert state != before
                        assert state != OK or spoke
                        assert state != LATE or listened_s > 2.5 * 600.0
                        assert state != DOWN or listened_s > 6.0 * 600.0
                        spoke = False
        elif step == "uplink":
            street.uplink(skip=number)
            listened_s, spoke = 0.0, True
        elif step == "alive":
            street.alive = {HERE} if number else set()
        elif step == "off":
            street.restart(off_s=float(number))
        else:
            street.now_s += number


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.0, 5000.0), st.integers(0, 3)), min_size=1, max_size=30),
    st.floats(-1e9, 1e9),
)
def test_no_clock_matters_but_the_differences_of_the_monotonic_one(uplinks, offset_s):
    def told(shift_s):
        street = Street(interval_s=None)
        street.now_s = 1e6 + shift_s
        for pause_s, skip in uplinks:
            street.uplink(skip=skip)
            street.wait(pause_s)
        return street.told

    assert told(0.0) == told(round(offset_s))


def test_only_what_is_not_known_by_its_session_is_kept_hourly(street):
    street.wait(590)
    assert street.liveness.to_keep() == {}
    street.wait(20)
    assert street.liveness.to_keep()[NODE].silent_s == 610.0
    assert street.liveness.to_keep(counts=True) == {}

    street.uplink()
    assert street.liveness.to_keep() == {}
    assert street.liveness.to_keep(counts=True)[NODE].received == 2


def test_a_record_is_what_it_was_after_a_restart(street):
    street.uplink(skip=4)
    street.wait(300)
    before = street.liveness.record(NODE)
    street.restart()

    assert street.liveness.record(NODE) == before
    assert before == NodeRecord(OK, 290.0, None, 7, 5, 2, 4, (HERE,))
