# SPDX-License-Identifier: EUPL-1.2
"""The last frames of every node, for whoever stands beside one: in memory only, so that no card wears for it.

Each node has a ring; the fewer nodes there are the longer it is. Who is asked about is *watched* for an hour and has a
long one. DevEUIs that are not registered have a small table of their own, which no flood of invented ones can make
grow, and what anybody may send in a node's name pushes out little of what it has sent itself. Frames are kept as they
came and put into words when somebody asks (frame_objects.py, frame_words.py). Event loop only.
"""

import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from gateway.flood import Buckets, Rate
from gateway.radio import Order, Reception

MOST_FRAMES = 16_000  # of all nodes together
LONGEST = 50
SHORTEST = 2
WATCHED_LONGEST = 200
WATCHED_S = 3600.0
_MOST_WATCHED = 16
_MOST_STRANGERS = 256
_STRANGERS_LONGEST = 8
_MOST_HEARD_BY = 16
_REFUSALS = Rate(0.2, 10.0)  # kept of what is refused in the name of a node, each second
_MOST_REFUSED = 1024
_SETTLED_S = 1.5  # until then copies may come, and an order may be answered
_GIVEN_UP_S = 15.0


class HeardBy(NamedTuple):
    """How one concentrator heard a frame."""

    concentrator: str
    rssi_dbm: float
    snr_db: float
    tmst_us: int


class When(NamedTuple):
    """``unix_s`` None: nobody knew. ``boot_s``: seconds since the boot."""

    unix_s: float | None
    boot_s: float


@dataclass(slots=True)
class Uplink:
    """An accepted data frame. ``frm_payload`` is plain; ``problem``: why it is in quarantine, or ""."""

    at: When
    reception: Reception
    f_cnt: int
    frm_payload: bytes
    profile: str
    problem: str
    heard_by: list[HeardBy]
    seq: int = 0


@dataclass(slots=True)
class Join:
    """A Join-Request: answered with ``dev_addr``, or refused for ``reason``, a name of metrics.REFUSALS."""

    at: When
    reception: Reception
    reason: str
    dev_addr: int | None
    heard_by: list[HeardBy]
    seq: int = 0


@dataclass(slots=True)
class RefusedData:
    """A data frame with the address of the node that was not accepted."""

    at: When
    reception: Reception
    reason: str
    heard_by: list[HeardBy]
    seq: int = 0


@dataclass(slots=True)
class Downlink:
    """An order to a concentrator. ``result``: "" while it is open, "sent", or why not: a name of metrics.FAILURES.

    ``answers``: when the uplink ended that opens its windows; ``sent_hz``: where it went, if the concentrator says so.
    """

    at: When
    order: Order
    answers: When | None
    result: str = ""
    sent_hz: int | None = None
    seq: int = 0


@dataclass(slots=True)
class Dropped:
    """An answer that no concentrator could be given."""

    at: When
    reason: str
    seq: int = 0


Entry = Uplink | Join | RefusedData | Downlink | Dropped
Ring = list[Entry]  # of 50: a deque takes more memory


