# SPDX-License-Identifier: EUPL-1.2
"""The forwarder's window: nothing is skipped, nothing is sent without end."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.delivery import Delivery
from gateway.patience import Patience


def drained(delivery: Delivery, last: int, now: float = 0.0) -> list[tuple[int, int]]:
    """Send all that may be sent; (first, last) of each batch."""
    batches = []
    while wanted := delivery.next_range(last):
        first, most = wanted
        end = min(last, first + most - 1)
        delivery.sent(1000 + len(batches), end, now)
        batches.append((first, end))
    return batches


def acknowledge_all(delivery: Delivery, now: float) -> None:
    for message_id in range(1000, 1100):
        delivery.acknowledged(message_id, now)


def with_a_full_window(window_batches: int) -> Delivery:
    """Batches of ten from 1 on, sent at 0 s and acknowledged by the broker."""
    delivery = Delivery(10, window_batches, 5)
    delivery.restart(0, 0.0)
    drained(delivery, 1000)
    acknowledge_all(delivery, 0.0)
    return delivery


class TestWindow:
    def test_it_sends_a_window_ahead_of_the_watermark_and_no_more(self):
        delivery = Delivery(batch_messages=10, window_batches=3, resend_s=5)
        delivery.restart(100, 0.0)

        assert drained(delivery, 1000) == [(101, 110), (111, 120), (121, 130)]

    def test_a_puback_alone_opens_nothing(self):
        delivery = Delivery(10, 3, 5)
        delivery.restart(0, 0.0)
        drained(delivery, 1000)

        for message_id in (1000, 1001, 1002):
            delivery.acknowledged(message_id, 0.0)

        assert delivery.next_range(1000) is None

    def test_the_watermark_opens_as_much_as_it_moves(self):
        delivery = Delivery(10, 3, 5)
        delivery.restart(0, 0.0)
        drained(delivery, 1000)
        for message_id in (1000, 1001, 1002):
            delivery.acknowledged(message_id, 0.0)

        delivery.watermark(14, 1.0)

        assert drained(delivery, 1000) == [(31, 40), (41, 44)]

    def test_a_watermark_ahead_of_what_was_sent_skips_to_it(self):
        delivery = Delivery(10, 3, 5)
        delivery.restart(0, 0.0)

        delivery.watermark(50, 0.0)

        assert delivery.next_range(60) == (51, 10)

    def test_a_watermark_that_goes_back_is_followed(self):
        delivery = Delivery(10, 3, 5)
        delivery.restart(0, 0.0)
        delivery.watermark(50, 0.0)

        forward = delivery.watermark(20, 1.0)

        assert forward is False
        assert delivery.next_range(60) == (21, 10)


class TestResend:
    def test_nothing_is_due_while_nothing_waits_for_the_cloud(self):
        delivery = Delivery(10, 3, 5)
        delivery.restart(7, 0.0)

        assert delivery.resend_due_at() is None

    def test_patience_begins_with_the_first_batch_that_waits(self):
        delivery = Delivery(10, 3, 5)
        delivery.restart(0, 0.0)

        delivery.sent(1, 10, 100.0)
        delivery.sent(2, 20, 103.0)

        assert delivery.resend_due_at() == 105.0

    def test_a_silent_cloud_gets_one_batch_again_and_again(self):
        delivery = with_a_full_window(window_batches=5)

        delivery.resend(5.0)
        again = [drained(delivery, 1000, 5.0)]
        acknowledge_all(delivery, 5.0)
        delivery.resend(15.0)
        again.append(drained(delivery, 1000, 15.0))

        assert again == [[(1, 10)], [(1, 10)]]

    def test_a_cloud_that_was_only_slow_gets_nothing_twice_but_the_probe(self):
        delivery = with_a_full_window(window_batches=5)  # 1 to 50
        delivery.resend(5.0)
        sent = [drained(delivery, 1000, 5.0)]
        for now, watermark in ((6.0, 10), (7.0, 20), (8.0, 30)):
            acknowledge_all(delivery, now)
            delivery.watermark(watermark, now)
            sent.append(drained(delivery, 1000, now))

        assert sent == [[(1, 10)], [(51, 60)], [(61, 70)], [(71, 80)]]

    def test_what_a_cloud_has_lost_is_sent_again_two_batches_and_then_twice_as_many_with_each_step(self):
        delivery = with_a_full_window(window_batches=5)
        delivery.resend(5.0)
        drained(delivery, 1000, 5.0)
        acknowledge_all(delivery, 5.0)
        delivery.watermark(10, 6.0)  # the probe's; 11 to 50 are lost
        drained(delivery, 1000, 6.0)
        acknowledge_all(delivery, 6.0)

        delivery.resend(16.0)
        again = [drained(delivery, 1000, 16.0)]
        for now, watermark in ((17.0, 30), (18.0, 70)):
            acknowledge_all(delivery, now)
            delivery.watermark(watermark, now)
            again.append(drained(delivery, 1000, now))

        assert again == [
            [(11, 20), (21, 30)],
            [(31, 40), (41, 50), (51, 60), (61, 70)],
            [(71, 80), (81, 90), (91, 100), (101, 110), (111, 120)],
        ]

    def test_after_what_was_lost_a_silence_is_probed_with_one_batch(self):
        delivery = with_a_full_window(window_batches=5)
        for now in (5.0, 15.0):
            delivery.resend(now)
        drained(delivery, 1000, 15.0)
        acknowledge_all(delivery, 15.0)
        delivery.watermark(50, 16.0)
        drained(delivery, 1000, 16.0)
        acknowledge_all(delivery, 16.0)

        delivery.resend(60.0)

        assert drained(delivery, 1000, 60.0) == [(51, 60)]


class TestPatience:
    """RFC 6298 "The Basic Algorithm", "Managing the RTO Timer"; worked by hand."""

    def test_the_first_answer_makes_it_three_times_what_that_took(self):
        patience = Patience(1.0)

        patience.took(2.0)  # SRTT 2, RTTVAR 1: 2 + 4 * 1

        assert patience.seconds == 6.0

    def test_later_answers_weigh_an_eighth_and_their_deviation_a_quarter(self):
        patience = Patience(1.0)
        patience.took(2.0)

        patience.took(4.0)  # RTTVAR 3/4 * 1 + 1/4 * 2 = 1.25, SRTT 7/8 * 2 + 1/8 * 4 = 2.25: 2.25 + 4 * 1.25

        assert patience.seconds == 7.25

    def test_it_is_never_below_its_floor(self):
        patience = Patience(5.0)

        patience.took(0.01)

        assert patience.seconds == 5.0

    def test_each_end_of_it_doubles_it_up_to_twelve_times_the_floor(self):
        patience = Patience(5.0)
        seconds = []

        for _ in range(5):
            patience.expired()
            seconds.append(patience.seconds)

        assert seconds == [10.0, 20.0, 40.0, 60.0, 60.0]

    def test_an_answer_that_took_an_outage_counts_as_the_ceiling(self):
        patience = Patience(5.0)

        patience.took(86_400.0)  # SRTT 60, RTTVAR 30
        for _ in range(40):
            patience.took(1.0)

        assert patience.seconds == 5.0

    def test_the_time_from_a_batch_to_the_watermark_over_it_is_what_is_learnt(self):
        delivery = Delivery(10, 3, resend_s=5)
        delivery.restart(0, 100.0)
        delivery.sent(1, 10, 100.0)
        delivery.sent(2, 20, 101.0)

        delivery.watermark(20, 104.0)  # 4 s after the first of the two: SRTT 4, RTTVAR 2

        assert delivery.patience_s == 12.0

    def test_a_watermark_within_a_batch_tells_no_time_of_it(self):
        delivery = Delivery(10, 3, resend_s=5)
        delivery.restart(0, 100.0)
        delivery.sent(1, 10, 100.0)

        delivery.watermark(9, 104.0)

        assert delivery.patience_s == 5.0

    def test_what_was_sent_twice_tells_no_time(self):
        delivery = Delivery(10, 3, resend_s=5)
        delivery.restart(0, 100.0)
        delivery.sent(1, 10, 100.0)
        delivery.resend(105.0)
        delivery.sent(2, 10, 105.0)

        delivery.watermark(10, 105.1)  # to which of the two?

        assert delivery.patience_s == 10.0

    def test_a_watermark_that_stays_shows_a_cloud_that_is_there(self):
        delivery = Delivery(10, 3, resend_s=5)
        delivery.restart(0, 100.0)
        delivery.sent(1, 10, 100.0)
        delivery.resend(105.0)
        delivery.sent(2, 10, 105.0)

        delivery.watermark(0, 106.0)

        assert delivery.resend_due_at() == 110.0

    def test_a_new_connection_forgets_the_doubling_and_not_what_was_learnt(self):
        delivery = Delivery(10, 3, resend_s=5)
        delivery.restart(0, 100.0)
        delivery.sent(1, 10, 100.0)
        delivery.watermark(10, 104.0)
        delivery.sent(2, 20, 104.0)
        delivery.resend(116.0)

        delivery.restart(10, 120.0)

        assert delivery.patience_s == 12.0

    @given(
        st.lists(st.floats(0.0, 1e6) | st.just("expired") | st.just("answered"), max_size=60), st.floats(0.05, 3600.0)
    )
    def test_whatever_happens_it_stays_within_its_bounds(self, events, floor_s):
        patience = Patience(floor_s)

        for event in events:
            if event == "expired":
                patience.expired()
            elif event == "answered":
                patience.answered()
            else:
                patience.took(event)

            assert floor_s <= patience.seconds <= 12 * floor_s
            assert floor_s <= patience.learnt_s <= 12 * floor_s


class SlowCloud:
    """It loses nothing: batches wait in line, each takes ``batch_s`` and its answer ``delay_s`` more."""

    def __init__(self, batch_s: float, delay_s: float) -> None:
        self.batch_s = batch_s
        self.delay_s = delay_s
        self.answers: list[tuple[float, int]] = []
        self._free_at = 0.0
        self._reached = 0

    def take(self, last: int, now: float) -> None:
        self._free_at = max(self._free_at, now) + self.batch_s
        self._reached = max(self._reached, last)
        self.answers.append((self._free_at + self.delay_s, self._reached))


class TestSlowCloud:
    """It loses nothing, so all that is sent twice is sent for nothing."""

    @settings(max_examples=60, deadline=None)
    @given(st.floats(0.01, 2.0), st.floats(0.0, 20.0))
    def test_only_a_probe_now_and_then_is_sent_twice_however_slow_it_is(self, batch_s, delay_s):
        delivery, cloud, now, sent, doubled = Delivery(10, 20, resend_s=5), SlowCloud(batch_s, delay_s), 0.0, 0, 0
        delivery.restart(0, now)
        while delivery.committed < 2000:
            while wanted := delivery.next_range(2000):
                first, most = wanted
                sent += 1
                doubled += first <= 10 * (sent - 1 - doubled)
                delivery.sent(sent, first + most - 1, now)
                delivery.acknowledged(sent, now)
                cloud.take(first + most - 1, now)
            due_at = delivery.resend_due_at()
            if cloud.answers and (due_at is None or cloud.answers[0][0] <= due_at):
                now, seq = cloud.answers.pop(0)
                delivery.watermark(seq, now)
            else:
                assert due_at is not None
                now = due_at
                delivery.resend(now)

        assert doubled <= 4  # of 200: before the first answer, and while it is learnt how long one takes


class TestStall:
    def test_a_full_window_without_any_puback_is_a_stall_after_ten_times_resend_s(self):
        delivery = Delivery(10, 3, 5)
        delivery.restart(0, 100.0)
        drained(delivery, 1000, 100.0)

        assert [delivery.stalled(now) for now in (149.9, 150.0)] == [False, True]

    def test_a_puback_begins_the_patience_anew(self):
        delivery = Delivery(10, 3, 5)
        delivery.restart(0, 100.0)
        drained(delivery, 1000, 100.0)
        delivery.acknowledged(1000, 140.0)
        delivery.gone(10)
        drained(delivery, 1000, 141.0)

        assert [delivery.stalled(now) for now in (189.9, 190.0)] == [False, True]

    def test_a_puback_of_something_else_is_no_sign_that_the_broker_takes_batches(self):
        delivery = Delivery(10, 3, 5)
        delivery.restart(0, 100.0)
        drained(delivery, 1000, 100.0)

        delivery.acknowledged(7, 140.0)  # the status

        assert delivery.stalled(150.0)

    def test_it_is_looked_for_even_when_nothing_is_left_to_resend(self):
        delivery = Delivery(10, 3, 5)
        delivery.restart(0, 100.0)
        drained(delivery, 1000, 100.0)
        delivery.resend(105.0)

        assert delivery.resend_due_at() is None
        assert delivery.wake_at() == 150.0

    def test_a_window_with_room_is_none(self):
        delivery = Delivery(10, 3, 5)
        delivery.restart(0, 100.0)
        delivery.sent(1, 10, 100.0)

        assert not delivery.stalled(1000.0)

    def test_a_new_connection_has_nothing_in_flight(self):
        delivery = Delivery(10, 3, 5)
        delivery.restart(0, 100.0)
        drained(delivery, 1000, 100.0)
        delivery.restart(0, 200.0)

        assert not delivery.stalled(1000.0)
