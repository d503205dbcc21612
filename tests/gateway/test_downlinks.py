# SPDX-License-Identifier: EUPL-1.2
"""The life of a downlink in virtual time: the clock is a number, concentrators are this test.

Airtimes by hand after Semtech AN1200.13, without CRC, 12 bytes: SF7 41.216 ms, SF9 144.384 ms, SF12 991.232 ms.
"""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gateway.downlinks
from gateway.airtime_budget import Booking
from gateway.radio import Answer, Priority, Slot, Variant, windows_after
from gateway.scheduler import choose
from tests.gateway.downlink_bench import ACK, BIG, DEV_EUI, ONE, STATION, THREE, TWO, Bench, S, bench_of


@pytest.fixture
def bench():
    return bench_of(ONE, TWO, THREE)


class TestDeadline:
    """The concentrator is chosen when the order must leave, among all that have heard the uplink by then."""

    def test_nothing_is_decided_before_the_deadline(self, bench):
        bench.go(110)
        bench.uplink(ONE)

        bench.go(110.599)

        assert bench.orders() == []
        assert bench.downlinks.next_at_us() == 110_600_000

    def test_the_best_of_those_that_have_reported_by_then_sends(self, bench):
        bench.go(110)
        phy_payload = bench.uplink(ONE, snr=(-5.0,))
        bench.go(110.5)
        bench.copy(TWO, phy_payload, at=110 * S, snr_db=9.0)
        bench.go(110.6)
        bench.copy(THREE, phy_payload, at=110 * S, snr_db=15.0)

        assert bench.order().concentrator == TWO
        assert bench.order().tmst_us == 110 * S

    def test_an_uplink_that_took_long_to_arrive_still_has_rx2(self, bench):
        bench.go(110.97)
        first, ended = bench.hear(ONE, b"late", at=110 * S)
        bench.steps += bench.downlinks.owe(
            first, ended, Answer(DEV_EUI, windows_after(first, 1000), (ACK,)), bench.now
        )  # fmt: skip

        assert (bench.order().rx1, bench.order().rx2) == (None, Slot(2000, 869_525_000, 0))

    def test_one_that_took_too_long_is_not_answered(self, bench):
        bench.go(115)
        first, ended = bench.hear(ONE, b"late", at=110 * S)
        bench.steps += bench.downlinks.owe(
            first, ended, Answer(DEV_EUI, windows_after(first, 1000), (ACK,)), bench.now
        )  # fmt: skip

        assert bench.orders() == []
        assert [outcome.reason for outcome in bench.outcomes()] == ["too_late"]

    def test_in_virtual_time_it_is_decided_at_once(self):
        bench = Bench(held=True)
        bench.attach(ONE)

        bench.uplink(ONE)

        assert bench.order().rx1 == Slot(1000, 868_300_000, 3)


class TestWindows:
    """RX1 first, RX2 where its link or its budget is better."""

    def test_rx1_is_the_rule(self, bench):
        bench.go(110)
        bench.uplink(ONE, sf=7)
        bench.go(111)

        assert (bench.order().rx1, bench.order().rx2) == (Slot(1000, 868_300_000, 5), None)

    def test_a_weak_link_gets_the_slow_window(self, bench):
        bench.go(110)
        bench.uplink(ONE, sf=7, snr=(-6.0,))  # 1.5 dB above SF7's floor, 14 dB above SF12's
        bench.go(111)

        assert bench.order().rx1 is None
        assert bench.order().rx2 == Slot(2000, 869_525_000, 0)

    def test_a_frequency_that_may_not_be_used_leaves_rx2(self, bench):
        bench.go(110)
        bench.uplink(ONE, frequency_hz=868_650_000)
        bench.go(111)

        assert bench.order().rx2 == Slot(2000, 869_525_000, 0)

    def test_of_two_weak_windows_the_less_weak_one_is_taken(self, bench):
        bench.go(110)
        bench.uplink(ONE, sf=10, snr=(-17.0,))  # 2 dB below SF10's floor, 3 dB above SF12's
        bench.go(111)

        assert bench.order().rx1 is None

    def test_rx1_is_spared_when_it_would_take_a_quarter_of_what_is_left(self, bench):
        budget = bench.downlinks._ways[ONE].budget
        for n in range(33):  # 3 s of 36 are left; one answer at SF12 is 0.991 s
            budget.book(Booking(-(100 + 60 * n) * S, -(99 + 60 * n) * S, 868_100_000))
        bench.go(110)
        bench.uplink(ONE, sf=12)
        bench.uplink(TWO, sf=12)
        bench.go(111)

        assert {order.concentrator: order.rx1 is None for order in bench.orders()} == {ONE: True, TWO: False}

    def test_when_rx1_s_hour_is_nearly_used_up_rx2_goes_first(self, bench):
        for n in range(31):  # 31 times 991 ms at SF12 of 34.2 s for ACKs
            bench.go(200 + 60 * n)
            bench.uplink(ONE, sf=12)
            bench.go(202 + 60 * n)

        used = bench.downlinks.used_us(ONE, bench.now)
        assert used[868_000_000] + used[869_400_000] == 31 * 991_232
        assert used[868_000_000] == 31 * 991_232 - used[869_400_000] < 36 * S
        assert bench.orders()[0].rx1 is not None
        bench.go(200 + 60 * 31)
        bench.uplink(ONE, sf=12, variants=(Variant(Priority.APPLICATION, bytes(12)),))
        bench.go(202 + 60 * 31)
        assert bench.orders()[-1].rx1 is None


