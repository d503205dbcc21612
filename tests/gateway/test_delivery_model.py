# SPDX-License-Identifier: EUPL-1.2
"""The forwarder's window over whatever may happen on the way: in the end the cloud has everything."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.delivery import Delivery


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
            self.time_passes(60.1)
        assert self.committed == self.last


TestCloudAndGateway = CloudAndGateway.TestCase
TestCloudAndGateway.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
