# SPDX-License-Identifier: EUPL-1.2
"""The one thread that writes: takes messages, those of the lower lane first (inbox.py), commits what waits together,
judges when there is time.
"""

import faulthandler
import gc
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from cloud_ingest import attempts, judge
from cloud_ingest.city import City
from cloud_ingest.errors import StoreError
from cloud_ingest.inbox import Inbox
from cloud_ingest.ingest import Ingest
from cloud_ingest.station_judge import Memory
from cloud_ingest.store import SqliteStore
from decoders import topics
from decoders.records import LANES, READING

_log = logging.getLogger(__name__)

_RETRY_S = 1.0  # after the disk refused
_IDLE_S = 0.1  # also how long a commit of another process may go unnoticed
_PAUSE_S = 0.02  # so long without a message there is time to judge
_JUDGE_EVERY_S = 0.5  # while messages pour in
_JUDGE_FOR_S = 0.2
_JUDGE_SHARE = 1 / 8  # of the time then: an area with much to read may take longer
_STUCK_S = 120  # a message that takes longer ends the process, and is tried alone by the next
_WORK = -1  # the inbox's lane of functions; none waits for messages
_ROOM = 1024  # messages of a lane that wait, at most; more are not taken from the broker
_TUPLES = 50_000  # a batch is thousands of them and none is in a cycle: looking for one took a sixth of the time
_GROUP_BYTES = 1 << 14  # about 800 uplinks: watermarks come often enough for gateways to go on meanwhile


class Delivery(NamedTuple):
    """One message as the broker handed it over; ``done`` is called after the commit, in the writer's thread.

    ``again``: it was delivered before, so something may have ended in the middle of it."""

    topic: str
    payload: bytes
    done: Callable[[], None]
    again: bool = False