class TestPriorities:
    """Join-accept, then ACK, then MAC, then application."""

    def test_a_slot_is_kept_for_the_join_accept_that_will_need_it(self, bench):
        bench.attach(ONE)
        bench.go(110)
        bench.uplink(ONE, delay_ms=5000, variants=(Variant(Priority.JOIN_ACCEPT, bytes(17)),), sf=12)
        bench.go(114)
        bench.uplink(ONE, sf=12, variants=(ACK,))  # its RX1 is at 115 s, as the join-accept's

        bench.go(116)

        by_priority = {order.priority: order for order in bench.orders()}
        assert by_priority[Priority.JOIN_ACCEPT].rx1 is not None
        # RX2 at 116 s is over the join-accept's SF12 frame (115 to 116.155 s) as well
        assert Priority.ACK not in by_priority
        assert [outcome.reason for outcome in bench.outcomes() if outcome.sent is None] == ["overlap"]

    def test_an_answer_that_is_due_earlier_leaves_it_alone_too(self, bench):
        bench.go(110)
        bench.uplink(ONE, delay_ms=5000, variants=(Variant(Priority.JOIN_ACCEPT, bytes(17)),), sf=7)  # at 115 s
        bench.go(113.9)
        bench.uplink(ONE, sf=12, variants=(ACK,))  # its RX1 would last from 114.9 to 115.9 s

        bench.go(114.55)

        assert (bench.order().priority, bench.order().rx1) == (Priority.ACK, None)

    def test_what_has_no_place_yet_goes_through_another_concentrator_that_reports_later(self, bench):
        bench.go(110)
        bench.uplink(ONE)
        bench.uplink(ONE)
        phy_payload = bench.uplink(ONE)
        bench.go(110.7)
        assert len(bench.orders()) == 2

        bench.copy(TWO, phy_payload, at=110 * S)
        bench.go(111)

        assert bench.orders()[-1].concentrator == TWO

    def test_the_same_moment_goes_to_who_matters_more_whoever_asked_first(self, bench):
        bench.go(110)
        bench.uplink(ONE, variants=(Variant(Priority.APPLICATION, bytes(12)),))
        bench.uplink(ONE, variants=(ACK,))

        bench.go(110.6)

        ack, application = bench.orders()
        assert (ack.priority, ack.rx1) == (Priority.ACK, Slot(1000, 868_300_000, 3))
        assert (application.priority, application.rx1) == (Priority.APPLICATION, None)

    def test_an_ack_goes_without_the_application_s_downlink_where_that_does_not_fit(self, bench):
        for n in range(40):  # 75 % of RX1's hour, and 75 % of RX2's, are gone for applications
            bench.go(200 + 9 * n)
            budget = bench.downlinks._ways[ONE].budget
            for frequency_hz, seconds in ((868_300_000, 0.68), (869_525_000, 6.8)):
                start = round((9 * n + (0 if frequency_hz < 869_000_000 else 1)) * S)
                budget.book(Booking(start, start + round(seconds * S), frequency_hz))
        bench.go(700)

        bench.uplink(ONE, sf=9, variants=(BIG, ACK))
        bench.go(701)

        assert bench.order().phy_payload == ACK.phy_payload
        bench.confirm(bench.order())
        assert bench.outcomes()[-1].sent == ACK


