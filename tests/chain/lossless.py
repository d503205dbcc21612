# SPDX-License-Identifier: EUPL-1.2
"""Lives of a gateway, a broker and a city's store with every fault there is, in any order, drawn from a seed.

At the end of a life everybody is well again, and each reading that was accepted is in the store once, with its own
time; or a tombstone names it that is in the store; or the card that held it was wiped or replaced. Where a store was
put back from a backup that is older than what the gateway keeps, what is gone stands in a gap that everybody can see.

    python -m tests.chain.lossless 100000 SEED        # steps
"""

import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from decoders.records import DIAGNOSTIC, READING, Record, UplinkKey
from decoders.uplink import Watermark, encode_watermark
from tests.chain.edge_and_cloud import (
    Broken,
    Broker,
    Cloud,
    Edge,
    Identity,
    Killed,
    Message,
    Settings,
    check_numbers,
    event,
    put_back,
    raw,
    uplink,
)
from tests.chain.lossless_verdict import Given, Lived, judge
from tests.cloud_ingest.world import NODES, START

STEPS = 120  # of a life
_JUMPS_S = (30 * 86_400.0, -3600.0, 320_000_000.0 - START, 0.0)  # of the gateway's clock: ahead, behind, 1980, right
KEEPS_ALL = (1 << 24, 1 << 20)  # cap and horizon: whatever the cloud loses can be sent again
_ROUNDS = 300  # until everything has arrived, at most


