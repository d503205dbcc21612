# SPDX-License-Identifier: EUPL-1.2
"""What follows an order: a second try, what only a Basics Station does, and class C. Airtimes: test_downlinks.py."""

import pytest

from gateway.downlinks import Failure, Outcome
from gateway.radio import Answer, Slot, windows_after
from tests.gateway.downlink_bench import ACK, BIG, DEV_EUI, ONE, STATION, THREE, TWO, S, bench_of


@pytest.fixture
def bench():
    return bench_of(ONE, TWO, THREE)


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
        return bench_of(ONE, TWO, protocol=STATION)

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
