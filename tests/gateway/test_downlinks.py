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
from gateway.downlinks import Downlinks, Failure, Outcome
from gateway.radio import Answer, Order, Priority, Slot, Variant, windows_after
from gateway.scheduler import choose
from gateway.ways_down import Protocol
from tests.gateway.nodes import reception

S = 1_000_000
LEAD = 400_000
GWMP, STATION = Protocol.GWMP, Protocol.BASICS_STATION
ONE, TWO, THREE = "0016c001ff10b001", "0016c001ff10b002", "0016c001ff10b003"
DEV_EUI = "70b3d57ed1000001"
ACK = Variant(Priority.ACK, bytes(12))
BIG = Variant(Priority.APPLICATION, bytes(64), item=7)


class Bench:
    """All concentrators hear an uplink at the same moment; their counters show the same. Times in seconds."""

    def __init__(self, held=False):
        self.downlinks = Downlinks(power_dbm=14, lead_us=LEAD, held=held)
        self.now = 100 * S
        self.steps = []
        self.uplinks = 0

    def go(self, seconds):
        """Let time pass; whatever is due on the way is done when it is due."""
        until = round(seconds * S)
        while (at := self.downlinks.next_at_us()) is not None and at <= until:
            self.now = max(at, self.now + 100)
            self.steps += self.downlinks.due(self.now)
        self.now = until

    def attach(self, *names, protocol=GWMP):
        for name in names:
            self.downlinks.attach(name, protocol)

    def hear(self, name, phy_payload, at=None, **fields):
        at = self.now if at is None else at
        base = 5 << 48 if self.downlinks._ways[name].protocol is STATION else 0
        heard = reception(phy_payload, concentrator=name, tmst_us=base + at, **fields)
        return heard, self.downlinks.heard(heard, None, self.now)

    def uplink(self, *names, snr=(5.0,) * 9, delay_ms=1000, variants=(ACK,), **fields):
        """One more, that must be answered; the first of ``names`` reports it first."""
        self.uplinks += 1
        phy_payload = b"uplink %d" % self.uplinks
        first, ended = self.hear(names[0], phy_payload, snr_db=snr[0], **fields)
        answer = Answer(DEV_EUI, windows_after(first, delay_ms), variants)
        self.steps += self.downlinks.owe(first, ended, answer, self.now)
        for name, snr_db in zip(names[1:], snr[1:], strict=False):
            self.copy(name, phy_payload, snr_db=snr_db, **fields)
        return phy_payload

    def copy(self, name, phy_payload, **fields):
        self.downlinks.copy(*self.hear(name, phy_payload, **fields))

    def orders(self):
        return [step for step in self.steps if isinstance(step, Order)]

    def order(self):
        (order,) = self.orders()
        return order

    def outcomes(self):
        return [step for step in self.steps if isinstance(step, Outcome)]

    def refuse(self, order, reason="collision_packet"):
        self.steps += self.downlinks.refused(order.id, reason, self.now, order.concentrator)

    def confirm(self, order, frequency_hz=None):
        self.steps += self.downlinks.confirmed(order.id, order.concentrator, frequency_hz)


@pytest.fixture
def bench():
    bench = Bench()
    bench.attach(ONE, TWO, THREE)
    for name in (ONE, TWO, THREE):  # their clocks are known
        bench.hear(name, b"earlier")
    return bench


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


class TestSecondTry:
    """Any error is followed by the next best: another concentrator in RX1, or RX2."""

    ERRORS = (
        "too_late", "too_early", "collision_packet", "collision_beacon", "tx_freq", "tx_power", "gps_unlocked", "other",
    )  # fmt: skip

    @pytest.mark.parametrize("error", ERRORS)
    def test_rx2_follows_an_error_in_rx1(self, bench, error):
        bench.go(110)
        bench.uplink(ONE)
        bench.go(110.6)

        bench.refuse(bench.order(), error)

        first, second = bench.orders()
        assert (first.rx1 is None, second.rx1, second.rx2) == (False, None, Slot(2000, 869_525_000, 0))
        assert second.id != first.id
        assert [step.reason for step in bench.steps if isinstance(step, Failure)] == [error]

    def test_another_concentrator_takes_rx1_first(self, bench):
        bench.go(110)
        bench.uplink(ONE, TWO, snr=(9.0, 2.0))
        bench.go(110.6)

        bench.refuse(bench.orders()[-1])
        bench.refuse(bench.orders()[-1])
        bench.refuse(bench.orders()[-1])
        bench.refuse(bench.orders()[-1])

        assert [(order.concentrator, order.rx1 is not None) for order in bench.orders()] == [
            (ONE, True), (TWO, True), (ONE, False), (TWO, False),
        ]  # fmt: skip
        assert [(outcome.sent, outcome.reason) for outcome in bench.outcomes()] == [(None, "collision_packet")]

    def test_an_error_for_an_order_of_another_concentrator_changes_nothing(self, bench):
        bench.go(110)
        bench.uplink(ONE)
        bench.go(110.6)

        bench.steps += bench.downlinks.refused(bench.order().id, "too_late", bench.now, TWO)
        bench.steps += bench.downlinks.confirmed(bench.order().id, THREE)

        assert len(bench.orders()) == 1
        assert bench.outcomes() == []

    def test_a_forwarder_that_confirms_and_then_does_not_is_not_believed(self, bench):
        bench.go(110)
        bench.uplink(ONE)
        bench.go(110.6)
        bench.confirm(bench.orders()[0])
        bench.go(120)
        bench.uplink(ONE)
        bench.go(120.6)

        bench.go(121.01)

        assert bench.orders()[-1].rx2 == Slot(2000, 869_525_000, 0)

    def test_a_forwarder_that_never_confirms_is_believed(self, bench):
        bench.go(110)
        bench.uplink(ONE)
        bench.go(110.6)

        bench.go(111.01)

        assert len(bench.orders()) == 1
        assert [outcome.sent for outcome in bench.outcomes()] == [ACK]

    def test_what_no_concentrator_sent_takes_nobody_s_budget(self, bench):
        bench.go(110)
        bench.uplink(ONE)
        bench.go(110.6)
        bench.refuse(bench.orders()[-1])
        bench.refuse(bench.orders()[-1])

        bench.go(120)
        assert set(bench.downlinks.used_us(ONE, bench.now).values()) == {0}

    def test_a_repetition_of_the_uplink_is_answered_anew(self, bench):
        bench.go(110)
        phy_payload = bench.uplink(ONE)
        bench.go(113)

        again, ended = bench.hear(ONE, phy_payload)
        bench.steps += bench.downlinks.owe(
            again, ended, Answer(DEV_EUI, windows_after(again, 1000), (ACK,)), bench.now
        )  # fmt: skip
        bench.go(114)

        assert len(bench.orders()) == 2


