# SPDX-License-Identifier: EUPL-1.2
"""The gateway's outbox and its way to the cloud, a broker, and the city's store, in one process and in virtual time.

Everything but the broker is the real thing: the database and its writer, Backlog, and the cloud's Writer, Ingest,
Publisher and SqliteStore. ``World`` knows what was accepted and which number each record ever had; whatever happens, in
whatever order, ``World.judge`` holds that against the store. What happens is drawn from a seed (lossless.py).
"""

import asyncio
import shutil
import sqlite3
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, TypeVar

from cloud_ingest import dead_letters
from cloud_ingest.ingest import Ingest
from cloud_ingest.publisher import Publisher
from cloud_ingest.store import SqliteStore
from cloud_ingest.writer import Delivery, Writer
from decoders import topics
from decoders.layouts.tree import LAYOUT as TREE
from decoders.lorawan.gps_time import gps_from_unix
from decoders.payload_encoder import encode
from decoders.records import ALARM, READING, Event, Record, UplinkKey, UplinkMessage
from decoders.senml import Reading
from decoders.uplink import Batch, decode_batch
from gateway.backlog import Backlog
from gateway.config import MqttSection, StoreSection
from gateway.errors import StoreError
from gateway.group_commit import GroupCommit
from gateway.metrics import Metrics
from gateway.outbox import Limits
from gateway.quarantine import retry
from gateway.readings import keep
from gateway.reception_time import Moment
from gateway.store import Device, Payload, open_store
from tests.cloud_ingest.world import GATEWAY, NODES, small_city

UNLIMITED = 4_294_967_294  # pages
_REMEMBERED = 300  # messages that may come once more
Identity = tuple[str | int, ...]
T = TypeVar("T")


class Broken(AssertionError):
    """Something is lost, doubled, invented or not said."""


class Killed(Exception):
    """The process ends here."""


class Settings(NamedTuple):
    """How big everything is; small numbers bring about early what else takes months."""

    cap_bytes: int = 8000
    horizon_bytes: int = 600
    batch_messages: int = 3
    window_batches: int = 4


class Message(NamedTuple):
    """As the broker has it; ``again``: it was delivered before."""

    topic: str
    payload: bytes
    again: bool = False


class Broker:
    """QoS 1: what it has taken comes at least once, unless it is wiped."""

    def __init__(self) -> None:
        self.up: list[Message] = []
        self.ever_up: deque[Message] = deque(maxlen=_REMEMBERED)
        self.ever_told: deque[bytes] = deque(maxlen=_REMEMBERED)
        self.to_gateway: deque[bytes] = deque()
        self.retained: bytes | None = None

    def take(self, message: Message) -> None:
        self.up.append(message)
        self.ever_up.append(message)

    def tell(self, _topic: str, payload: bytes, retain: bool) -> None:
        self.to_gateway.append(payload)
        self.ever_told.append(payload)
        if retain:
            self.retained = payload

    def wipe(self) -> None:
        self.up.clear()
        self.to_gateway.clear()
        self.retained = None


class Numbers(NamedTuple):
    """Of an epoch: the rows before its first, by lane, and what is in the rows of that card, by lane and row."""

    bases: tuple[int, int, int]
    rows: dict[tuple[int, int], Identity]

    def identity(self, lane: int, seq: int) -> Identity | None:
        return self.rows.get((lane, self.bases[lane] + seq))


