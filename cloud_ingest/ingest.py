# SPDX-License-Identifier: EUPL-1.2
"""One message of the broker, one transaction: bytes and topic in, a watermark out.

Whatever comes, in whatever order and however often, the tables end up the same: uplinks by their key, readings by
(dev_eui, quantity, at), progress as a set of sequence numbers. What cannot be applied becomes a dead letter.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from cloud_ingest import dead_letters
from cloud_ingest.dead_letters import DeadLetter
from cloud_ingest.quality import CLOCK_TOLERANCE_S, SILENT_INTERVALS
from cloud_ingest.registry import City
from cloud_ingest.store import Observation, SqliteStore
from decoders import topics
from decoders.faults import FAULTS
from decoders.quantities import QUANTITIES
from decoders.uplink import (
    Batch,
    MalformedBatch,
    Reading,
    UnknownVersion,
    UplinkMessage,
    Watermark,
    decode_batch,
    encode_batch,
)

# A node's clock follows the network's; a reading sampled later than this after its reception is wrong about its time.
MAX_AHEAD_S = 3600
# Without a clock of our own: an uplink received this much later than all before it (or three intervals of the slowest
# node) needs a second that agrees with it.
MAX_JUMP_S = 86400
_JUMPS_KEPT_IN_MIND = 100
_MAX_AT = 1 << 32  # the id of an observation holds 32 bits of time (api/entities.py)


class Applied(NamedTuple):
    """What a message led to: whose watermark to publish (None for a refused message) and which things to judge."""

    gateway_eui: str | None
    watermark: Watermark | None
    things: frozenset[int]


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
        self._clock = clock
        slowest_s = max((node.interval_s for node in city.nodes.values()), default=0)
        self._max_jump_s = max(MAX_JUMP_S, SILENT_INTERVALS * slowest_s)

    def apply(self, topic: str, payload: bytes) -> Applied:
        """Apply one message durably."""
        gateway_eui = topics.gateway_eui_of(topic)
        if gateway_eui is None or topic != topics.up(gateway_eui):
            return self._refuse("unknown_topic", topic, payload, "not a gateway's up topic")
        if self._gateways and gateway_eui not in self._gateways:
            return self._refuse("unknown_gateway", topic, payload, "not listed in mqtt.gateways")
        try:
            batch = decode_batch(payload)
        except UnknownVersion as error:
            return self._refuse("unknown_version", topic, payload, str(error))
        except MalformedBatch as error:
            return self._refuse("malformed_batch", topic, payload, str(error))
        if batch.gateway_eui != gateway_eui:
            return self._refuse("wrong_gateway", topic, payload, "the batch names another gateway than its topic")
        return self._apply_batch(topic, batch)

    def quarantine(self, topic: str, payload: bytes, problem: str) -> Applied:
        """Keep a message that made us fail, so that the next one gets its turn."""
        return self._refuse("internal_error", topic, payload, problem)

    def replay(self, letter: DeadLetter) -> bool:
        """Apply a replayable letter again and drop it; False (and kept) if it still cannot be applied."""
        batch = decode_batch(letter.raw)
        with self._store.transaction():
            for message in _uplinks(batch):
                if self._problem_of(batch, message) is not None or self._problems(message):
                    return False
                self._store.note_uplink(message.key, message.received_at)
                self._store.append(self._observations(message))
            dead_letters.drop(self._store, letter.id)
            self._store.count("dead_letters", "replayed")
        return True

    def _apply_batch(self, topic: str, batch: Batch) -> Applied:
        store = self._store
        things: set[int] = set()
        newest_before = store.newest_received_at()
        with store.transaction():
            for message in _uplinks(batch):
                if self._apply_message(topic, batch, message):
                    things.add(store.thing_of(message.key.dev_eui))
            first = batch.first_seq
            before = store.progress(batch.gateway_eui, batch.epoch, batch.lane)
            progress = before.with_batch(first, first + len(batch.records) - 1, batch.oldest_seq)
            if progress != before:
                store.set_progress(batch.gateway_eui, batch.epoch, batch.lane, progress)
            watermark = store.watermark(batch.gateway_eui, batch.epoch)
            store.count("batches", "applied")
        things |= self._replay_confirmed(newest_before)
        return Applied(batch.gateway_eui, watermark, frozenset(things))

    def _apply_message(self, topic: str, batch: Batch, message: UplinkMessage) -> bool:
        problem = self._problem_of(batch, message)
        if problem is not None:
            self._bury(topic, batch, message, problem)
            return False
        noted = self._store.note_uplink(message.key, message.received_at)
        self._store.count("uplinks", "applied" if noted == "new" else "duplicates")
        if noted == "known":
            return False
        self._store.append(self._observations(message))
        for problem in self._problems(message):
            self._bury(topic, batch, message, problem)
        return True

    def _problem_of(self, batch: Batch, message: UplinkMessage) -> str | None:
        if message.key.dev_eui not in self._city.nodes:
            return "unknown_dev_eui"
        return "received_ahead" if self._is_ahead(batch, message) else None

    def _is_ahead(self, batch: Batch, message: UplinkMessage) -> bool:
        """Received later than now: one wrong clock at a gateway must not move the city's present."""
        if self._clock is not None:
            return message.received_at > self._clock() + CLOCK_TOLERANCE_S
        newest = self._store.newest_received_at()
        if not newest or message.received_at <= newest + self._max_jump_s:
            return False
        heard = {gateway_eui for gateway_eui, _ in self._store.watermarks()}
        return not any(
            abs(other.received_at - message.received_at) <= self._max_jump_s
            and other.key != message.key
            and (gateway_eui != batch.gateway_eui or heard <= {gateway_eui})
            for gateway_eui, other in self._jumps()
        )

    def _jumps(self) -> Iterator[tuple[str, UplinkMessage]]:
        """Uplinks set aside as received ahead, with their gateways."""
        for letter in dead_letters.newest_of(self._store, "received_ahead", _JUMPS_KEPT_IN_MIND):
            batch = decode_batch(letter.raw)
            yield batch.gateway_eui, _uplinks(batch)[0]

    def _replay_confirmed(self, newest_before: float) -> set[int]:
        """After time has jumped for good: what was set aside until that was sure; the things concerned."""
        if self._clock is not None or self._store.newest_received_at() <= newest_before + self._max_jump_s:
            return set()
        letters = dead_letters.newest_of(self._store, "received_ahead", _JUMPS_KEPT_IN_MIND)
        replayed = [letter for letter in letters if self.replay(letter)]
        return {self._store.thing_of(_uplinks(decode_batch(letter.raw))[0].key.dev_eui) for letter in replayed}

    def _bury(self, topic: str, batch: Batch, message: UplinkMessage, reason: str) -> None:
        key = message.key
        alone = batch._replace(oldest_seq=1, first_seq=1, continues=None, records=(message,))
        dead_letters.keep(
            self._store,
            self._max_dead_bytes,
            reason=reason,
            topic=topic,
            detail=f"dev_eui={key.dev_eui} session={key.session} f_cnt={key.f_cnt}",
            raw=encode_batch(alone),
            identity=f"{key.dev_eui}:{key.session}:{key.f_cnt}",
            replayable=True,
        )

    def _refuse(self, reason: str, topic: str, payload: bytes, detail: str) -> Applied:
        with self._store.transaction():
            dead_letters.keep(self._store, self._max_dead_bytes, reason=reason, topic=topic, detail=detail, raw=payload)
        return Applied(None, None, frozenset())

    def _problem(self, message: UplinkMessage, reading: Reading) -> str | None:
        """Why a reading cannot be stored; None if it can."""
        facts = QUANTITIES.get(reading.quantity)
        if facts is None:
            return "unknown_quantity"
        if reading.unit != facts.unit:
            return "wrong_unit"
        if reading.fault is not None and reading.fault not in FAULTS:
            return "unknown_fault"
        if reading.at > message.received_at + MAX_AHEAD_S or reading.at >= _MAX_AT:
            return "time_ahead"
        return None if self._city.was_registered(message.key.dev_eui, reading.at) else "before_since"

    def _problems(self, message: UplinkMessage) -> list[str]:
        found = {self._problem(message, reading) for reading in message.readings}
        return sorted(problem for problem in found if problem is not None)

    def _observations(self, message: UplinkMessage) -> Iterator[Observation]:
        for reading in message.readings:
            if self._problem(message, reading) is None:
                facts = QUANTITIES[reading.quantity]
                flag = reading.fault
                if reading.value is not None and not facts.minimum <= reading.value <= facts.maximum:
                    flag = "out_of_range"
                yield Observation(
                    message.key.dev_eui, reading.quantity, reading.at, reading.value, flag, message.received_at
                )


def _uplinks(batch: Batch) -> tuple[UplinkMessage, ...]:
    return tuple(record for record in batch.records if isinstance(record, UplinkMessage))
