# SPDX-License-Identifier: EUPL-1.2
"""Uplinks that wait for a time are dated as soon as somebody knows it; what this boot knew is kept. Event loop only."""

import logging
from collections.abc import Callable

from gateway.boots import Began, Offset
from gateway.clock_watch import ClockWatch, Note
from gateway.errors import StoreError
from gateway.group_commit import GroupCommit
from gateway.metrics import Metrics
from gateway.reader import OutboxReader
from gateway.readings import date_waiting
from gateway.reception_time import Boot, TimeKeeper
from gateway.store import Ledger, Store
from gateway.watch import Tell

_log = logging.getLogger(__name__)


def begin_boot(store: Store, boot: Boot) -> Began:
    """Record that the service starts in this boot; what is known of it."""
    try:
        with store.transaction() as ledger:
            return ledger.begin_boot(boot.id, boot.seconds())
    except StoreError as error:  # a full disk is no reason not to start
        _log.warning("this boot could not be stored yet: %s", error)
        return Began(None, "unset", None)


class LateDating:
    """``tell`` takes (kind, dev_eui, detail) of an event, in the writer; ``wake``: the outbox has something new."""

    def __init__(
        self,
        ledger: Ledger,
        writer: GroupCommit,
        reader: OutboxReader,
        boot: Boot,
        time_keeper: TimeKeeper,
        metrics: Metrics,
        tell: Tell,
        wake: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._writer = writer
        self._reader = reader
        self._boot = boot
        self._time_keeper = time_keeper
        self._metrics = metrics
        self._tell = tell
        self._wake = wake
        self._clock_watch = ClockWatch(boot.seconds())

    async def date_some(self) -> int:
        """Date the oldest that can be dated; returns how many, 0 if there are none. Raises StoreError."""
        offset = self._time_keeper.offset()
        await self._note_boot(offset)
        if offset is None or not self._reader.undated():
            return 0
        dated = await self._writer.run(lambda: date_waiting(self._ledger, self._boot.id))
        for _ in dated.problems:
            self._metrics.refuse("decode_failed")
        self._metrics.count("times_repaired", dated.repaired)
        if dated.taken:
            self._wake()
        return dated.taken

    async def _note_boot(self, offset: Offset | None) -> None:
        note = self._clock_watch.look(self._boot.seconds(), offset)
        if note is None:
            return
        await self._writer.run(lambda: self._keep_note(note))
        self._clock_watch.stored(note)
        if note.is_news and offset is not None:
            _log.info("clock quality=%s", offset.quality)
        if note.event == "clock_unset":
            _log.warning("nobody knows the time for sure; what comes is dated later, or flagged as uncertain")

    def _keep_note(self, note: Note) -> None:
        """In the writer's thread, within its transaction."""
        self._ledger.note_boot(self._boot.id, note.boot_s, note.offset)
        if note.event:
            self._tell(note.event, None, {"quality": note.offset.quality if note.offset else "unset"})
