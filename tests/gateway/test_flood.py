# SPDX-License-Identifier: EUPL-1.2
"""Floods of Join-Requests: cheap to refuse, bounded in memory, and no hindrance to a node that behaves."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.flood import FloodWatch, JoinLimiter

NODE = "70b3d57ed1000001"
OTHER = "70b3d57ed1000002"
HERE = "0016c001ff10b001"
EUI = st.integers(0, (1 << 64) - 1).map(lambda number: f"{number:016x}")


@pytest.fixture
def limiter():
    limiter = JoinLimiter()
    limiter.registered = frozenset((NODE, OTHER))
    return limiter


def refusals(limiter, dev_eui, times, every_s, concentrator=HERE):
    return [limiter.refusal(concentrator, dev_eui, n * every_s) for n in range(times)]


class TestRegisteredNodes:
    """TS001-1.0.4 "Join procedure"; a node listens until JOIN_ACCEPT_DELAY2, 6 s, is over."""

    def test_one_that_joins_whenever_it_can_through_sixteen_concentrators_is_always_heard(self, limiter):
        answers = [
            limiter.refusal(f"0016c001ff10b0{c:02x}", NODE, n * 6.1) for n in range(600) for c in range(16)
        ]  # fmt: skip

        assert set(answers) == {""}

    def test_one_that_asks_twenty_times_a_second_for_a_minute_is_mostly_not_looked_at(self, limiter):
        answers = refusals(limiter, NODE, 1200, 0.05)

        # 60 at once and 4 a second of its own, for 4 s; then also 50 at once and 10 a second of everybody's
        assert answers.count("") == pytest.approx(60 + 4 * 60 + 50 + 10 * 56, abs=5)
        assert set(answers) == {"", "join_flood_dev_eui"}

    @settings(max_examples=60, deadline=None)
    @given(
        flood=st.lists(
            st.tuples(st.floats(0.0, 0.05), st.integers(0, 3), st.one_of(EUI, st.just(OTHER))),
            min_size=20,
            max_size=300,
        ),
        back_off_s=st.floats(6.0, 600.0),
    )
    def test_no_flood_of_others_hinders_it(self, flood, back_off_s):
        limiter = JoinLimiter()
        limiter.registered = frozenset((NODE, OTHER))
        now_s, next_s, answers = 0.0, 0.0, []
        for pause_s, concentrator, dev_eui in flood * 5:
            now_s += pause_s
            if dev_eui != NODE:
                limiter.refusal(f"0016c001ff10b00{concentrator}", dev_eui, now_s)
            if now_s >= next_s:
                next_s = now_s + back_off_s
                answers += [limiter.refusal(f"0016c001ff10b00{place}", NODE, now_s) for place in range(4)]

        assert set(answers) == {""}


class TestStrangers:
    def test_one_that_joins_now_and_then_is_looked_at_so_that_a_technician_sees_it(self, limiter):
        assert set(refusals(limiter, "0000000000000009", 50, 6.1)) == {""}

    def test_a_persistent_one_uses_up_nothing_of_the_others(self, limiter):
        answers = refusals(limiter, "0000000000000009", 1000, 0.01)

        assert answers.count("") == 3 + 1  # and one more in 10 s ... of every five seconds
        assert limiter.refusal(HERE, "000000000000000a", 10.0) == ""

    def test_a_thousand_random_ones_a_second_are_looked_at_ten_times_a_second(self, limiter):
        dice = random.Random(20261122)
        answers = [limiter.refusal(HERE, f"{dice.getrandbits(64):016x}", n / 200) for n in range(2000)]

        assert answers.count("") == pytest.approx(50 + 10 * 10, abs=2)
        assert set(answers) == {"", "join_flood_unknown"}

    def test_invented_concentrators_do_not_make_it_more(self, limiter):
        dice = random.Random(20261122)
        answers = [
            limiter.refusal(f"{dice.getrandbits(64):016x}", f"{dice.getrandbits(64):016x}", n / 1000)
            for n in range(10_000)
        ]

        assert answers.count("") == pytest.approx(200 + 10 * 40, abs=2)

    def test_a_device_registered_a_moment_ago_is_looked_at_before_the_list_knows_it(self, limiter):
        assert limiter.refusal(HERE, "70b3d57ed1000003", 0.0) == ""


class TestConcentrators:
    def test_one_that_delivers_more_than_the_air_can_carry_is_cut_off(self, limiter):
        limiter.registered = frozenset(f"{n:016x}" for n in range(3000))
        answers = [limiter.refusal(HERE, f"{n % 3000:016x}", n / 3000) for n in range(6000)]

        assert answers.count("") == pytest.approx(600 + 2 * 300, abs=5)
        assert "join_flood_concentrator" in answers
        assert limiter.refusal("0016c001ff10b002", NODE, 2.0) == ""

    def test_a_full_one_at_sf7_is_not(self, limiter):
        limiter.registered = frozenset(f"{n:016x}" for n in range(1000))

        assert {limiter.refusal(HERE, f"{n % 1000:016x}", n / 130) for n in range(10_000)} == {""}


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(EUI, EUI, st.floats(-1e6, 1e6)), max_size=100), st.integers(0, 1 << 32))
def test_whatever_comes_the_memory_is_bounded(requests, seed):
    limiter = JoinLimiter()
    limiter.registered = frozenset(dev_eui for _, dev_eui, _ in requests[:10])
    dice = random.Random(seed)
    for concentrator, dev_eui, now_s in requests:
        limiter.refusal(concentrator, dev_eui, now_s)
    for n in range(3000):
        limiter.refusal(f"{dice.getrandbits(64):016x}", f"{dice.getrandbits(64):016x}", n)

    assert len(limiter) <= 10 + 1024 + 512 + 512 + 1

    limiter.registered = frozenset()
    assert len(limiter) <= 1024 + 512 + 512 + 1


class TestFlood:
    def test_it_begins_once_and_ends_once(self):
        watch = FloodWatch()
        told = [watch.refused(HERE, n * 0.1) for n in range(100)]
        told += [watch.due(9.9 + n) for n in range(200)]

        began, ended = [flood for flood in told if flood is not None]
        assert began == (False, 20, 2, (HERE,))
        assert ended == (True, 100, 10, (HERE,))

    def test_a_few_refusals_now_and_then_are_none(self):
        watch = FloodWatch()

        assert {watch.refused(HERE, n * 1.0) for n in range(1000)} == {None}
        assert watch.due(1e6) is None

    def test_a_pause_does_not_end_it_at_once(self):
        watch = FloodWatch()
        for n in range(30):
            watch.refused(HERE, n * 0.1)

        assert watch.due(50.0) is None
        assert watch.refused(HERE, 51.0) is None
        assert watch.due(100.0) is None
        assert watch.due(111.0) == (True, 31, 51, (HERE,))

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.floats(0.0, 100.0), max_size=300))
    def test_beginnings_and_ends_take_turns(self, pauses):
        watch, now_s, told = FloodWatch(), 0.0, []
        for pause_s in pauses:
            now_s += pause_s
            told += [watch.due(now_s), watch.refused(HERE, now_s)]

        turns = [flood.over for flood in told if flood is not None]
        assert turns == [bool(n % 2) for n in range(len(turns))]
        assert watch.under_way == (len(turns) % 2 == 1)
