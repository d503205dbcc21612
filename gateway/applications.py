# SPDX-License-Identifier: EUPL-1.2
"""Applications' side of downlinks: commands from MQTT into the queue, and events about what became of them.

Event loop only; what touches the queue runs in the writer.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from decoders.downlink import DownlinkCommand, DownlinkEvent, MalformedCommand, decode_command, encode_event
from gateway import mac_control
from gateway.downlink_frames import variants
from gateway.downlinks import Outcome
from gateway.errors import Refused, StoreError
from gateway.group_commit import GroupCommit
from gateway.metrics import Metrics
from gateway.radio import Answer, Reception, Slot
from gateway.reception_time import TimeKeeper
from gateway.store import Ledger

_log = logging.getLogger(__name__)

_HEARD_BY = 4  # concentrators remembered for a class C node
# RP002-1.0.4 "EU863-870 Default Settings": CLASS_C_RESP_TIMEOUT, 8 s, and the airtime of both frames at SF12
_RESPONSE_S = 14.0
_AGAIN_S = 30.0  # until a class C node is sent again what could not be sent


class _Wait(NamedTuple):
    """Something is to be done for a class C node at ``at_s``; ``item`` was sent and is not yet acknowledged."""

    at_s: float
    item: int | None


class Applications:
    """``publish`` takes an event as JSON; ``push`` is to be set: it sends to a class C node at once.

    ``class_c`` is to be kept up to date: the devices that listen all the time.
    """

    def __init__(
        self,
        ledger: Ledger,
        writer: GroupCommit,
        time_keeper: TimeKeeper,
        metrics: Metrics,
        publish: Callable[[str], None],
        confirmed_tries: int = 3,
    ) -> None:
        self._ledger = ledger
        self._writer = writer
        self._time_keeper = time_keeper
        self._metrics = metrics
        self._publish = publish
        self._confirmed_tries = confirmed_tries
        self.class_c: frozenset[str] = frozenset()
        self._waits: dict[str, _Wait] = {}
        self._heard_by: dict[str, list[Reception]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.push: Callable[[Answer, Iterable[Reception]], None] = lambda _answer, _receptions: None

    async def start(self) -> None:
        """Take up the queue where the last run left it. ``class_c`` is known by now."""
        await self._writer.run(self._ledger.downlinks.recover)
        for dev_eui in self.class_c:
            awaiting = await self._writer.run(partial(self._ledger.downlinks.awaiting, dev_eui))
            if awaiting is not None:
                self._waits[dev_eui] = _Wait(time.monotonic() + _RESPONSE_S, awaiting[0])

    async def finish(self) -> None:
        """Finish what has begun."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def command(self, payload: bytes) -> None:
        """A message on the topic for commands."""
        try:
            command = decode_command(payload)
        except MalformedCommand as malformed:
            self._metrics.count("commands_refused")
            _log.debug("< down: %s", malformed)
            if malformed.command_id:
                self.report(DownlinkEvent(malformed.command_id, "", "refused", malformed.problem))
            return
        self._begin(self.put(command))

    async def put(self, command: DownlinkCommand) -> DownlinkEvent:
        """Queue a command, whoever asks for it; the event says whether it was, or how it ended. Raises StoreError."""
        queue = self._ledger.downlinks
        try:
            new, result = await self._writer.run(
                lambda: (queue.put(command, self._time_keeper.now()), queue.result(command.id))
            )
        except Refused as refused:
            self._metrics.count("commands_refused")
            event = DownlinkEvent(command.id, command.dev_eui, "refused", refused.reason)
            self.report(event)
            return event
        if new:
            self._metrics.count("commands")
        event = result or DownlinkEvent(command.id, command.dev_eui, "queued")
        self.report(event)
        if new and command.dev_eui in self.class_c:
            await self._send_now(command.dev_eui)
        return event

    async def _send_now(self, dev_eui: str) -> None:
        """To a class C node, in RX2, if it is known who hears it. TS001-1.0.4 "Class C"."""
        receptions = self._heard_by.get(dev_eui)
        if not receptions:
            return
        answer = await self._writer.run(lambda: self._compose(dev_eui))
        if answer is not None:
            self.push(answer, receptions)

    def _compose(self, dev_eui: str) -> Answer | None:
        session = self._ledger.session_of(dev_eui)
        if session is None:
            return None
        now = self._time_keeper.now()
        item, _ = self._ledger.downlinks.next(dev_eui, now)
        frames = variants(self._ledger, session, owed=False, ack=False, f_opts=b"", now=now)
        if item is None or not frames:
            return None
        rx2 = mac_control.rx2_of(mac_control.parse(session.mac), item.tries)
        return Answer(dev_eui, (Slot(0, *rx2),), frames, asap=True)

    def located(self, dev_eui: str, reception: Reception) -> None:
        """Who hears a node that listens all the time, the latest first."""
        if dev_eui in self.class_c:
            others = [old for old in self._heard_by.get(dev_eui, ()) if old.concentrator != reception.concentrator]
            self._heard_by[dev_eui] = [reception, *others][:_HEARD_BY]

    def ended(self, outcome: Outcome) -> None:
        """An answer was sent or dropped: so were the downlinks that it carried."""
        for variant in outcome.answer.variants:
            if variant.item is not None:
                self._begin(self._settle(outcome.answer.dev_eui, variant.item, variant is outcome.sent))

    async def _settle(self, dev_eui: str, item: int, sent: bool) -> None:
        queue = self._ledger.downlinks
        event, awaiting = await self._writer.run(lambda: (queue.settle(item, sent), queue.awaiting(dev_eui)))
        self.report(event)
        if dev_eui not in self.class_c:
            return
        if awaiting is not None:
            _, tries = awaiting
            pause_s = _RESPONSE_S * 2 ** min(tries - 1, 10) * random.uniform(1.0, 1.25)
            self._waits[dev_eui] = _Wait(time.monotonic() + pause_s, item)
        elif event is not None:
            await self._send_now(dev_eui)  # the next one
        else:
            self._waits[dev_eui] = _Wait(time.monotonic() + _AGAIN_S, None)

    async def retry(self, now_s: float) -> None:
        """Send again to class C nodes what was not acknowledged in time, or could not be sent. ``now_s``: monotonic."""
        for dev_eui in [dev_eui for dev_eui, wait in self._waits.items() if wait.at_s <= now_s]:
            item = self._waits.pop(dev_eui).item
            if item is not None:
                unanswered = partial(self._ledger.downlinks.unanswered, item, self._confirmed_tries)
                self.report(await self._writer.run(unanswered))
            if dev_eui in self.class_c:
                await self._send_now(dev_eui)

    async def expire(self) -> None:
        """Drop what is too old; raises StoreError."""
        now = self._time_keeper.now()
        if now is not None:
            for event in await self._writer.run(lambda: self._ledger.downlinks.expire(now)):
                self.report(event)

    def report(self, event: DownlinkEvent | None) -> None:
        """Tell the cloud."""
        if event is not None:
            self._publish(encode_event(event, self._time_keeper.now()))

    def _begin(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(self._guard(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guard(self, work: Any) -> None:
        try:
            await work
        except StoreError as error:  # a command that is not queued gets no event: its sender sends it again
            _log.warning("a downlink could not be recorded: %s", error)
