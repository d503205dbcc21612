# SPDX-License-Identifier: EUPL-1.2
"""The outbox against a list: whatever happens to it, in any order, nothing goes that is not accounted for."""

import random
from functools import partial
from typing import Any

import apsw
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from decoders.records import ALARM, LANES, Event, Record, Tombstone, UplinkKey, UplinkMessage
from decoders.senml import Reading
from gateway.errors import Refused
from gateway.outbox import Limits
from tests.gateway.lossy_disk import Image, LossyDisk
from tests.gateway.outbox_world import Rows
from tests.gateway.power_cuts import Gateway

NODES = ("70b3d57ed1000001", "70b3d57ed1000002")
CAPS = (2_500, 4_000, 8_000, 1 << 20)


class OutboxMachine(RuleBasedStateMachine):
    """``self.given``: every record that was acknowledged, by lane and row. Rows leave it by being accounted for."""

    @initialize()
    def begin(self) -> None:
        self.given: dict[int, dict[int, Record]] = {lane: {} for lane in LANES}
        self.delivered = dict.fromkeys(LANES, 0)
        self.ever_delivered: set[tuple[int, int]] = set()
        self.named: set[tuple[int, int]] = set()
        self.bases: dict[int, tuple[int, int, int]] = {}
        self.clock = 1_795_334_400.0
        self.f_cnt = 0
        self.unacknowledged: list[Record] = []  # the commit failed: a crash may show that the disk has it
        self.cap, self.horizon = CAPS[-1], 1000
        self.open({})

    def open(self, image: Image) -> None:
        self.disk = LossyDisk(image)
        self.gateway = Gateway(self.disk)
        self.outbox = self.gateway.ledger
        self.outbox.limits = Limits(self.cap, self.horizon)
        self.bases[self.outbox.numbering.epoch] = self.outbox.numbering.bases
        self.take_up_unacknowledged(*self.unacknowledged)
        self.unacknowledged.clear()

    def leave(self) -> None:
        self.disk.before = lambda _operation: None
        self.gateway.close()
        self.disk.unregister()

    def uplink(self, node: str) -> UplinkMessage:
        self.f_cnt += 1
        readings = (Reading("soil_moisture", "%", 1_795_334_400 + self.f_cnt, self.f_cnt / 100, None),)
        return UplinkMessage(UplinkKey(node, 1, self.f_cnt), self.clock, "tree", readings, "saved")

    def run(self, work: Any) -> Any:
        found: list[Any] = []
        self.gateway.transactions.run([work], found.extend)
        return found[0]

    @rule(lane=st.sampled_from(LANES), node=st.sampled_from(NODES), times=st.integers(1, 25))
    def append(self, lane: int, node: str, times: int) -> None:
        for _ in range(times):
            record = self.uplink(node)
            row = self.run(lambda record=record: self.outbox.append_record(lane, record))
            self.given[lane][row] = record
            self.note_tombstones()

    @rule()
    def event(self) -> None:
        row = self.run(lambda: self.outbox.append_event("node_down", self.clock, time_quality="unset"))
        self.given[ALARM][row] = Event("node_down", None, self.clock, "unset", {})
        self.note_tombstones()

    @rule(
        plan=st.lists(
            st.tuples(st.sampled_from(LANES), st.sampled_from(("stays", "fails", "is confirmed and fails"))), max_size=8
        )
    )
    def append_together(self, plan: list[tuple[int, str]]) -> None:
        """Works that share a transaction; some fail, before or after rows had to be written."""
        records = [self.uplink(NODES[0]) for _ in plan]
        found: list[Any] = []

        def work(lane: int, fate: str, record: Record) -> int:
            row = self.outbox.append_record(lane, record)
            if fate == "is confirmed and fails":
                self.outbox.confirm(lane, row, 9, row)
            if fate != "stays":
                raise Refused(fate)
            return row

        works = [partial(work, *item, record) for item, record in zip(plan, records, strict=True)]
        self.gateway.transactions.run(works, found.extend)
        for (lane, fate), record, row in zip(plan, records, found, strict=True):
            if fate == "stays":
                self.given[lane][row] = record
            else:
                assert isinstance(row, Refused)
        self.note_tombstones()

    @rule(lane=st.sampled_from(LANES), share=st.floats(0, 1.1))
    def watermark(self, lane: int, share: float) -> None:
        """Forwards or back, or beyond all that was ever sent."""
        now = self.outbox.lanes()[lane]
        row = round(now.last_seq * share)
        assert self.run(lambda: self.outbox.confirm(lane, row, 9, row)) is None
        self.delivered[lane] = min(max(row, now.first_seq - 1), now.last_seq)
        self.ever_delivered |= {(lane, n) for n in range(1, self.delivered[lane] + 1)}

    @rule(cap=st.sampled_from(CAPS), horizon=st.sampled_from((0, 500, 1 << 20)))
    def other_limits(self, cap: int, horizon: int) -> None:
        self.cap, self.horizon = cap, horizon
        self.outbox.limits = Limits(cap, horizon)

    @rule(step_s=st.sampled_from((-3600.0, -1_700_000_000.0, 30 * 86_400.0, 1.0)))
    def clock_jumps(self, step_s: float) -> None:
        self.clock = min(max(0.0, self.clock + step_s), 4e9)

    @rule()
    def new_epoch(self) -> None:
        self.bases[self.outbox.begin_epoch().epoch] = self.outbox.numbering.bases

    @rule()
    def reopen(self) -> None:
        image = self.disk.crashed()
        self.leave()
        self.open(image)

    @rule(seed=st.integers(0, 1 << 32))
    def power_cut(self, seed: int) -> None:
        image = self.disk.cut(random.Random(seed))
        self.leave()
        self.open(image)

    @rule(operation=st.integers(0, 12), seed=st.integers(0, 1 << 32), node=st.sampled_from(NODES))
    def power_cut_while_appending(self, operation: int, seed: int, node: str) -> None:
        """The record was not acknowledged: it may be there or not; all others are."""
        left, images = operation, list[Image]()

        def before(_operation: str) -> None:
            nonlocal left
            left -= 1
            if left < 0 and not images:
                images.append(self.disk.cut(random.Random(seed)))

        record = self.uplink(node)
        self.disk.before = before
        self.run(lambda: self.outbox.append_record(1, record))
        image = images[0] if images else self.disk.cut(random.Random(seed))
        self.leave()
        self.open(image)
        self.take_up_unacknowledged(record)

    @rule(
        operation=st.integers(0, 6), error=st.sampled_from((apsw.FullError, apsw.IOError)), node=st.sampled_from(NODES)
    )
    def disk_fails(self, operation: int, error: type[apsw.Error], node: str) -> None:
        left = operation

        def before(_operation: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise error("as the test wants it")

        record = self.uplink(node)
        self.disk.before = before
        row = self.run(lambda: self.outbox.append_record(1, record))
        self.disk.before = lambda _operation: None
        if isinstance(row, Exception):
            self.take_up_unacknowledged(record)
            self.unacknowledged.append(record)
        else:
            self.given[1][row] = record
            self.note_tombstones()

    def take_up_unacknowledged(self, *records: Record) -> None:
        """What was not acknowledged may be there or not; what is there stays."""
        self.note_tombstones()
        for row, found in Rows(self.outbox).records(1).items():
            if row not in self.given[1] and found in records:
                self.given[1][row] = found

    def note_tombstones(self) -> None:
        """Tombstones are given by the outbox itself; what they name is accounted for."""
        held = Rows(self.outbox).records(ALARM)
        for row, record in held.items():
            if isinstance(record, Tombstone) and row not in self.given[ALARM]:
                self.given[ALARM][row] = record
                base = self.bases[record.epoch][record.lane]
                assert record.others + sum(one.uplinks for one in record.dropped) == (
                    record.last_seq - record.first_seq + 1
                )
                self.named |= {(record.lane, base + seq) for seq in range(record.first_seq, record.last_seq + 1)}

    @invariant()
    def everything_is_held_or_accounted_for(self) -> None:
        for lane in LANES:
            held = Rows(self.outbox).records(lane)
            state = self.outbox.lanes()[lane]
            assert list(held) == list(range(state.first_seq, state.last_seq + 1))
            assert {row: self.given[lane].get(row) for row in held} == held
            gone = range(1, state.first_seq)
            assert all((lane, row) in self.named or (lane, row) in self.ever_delivered for row in gone)
            assert not [row for row in held if (lane, row) in self.named]

    @invariant()
    def sizes_and_marks_are_right(self) -> None:
        for state in self.outbox.lanes():
            sizes = Rows(self.outbox).sizes(state.lane)
            assert state.bytes == sum(sizes.values())
            assert state.delivered_bytes == sum(size for row, size in sizes.items() if row <= state.delivered_seq)
            assert state.first_seq - 1 <= state.delivered_seq <= state.last_seq
            assert state.delivered_seq == max(self.delivered[state.lane], state.first_seq - 1)

    def teardown(self) -> None:
        if hasattr(self, "disk"):
            self.leave()


TestOutboxModel = OutboxMachine.TestCase
TestOutboxModel.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
