# SPDX-License-Identifier: EUPL-1.2
"""The forwarder's window: nothing is skipped, nothing is sent without end."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.delivery import Delivery


def drained(delivery: Delivery, last: int, now: float = 0.0) -> list[tuple[int, int]]:
    """Send all that may be sent; (first, last) of each batch."""
    batches = []
    while wanted := delivery.next_range(last):
        first, most = wanted
        end = min(last, first + most - 1)
        delivery.sent(1000 + len(batches), end, now)
        batches.append((first, end))
    return batches


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

    def test_one_batch_probes_a_silent_cloud_and_progress_opens_the_window(self):
        delivery = Delivery(10, 3, 5)
        delivery.restart(0, 0.0)
        drained(delivery, 1000)
        for message_id in (1000, 1001, 1002):
            delivery.acknowledged(message_id, 0.0)

        delivery.resend(5.0)
        probe = drained(delivery, 1000, 5.0)
        delivery.acknowledged(1000, 5.0)
        delivery.watermark(10, 6.0)

        assert probe == [(1, 10)]
        assert drained(delivery, 1000, 6.0) == [(11, 20), (21, 30), (31, 40)]


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
        delivery.watermark(10, 141.0)
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


class CloudAndGateway(RuleBasedStateMachine):
    """A cloud that loses, repeats and delays: in the end it has everything, in order of need."""

    def __init__(self) -> None:
        super().__init__()
        self.delivery = Delivery(batch_messages=4, window_batches=3, resend_s=5)
        self.delivery.restart(0, 0.0)
        self.now = 0.0
        self.last = 0
        self.committed = 0
        self.on_the_way: list[tuple[int, int]] = []
        self.unacknowledged: list[int] = []
        self.message_id = 0

    @rule(count=st.integers(1, 30))
    def uplinks_arrive(self, count: int) -> None:
        self.last += count

    @rule()
    def send(self) -> None:
        while wanted := self.delivery.next_range(self.last):
            first, most = wanted
            assert first <= self.delivery.committed + 12
            end = min(self.last, first + most - 1)
            self.message_id += 1
            self.delivery.sent(self.message_id, end, self.now)
            self.unacknowledged.append(self.message_id)
            self.on_the_way.append((first, end))

    @rule()
    def broker_acknowledges(self) -> None:
        for message_id in self.unacknowledged:
            self.delivery.acknowledged(message_id, self.now)
        self.unacknowledged.clear()

    @precondition(lambda self: self.on_the_way)
    @rule(data=st.data())
    def cloud_gets_a_batch(self, data: st.DataObject) -> None:
        first, end = data.draw(st.sampled_from(self.on_the_way))
        if first <= self.committed + 1:
            self.committed = max(self.committed, end)

    @rule()
    def broker_loses_everything(self) -> None:
        self.on_the_way.clear()

    @rule()
    def watermark_arrives(self) -> None:
        self.delivery.watermark(self.committed, self.now)

    @rule()
    def reconnect(self) -> None:
        self.unacknowledged.clear()
        self.delivery.restart(self.delivery.committed, self.now)

    @rule(seconds=st.floats(0.1, 10))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        due_at = self.delivery.resend_due_at()
        if due_at is not None and due_at <= self.now:
            self.delivery.resend(self.now)

    @invariant()
    def never_skips(self) -> None:
        wanted = self.delivery.next_range(self.last)
        assert wanted is None or wanted[0] <= self.last

    def teardown(self) -> None:
        for _ in range(3 * self.last + 10):  # a well-behaved cloud from here on gets everything
            self.send()
            for first, end in self.on_the_way:
                if first <= self.committed + 1:
                    self.committed = max(self.committed, end)
            self.on_the_way.clear()
            self.broker_acknowledges()
            self.watermark_arrives()
            self.time_passes(5.1)
        assert self.committed == self.last


TestCloudAndGateway = CloudAndGateway.TestCase
TestCloudAndGateway.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
