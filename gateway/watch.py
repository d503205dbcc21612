# SPDX-License-Identifier: EUPL-1.2
"""The shell of ``liveness``: ticks, and what is kept and told. Event loop only; what is written goes to the writer.

A change of state and its event are stored in one transaction, so each is told exactly once. Silences are kept once an
hour, what was counted once a day, and all at the stop: a crash costs a node at most an hour of silence.
"""

import logging
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

from gateway.database import connect
from gateway.errors import StoreError
from gateway.group_commit import GroupCommit
from gateway.liveness import Liveness, NodeRecord
from gateway.liveness_table import LivenessTable
from gateway.silence import DOWN, LATE, NODE, Change

_log = logging.getLogger(__name__)

TICK_S = 10.0
_KEEP_EVERY_S = 3600.0
_COUNTS_EVERY = 24  # times
_MOST_AT_ONCE = 200  # rows in one transaction: uplinks wait for it

Detail = dict[str, str | float]
Tell = Callable[[str, str | None, Detail], None]


class Watch:
    """``tell`` takes (kind, dev_eui, detail) of an event, within a transaction of ``writer``.

    ``registered`` is called with the DevEUIs there are, at the start and whenever they change. Without ``judging``
    uplinks are only counted.
    """

    def __init__(
        self,
        liveness: Liveness,
        database: Path,
        connection: sqlite3.Connection,
        writer: GroupCommit,
        tell: Tell,
        registered: Callable[[frozenset[str]], None],
        *,
        judging: bool = True,
    ) -> None:
        self.liveness = liveness
        self._connection = connect(database)
        self._connection.execute("PRAGMA query_only = ON")
        self._reading = LivenessTable(self._connection)
        self._writing = LivenessTable(connection)
        self._writer = writer
        self._tell = tell
        self._registered = registered
        self._judging = judging
        self._version = -1
        self._keep_at_s: float | None = None
        self._times_kept = 0
        self._new_concentrators: set[str] = set()

    def start(self) -> None:
        """Take up what was kept."""
        self.refresh()
        self.liveness.restore(self._reading.nodes(), self._reading.concentrators())

    def refresh(self) -> None:
        """See whether devices were added, set or removed, by whatever process."""
        version = self._reading.registry_version()
        if version == self._version:
            return
        self._version = version
        intervals = self._reading.intervals()
        self.liveness.registered(intervals)
        self.liveness.only_concentrators(self._reading.concentrators().keys() | self._new_concentrators)
        self._registered(frozenset(intervals))

    def proved(self, concentrator: str) -> None:
        """A frame of ours came through it."""
        if self.liveness.proved(concentrator):
            self._new_concentrators.add(concentrator)

    async def tick(self, now_s: float) -> None:
        """Judge, and store what has changed; raises StoreError, and then the next tick finds it again."""
        if self._new_concentrators:
            euis = tuple(self._new_concentrators)
            await self._writer.run(lambda: self._writing.watch_concentrators(euis))
            self._new_concentrators.difference_update(euis)
        changes = self.liveness.tick(now_s) if self._judging else []
        if changes:
            records = {change.eui: self.liveness.record(change.eui) for change in changes if change.kind == NODE}
            await self._writer.run(lambda: self._store(changes, records))
            for change in changes:
                self.liveness.settle(change)
                _log_change(change)
        if self._keep_at_s is None:
            self._keep_at_s = now_s + _KEEP_EVERY_S
        elif now_s >= self._keep_at_s:
            self._keep_at_s = now_s + _KEEP_EVERY_S
            self._times_kept += 1
            await self.keep(counts=self._times_kept % _COUNTS_EVERY == 0)

    async def keep(self, *, counts: bool = True) -> None:
        """Keep what has changed; raises StoreError."""
        kept = list(self.liveness.to_keep(counts=counts).items())
        for at in range(0, len(kept), _MOST_AT_ONCE):
            await self._writer.run(partial(self._writing.keep, dict(kept[at : at + _MOST_AT_ONCE])))

    async def stop(self) -> None:
        """The last time."""
        try:
            await self.keep()
        except StoreError as error:  # the silences of the last hour are counted anew
            _log.warning("%s", error)
        self._connection.close()

    def _store(self, changes: list[Change], records: dict[str, NodeRecord]) -> None:
        """In the writer's thread and transaction."""
        for change in changes:
            record = records.get(change.eui)
            self._writing.change(change, record)
            detail: Detail = {"silent_s": round(change.silent_s), "interval_s": round(change.interval_s)}
            if change.kind == NODE and record is not None:
                detail |= {"received": record.received, "missed": record.missed}
                self._tell(change.event, change.eui, detail)
            else:
                self._tell(change.event, None, {"concentrator": change.eui, **detail})


def _log_change(change: Change) -> None:
    level = logging.WARNING if change.state == DOWN else logging.INFO
    name = "dev_eui" if change.kind == NODE else "eui"
    if change.state in (LATE, DOWN):
        _log.log(
            level, "%s %s %s=%s silent_s=%d interval_s=%d",
            change.kind, change.state, name, change.eui, change.silent_s, change.interval_s,
        )  # fmt: skip
    else:
        _log.log(level, "%s back %s=%s", change.kind, name, change.eui)
