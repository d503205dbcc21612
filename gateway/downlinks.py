# SPDX-License-Identifier: EUPL-1.2
"""The life of a downlink: owed, offered to a concentrator, sent or tried again. Times in, decisions out; no I/O.

An answer is decided ``lead_us`` before RX1, among all concentrators that have reported the uplink by then. What matters
more goes first: while an answer of a higher priority waits for its moment, nobody else takes its slot. An order that
its concentrator refuses, or does not confirm in time, is tried again in another window or through another concentrator,
until none is left. ``now_us`` is our monotonic clock.
"""

from collections.abc import Iterable
from typing import NamedTuple

from gateway.airtime_budget import Booking
from gateway.concentrator_clock import ConcentratorClock
from gateway.holds import Holds
from gateway.owed import Given, Owed, Pending
from gateway.radio import Answer, Order, Reception, Variant
from gateway.scheduler import Choice, Kept, booking_of, choose, nothing_kept, power_dbm
from gateway.ways_down import NEEDED_US, Protocol, WaysDown

# lorabasics/basicstation, src/s2e.c: dntxed leaves when the frame is on the air, or with a doubt at its end
_CONFIRMED_WITHIN_US = 300_000
_AGAIN_US = 100_000
_MAY_PASS = ("overlap", "duty_cycle", "blocked")
_OUT_OF_REACH = ("no_way", "connection_lost")


class Outcome(NamedTuple):
    """The end of an answer: ``sent`` is the variant that went out, or None, and then ``reason`` says why not."""

    answer: Answer
    sent: Variant | None
    reason: str


class Failure(NamedTuple):
    """An order that its concentrator did not carry out; what comes of the answer follows."""

    order: Order
    reason: str


Step = Order | Outcome | Failure