class TestBasicsStation:
    """No refusal exists: dntxed, or nothing."""

    @pytest.fixture
    def bench(self):
        bench = Bench()
        bench.attach(ONE, TWO, protocol=STATION)
        for name in (ONE, TWO):
            bench.hear(name, b"earlier")
        return bench

    def test_alone_it_is_offered_both_windows(self, bench):
        bench.go(110)
        bench.uplink(ONE)
        bench.go(110.6)

        assert bench.order().rx1 == Slot(1000, 868_300_000, 3)
        assert bench.order().rx2 == Slot(2000, 869_525_000, 0)
        assert bench.order().tmst_us == (5 << 48) + 110 * S

    def test_dntxed_tells_which_window_was_used_and_the_other_is_free_again(self, bench):
        bench.go(110)
        bench.uplink(ONE)
        bench.go(110.6)

        bench.confirm(bench.order(), 869_525_000)

        bench.go(120)
        assert bench.downlinks.used_us(ONE, bench.now) == {868_000_000: 0, 869_400_000: 991_232}

    def test_with_a_second_concentrator_rx2_is_kept_for_a_second_try(self, bench):
        bench.go(110)
        bench.uplink(ONE, TWO, snr=(9.0, 2.0))
        bench.go(110.6)
        assert (bench.order().concentrator, bench.order().rx2) == (ONE, None)

        bench.go(111.31)  # RX1 and 300 ms are over, no dntxed came

        assert bench.orders()[-1].rx2 == Slot(2000, 869_525_000, 0)
        assert bench.orders()[-1].rx1 is None
        assert [step.reason for step in bench.steps if isinstance(step, Failure)] == ["not_confirmed"]

    def test_a_band_that_the_station_blocks_is_not_tried(self, bench):
        bench.go(110)
        bench.uplink(ONE, frequency_hz=867_100_000)
        bench.go(110.6)
        bench.confirm(bench.order(), 867_100_000)

        bench.go(130)
        bench.uplink(ONE, frequency_hz=867_900_000)  # 144.384 ms block it for 144.384 s from 111 s on
        bench.go(130.6)
        bench.confirm(bench.orders()[-1], 869_525_000)
        bench.go(255)
        bench.uplink(ONE, frequency_hz=867_900_000)
        bench.go(256)

        assert [order.rx1 is not None for order in bench.orders()] == [True, False, True]

    def test_a_connection_that_ends_sends_its_orders_to_another(self, bench):
        bench.go(110)
        bench.uplink(ONE, TWO, snr=(9.0, 2.0))
        bench.go(110.6)

        bench.steps += bench.downlinks.lost(ONE, bench.now)

        assert [(order.concentrator, order.rx1 is not None) for order in bench.orders()] == [(ONE, True), (TWO, True)]


class TestClassC:
    """TS001-1.0.4 "Class C": at once, in RX2."""

    def test_it_goes_out_now_through_the_last_that_heard_the_node(self, bench):
        bench.go(110)
        heard, _ = bench.hear(TWO, b"uplink")
        answer = Answer(DEV_EUI, (Slot(0, 869_525_000, 0),), (BIG,), asap=True)

        bench.go(500)
        bench.steps += bench.downlinks.push(answer, [heard], bench.now)

        assert (bench.order().concentrator, bench.order().asap, bench.order().rx1) == (TWO, True, None)
        bench.confirm(bench.order())
        assert bench.outcomes() == [Outcome(answer, BIG, "")]


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
