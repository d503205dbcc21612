# SPDX-License-Identifier: EUPL-1.2
"""What those who run it want to know: frame log, silences, floods, receptions; fed by the service. Event loop only.

The service calls a method here for whatever happens; nothing here decides about a frame but ``refusal``, which keeps
floods of Join-Requests away from the database.
"""

import asyncio
import logging
import math
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from decoders.lorawan.errors import MalformedFrame
from decoders.lorawan.frame import JOIN_REQUEST, JoinRequest, m_type
from gateway.arrivals import Outcome
from gateway.config import Config
from gateway.downlinks import Failure, Step
from gateway.errors import StoreError
from gateway.flood import Flood, FloodWatch, JoinLimiter
from gateway.frame_log import FrameLog, Join, RefusedData, Uplink, When, heard_by
from gateway.group_commit import GroupCommit
from gateway.join_server import Joined
from gateway.liveness import Liveness
from gateway.local_pages import ConcentratorRow
from gateway.metrics import Metrics
from gateway.network_server import Copy
from gateway.radio import Order, Reception
from gateway.reception_time import Boot
from gateway.silence import DOWN, LATE, OK, Limits
from gateway.store import Store
from gateway.watch import TICK_S, Detail, Tell, Watch
from gateway.ways_down import Protocol

_log = logging.getLogger(__name__)

_REFRESH_S = 1.0
_MOST_ORDERS = 1024
_MOST_CONCENTRATORS = 512
_RECEPTIONS = ("accepted", "copies", "refused")