class FrameLog:
    """Rings by DevEUI. ``boot_s`` is the monotonic time since the boot."""

    def __init__(self) -> None:
        self._rings: dict[str, Ring] = {}
        self._strangers: OrderedDict[str, Ring] = OrderedDict()
        self._watched: OrderedDict[str, float] = OrderedDict()  # until, boot_s
        self._owners: dict[int, str] = {}  # DevAddr: DevEUI
        self._addresses: dict[str, int] = {}
        self._refusals = Buckets(_REFUSALS, _MOST_REFUSED)
        self._longest = LONGEST
        self._seq = 0

    def __len__(self) -> int:
        """How many frames are kept."""
        return sum(map(len, (*self._rings.values(), *self._strangers.values())))

    def keep_only(self, dev_euis: frozenset[str]) -> None:
        """These are registered: of others, only what they tried is kept."""
        for dev_eui in [dev_eui for dev_eui in self._rings if dev_eui not in dev_euis]:
            del self._rings[dev_eui]
            self._owners.pop(self._addresses.pop(dev_eui, -1), None)
        for dev_eui in [dev_eui for dev_eui in self._strangers if dev_eui in dev_euis]:
            self._rings.setdefault(dev_eui, self._strangers.pop(dev_eui))
        self._share_out()

    def watch(self, dev_eui: str, boot_s: float) -> None:
        """Somebody asks about it: keep more of it for an hour."""
        self._watched[dev_eui] = boot_s + WATCHED_S
        self._watched.move_to_end(dev_eui)
        if len(self._watched) > _MOST_WATCHED:
            self._watched.popitem(last=False)

    # --- what happens

    def uplink(self, dev_eui: str, dev_addr: int, entry: Uplink) -> None:
        self._owners.pop(self._addresses.get(dev_eui, -1), None)
        self._addresses[dev_eui], self._owners[dev_addr] = dev_addr, dev_eui
        self._append(dev_eui, entry)

    def copy(self, dev_eui: str, reception: Reception) -> None:
        """Another concentrator has heard a frame that is there already, or the same one once more."""
        for entry in reversed(self._entries(dev_eui)):
            if isinstance(entry, Uplink | Join) and entry.reception.phy_payload == reception.phy_payload:
                if len(entry.heard_by) < _MOST_HEARD_BY:
                    entry.heard_by.append(heard_by(reception))
                return

    def join(self, dev_eui: str, entry: Join) -> None:
        """Of a device that is registered."""
        if not entry.reason or self._refusals.take(dev_eui, entry.at.boot_s):
            self._append(dev_eui, entry)

    def join_of_stranger(self, dev_eui: str, entry: Join) -> None:
        """A DevEUI that is not registered. Whoever is asked about stays in the table."""
        ring = self._strangers.setdefault(dev_eui, [])
        self._strangers.move_to_end(dev_eui)
        if len(self._strangers) > _MOST_STRANGERS:
            del self._strangers[next(name for name in self._strangers if name not in self._watched)]
        self._put(ring, entry, _STRANGERS_LONGEST)

    def refused_data(self, dev_addr: int, entry: RefusedData) -> None:
        """Nobody knows who has sent it; it goes to the node that has this address now, if any."""
        dev_eui = self._owners.get(dev_addr)
        if dev_eui is not None and self._refusals.take(dev_eui, entry.at.boot_s):
            self._append(dev_eui, entry)

    def ordered(self, at: When, order: Order) -> None:
        """A concentrator was told to send it."""
        place = order.concentrator, order.tmst_us
        answers = None
        for entry in reversed(self._entries(order.dev_eui)):
            if isinstance(entry, Uplink | Join) and any(place == (by[0], by[3]) for by in entry.heard_by):
                answers = entry.at
                break
        self._append(order.dev_eui, Downlink(at, order, None if order.asap else answers))

    def confirmed(self, dev_eui: str, order_id: int, frequency_hz: int | None) -> None:
        """The concentrator has said on which frequency it has sent it."""
        entry = self._order(dev_eui, order_id)
        if entry is not None:
            entry.sent_hz = frequency_hz

    def failed(self, order: Order, reason: str) -> None:
        entry = self._order(order.dev_eui, order.id)
        if entry is not None:
            entry.result = reason

    def sent(self, dev_eui: str, phy_payload: bytes) -> None:
        """It has taken the order that carried this frame."""
        for entry in reversed(self._entries(dev_eui)):
            if isinstance(entry, Downlink) and not entry.result and entry.order.phy_payload == phy_payload:
                entry.result = "sent"
                return

    def dropped(self, at: When, dev_eui: str, reason: str) -> None:
        """Nobody could send an answer; where an order has failed, that says why already."""
        last = next(iter(reversed(self._entries(dev_eui))), None)
        if not isinstance(last, Downlink) or last.result != reason:
            self._append(dev_eui, Dropped(at, reason))

    # --- what people ask

    def frames(self, dev_eui: str, most: int) -> list[Entry]:
        """The last ones of a node, the oldest first."""
        return self._entries(dev_eui)[-most:] if most > 0 else []

    def settled_after(self, dev_eui: str, seq: int, boot_s: float) -> list[Entry]:
        """Those after ``seq``, up to the first to which something may yet be added."""
        found: list[Entry] = []
        for entry in self._entries(dev_eui):
            if entry.seq <= seq:
                continue
            if not is_settled(entry, boot_s):
                break
            found.append(entry)
        return found

    def strangers(self) -> Iterator[tuple[str, Join]]:
        """The last Join-Request of each DevEUI that is not registered, the latest first."""
        for dev_eui, ring in reversed(self._strangers.items()):
            last = ring[-1]
            if isinstance(last, Join):
                yield dev_eui, last

    # --- the rings

    def _entries(self, dev_eui: str) -> Ring:
        return self._rings.get(dev_eui) or self._strangers.get(dev_eui) or []

    def _order(self, dev_eui: str, order_id: int) -> Downlink | None:
        for entry in reversed(self._entries(dev_eui)):
            if isinstance(entry, Downlink) and entry.order.id == order_id:
                return entry
        return None

    def _append(self, dev_eui: str, entry: Entry) -> None:
        ring = self._rings.get(dev_eui)
        if ring is None:
            ring = self._rings[dev_eui] = []
            self._share_out()
        if entry.at.boot_s >= self._watched.get(dev_eui, math.inf):
            del self._watched[dev_eui]
        self._put(ring, entry, WATCHED_LONGEST if dev_eui in self._watched else self._longest)

    def _put(self, ring: Ring, entry: Entry, longest: int) -> None:
        self._seq += 1
        entry.seq = self._seq
        ring.append(entry)
        del ring[:-longest]

    def _share_out(self) -> None:
        """There are more nodes, or fewer: each may have less of the memory, or more."""
        longest = max(SHORTEST, min(LONGEST, MOST_FRAMES // max(1, len(self._rings))))
        if longest < self._longest:
            for dev_eui, ring in self._rings.items():
                if dev_eui not in self._watched:
                    del ring[:-longest]
        self._longest = longest


def heard_by(reception: Reception) -> HeardBy:
    """How its concentrator heard it."""
    return HeardBy(reception.concentrator, reception.rssi_dbm, reception.snr_db, reception.tmst_us)


def is_settled(entry: Entry, boot_s: float) -> bool:
    """Whether nothing will be added."""
    age_s = boot_s - entry.at.boot_s
    if isinstance(entry, Downlink):
        return bool(entry.result) or age_s >= _GIVEN_UP_S
    return isinstance(entry, Dropped) or age_s >= _SETTLED_S