class Downlinks:
    """All concentrators and all that is owed. ``held``: virtual time, which stands still until answered."""

    def __init__(self, *, power_dbm: int, lead_us: int, held: bool = False) -> None:
        self._lead_us = lead_us
        self._held = held
        self._ways = WaysDown(power_dbm=power_dbm, held=held)
        self._owed = Owed()
        self._by_order: dict[int, Pending] = {}
        self._holds = Holds(self._wanted)
        self._last_order = 0
        self._now_us = 0

    def attach(self, concentrator: str, protocol: Protocol) -> None:
        """It is there."""
        self._ways.attach(concentrator, protocol)

    def forget(self, concentrator: str) -> None:
        """It was never one of ours."""
        for pending in self._owed:
            pending.heard.pop(concentrator, None)
        self._ways.forget(concentrator)

    def heard(self, reception: Reception, gps_ms: int | None, now_us: int) -> int:
        """A frame has arrived, ours or not; ``gps_ms`` is the concentrator's own. Returns its end on its line."""
        return self._ways.heard(reception, gps_ms, now_us)

    def copy(self, reception: Reception, ended_us: int) -> None:
        """Another concentrator has heard an uplink that may still wait for its answer."""
        pending = self._owed.get(reception.phy_payload)
        if pending is None or reception.concentrator in pending.heard:
            return
        pending.heard[reception.concentrator] = reception, ended_us
        if pending.order is None:
            self._holds.expect(pending.key, pending.answer.priority)
            if pending.hindered:
                self._owed.decide_at(pending, 0)

    def owe(self, reception: Reception, ended_us: int, answer: Answer, now_us: int) -> list[Step]:
        """A node is owed an answer to this uplink."""
        key = reception.phy_payload
        steps = self._supersede(key)
        line = self._clock(reception.concentrator)
        decide_at_us = now_us if self._held else line.when(ended_us + answer.windows[0].delay_ms * 1000) - self._lead_us
        self._take_up(Pending(key, answer, {reception.concentrator: (reception, ended_us)}, decide_at_us))
        return steps + self.due(now_us)

    def push(self, answer: Answer, receptions: Iterable[Reception], now_us: int) -> list[Step]:
        """Send to a class C node at once, through one of those that heard it last."""
        heard = {reception.concentrator: (reception, 0) for reception in receptions}
        key = b"class C " + answer.variants[0].phy_payload
        self._take_up(Pending(key, answer, heard, now_us))
        return self.due(now_us)

    def due(self, now_us: int) -> list[Step]:
        """What is to be done by now: orders to hand over, and what has ended."""
        steps: list[Step] = []
        for pending in self._owed.due(now_us):
            steps += self._decide(pending, now_us)
        for order_id in list(self._by_order):
            given = self._by_order[order_id].order
            if given is None or self._clock(given.order.concentrator).at(now_us) < given.check_at_us:
                continue
            if self._ways[given.order.concentrator].confirms:
                steps += self.refused(order_id, "not_confirmed", now_us)
            else:  # a forwarder that never says anything is believed
                steps += self._end(self._by_order[order_id], given.choice.variant, "")
        return steps

    def next_at_us(self) -> int | None:
        """When ``due`` has something to do next; in virtual time that is when something has been heard."""
        next_at_us = self._owed.next_at_us()
        times = [] if next_at_us is None else [next_at_us]
        if not self._held:
            times += [
                self._clock(given.order.order.concentrator).when(given.order.check_at_us)
                for given in self._by_order.values()
                if given.order
            ]
        return min(times, default=None)

    def unconfirmed(self, *, known_only: bool) -> bool:
        """Whether a forwarder has yet to say that it takes an order; ``known_only``: one that says such things."""
        return any(
            way.protocol is Protocol.GWMP and (way.confirms or not known_only)
            for way in (
                self._ways[pending.order.order.concentrator] for pending in self._by_order.values() if pending.order
            )
        )

    def confirmed(self, order_id: int, concentrator: str, frequency_hz: int | None = None) -> list[Step]:
        """The concentrator takes it, or, where ``frequency_hz`` tells the window, has sent it."""
        pending = self._by_order.get(order_id)
        if pending is None or pending.order is None or pending.order.order.concentrator != concentrator:
            return []
        given = pending.order
        way = self._ways[concentrator]
        way.confirms = True
        if given.fallback is not None and given.fallback.frequency_hz == frequency_hz != given.booking.frequency_hz:
            way.budget.release(given.booking)
            self._book(concentrator, given.fallback)
            self._owed.look_again()
        return self._end(pending, given.choice.variant, "")

    def refused(self, order_id: int, reason: str, now_us: int, concentrator: str | None = None) -> list[Step]:
        """The concentrator will not send it, or has not: try the next best."""
        pending = self._by_order.get(order_id)
        if pending is None or pending.order is None:
            return []
        given = pending.order
        if concentrator not in (None, given.order.concentrator):
            return []
        self._ways[given.order.concentrator].budget.release(given.booking)
        self._owed.look_again()
        both = given.fallback is not None or reason in _OUT_OF_REACH
        windows = range(len(pending.answer.windows)) if both else (given.choice.window,)
        pending.tried |= {(given.order.concentrator, window) for window in windows}
        pending.order = None
        pending.last_reason = reason
        del self._by_order[order_id]
        self._holds.expect(pending.key, pending.answer.priority)
        return [Failure(given.order, reason), *self._decide(pending, now_us)]

    def lost(self, concentrator: str, now_us: int) -> list[Step]:
        """Its connection has ended: what it has not confirmed is tried elsewhere."""
        orders = [
            order_id
            for order_id, pending in self._by_order.items()
            if pending.order and pending.order.order.concentrator == concentrator
        ]
        return [step for order_id in orders for step in self.refused(order_id, "connection_lost", now_us)]

    def used_us(self, concentrator: str, now_us: int) -> dict[int, int]:
        """Airtime of the last hour by the lower edge of the sub-band, Hz."""
        return self._ways.used_us(concentrator, now_us)

    def _clock(self, concentrator: str) -> ConcentratorClock:
        return self._ways[concentrator].clock

    def _supersede(self, key: bytes) -> list[Step]:
        """The node has sent the same uplink again before its answer had ended."""
        pending = self._owed.get(key)
        if pending is None:
            return []
        if pending.order is not None:  # it may yet be sent, so it stays booked
            del self._by_order[pending.order.order.id]
        else:
            self._owed.look_again()
        self._holds.drop(key)
        self._owed.drop(pending)
        return [Outcome(pending.answer, None, "superseded")]

    def _take_up(self, pending: Pending) -> None:
        self._owed.add(pending)
        self._holds.expect(pending.key, pending.answer.priority)

    def _wanted(self, key: bytes) -> tuple[str, Booking] | None:
        """Where an undecided answer would go if it were decided now, whatever others want."""
        choice, _ = self._choose(self._owed[key], self._now_us)
        return None if choice is None else (choice.concentrator, choice.booking)

    def _choose(self, pending: Pending, now_us: int, kept: Kept = nothing_kept) -> tuple[Choice | None, str]:
        candidates = self._ways.candidates(pending.heard, pending.answer.asap, now_us)
        return choose(pending.answer, candidates, self._ways.budgets(), tried=frozenset(pending.tried), kept=kept)

    def _book(self, concentrator: str, booking: Booking) -> None:
        self._ways[concentrator].budget.book(booking)
        self._holds.booked(concentrator, booking)

    def _decide(self, pending: Pending, now_us: int) -> list[Step]:
        self._now_us = now_us
        choice, obstacle = self._choose(pending, now_us, self._holds.meets)
        if choice is None and obstacle in _MAY_PASS:  # or another concentrator may report the uplink
            pending.last_reason = obstacle
            pending.hindered = True
            self._owed.decide_at(
                pending, now_us if self._held else max(now_us + _AGAIN_US, self._closes_at_us(pending))
            )
            return []
        if choice is None:
            return self._end(pending, None, pending.last_reason or obstacle)
        return [self._give(pending, choice)]

    def _closes_at_us(self, pending: Pending) -> int:
        """When the last window is too near; class C has no such moment."""
        if pending.answer.asap:
            return 0
        delay_us = pending.answer.windows[-1].delay_ms * 1000 - NEEDED_US
        return 1 + max(
            (self._clock(name).when(ended_us + delay_us) for name, (_, ended_us) in pending.heard.items()
             if name in self._ways), default=0,
        )  # fmt: skip

    def _give(self, pending: Pending, choice: Choice) -> Order:
        """Book it and make the order.

        Basics Station may have both windows, and moves on to RX2 by itself when it must not send in RX1 (which is
        rare, so that RX2 stays free for others); but where another concentrator could take RX2, each is offered alone,
        so that never two of them send at once.
        """
        answer, name = pending.answer, choice.concentrator
        way = self._ways[name]
        fallback = None
        if (
            way.protocol is Protocol.BASICS_STATION
            and choice.window == 0
            and len(pending.heard) == 1 < len(answer.windows)
        ):
            slot = answer.windows[1]
            start_us = choice.candidate.ended_us + slot.delay_ms * 1000
            second = booking_of(choice.variant.phy_payload, slot, start_us)
            if (name, 1) not in pending.tried and not way.budget.obstacle(second, choice.variant.priority):
                fallback = second
        self._holds.drop(pending.key)
        self._book(name, choice.booking)
        pending.hindered = False
        self._last_order += 1
        reception = choice.candidate.reception
        order = Order(
            self._last_order, name, answer.dev_eui, reception.tmst_us, reception.antenna,
            answer.windows[0] if choice.window == 0 and not answer.asap else None,
            answer.windows[-1] if answer.asap or choice.window == 1 or fallback else None,
            answer.asap, power_dbm(choice.candidate, choice.slot), answer.priority, choice.variant.phy_payload,
        )  # fmt: skip
        check_at_us = (fallback or choice.booking).start_us
        if way.protocol is Protocol.BASICS_STATION:
            check_at_us += _CONFIRMED_WITHIN_US
        pending.order = Given(order, choice, choice.booking, fallback, check_at_us)
        self._by_order[order.id] = pending
        return order

    def _end(self, pending: Pending, sent: Variant | None, reason: str) -> list[Step]:
        if pending.order is not None:
            self._by_order.pop(pending.order.order.id, None)
        self._holds.drop(pending.key)
        self._owed.drop(pending)
        return [Outcome(pending.answer, sent, reason)]