class TestCrowds:
    """Far more is owed than one concentrator can send: after a power cut, or when hundreds get a new data rate."""

    @pytest.fixture
    def looks(self, monkeypatch):
        """How often possibilities were weighed."""
        counted = []
        monkeypatch.setattr(gateway.downlinks, "choose", lambda *a, **k: counted.append(1) or choose(*a, **k))
        return counted

    def test_an_answer_is_weighed_a_few_times_however_many_wait(self, bench, looks):
        mac = Variant(Priority.MAC, bytes(17))
        for number in range(600):
            bench.go(110 + number / 200)
            bench.uplink(ONE, variants=(ACK if number % 2 else mac,), sf=7)
        bench.go(130)

        assert len(bench.orders()) > 10
        assert len(bench.outcomes()) == 600
        assert len(looks) < 6 * 600

    def test_joins_in_a_crowd_cost_the_others_little(self, bench, looks):
        for number in range(400):
            bench.go(110 + number / 100)
            join = Variant(Priority.JOIN_ACCEPT, bytes(33))
            bench.uplink(ONE, delay_ms=5000, variants=(join,), sf=7)
            bench.uplink(TWO, variants=(ACK,), sf=7)
        bench.go(130)

        assert len(bench.outcomes()) == 800
        assert len(looks) < 6 * 800

    def test_what_hindered_an_answer_and_was_not_sent_is_its_chance(self, bench):
        bench.go(110)
        bench.uplink(ONE, sf=12, variants=(Variant(Priority.JOIN_ACCEPT, bytes(33)),))  # RX1 from 111 to 112.8 s
        bench.uplink(ONE, sf=7)  # RX1 at 111, RX2 at 112 s
        bench.go(110.65)

        bench.refuse(bench.order())
        bench.go(110.7)

        assert [(order.priority, order.rx1 is not None) for order in bench.orders()[1:]] == [
            (Priority.JOIN_ACCEPT, False),
            (Priority.ACK, True),
        ]


class TestHalfDuplex:
    def test_two_answers_at_once_share_two_concentrators(self, bench):
        bench.go(110)
        bench.uplink(ONE, TWO)
        bench.uplink(ONE, TWO)

        bench.go(110.6)

        assert {order.concentrator for order in bench.orders()} == {ONE, TWO}
        assert all(order.rx1 for order in bench.orders())

    def test_one_concentrator_takes_the_second_in_rx2(self, bench):
        bench.go(110)
        bench.uplink(ONE)
        bench.uplink(ONE)

        bench.go(110.6)

        assert [(order.rx1 is None, order.rx2 is None) for order in bench.orders()] == [(False, True), (True, False)]


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 4_000),  # ms to the next
        st.sampled_from([ONE, TWO, THREE]),
        st.sampled_from([7, 9, 12]),
        st.sampled_from([868_100_000, 867_500_000]),
        st.sampled_from(Priority),
        st.sampled_from(["confirm", "refuse", "silence"]),
        st.booleans(),  # a second concentrator hears it too
    ),
    min_size=20,
    max_size=120,
)


class TestAnyTraffic:
    @settings(max_examples=40, deadline=None)
    @given(EVENTS)
    def test_no_concentrator_sends_two_at_once_or_too_much_and_every_answer_ends_once(self, events):
        bench = Bench()
        bench.attach(ONE, TWO)
        bench.attach(THREE, protocol=STATION)
        for name in (ONE, TWO, THREE):
            bench.hear(name, b"earlier")
        fate = {}
        second = bench.now / S
        for ms, name, sf, frequency_hz, priority, what, twice in events:
            second += ms / 1000
            advance(bench, second, fate)
            names = (name, ONE if name != ONE else TWO) if twice else (name,)
            delay_ms = 5000 if priority is Priority.JOIN_ACCEPT else 1000
            variant = Variant(priority, bytes(20))
            fate[bench.uplink(*names, sf=sf, frequency_hz=frequency_hz, delay_ms=delay_ms, variants=(variant,))] = what
        advance(bench, second + 20, fate)

        assert len(bench.outcomes()) == len(events)
        for name in (ONE, TWO, THREE):
            on_air = sorted(
                (booking.start_us, booking.end_us)
                for booking in bench.downlinks._ways[name].budget._bookings
            )  # fmt: skip
            assert all(one[1] < other[0] for one, other in pairwise(on_air))


def advance(bench, second, fate):
    """Let time pass; concentrators answer as ``fate`` has it for the uplink that their order answers."""
    answered = set()
    while True:
        for order in bench.orders():
            if order.id not in answered:
                answered.add(order.id)
                pending = bench.downlinks._by_order.get(order.id)
                what = fate.get(pending.key, "silence") if pending else "silence"
                if what == "confirm":
                    slot = order.rx1 or order.rx2
                    bench.confirm(order, slot.frequency_hz)
                elif what == "refuse":
                    bench.refuse(order)
        at = bench.downlinks.next_at_us()
        if at is None or at > second * S:
            break
        bench.now = max(at, bench.now + 100)
        bench.steps += bench.downlinks.due(bench.now)
    bench.go(second)