class Writer(threading.Thread):
    """Owns ``store`` while it runs. ``now`` gives the present in Unix seconds; without it nothing is judged here."""

    def __init__(self, store: SqliteStore, city: City, ingest: Ingest, now: Callable[[], float] | None) -> None:
        super().__init__(name="writer")
        self.failed: BaseException | None = None
        self._refusals: dict[str, str] = {}  # by kind of work, while the last attempt at it was refused by the store
        self._store = store
        self._city = city
        self._ingest = ingest
        self._now = now
        self._inbox: Inbox[Delivery | Callable[[], None]] = Inbox((_WORK, *LANES), _ROOM)
        self._put_back: Delivery | Callable[[], None] | None = None
        self._stopping = threading.Event()
        self._memory: Memory = {}
        self._to_judge: dict[str | int, None] = dict.fromkeys(city.areas)  # all once; a set in order of arrival
        self._judge_again_at = 0.0  # while messages pour in
        self._version = -1
        self._after_commit: list[Callable[[], None]] = []

    def after_commit(self, work: Callable[[], None]) -> None:
        """Call ``work`` in this thread whenever this or another process has committed. Before the start."""
        self._after_commit.append(work)

    @property
    def problem(self) -> str | None:
        """Why nothing can be stored now; None while the last attempts went well."""
        if self.failed is not None:
            return "the writer has stopped"
        return next(iter(self._refusals.copy().values()), None)

    def put(self, item: Delivery | Callable[[], None]) -> None:
        """Hand over a message, or a function to run between two messages; waits while its lane is full."""
        lane = _lane_of(item)
        while not self._stopping.is_set() and self.failed is None:
            if self._inbox.put(lane, item, _IDLE_S):
                return

    def stop(self) -> None:
        """Finish the message at hand and end; what waits stays unacknowledged and comes again."""
        self._stopping.set()
        self.join()

    def run(self) -> None:
        gc.set_threshold(_TUPLES)
        try:
            while not self._stopping.is_set():
                self._turn()
        except StoreError as error:
            self.failed = error  # the command says it
        except BaseException as error:
            self.failed = error
            _log.exception("writer stopped")

    def _turn(self) -> None:
        item = self._next(_PAUSE_S if self._to_judge else _IDLE_S)
        if item is None:
            self._guarded(self._judge)
            self._guarded(self._notice_others)
            return
        if isinstance(item, Delivery):
            self._apply(item)
        else:
            self._store.check_in_place()
            self._guarded(item)
        self._guarded(self._notice_others)
        if self._to_judge and time.monotonic() > self._judge_again_at:
            self._guarded(self._judge)

    def _next(self, timeout_s: float) -> Delivery | Callable[[], None] | None:
        item, self._put_back = self._put_back, None
        return self._inbox.get(timeout_s) if item is None else item

    def _apply(self, first: Delivery) -> None:
        """The message and what else waits, in one transaction; nothing is acknowledged before it."""
        group = [first]
        while not self._stopping.is_set():
            try:
                suspects = attempts.suspects(self._store)
                if not self._is_suspect(first, suspects):
                    self._gather(group, suspects)
                faulthandler.dump_traceback_later(_STUCK_S, exit=True)
                try:
                    self._apply_group(group, suspects)
                finally:
                    faulthandler.cancel_dump_traceback_later()
            except sqlite3.OperationalError as error:  # disk full, locked: nothing is acknowledged, so nothing is lost
                self._refused("apply", error)
                continue
            self._refusals.pop("apply", None)
            self._store.check_in_place()  # before a gateway may forget what it sent
            for delivery in group:
                delivery.done()
            self._guarded(self._committed)
            return

    def _gather(self, group: list[Delivery], suspects: set[str]) -> None:
        while sum(len(delivery.payload) for delivery in group) < _GROUP_BYTES:
            item = self._next(0.0)
            if item is None:
                return
            if not isinstance(item, Delivery) or self._is_suspect(item, suspects):
                self._put_back = item
                return
            group.append(item)

    def _is_suspect(self, delivery: Delivery, suspects: set[str]) -> bool:
        return delivery.again or (bool(suspects) and attempts.identity_of(delivery.topic, delivery.payload) in suspects)

    def _apply_group(self, group: list[Delivery], suspects: set[str]) -> None:
        if len(group) == 1 and self._is_suspect(group[0], suspects):
            self._apply_carefully(group[0])
            return
        try:
            self._ingest.apply_all([self._ingest.read(delivery.topic, delivery.payload) for delivery in group])
        except sqlite3.OperationalError:
            raise
        except Exception:
            for delivery in group:
                self._apply_carefully(delivery)

    def _apply_carefully(self, delivery: Delivery) -> None:
        """One message by itself; what cannot be applied of it is set aside."""
        topic, payload = delivery.topic, delivery.payload
        try:
            self._ingest.apply_alone(topic, payload)
        except sqlite3.OperationalError:
            raise
        except Exception as error:
            _log.exception("message set aside topic=%s", topic)
            self._ingest.salvage(topic, payload, repr(error)[:200])

    def _judge(self) -> None:
        if self._now is None:
            self._to_judge.clear()
            return
        began = time.monotonic()
        self._judge_again_at = began + _JUDGE_EVERY_S
        while self._to_judge and time.monotonic() - began < _JUDGE_FOR_S:
            which = next(iter(self._to_judge))
            is_done = True
            try:
                is_done = judge.judge_marked(self._store, self._city, which, self._now(), self._memory)
            except sqlite3.OperationalError:
                raise
            except Exception:  # storing what comes matters more than one area's judgement
                _log.exception("judging failed area=%s", which)
            del self._to_judge[which]
            if not is_done:
                self._to_judge[which] = None
        ended = time.monotonic()
        self._judge_again_at = ended + max(_JUDGE_EVERY_S, (ended - began) / _JUDGE_SHARE)

    def _notice_others(self) -> None:
        """Another process (a worker, dead-letters replay) wrote."""
        version = self._store.db.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self._version = version
            self._committed()

    def _committed(self) -> None:
        if self._now is not None:
            self._to_judge.update(dict.fromkeys(judge.marked(self._store)))
        for work in self._after_commit:
            work()

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


def _lane_of(item: Delivery | Callable[[], None]) -> int:
    if not isinstance(item, Delivery):
        return _WORK
    lane = topics.up_lane_of(item.topic)
    return READING if lane is None else lane