class Edge:
    """The gateway: its card, and the process that runs on it."""

    def __init__(self, folder: Path, settings: Settings, now: Callable[[], float]) -> None:
        self.database = folder / "gateway.sqlite3"
        self._key_file = folder / "gateway.key"
        self._settings = settings
        self._now = now
        self._loop = asyncio.new_event_loop()
        self.metrics = Metrics()
        self.rows: dict[tuple[int, int], Identity] = {}
        self.epochs: dict[int, Numbers] = {}
        self.waits: list[int] = []  # messages that the broker has not acknowledged
        self._message_id = 0

    def start(self) -> None:
        self.store = open_store(self.database, self._key_file)
        self.ledger = self.store.ledger
        self.ledger.limits = Limits(self._settings.cap_bytes, self._settings.horizon_bytes)
        self.reader = self.store.reader()
        settings = MqttSection(
            batch_messages=self._settings.batch_messages, window_batches=self._settings.window_batches, resend_s=5.0
        )

        async def begin() -> Backlog:
            self.writer = GroupCommit(self.store.transactions)
            return Backlog(settings, GATEWAY, self.reader, self.writer, self.ledger, self.metrics, self._now)

        self.backlog = self.run(begin())
        self._epoch_began()

    def stop(self) -> None:
        self.run(self.writer.close())
        self.reader.close()
        self.store.close()
        self.waits.clear()

    def close(self) -> None:
        self.stop()
        self.run(self._loop.shutdown_default_executor())
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    def _epoch_began(self) -> None:
        epoch, bases, _ = self.backlog.numbering
        self.epochs[epoch] = Numbers(bases, self.rows)

    def append(self, plan: list[tuple[int, Identity, Record]]) -> list[bool]:
        """Put records into lanes, in one group; which of them were accepted."""
        found: list[Any] = []
        works = [partial(self.ledger.append_record, lane, record) for lane, _, record in plan]
        self.store.transactions.run(works, found.extend)
        for (lane, identity, _), row in zip(plan, found, strict=True):
            if not isinstance(row, Exception):
                self.rows[lane, row] = identity
            elif not isinstance(row, StoreError):
                raise row
        return [not isinstance(row, Exception) for row in found]

    def die_while_appending(self, plan: list[tuple[int, Identity, Record]]) -> None:
        """None of it was committed, so none of it was accepted."""
        with suppress(Killed, StoreError), self.store.transaction() as ledger:
            for lane, _, record in plan:
                ledger.append_record(lane, record)
            raise Killed

    def quarantine(self, key: UplinkKey, data: bytes, at: float) -> bool:
        """Keep a payload that cannot be read until somebody says what the device is."""

        def work() -> str:
            self.ledger.put_device(Device(key.dev_eui, "70b3d57ed0000000", bytes(16), "air", ""))
            return keep(self.ledger, Payload(key, TREE.f_port, "air", data), Moment(at, "ntp"))

        found: list[Any] = []
        self.store.transactions.run([work], found.extend)
        if not isinstance(found[0], StoreError) and found != ["other_profile"]:
            raise Broken(f"quarantine: {found}")
        return found == ["other_profile"]

    def retry_quarantine(self, identities: dict[UplinkKey, Identity]) -> None:
        """Its devices are what they are now: all can be read."""
        waiting = [row.payload.key for row in self.ledger.quarantined()]
        before = self.ledger.lanes()[READING].last_seq
        try:
            with self.store.transaction() as ledger:
                for key in waiting:
                    ledger.put_device(Device(key.dev_eui, "70b3d57ed0000000", bytes(16), "tree", ""))
            decoded = retry(self.store, StoreSection(cap_mb=1024, reserve_mb=0)).decoded
        except StoreError:
            decoded = self.ledger.lanes()[READING].last_seq - before
        finally:
            self.ledger.limits = Limits(self._settings.cap_bytes, self._settings.horizon_bytes)
        for place, key in enumerate(waiting[:decoded], 1):
            self.rows[READING, before + place] = identities[key]

    def disk_full(self, full: bool) -> None:
        """As room.py has it: the file may not grow, and what is new takes the pages of the oldest."""
        connection = self.store.connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages if full else UNLIMITED}")
        self.ledger.disk_short(full)

    def back_up(self, path: Path) -> dict[tuple[int, int], Identity]:
        _copy(self.store.connection, path)
        return dict(self.rows)

    def connect(self) -> list[Message]:
        self.waits.clear()
        said = self.run(self.backlog.begin())
        return [Message(topics.up(GATEWAY, one.lane), one.payload) for one in said]

    def next(self) -> Message | None:
        batch = self.run(self.backlog.next())
        if batch is None:
            return None
        self._message_id += 1
        self.backlog.sent(batch, self._message_id)
        self.waits.append(self._message_id)
        return Message(topics.up(GATEWAY, batch.lane), batch.payload)

    def hear(self, payload: bytes) -> None:
        self.backlog.heard(payload)
        if self.run(self.backlog.follow_watermark()):
            self._epoch_began()

    def waiting(self) -> int:
        return self.reader.waiting_records()