class World:
    """A life. Its methods without an underscore, up to ``settle``, are what may happen."""

    def __init__(self, folder: Path, seed: str) -> None:
        self.dice = dice = Random(seed)
        self.settings = Settings(
            *dice.choice((KEEPS_ALL, (dice.choice((3000, 8000, 40_000)), dice.choice((0, 600, 4000, 1 << 20))))),
            dice.choice((1, 3, 10)),
            dice.choice((1, 3, 8)),
        )
        self.folder = folder
        self.now = 1000.0
        self.clock_is_ahead_s = 0.0
        self.given: dict[Identity, Given] = {}
        self.quarantined: dict[UplinkKey, Identity] = {}
        self.excused: set[Identity] = set()  # the card that held it is gone
        self.once_named: set[Identity] = set()  # in a store that is gone: their tombstones may be beyond the horizon
        self.sessions = dict.fromkeys(NODES, 1)
        self.counters = dict.fromkeys(NODES, 0)
        self.used: set[tuple[str, int]] = set()
        self.events = 0
        self.edge_backup: tuple[dict[tuple[int, int], Identity], set[Identity], dict[str, int]] | None = None
        self.spoken: set[tuple[int, int]] = set()  # epochs and lanes of which something was sent, to this store
        self.keeps_all = self.settings[:2] == KEEPS_ALL
        self.has_cloud_backup = self.was_cloud_restored = self.was_edge_restored = False
        self.broker = Broker()
        self.edge = Edge(folder, self.settings, lambda: self.now)
        self.cloud = Cloud(folder, self.broker, lambda: START + self.now, dice)
        self.edge.start()
        self.cloud.start()
        self.connected = False
        together = dice.choice(TOGETHER)
        faults = [name for name in FAULTS if name in together or dice.random() < 0.5]
        self.ways = [*WAYS, *faults]
        self.weights = [*WAYS.values(), *(FAULTS[name] for name in faults)]

    def close(self) -> None:
        self.edge.close()
        self.cloud.stop()

    def step(self) -> str:
        (name,) = self.dice.choices(self.ways, self.weights)
        getattr(self, name)()
        return name

    # what happens on a good day

    def append(self) -> None:
        plan = [self._record() for _ in range(self.dice.choice((1, 1, 3, 10, 30)))]
        self._accepted(plan, self.edge.append(plan))

    def send(self) -> None:
        self._connect()
        for _ in range(self.dice.choice((1, 3, 20))):
            message = self.edge.next()
            if message is None:
                break
            self._publish(message)

    def ingest(self) -> None:
        self._ingest(self.broker.up[: self.dice.choice((1, 3, 50))])

    def tell(self) -> None:
        for _ in range(self.dice.choice((1, 3, 50))):
            if self.broker.to_gateway and self.connected:
                self.edge.hear(self.broker.to_gateway.popleft())

    def acknowledge(self) -> None:
        self._acknowledge(self.dice.choice((1, 5, 50)))

    def time_passes(self) -> None:
        self._time_passes(self.dice.choice((0.01, 1.0, 6.0, 70.0, 4000.0)))

    # what goes wrong

    def gateway_dies(self) -> None:
        """In the middle of a transaction, or not."""
        if self.dice.random() < 0.5:
            self.edge.die_while_appending([self._record() for _ in range(self.dice.choice((1, 20)))])
        self._restart_edge(lambda: None)

    def connection_breaks(self) -> None:
        self.connected = False

    def broker_is_wiped(self) -> None:
        self.broker.wipe()
        self.connected = False
        self.cloud.connect()

    def messages_are_late(self) -> None:
        self.dice.shuffle(self.broker.up)

    def message_comes_again(self) -> None:
        """However old."""
        if self.broker.ever_up:
            self.broker.up.append(self.dice.choice(self.broker.ever_up)._replace(again=self.dice.random() < 0.5))

    def old_watermark_comes(self) -> None:
        """Of this epoch or any before, as a broker may have it retained."""
        if self.broker.ever_told:
            self.edge.hear(self.dice.choice(self.broker.ever_told))

    def watermark_of_another_life(self) -> None:
        """Beyond anything that was sent."""
        told = [self.dice.choice((None, 0, 3, 1 << 40)) for _ in range(3)]
        told[self.dice.randrange(3)] = 1 << 40
        self.edge.hear(encode_watermark(Watermark(self.edge.backlog.numbering.epoch, (*told,))))  # type: ignore[arg-type]

    def acknowledged_twice(self) -> None:
        for message_id in (1, 2, 3, 1 << 20):
            self.edge.backlog.acknowledged(message_id)

    def message_is_lost(self) -> None:
        """By a broker that had acknowledged it."""
        if self.broker.up:
            self.broker.up.remove(self.dice.choice(self.broker.up))

    def ingest_dies(self) -> None:
        """After its commit, before all is acknowledged; or in the middle of a statement."""
        some = self.broker.up[: self.dice.choice((1, 3, 50))]
        after = self.dice.randrange(3)
        self._ingest(some, dies_after=after if self.dice.random() < 0.5 else None,
                     interrupted_at=self.dice.choice((None, 100, 1000, 5000)))  # fmt: skip
        self._restart_cloud(lambda: None)

    def cloud_is_backed_up(self) -> None:
        self.cloud.back_up(self.folder / "cloud.backup")
        self.has_cloud_backup = True

    def cloud_is_restored(self) -> None:
        """From yesterday's backup; without one it begins anew."""
        for epoch, lane, first, last in self.cloud.store.db.execute(
            "SELECT epoch, lane, first_seq, last_seq FROM dropped"
        ):
            numbers = self.edge.epochs[epoch]
            self.once_named |= {numbers.identity(lane, seq) for seq in range(first, last + 1)} - {None}
        backup = self.folder / "cloud.backup" if self.has_cloud_backup else None
        self._restart_cloud(lambda: put_back(backup, self.cloud.path))
        self.was_cloud_restored = True
        self.spoken.clear()

    def edge_is_backed_up(self) -> None:
        rows = self.edge.back_up(self.folder / "edge.backup")
        self.edge_backup = (rows, set(self.given), dict(self.sessions))

    def edge_is_restored(self) -> None:
        if self.edge_backup is None:
            return
        rows, given, sessions = self.edge_backup
        self.excused |= self.given.keys() - given
        self._restart_edge(lambda: put_back(self.folder / "edge.backup", self.edge.database))
        self.edge.rows.clear()
        self.edge.rows.update(rows)
        self._rejoin(node for node in NODES if sessions[node] != self.sessions[node])
        self.was_edge_restored = True

    def card_is_wiped(self) -> None:
        self.excused |= self.given.keys()
        self.edge_backup = None
        self._restart_edge(lambda: put_back(None, self.edge.database), rows={})
        self._rejoin(NODES)
        self.was_edge_restored = True

    def edge_is_full(self) -> None:
        self.keeps_all = False
        self.edge.disk_full(True)

    def edge_has_room(self) -> None:
        self.edge.disk_full(False)

    def cloud_is_full(self) -> None:
        self.cloud.is_full = True

    def clock_jumps(self) -> None:
        self.clock_is_ahead_s = self.dice.choice(_JUMPS_S)

    def payload_is_quarantined(self) -> None:
        key, at = self._key(self.dice.choice(NODES))
        if self.edge.quarantine(key, raw(at), float(at)):
            self.given[key] = Given(READING, at)
            self.quarantined[key] = key

    def quarantine_is_read(self) -> None:
        self.edge.retry_quarantine(self.quarantined)

    # what follows from it

    def _key(self, node: str) -> tuple[UplinkKey, int]:
        """The next uplink of a node, and when it was sampled by the gateway's clock: no two at once."""
        self.counters[node] += 1
        at = int(START + self.now + self.clock_is_ahead_s)
        while (node, at) in self.used:
            at += 1
        self.used.add((node, at))
        return UplinkKey(node, self.sessions[node], self.counters[node]), at

    def _record(self) -> tuple[int, Identity, Record]:
        if self.dice.random() < 0.15:
            self.events += 1
            return event(self.events, START + self.now)
        key, at = self._key(self.dice.choice(NODES))
        return uplink(self.dice.choice((READING, READING, DIAGNOSTIC)), key, at, at + 0.25)

    def _accepted(self, plan: list[tuple[int, Identity, Record]], accepted: list[bool]) -> None:
        for (lane, identity, record), is_there in zip(plan, accepted, strict=True):
            if is_there:
                self.given[identity] = Given(lane, int(getattr(record, "received_at", 0)))

    def _rejoin(self, nodes: object) -> None:
        """A session of its own, and counters from the beginning."""
        for node in nodes:  # type: ignore[attr-defined]
            self.sessions[node] = self.dice.randrange(1 << 53)
            self.counters[node] = -1

    def _connect(self) -> None:
        if self.connected:
            return
        self.connected = True
        self.broker.to_gateway.clear()
        for message in self.edge.connect():
            self._publish(message)
        if self.broker.retained is not None:
            self.broker.to_gateway.append(self.broker.retained)

    def _publish(self, message: Message) -> None:
        self.spoken.add(check_numbers(message.payload, self.edge.epochs))
        self.broker.take(message)

    def _acknowledge(self, most: int) -> None:
        for message_id in self.edge.waits[:most]:
            self.edge.backlog.acknowledged(message_id)
        del self.edge.waits[:most]

    def _time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.edge.backlog.resend_what_is_due()
        if self.edge.backlog.stalled():
            self.connected = False

    def _ingest(self, messages: list[Message], **faults: int | None) -> None:
        try:
            self.cloud.apply(messages, **faults)
        except Killed:
            self.broker.up = [message._replace(again=True) for message in self.broker.up]
            self._restart_cloud(lambda: None)

    def _restart_cloud(self, meanwhile: Callable[[], None]) -> None:
        self.cloud.stop()
        meanwhile()
        self.cloud.start()

    def _restart_edge(self, meanwhile: Callable[[], None], rows: dict[tuple[int, int], Identity] | None = None) -> None:
        self.edge.stop()
        meanwhile()
        self.edge.rows = dict(self.edge.rows) if rows is None else rows
        self.edge.start()
        self.connected = False

    # and how it ends

    def settle(self) -> None:
        """Everybody is well, time passes, and something is still measured: raises Broken if anything stays behind."""
        self.clock_is_ahead_s, self.cloud.is_full = 0.0, False
        self.now += 40 * 86_400  # what came from a clock that was ahead is of the past now
        self.edge.disk_full(False)
        self.spoken.clear()
        says_little = self.dice.random() < 0.5  # one lane, and what a new connection says of the others
        self.connected = self.connected and not says_little
        for is_again in (False, True):
            if is_again and "cloud_is_restored" in self.ways and self.dice.random() < 0.5:
                self.cloud_is_restored()
            plan = [uplink(READING, *self._now(NODES[1]))]
            if not says_little:
                self.events += 1
                plan += [uplink(DIAGNOSTIC, *self._now(NODES[0])), event(self.events, START + self.now)]
            self._accepted(plan, self.edge.append(plan))
            self._until_all_has_arrived()
            self.cloud.replay()
            self.edge.retry_quarantine(self.quarantined)
            self._until_all_has_arrived()

    def _now(self, node: str) -> tuple[UplinkKey, int, float]:
        key, at = self._key(node)
        return key, at, at + 0.25

    def _until_all_has_arrived(self) -> None:
        for _ in range(_ROUNDS):
            self._connect()
            for _ in range(100):
                message = self.edge.next()
                if message is None:
                    break
                self._publish(message)
                self._acknowledge(1 << 20)
            self._ingest(list(self.broker.up))
            while self.broker.to_gateway:
                self.edge.hear(self.broker.to_gateway.popleft())
            if not self.edge.waiting() and not self.broker.up and not self.broker.to_gateway:
                return
            self._time_passes(61.0)
        raise Broken(f"{self.edge.waiting()} records wait for ever")