class Operations:
    """One gateway's. ``tell`` takes (kind, dev_eui, detail) of an event, in the writer, within its transaction."""

    def __init__(
        self, config: Config, store: Store, writer: GroupCommit, boot: Boot, metrics: Metrics, tell: Tell
    ) -> None:
        settings = config.liveness
        self.log = FrameLog()
        self.liveness = Liveness(Limits(settings.late_intervals, settings.down_intervals), settings.concentrator_s)
        self._boot = boot
        self._metrics = metrics
        self._writer = writer
        self._tell = tell
        self._virtual = config.downlinks.virtual_time
        self._limiter = JoinLimiter()
        self._flood = FloodWatch()
        self._watch = Watch(
            self.liveness, store.path, store.connection, writer, tell, self._registered,
            judging=not self._virtual,
        )  # fmt: skip
        self._connected: set[str] = set()  # stations, as long as their connection stands
        self._orders: OrderedDict[int, str] = OrderedDict()  # DevEUI of those not yet ended
        self._receptions: OrderedDict[str, dict[str, int]] = OrderedDict()
        self._running: asyncio.Task[None] | None = None

    def _registered(self, dev_euis: frozenset[str]) -> None:
        self._limiter.registered = dev_euis
        self.log.keep_only(dev_euis)

    def start(self) -> None:
        """Take up what was kept, and begin to watch."""
        self._watch.start()
        self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Keep what is to be kept. Call it before the writer closes."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        try:
            ended = self._flood.due(math.inf)
            if ended is not None:
                await self._tell_flood(ended)
        except StoreError as error:
            _log.warning("the end of a flood could not be stored: %s", error)
        await self._watch.stop()

    async def _run(self) -> None:
        next_tick_s = time.monotonic() + TICK_S
        while True:
            await asyncio.sleep(_REFRESH_S)
            try:
                self._watch.refresh()
                ended = self._flood.due(time.monotonic())
                if ended is not None:
                    await self._tell_flood(ended)
                if time.monotonic() >= next_tick_s:
                    next_tick_s = time.monotonic() + TICK_S
                    for eui in self._connected:
                        self.liveness.spoke(eui)
                    await self._watch.tick(self._boot.seconds())
            except (StoreError, sqlite3.Error) as error:
                _log.warning("what has fallen silent could not be stored: %s", error)
            except Exception:
                _log.exception("watching failed once; this is a bug")

    # --- concentrators

    def attached(self, concentrator: str, speech: Protocol) -> None:
        """It says that it is there."""
        if speech is Protocol.BASICS_STATION:
            self._connected.add(concentrator)
        self.liveness.spoke(concentrator)

    def detached(self, concentrator: str) -> None:
        """Its connection has ended."""
        self._connected.discard(concentrator)

    def receptions(self, concentrator: str) -> dict[str, int]:
        """How many frames it has brought, by what became of them."""
        return self._receptions.get(concentrator) or dict.fromkeys(_RECEPTIONS, 0)

    def facts(self, concentrator: str) -> dict[str, Any]:
        """State and receptions of one, for /status and /metrics; no state where it has brought no frame of ours."""
        known = self.liveness.concentrators().get(concentrator)
        state: dict[str, Any] = {}
        if known is not None:
            state = {"state": known[0], "up": int(known[0] == OK), "silent_seconds": round(known[1])}
        return state | self.receptions(concentrator)

    def concentrator_rows(self, attached: Iterable[str]) -> list[ConcentratorRow]:
        """All that are watched or attached."""
        watched = self.liveness.concentrators()
        return [
            ConcentratorRow(eui, *watched.get(eui, ("not_watched", None)), *self.receptions(eui).values())
            for eui in sorted(watched.keys() | set(attached))
        ]

    def gauges(self) -> dict[str, float]:
        """By the names of metrics.GAUGES."""
        states, missed = self.liveness.summary()
        return {
            "nodes_ok": states[OK],
            "nodes_late": states[LATE],
            "nodes_down": states[DOWN],
            "missed_uplinks": missed,
            "join_flood": int(self._flood.under_way),
        }

    def _count(self, concentrator: str, what: str) -> None:
        counts = self._receptions.get(concentrator)
        if counts is None:
            if len(self._receptions) >= _MOST_CONCENTRATORS:
                self._forget_one()
            counts = self._receptions[concentrator] = dict.fromkeys(_RECEPTIONS, 0)
        counts[what] += 1
        self._receptions.move_to_end(concentrator)

    def _forget_one(self) -> None:
        """The counts of whoever was silent longest of those that brought no frame of ours; if there is none, of all."""
        useless = (eui for eui, counts in self._receptions.items() if not counts["accepted"] + counts["copies"])
        del self._receptions[next(useless, next(iter(self._receptions)))]

    # --- uplinks

    def refusal(self, reception: Reception) -> str:
        """Why this frame is not to be looked at, a name of metrics.REFUSALS; "": it is."""
        self.liveness.spoke(reception.concentrator)
        request = _join_request(reception)
        if request is None:
            return ""
        now_s = reception.received_at if self._virtual else time.monotonic()
        reason = self._limiter.refusal(reception.concentrator, request.dev_eui, now_s)
        if reason:
            began = self._flood.refused(reception.concentrator, time.monotonic())
            if began is not None:
                task = asyncio.get_running_loop().create_task(self._tell_flood(began))
                task.add_done_callback(_note_failure)
        return reason

    def accepted(self, reception: Reception, outcome: Outcome) -> None:
        """A frame is stored, or is a copy of one that is."""
        concentrator = reception.concentrator
        self._watch.proved(concentrator)
        self._count(concentrator, "copies" if isinstance(outcome, Copy) else "accepted")
        if isinstance(outcome, Copy):
            self.liveness.copied(outcome.key.dev_eui, concentrator)
            self.log.copy(outcome.key.dev_eui, reception)
        elif isinstance(outcome, Joined):
            self.liveness.joined(outcome.dev_eui, concentrator)
            heard = [heard_by(reception)]
            self.log.join(outcome.dev_eui, Join(self._when(reception), reception, "", outcome.dev_addr, heard))
        else:
            key = outcome.key
            self.liveness.uplink(key.dev_eui, key.session, key.f_cnt, concentrator, self._boot.seconds())
            entry = Uplink(
                self._when(reception), reception, key.f_cnt, outcome.frm_payload, outcome.profile, outcome.problem,
                [heard_by(reception)],
            )  # fmt: skip
            self.log.uplink(key.dev_eui, int.from_bytes(reception.phy_payload[1:5], "little"), entry)

    def refused(self, reception: Reception, reason: str) -> None:
        """A frame was not accepted; ``reason`` is a name of metrics.REFUSALS."""
        request = _join_request(reception)
        at, heard = self._when(reception), [heard_by(reception)]
        if request is None:
            self._count(reception.concentrator, "refused")
            if reason in ("mic_mismatch", "replay"):
                dev_addr = int.from_bytes(reception.phy_payload[1:5], "little")
                self.log.refused_data(dev_addr, RefusedData(at, reception, reason, heard))
            return
        if reason == "duplicate":
            self._count(reception.concentrator, "copies")
            self.log.copy(request.dev_eui, reception)
            self.liveness.copied(request.dev_eui, reception.concentrator)
            return
        self._count(reception.concentrator, "refused")
        self._metrics.refuse_join(reason)
        entry = Join(at, reception, reason, None, heard)
        if request.dev_eui in self._limiter.registered:
            self.log.join(request.dev_eui, entry)
        else:
            self.log.join_of_stranger(request.dev_eui, entry)

    def _when(self, reception: Reception) -> When:
        return When(None if reception.gps_ms is None else reception.received_at, self._boot.seconds())

    # --- downlinks

    def step(self, step: Step, now: Callable[[], float | None]) -> None:
        """What the scheduler has decided. ``now``: Unix s, or None."""
        if isinstance(step, Order):
            self._orders[step.id] = step.dev_eui
            if len(self._orders) > _MOST_ORDERS:
                self._orders.popitem(last=False)
            self.log.ordered(When(now(), self._boot.seconds()), step)
        elif isinstance(step, Failure):
            self._orders.pop(step.order.id, None)
            self.log.failed(step.order, step.reason)
        elif step.sent is not None:
            self.log.sent(step.answer.dev_eui, step.sent.phy_payload)
        else:
            self.log.dropped(When(now(), self._boot.seconds()), step.answer.dev_eui, step.reason)

    def confirmed(self, order_id: int, frequency_hz: int | None) -> None:
        """A concentrator has taken it, or says where it has sent it."""
        dev_eui = self._orders.pop(order_id, None)
        if dev_eui is not None:
            self.log.confirmed(dev_eui, order_id, frequency_hz)

    # --- floods

    async def _tell_flood(self, flood: Flood) -> None:
        level = logging.INFO if flood.over else logging.WARNING
        words = "has ended" if flood.over else "has begun"
        _log.log(
            level, "join flood %s refused=%d seconds=%d concentrators=%s",
            words, flood.refused, flood.seconds, ",".join(flood.concentrators),
        )  # fmt: skip
        detail: Detail = {
            "state": "ended" if flood.over else "began", "refused": flood.refused, "seconds": flood.seconds,
            "concentrators": " ".join(flood.concentrators),
        }  # fmt: skip
        await self._writer.run(lambda: self._tell("join_flood", None, detail))


def _join_request(reception: Reception) -> JoinRequest | None:
    try:
        if m_type(reception.phy_payload) == JOIN_REQUEST:
            return JoinRequest.parse(reception.phy_payload)
    except MalformedFrame:
        pass
    return None


def _note_failure(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and isinstance(task.exception(), StoreError):
        _log.warning("the beginning of a flood could not be stored: %s", task.exception())