class Cloud:
    """The city's store, and the process that writes it."""

    def __init__(self, folder: Path, broker: Broker, now: Callable[[], float], dice: Random) -> None:
        self.path = folder / "stadtfunk.db"
        self._broker = broker
        self._now = now
        self._dice = dice
        self._city = small_city()
        self.is_full = False

    def start(self) -> None:
        self.store = SqliteStore(self.path)
        self.store.register(self._city)
        self.ingest = Ingest(self.store, self._city, clock=self._now)
        self._writer = Writer(self.store, self._city, self.ingest, None)
        self._publisher = Publisher(self.store, self._broker.tell)
        self._writer.after_commit(self._publisher.tell_news)
        self._writer._stopping.wait = self._refused  # type: ignore[method-assign]
        self.connect()

    def connect(self) -> None:
        """It may be a broker that knows nothing."""
        self._publisher.tell_all()

    def stop(self) -> None:
        self.store.close()

    def apply(self, messages: list[Message], dies_after: int | None = None, interrupted_at: int | None = None) -> None:
        """Write them; what was committed and acknowledged leaves the broker. Raises Killed.

        ``dies_after`` so many acknowledgements, or when the statement at hand is ``interrupted_at`` so many steps."""
        done = 0

        def acknowledge(message: Message) -> None:
            nonlocal done
            if dies_after is not None and done >= dies_after:
                raise Killed
            done += 1
            self._broker.up.remove(message)

        self._disk()
        if interrupted_at is not None:
            self.store.db.set_progress_handler(lambda: 1, interrupted_at)
        try:
            for message in messages:
                self._writer.put(Delivery(*message[:2], partial(acknowledge, message), message.again))
            for _ in messages:
                if self._writer._put_back is not None or any(self._writer._inbox._waiting.values()):
                    self._writer._turn()
        finally:
            self.store.db.set_progress_handler(None, 0)

    def _refused(self, _timeout_s: float | None = None) -> bool:
        """What the writer does between two tries: wait for room, or for its end."""
        if self._dice.random() < 0.5:
            raise Killed
        self.store.db.set_progress_handler(None, 0)
        self.is_full = False
        self._disk()
        return False

    def _disk(self) -> None:
        (pages,) = self.store.db.execute("PRAGMA page_count").fetchone()
        self.store.db.execute(f"PRAGMA max_page_count = {pages if self.is_full else UNLIMITED}")

    def back_up(self, path: Path) -> None:
        _copy(self.store.db, path)

    def replay(self) -> None:
        for letter in dead_letters.letters(self.store):
            if letter.replayable:
                self.ingest.replay(letter)


def _copy(database: sqlite3.Connection, path: Path) -> None:
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as target:
        database.backup(target)
    target.close()


def put_back(backup: Path | None, database: Path) -> None:
    """The file is what it was then; without a backup there is none."""
    for path in (database, *(database.with_name(f"{database.name}{end}") for end in ("-wal", "-shm"))):
        path.unlink(missing_ok=True)
    if backup is not None:
        shutil.copy(backup, database)


def identity_of(record: Record) -> Identity | None:
    """None: a tombstone, which names others."""
    if isinstance(record, UplinkMessage):
        return record.key
    return ("event", int(record.detail["n"])) if isinstance(record, Event) else None


def check_numbers(payload: bytes, epochs: dict[int, Numbers]) -> tuple[int, int]:
    """A number names one record for ever, and what an epoch says that it continues is the same; epoch and lane."""
    batch: Batch = decode_batch(payload)
    numbers = epochs[batch.epoch]
    for seq, record in enumerate(batch.records, batch.first_seq):
        identity = identity_of(record)
        if identity != numbers.identity(batch.lane, seq):
            raise Broken(f"{batch[:3]} {seq} is {identity} and was {numbers.identity(batch.lane, seq)}")
    if batch.continues is not None:
        count, epoch, last = batch.continues
        for back in range(count):
            mine, theirs = numbers.identity(batch.lane, count - back), epochs[epoch].identity(batch.lane, last - back)
            if mine != theirs:
                raise Broken(f"{batch[:3]} continues {batch.continues}: {mine} and {theirs}")
    return batch.epoch, batch.lane


def event(number: int, at: float) -> tuple[int, Identity, Record]:
    """Something that happened, for the alarm lane."""
    return ALARM, ("event", number), Event("node_down", NODES[0], at, "ntp", {"n": float(number)})


def uplink(lane: int, key: UplinkKey, at: int, received_at: float) -> tuple[int, Identity, Record]:
    reading = Reading("soil_moisture", "%", at, at % 9000 / 100, None)
    return lane, key, UplinkMessage(key, received_at, "tree", (reading,), "ntp")


def raw(at: int) -> bytes:
    """The payload of the same."""
    mask, raws = TREE.raws({"soil_moisture": at % 9000})
    return bytes(encode(TREE, mask, [(int(gps_from_unix(at)), raws)]))
