# SPDX-License-Identifier: EUPL-1.2
"""When a boot was, for a machine without a clock: as it knew itself, or between the boots before and after it.

``date_boots`` is pure. The order of boots is that of their numbers in the database, never of times.
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from decoders.records import TimeQuality

SURE: tuple[TimeQuality, ...] = ("ntp", "concentrator")

_KEPT = 64  # boots, besides those that something still waits for
_LATEST = (
    "SELECT boot_s FROM waiting WHERE waiting.boot_id = boots.boot_id ORDER BY id DESC LIMIT 1",
    "SELECT max(boot_s) FROM estimated WHERE estimated.boot_id = boots.boot_id",
)


class Span(NamedTuple):
    """A boot from its second 0 to ``last_s``; ``unix_less_boot_s`` makes Unix time of its seconds (None: unknown)."""

    boot_id: str
    last_s: float
    unix_less_boot_s: float | None
    quality: TimeQuality


class Offset(NamedTuple):
    """What makes a Unix time of seconds since a boot, and how sure it is."""

    unix_less_boot_s: float
    quality: TimeQuality


class Began(NamedTuple):
    """What is known when the service starts in a boot: of this one, and when the one before ended (Unix s)."""

    unix_less_boot_s: float | None
    quality: TimeQuality
    ended: float | None


class Dating(NamedTuple):
    """What to add to seconds since a boot. ``final``: it will hardly get better."""

    unix_less_boot_s: float
    quality: TimeQuality
    final: bool


def date_boots(spans: Sequence[Span]) -> list[Dating | None]:
    """Date boots, given in their order; None: not yet.

    Those that knew the time keep it. One that did not ends before the next that did begins, and begins after the one
    before ended: as late in that room as its unset clock says, else at once after the boot before, else right before
    the next. Boots in a row share the room, each with its length. A clock that was only restored serves meanwhile.
    """
    latest_begins = _latest_begins(spans)
    datings: list[Dating | None] = []
    ended: float | None = None
    for span, latest in zip(spans, latest_begins, strict=True):
        dating = _dating(span, ended, latest)
        datings.append(dating)
        if dating is not None:
            ended = dating.unix_less_boot_s + span.last_s
    return datings


def _latest_begins(spans: Sequence[Span]) -> list[float | None]:
    """The latest moment at which each boot can have begun; None while no later one knows the time."""
    begins: list[float | None] = []
    following: float | None = None
    for span in reversed(spans):
        begin = None if following is None else following - span.last_s
        begins.append(begin)
        is_sure = span.quality in SURE and span.unix_less_boot_s is not None
        following = span.unix_less_boot_s if is_sure else begin
    return begins[::-1]


def _dating(span: Span, ended: float | None, latest: float | None) -> Dating | None:
    own = span.unix_less_boot_s
    if span.quality in SURE and own is not None:
        return Dating(own, span.quality, True)
    if latest is None:
        return None if own is None else Dating(own if ended is None else max(own, ended), "saved", False)
    earliest = [begin for begin in (own, ended) if begin is not None]
    return Dating(min(max(earliest), latest) if earliest else latest, "saved", True)


class Boots:
    """The boots' part of the ledger."""

    _db: sqlite3.Connection

    def begin_boot(self, boot_id: str, boot_s: float) -> Began:
        """The service starts in this boot."""
        self.note_boot(boot_id, boot_s, None)
        self._db.execute(
            "DELETE FROM boots WHERE number <= (SELECT max(number) FROM boots) - ? "
            "AND boot_id NOT IN (SELECT boot_id FROM waiting) AND boot_id NOT IN (SELECT boot_id FROM estimated)",
            (_KEPT,),
        )
        spans = self._spans()
        (at,) = (n for n, span in enumerate(spans) if span.boot_id == boot_id)
        before, this = spans[:at], spans[at]
        ended = None
        for span, dating in zip(before, date_boots(before), strict=True):
            ended = ended if dating is None else dating.unix_less_boot_s + span.last_s
        return Began(this.unix_less_boot_s if this.quality in SURE else None, this.quality, ended)

    def note_boot(self, boot_id: str, boot_s: float, offset: Offset | None) -> None:
        """It is ``boot_s`` now, and this is known of the time; what was known for sure is not forgotten."""
        self._db.execute(
            "INSERT INTO boots (boot_id, last_s, quality) VALUES (?, ?, 'unset') "
            "ON CONFLICT (boot_id) DO UPDATE SET last_s = max(last_s, excluded.last_s)",
            (boot_id, boot_s),
        )
        if offset is not None:
            self._db.execute(
                "UPDATE boots SET unix_less_boot_s = ?, quality = ? WHERE boot_id = ? "
                "AND (? IN ('ntp', 'concentrator') OR quality IN ('unset', 'saved'))",
                (*offset, boot_id, offset.quality),
            )

    def datings(self) -> dict[str, Dating]:
        """All boots that can be dated by now, in their order."""
        for latest in _LATEST:  # perhaps later than the last note, and soon they are gone
            self._db.execute(f"UPDATE boots SET last_s = ({latest}) WHERE last_s < ({latest})")
        spans = self._spans()
        dated = zip(spans, date_boots(spans), strict=True)
        return {span.boot_id: dating for span, dating in dated if dating is not None}

    def _spans(self) -> list[Span]:
        rows = self._db.execute("SELECT boot_id, last_s, unix_less_boot_s, quality FROM boots ORDER BY number")
        return [Span(*row) for row in rows]