WAYS = {"append": 8, "send": 8, "ingest": 6, "tell": 6, "acknowledge": 4, "time_passes": 4, "edge_has_room": 1}
FAULTS = {
    "gateway_dies": 2,
    "connection_breaks": 1,
    "broker_is_wiped": 1,
    "messages_are_late": 3,
    "message_comes_again": 4,
    "old_watermark_comes": 3,
    "watermark_of_another_life": 0.5,
    "acknowledged_twice": 1,
    "message_is_lost": 2,
    "ingest_dies": 2,
    "cloud_is_backed_up": 1,
    "cloud_is_restored": 0.7,
    "edge_is_backed_up": 1,
    "edge_is_restored": 0.4,
    "card_is_wiped": 0.3,
    "edge_is_full": 1,
    "cloud_is_full": 1,
    "clock_jumps": 1,
    "payload_is_quarantined": 1,
    "quarantine_is_read": 0.5,
}
# What does harm only in company comes in company often enough
TOGETHER = (
    (),
    ("cloud_is_backed_up", "cloud_is_restored"),
    ("cloud_is_backed_up", "cloud_is_restored", "gateway_dies"),
    ("watermark_of_another_life", "old_watermark_comes"),
)


def live(seed: str, steps: int = STEPS) -> Lived:
    """One life; raises Broken, with its seed."""
    done = Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), seed)
        try:
            done.update(world.step() for _ in range(steps))
            world.settle()
            return judge(world)._replace(steps=done)
        except Exception as error:
            error.add_note(f"life {seed}, {world.settings}, after {done.total()} steps")
            raise
        finally:
            world.close()


def main() -> None:
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    name = sys.argv[2] if len(sys.argv) > 2 else "0"
    logging.disable()
    began, broken, arrived = time.monotonic(), 0, 0
    for number in range(wanted // STEPS):
        try:
            arrived += live(f"{name}/{number}").arrived
        except Exception as error:
            broken += 1
            print(type(error).__name__, error, *error.__notes__)
    lives = f"{wanted // STEPS} lives of {STEPS} steps, seed {name}"
    print(f"{lives}, {arrived} records arrived, {broken} lives broken, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
