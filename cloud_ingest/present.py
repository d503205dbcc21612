# SPDX-License-Identifier: EUPL-1.2
"""Whether an uplink was received later than now: one wrong clock at a gateway must not move the city's present.

Without a clock of our own the present is the newest reception, and a jump of it waits for a second uplink that agrees.
"""

from collections.abc import Callable, Iterable, Iterator

from cloud_ingest import dead_letters, streams
from cloud_ingest.city import City
from cloud_ingest.dead_letters import DeadLetter
from cloud_ingest.quality import CLOCK_TOLERANCE_S, SILENT_INTERVALS
from cloud_ingest.store import SqliteStore
from decoders.records import UplinkMessage
from decoders.uplink import decode_batch

# Without a clock: an uplink received this much later than all before it (or three intervals of the slowest node) needs
# a second that agrees with it.
MAX_JUMP_S = 86400
_JUMPS_KEPT_IN_MIND = 100


class Present:
    """``clock`` gives the present in Unix seconds; without one it is the newest reception in ``store``."""

    def __init__(self, store: SqliteStore, city: City, clock: Callable[[], float] | None) -> None:
        self._store = store
        self._clock = clock
        slowest_s = max((node.interval_s for node in city.nodes.values()), default=0)
        self._max_jump_s = max(MAX_JUMP_S, SILENT_INTERVALS * slowest_s)

    def now(self) -> float:
        """The present, as far as we know it."""
        return self._clock() if self._clock is not None else self._store.newest_received_at()

    def is_sure_of(self, messages: Iterable[UplinkMessage]) -> bool:
        """Whether none of them is ahead of what is known now: then they need not be looked at one after the other."""
        newest = max((message.received_at for message in messages), default=0.0)
        if self._clock is not None:
            return newest <= self._clock() + CLOCK_TOLERANCE_S
        known = self._store.newest_received_at()
        return bool(known) and newest <= known + self._max_jump_s

    def is_ahead(self, gateway_eui: str, message: UplinkMessage) -> bool:
        """Whether it was received later than now, as far as anybody knows."""
        if self._clock is not None:
            return message.received_at > self._clock() + CLOCK_TOLERANCE_S
        newest = self._store.newest_received_at()
        if not newest or message.received_at <= newest + self._max_jump_s:
            return False
        heard = streams.gateways(self._store)
        return not any(
            abs(other.received_at - message.received_at) <= self._max_jump_s
            and other.key != message.key
            and (witness != gateway_eui or heard <= {gateway_eui})
            for witness, other in self._set_aside()
        )

    def letters_since(self, newest_before: float) -> list[DeadLetter]:
        """After time has jumped for good since ``newest_before``: what was set aside until that was sure."""
        if self._clock is not None or self._store.newest_received_at() <= newest_before + self._max_jump_s:
            return []
        return dead_letters.newest_of(self._store, "received_ahead", _JUMPS_KEPT_IN_MIND)

    def _set_aside(self) -> Iterator[tuple[str, UplinkMessage]]:
        """Uplinks received ahead, with their gateways."""
        for letter in dead_letters.newest_of(self._store, "received_ahead", _JUMPS_KEPT_IN_MIND):
            batch = decode_batch(letter.raw)
            record = batch.records[0]
            assert isinstance(record, UplinkMessage)
            yield batch.gateway_eui, record
