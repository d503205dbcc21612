# SPDX-License-Identifier: EUPL-1.2
"""The shell of ``downlinks``: hands orders to the backhauls, and calls again when something is due. Event loop only."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from gateway.backhaul.interface import Backhaul
from gateway.downlinks import Downlinks, Failure, Outcome, Step
from gateway.metrics import Metrics
from gateway.radio import Answer, Order, Reception
from gateway.ways_down import Protocol

_log = logging.getLogger(__name__)

_SILENT_S = 0.02  # in virtual time: how long a forwarder that has never confirmed anything may hold it up
_CONFIRMING_S = 2.0


class Transmitter:
    """``ended`` is called once for each answer, ``told`` for each step; ``held``: time is virtual."""

    def __init__(
        self,
        *,
        power_dbm: int,
        lead_ms: int,
        held: bool,
        metrics: Metrics,
        ended: Callable[[Outcome], None],
        told: Callable[[Step], None] = lambda _step: None,
    ) -> None:
        self._downlinks = Downlinks(power_dbm=power_dbm, lead_us=lead_ms * 1000, held=held)
        self._held = held
        self._metrics = metrics
        self._ended = ended
        self._told = told
        self._ways: dict[str, Backhaul] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at_us = 0
        self._settled = asyncio.Event()

    def attached(self, concentrator: str, protocol: Protocol, backhaul: Backhaul) -> None:
        self._ways[concentrator] = backhaul
        self._downlinks.attach(concentrator, protocol)

    def detached(self, concentrator: str, *, forget: bool) -> None:
        self._ways.pop(concentrator, None)
        self._carry_out(self._downlinks.lost(concentrator, _now_us()))
        if forget:
            self._downlinks.forget(concentrator)

    def heard(self, reception: Reception, gps_ms: int | None, protocol: Protocol) -> int:
        """Any frame; returns its end by its concentrator's line."""
        self._downlinks.attach(reception.concentrator, protocol)
        ended_us = self._downlinks.heard(reception, gps_ms, _now_us())
        if self._held:
            self._carry_out(self._downlinks.due(_now_us()))
        return ended_us

    def copy(self, reception: Reception, ended_us: int) -> None:
        """A copy of an uplink that was accepted through another concentrator."""
        self._downlinks.copy(reception, ended_us)
        if self._held:
            self._carry_out(self._downlinks.due(_now_us()))
        else:
            self._set_timer()  # it may be the place for an answer that had none

    def owe(self, reception: Reception, ended_us: int, answer: Answer) -> None:
        """An uplink is to be answered."""
        self._carry_out(self._downlinks.owe(reception, ended_us, answer, _now_us()))

    def push(self, answer: Answer, receptions: Iterable[Reception]) -> None:
        """Send to a class C node at once."""
        self._carry_out(self._downlinks.push(answer, receptions, _now_us()))

    def confirmed(self, concentrator: str, order_id: int, frequency_hz: int | None = None) -> None:
        self._carry_out(self._downlinks.confirmed(order_id, concentrator, frequency_hz))

    def refused(self, concentrator: str, order_id: int, reason: str) -> None:
        self._carry_out(self._downlinks.refused(order_id, reason, _now_us(), concentrator))

    async def taken(self) -> None:
        """In virtual time: wait until forwarders that speak GWMP have taken or refused what they were given."""
        for known_only, patience_s in ((False, _SILENT_S), (True, _CONFIRMING_S)):
            try:
                async with asyncio.timeout(patience_s):
                    while self._downlinks.unconfirmed(known_only=known_only):
                        self._settled.clear()
                        await self._settled.wait()
            except TimeoutError:
                continue

    def used_us(self, concentrator: str) -> dict[int, int]:
        """Airtime of the last hour by the lower edge of the sub-band, Hz."""
        return self._downlinks.used_us(concentrator, _now_us())

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _carry_out(self, steps: list[Step]) -> None:
        while steps:
            step = steps.pop(0)
            self._told(step)
            if isinstance(step, Order):
                steps += self._hand_over(step)
            elif isinstance(step, Failure):
                self._metrics.failed_attempts[step.reason] += 1
                _log.debug("not sent dev_eui=%s via=%s: %s", step.order.dev_eui, step.order.concentrator, step.reason)
            else:
                self._count(step)
                self._ended(step)
        self._settled.set()
        self._set_timer()

    def _hand_over(self, order: Order) -> list[Step]:
        way = self._ways.get(order.concentrator)
        if way is None or not way.send(order):
            self._metrics.count("downlinks_without_way")
            return self._downlinks.refused(order.id, "no_way", _now_us())
        self._metrics.count("downlinks")
        return []

    def _count(self, outcome: Outcome) -> None:
        if outcome.sent is not None:
            self._metrics.count("downlinks_sent")
        else:
            self._metrics.downlinks_dropped[outcome.reason] += 1
            _log.debug("downlink dropped dev_eui=%s: %s", outcome.answer.dev_eui, outcome.reason)

    def _set_timer(self) -> None:
        next_at_us = None if self._held else self._downlinks.next_at_us()
        if self._timer is not None:
            if next_at_us == self._timer_at_us:
                return
            self._timer.cancel()
            self._timer = None
        if next_at_us is not None:
            self._timer_at_us = next_at_us
            wait_s = max(0.001, (next_at_us - _now_us()) / 1_000_000)
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._due)

    def _due(self) -> None:
        self._timer = None
        self._carry_out(self._downlinks.due(_now_us()))


def _now_us() -> int:
    return time.monotonic_ns() // 1000
