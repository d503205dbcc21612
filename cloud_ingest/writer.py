# SPDX-License-Identifier: EUPL-1.2
"""The one thread that writes: takes messages in order, commits each, tells the broker, judges when there is time."""

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from cloud_ingest import judge
from cloud_ingest.errors import StoreError
from cloud_ingest.ingest import Applied, Ingest
from cloud_ingest.registry import City
from cloud_ingest.store import SqliteStore

_log = logging.getLogger(__name__)

_RETRY_S = 1.0  # after the disk refused
_IDLE_S = 0.5
_JUDGE_EVERY_S = 0.5  # while messages pour in
_JUDGE_FOR_S = 0.2


class Delivery(NamedTuple):
    """One message as the broker handed it over; ``done`` is called after the commit, in the writer's thread."""

    topic: str
    payload: bytes
    done: Callable[[Applied], None]


class Writer(threading.Thread):
    """Owns ``store`` while it runs. ``now`` gives the present in Unix seconds."""

    def __init__(self, store: SqliteStore, city: City, ingest: Ingest, now: Callable[[], float]) -> None:
        super().__init__(name="writer")
        self.failed: BaseException | None = None
        self._refusals: dict[str, str] = {}  # by kind of work, while the last attempt at it was refused by the store
        self._store = store
        self._city = city
        self._ingest = ingest
        self._now = now
        self._inbox: queue.Queue[Delivery | Callable[[], None]] = queue.Queue(maxsize=4096)
        self._stopping = threading.Event()
        self._to_judge = dict.fromkeys(city.areas)  # all once at the start; a set in order of arrival
        self._judged_at = 0.0
        self._version = -1

    @property
    def problem(self) -> str | None:
        """Why nothing can be stored now; None while the last attempts went well."""
        if self.failed is not None:
            return "the writer has stopped"
        return next(iter(self._refusals.copy().values()), None)

    def put(self, item: Delivery | Callable[[], None]) -> None:
        """Hand over a message, or a function to run between two messages; waits while the inbox is full."""
        while not self._stopping.is_set() and self.failed is None:
            try:
                self._inbox.put(item, timeout=_IDLE_S)
                return
            except queue.Full:
                continue

    def stop(self) -> None:
        """Finish the message at hand and end; what waits stays unacknowledged and comes again."""
        self._stopping.set()
        self.join()

    def run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._turn()
        except StoreError as error:
            self.failed = error  # the command says it
        except BaseException as error:
            self.failed = error
            _log.exception("writer stopped")

    def _turn(self) -> None:
        try:
            item = self._inbox.get(timeout=0.0 if self._to_judge else _IDLE_S)
        except queue.Empty:
            self._guarded(self._judge)
            self._guarded(self._notice_others)
            return
        if isinstance(item, Delivery):
            self._apply(item)
        else:
            self._store.check_in_place()
            self._guarded(item)
        if self._to_judge and time.monotonic() - self._judged_at > _JUDGE_EVERY_S:
            self._guarded(self._judge)

    def _apply(self, delivery: Delivery) -> None:
        while not self._stopping.is_set():
            try:
                applied = self._apply_or_quarantine(delivery)
            except sqlite3.OperationalError as error:  # disk full, locked: nothing is acknowledged, so nothing is lost
                self._refused("apply", error)
                continue
            self._refusals.pop("apply", None)
            for area in judge.areas_of(self._store, self._city, applied.things):
                self._to_judge[area.id] = None
            self._store.check_in_place()  # before a gateway may forget what it sent
            delivery.done(applied)
            return

    def _apply_or_quarantine(self, delivery: Delivery) -> Applied:
        try:
            return self._ingest.apply(delivery.topic, delivery.payload)
        except sqlite3.OperationalError:
            raise
        except Exception as error:
            _log.exception("message set aside topic=%s", delivery.topic)
            return self._ingest.quarantine(delivery.topic, delivery.payload, repr(error)[:200])

    def _judge(self) -> None:
        self._judged_at = time.monotonic()
        while self._to_judge and time.monotonic() - self._judged_at < _JUDGE_FOR_S:
            area_id = next(iter(self._to_judge))
            try:
                judge.judge(self._store, self._city, self._city.areas[area_id], self._now())
            except sqlite3.OperationalError:
                raise
            except Exception:  # storing what comes matters more than one area's judgement
                _log.exception("judging failed area=%s", area_id)
            del self._to_judge[area_id]
        self._judged_at = time.monotonic()

    def _notice_others(self) -> None:
        """Another process (dead-letters replay) wrote: its readings are judged here."""
        version = self._store.db.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version and self._version >= 0:
            self._to_judge = dict.fromkeys(self._city.areas)
        self._version = version

    def _guarded(self, work: Callable[[], None]) -> None:
        kind = getattr(work, "__name__", "other")
        try:
            work()
        except sqlite3.OperationalError as error:
            self._refused(kind, error)
        else:
            self._refusals.pop(kind, None)

    def _refused(self, kind: str, error: sqlite3.OperationalError) -> None:
        self._refusals[kind] = f"the store refuses to write: {error}"
        _log.warning("store refuses, trying again in %g s: %s", _RETRY_S, error)
        self._stopping.wait(_RETRY_S)
