# SPDX-License-Identifier: EUPL-1.2
"""Messages of the broker into the store: bytes and topic in, a watermark out.

Whatever comes, in whatever order and however often, the tables end up the same: uplinks by their key, readings by
(dev_eui, quantity, at), progress as a set of sequence numbers. What cannot be applied becomes a dead letter.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from cloud_ingest import attempts, checks, dead_letters, gateway_records, judge, streams
from cloud_ingest.city import City
from cloud_ingest.dead_letters import DeadLetter
from cloud_ingest.present import Present
from cloud_ingest.store import SqliteStore
from decoders import topics
from decoders.batch_head import Head, read_head
from decoders.cbor_fields import MalformedBatch, UnknownVersion
from decoders.records import Event, Record, UplinkMessage
from decoders.uplink import Batch, Watermark, decode_batch, encode_batch


class Refusal(NamedTuple):
    """Why a message means nothing to us."""

    reason: str
    detail: str


class Message(NamedTuple):
    """A message and what it says."""

    topic: str
    payload: bytes
    content: Batch | Refusal


class Applied(NamedTuple):
    """What a message led to: whose watermark to tell (None for a refused message) and which things to judge."""

    gateway_eui: str | None
    watermark: Watermark | None
    things: frozenset[int]


_NOTHING = Applied(None, None, frozenset())


class Ingest:
    """Applies messages to ``store``; knows the ``city`` and, if the operator lists them, its ``gateways``.

    ``clock`` gives the present in Unix seconds; without one, the present is the newest reception."""

    def __init__(
        self,
        store: SqliteStore,
        city: City,
        gateways: tuple[str, ...] = (),
        max_dead_bytes: int = 1 << 26,
        clock: Callable[[], float] | None = None,
    ):
        self._store = store
        self._city = city
        self._gateways = gateways
        self._max_dead_bytes = max_dead_bytes
        self._present = Present(store, city, clock)
        self._refused: set[str] = set()  # identities of messages that the store refused in the middle of a try

    def read(self, topic: str, payload: bytes) -> Message:
        """Understand a message; touches no store."""
        return Message(topic, payload, self._content(topic, payload))

    def apply(self, topic: str, payload: bytes) -> Applied:
        """Apply one message durably."""
        return self.apply_all([self.read(topic, payload)])[0]

    def apply_all(self, messages: Sequence[Message]) -> list[Applied]:
        """Apply messages durably, in one transaction: all or none."""
        newest_before = self._store.newest_received_at()
        with self._store.transaction():
            applied = [self._apply_one(message) for message in messages]
        replayed = self._replay_confirmed(newest_before)
        if replayed and applied:
            applied[-1] = applied[-1]._replace(things=applied[-1].things | replayed)
        return applied

    def apply_alone(self, topic: str, payload: bytes) -> Applied:
        """Apply a message in the middle of which a worker may have ended; after some tries it becomes a dead letter.

        A store that refuses (full, locked) is not the message's fault: asked again, it is the same try that goes on."""
        identity = attempts.identity_of(topic, payload)
        if identity not in self._refused and not attempts.begin(self._store, identity):
            return self.quarantine(topic, payload, "gave_up", f"{attempts.MAX_TRIES} workers ended in the middle of it")
        self._refused.discard(identity)
        message = self.read(topic, payload)
        with self._try(identity), self._store.transaction():
            applied = self._apply_one(message)
            attempts.forget(self._store, identity)
        return applied

    def salvage(self, topic: str, payload: bytes, problem: str) -> Applied:
        """Apply of a message that makes us fail what does not, record by record; the rest becomes dead letters."""
        try:
            message = self.read(topic, payload)
        except Exception:
            return self.quarantine(topic, payload, "unreadable", problem)
        if isinstance(message.content, Refusal):
            return self.quarantine(topic, payload, *message.content)
        identity = attempts.identity_of(topic, payload)
        with self._try(identity), self._store.transaction():
            attempts.forget(self._store, identity)
            return self._apply_batch(message.topic, message.content, self._apply_each_or_bury)

    @contextmanager
    def _try(self, identity: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError:
            self._refused.add(identity)
            raise

    def quarantine(self, topic: str, payload: bytes, reason: str, problem: str) -> Applied:
        """Keep a message that cannot even be read, so that the next one gets its turn; its numbers count as applied."""
        with self._store.transaction():
            applied = self._refuse(Message(topic, payload, Refusal(reason, problem)))
            head = read_head(payload)
            gateway_eui = None if topics.up_lane_of(topic) is None else topics.gateway_eui_of(topic)
            if reason in dead_letters.LAST_COPIES and head is not None and head.gateway_eui == gateway_eui:
                streams.note(self._store, head, self._present.now())
                watermark = streams.watermark(self._store, head.gateway_eui, head.epoch)
                applied = Applied(head.gateway_eui, watermark, frozenset())
        return applied

    def replay(self, letter: DeadLetter) -> bool:
        """Apply a letter again and drop it; False (and kept) if it still cannot be applied."""
        if letter.reason in dead_letters.WHOLE:
            message = self.read(letter.topic, letter.raw)
            if not isinstance(message.content, Batch):
                return False
            with self._store.transaction():
                self._apply_one(message)
                attempts.forget(self._store, attempts.identity_of(letter.topic, letter.raw))
                self._replayed(letter)
            return True
        batch = decode_batch(letter.raw)
        with self._store.transaction():
            if not all(self._replay_record(batch, record) for record in batch.records):
                return False
            self._replayed(letter)
        return True

    def _replayed(self, letter: DeadLetter) -> None:
        dead_letters.drop(self._store, letter.id)
        self._store.count("dead_letters", "replayed")

    def _replay_record(self, batch: Batch, record: Record) -> bool:
        if not isinstance(record, UplinkMessage):
            self._apply_records("", batch, [record])
            return True
        if self._problem_of(batch, record) is not None:
            return False
        readings, problems = checks.sorted_out(self._city, record)
        if problems:
            return False
        (news,) = self._store.note_uplinks([(record.key, record.received_at)])
        self._store.count("uplinks", "applied" if news == "new" else "duplicates")
        self._store.append(record.key.dev_eui, record.received_at, readings, checks.doubt_of(record))
        judge.mark(self._store, self._store.things_of(record.key.dev_eui), _sampled([record]))
        return True

    def _content(self, topic: str, payload: bytes) -> Batch | Refusal:
        gateway_eui = topics.gateway_eui_of(topic)
        if gateway_eui is None or topics.up_lane_of(topic) is None:
            return Refusal("unknown_topic", "not a gateway's up topic")
        if self._gateways and gateway_eui not in self._gateways:
            return Refusal("unknown_gateway", "not listed in mqtt.gateways")
        try:
            batch = decode_batch(payload)
        except UnknownVersion as error:
            return Refusal("unknown_version", str(error))
        except MalformedBatch as error:
            return Refusal("malformed_batch", str(error))
        if batch.gateway_eui != gateway_eui:
            return Refusal("wrong_gateway", "the batch names another gateway than its topic")
        return batch

    def _apply_one(self, message: Message) -> Applied:
        if isinstance(message.content, Refusal):
            return self._refuse(message)
        return self._apply_batch(message.topic, message.content, self._apply_records)

    def _apply_batch(
        self, topic: str, batch: Batch, apply_records: Callable[[str, Batch, Sequence[Record]], set[int]]
    ) -> Applied:
        store = self._store
        things = frozenset(apply_records(topic, batch, batch.records))
        head = Head(*batch[:5], len(batch.records))
        streams.note(store, head, self._present.now(), batch.continues)
        judge.mark(store, things, _sampled(batch.records))
        store.count("batches", "applied")
        return Applied(batch.gateway_eui, streams.watermark(store, batch.gateway_eui, batch.epoch), things)

    def _apply_records(self, topic: str, batch: Batch, records: Sequence[Record]) -> set[int]:
        """The things to judge because of them."""
        uplinks = []
        for record in records:
            if isinstance(record, UplinkMessage):
                uplinks.append(record)
            elif isinstance(record, Event):
                gateway_records.keep_event(self._store, batch.gateway_eui, record)
            else:
                gateway_records.keep_tombstone(self._store, batch.gateway_eui, record)
        if self._present.is_sure_of(uplinks):
            return self._apply_uplinks(topic, batch, uplinks)
        return set().union(*(self._apply_uplinks(topic, batch, [uplink]) for uplink in uplinks))

    def _apply_each_or_bury(self, topic: str, batch: Batch, records: Sequence[Record]) -> set[int]:
        things: set[int] = set()
        for record in records:
            try:
                with self._store.savepoint():
                    things |= self._apply_records(topic, batch, [record])
            except sqlite3.OperationalError:
                raise
            except Exception as error:
                self._bury(topic, batch, record, "internal_error", repr(error)[:200])
        return things

    def _apply_uplinks(self, topic: str, batch: Batch, uplinks: Sequence[UplinkMessage]) -> set[int]:
        """One, or several of which none can be ahead."""
        sound = []
        for uplink in uplinks:
            problem = self._problem_of(batch, uplink)
            if problem is None:
                sound.append(uplink)
            else:
                self._bury(topic, batch, uplink, problem)
        things: set[int] = set()
        noted = self._store.note_uplinks([(uplink.key, uplink.received_at) for uplink in sound])
        self._store.count("uplinks", "applied", noted.count("new"))
        self._store.count("uplinks", "duplicates", len(noted) - noted.count("new"))
        for uplink, news in zip(sound, noted, strict=True):
            if news == "known":
                continue
            dev_eui = uplink.key.dev_eui
            readings, problems = checks.sorted_out(self._city, uplink)
            self._store.append(dev_eui, uplink.received_at, readings, checks.doubt_of(uplink))
            for problem in problems:
                self._bury(topic, batch, uplink, problem)
            things |= self._store.things_of(dev_eui)
        return things

    def _problem_of(self, batch: Batch, message: UplinkMessage) -> str | None:
        if message.key.dev_eui not in self._city.nodes:
            return "unknown_dev_eui"
        return "received_ahead" if self._present.is_ahead(batch.gateway_eui, message) else None

    def _replay_confirmed(self, newest_before: float) -> set[int]:
        """After time has jumped for good: what was set aside until that was sure; the things concerned."""
        letters = self._present.letters_since(newest_before)
        replayed = [decode_batch(letter.raw).records[0] for letter in letters if self.replay(letter)]
        return {self._store.thing_of(record.key.dev_eui) for record in replayed if isinstance(record, UplinkMessage)}

    def _bury(self, topic: str, batch: Batch, record: Record, reason: str, detail: str = "") -> None:
        raw = encode_batch(batch._replace(oldest_seq=1, first_seq=1, continues=None, records=(record,)))
        identity = ""
        if isinstance(record, UplinkMessage):
            key = record.key
            identity = f"{key.dev_eui}:{key.session}:{key.f_cnt}"
            detail = f"dev_eui={key.dev_eui} session={key.session} f_cnt={key.f_cnt} {detail}".rstrip()
        dead_letters.keep(
            self._store, self._max_dead_bytes, reason=reason, topic=topic, detail=detail, raw=raw, identity=identity
        )

    def _refuse(self, message: Message) -> Applied:
        assert isinstance(message.content, Refusal)
        reason, detail = message.content
        dead_letters.keep(
            self._store, self._max_dead_bytes, reason=reason, topic=message.topic, detail=detail, raw=message.payload
        )
        return _NOTHING


def _sampled(records: Sequence[Record]) -> Iterator[int]:
    """When their readings were sampled."""
    return (reading.at for record in records if isinstance(record, UplinkMessage) for reading in record.readings)
