# SPDX-License-Identifier: EUPL-1.2
"""Every device in one table, as technicians want it: alive or not, battery, link. Reads the database only."""

import re
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from statistics import median
from typing import Any, NamedTuple

from decoders.written import written
from gateway import adr
from gateway.errors import DevicesError, shown
from gateway.frame_words import moment
from gateway.silence import DOWN, LATE

NEVER = "never"  # heard
_A_DATE_S = 1e9  # less are seconds since some boot: nobody knew the time
_INTERVAL = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*(s|min|h|d)")
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_SHORTEST_S, _LONGEST_S = 10.0, 30 * 86_400.0  # of an interval set by hand
_EXTERNAL, _UNABLE = 0, 255  # TS001-1.0.4 "Device Status (DevStatusReq, DevStatusAns)"


class NodeRow(NamedTuple):
    """One device. ``state`` is ok, late, down or never; times are Unix s, None: not known.

    ``battery`` as the node says it: 0 external power, 1 to 254 empty to full, 255 it cannot tell.
    ``snr_margin_db``: the median of what is heard of it, above what its data rate needs.
    """

    dev_eui: str
    profile: str
    name: str
    device_class: str
    dev_nonce: int
    state: str
    last_seen: float | None
    interval_s: float | None
    interval_set: bool
    battery: int | None
    battery_at: float | None
    snr_margin_db: float | None
    f_cnt_up: int | None
    received: int
    missed: int


def node_rows(connection: sqlite3.Connection, most: int = -1) -> list[NodeRow]:
    """Of all devices, or of the ``most`` that need somebody: those down first, then those late."""
    order = "dev_eui" if most < 0 else "CASE l.state WHEN 'down' THEN 0 WHEN 'late' THEN 1 ELSE 2 END, dev_eui"
    rows = connection.execute(
        "SELECT dev_eui, profile, name, class_c, dev_nonce, l.state, s.last_at, interval_s, l.learned_s, battery, "
        "status_at, s.link, s.f_cnt_up, l.received, l.missed FROM devices "
        "LEFT JOIN (SELECT max(id), * FROM sessions WHERE f_cnt_up >= 0 GROUP BY dev_eui) AS s USING (dev_eui) "
        f"LEFT JOIN node_liveness AS l USING (dev_eui) ORDER BY {order} LIMIT ?",
        (most,),
    )
    return [_row(*row) for row in rows]


def _row(
    dev_eui: str, profile: str, name: str, class_c: int, dev_nonce: int, state: str | None, last_at: float | None,
    set_s: float | None, learned_s: float | None, battery: int | None, status_at: float | None, link: bytes | None,
    f_cnt_up: int | None, received: int | None, missed: int | None,
) -> NodeRow:  # fmt: skip
    last_seen = last_at if last_at is not None and last_at > _A_DATE_S else None
    return NodeRow(
        dev_eui, profile, name, "C" if class_c else "A", dev_nonce,
        state or (NEVER if f_cnt_up is None else "ok"), last_seen, set_s or learned_s, bool(set_s),
        battery, status_at, snr_margin_db(link), f_cnt_up, received or 0, missed or 0,
    )  # fmt: skip


def live(row: NodeRow, now: Sequence[Any] | None) -> NodeRow:
    """The row with what the running service has counted since it was kept: (state, received, missed, interval)."""
    if now is None:
        return row
    state, received, missed, interval_s = now
    return row._replace(state=state, received=received, missed=missed, interval_s=interval_s or row.interval_s)


def snr_margin_db(link: bytes | None) -> float | None:
    """How much better than needed it is heard, as it sends now."""
    if not link:
        return None
    known = adr.parse(link)
    heard = [frame.snr / 4 for frame in known.frames if frame.heard]
    return round(median(heard) - adr.threshold_db(known.setting), 1) if heard else None


def link_of(connection: sqlite3.Connection, dev_eui: str) -> dict[str, Any] | None:
    """What one node sends with, as far as it has agreed to it, and how well it is heard; None: not known."""
    row = connection.execute(
        "SELECT link FROM sessions WHERE dev_eui = ? AND f_cnt_up >= 0 ORDER BY id DESC LIMIT 1", (dev_eui,)
    ).fetchone()
    if row is None or not row[0]:
        return None
    link = adr.parse(row[0])
    return link.setting._asdict() | {
        "snr_margin_db": snr_margin_db(row[0]), "frames_known": len(link.frames),
        "frames_lost": sum(not frame.heard for frame in link.frames),
    }  # fmt: skip


def name_of(connection: sqlite3.Connection, dev_eui: str) -> str:
    """What people call it; empty: nothing, or it is not registered."""
    row = connection.execute("SELECT name FROM devices WHERE dev_eui = ?", (dev_eui,)).fetchone()
    return "" if row is None else str(row[0])


def as_object(row: NodeRow) -> dict[str, Any]:
    """For JSON: times in ISO 8601."""
    return row._asdict() | {
        "last_seen": _iso(row.last_seen), "battery_at": _iso(row.battery_at),
        "battery_percent": battery_percent(row.battery),
    }  # fmt: skip


def battery_percent(battery: int | None) -> int | None:
    """Of a battery that the node can measure."""
    if battery is None or battery in (_EXTERNAL, _UNABLE):
        return None
    return round((battery - 1) / 253 * 100)


def battery_words(battery: int | None, language: str = "en") -> str:
    """What the node says."""
    percent = battery_percent(battery)
    if percent is not None:
        return f"{percent} %"
    return "-" if battery != _EXTERNAL else "Netz" if language == "de" else "external"


def _iso(unix_s: float | None) -> str | None:
    return None if unix_s is None else datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="seconds")


def span(seconds: float | None, language: str = "en") -> str:
    """A time in its largest unit that is whole enough: 90 s, 15 min, 6 h, 7 d."""
    if seconds is None:
        return "-"
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{written(seconds / length, '.3g', language)} {unit}"
    return f"{seconds:.0f} s"


def parse_interval(text: str) -> float | None:
    """Seconds of 900s, 15min, 6h or 1d; None for "learn". Raises DevicesError."""
    if text == "learn":
        return None
    match = _INTERVAL.fullmatch(text)
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not _SHORTEST_S <= seconds <= _LONGEST_S:
        raise DevicesError([f"interval {shown(text)} must be from 10s to 30d, such as 15min or 6h, or learn"])
    return seconds


HEADINGS = ("DEV_EUI", "STATE", "LAST_SEEN", "INTERVAL", "BATTERY", "MARGIN", "MISSED", "CLASS", "PROFILE", "NAME")


def cells(row: NodeRow, language: str = "en", zone: tzinfo | None = None) -> tuple[str, ...]:
    """One line of the table, under HEADINGS. ``zone`` of its times; None: UTC, and they say so."""
    at = _iso(row.last_seen)
    seen = "-" if at is None else moment(at, zone)
    margin = "-" if row.snr_margin_db is None else f"{written(row.snr_margin_db, '+.1f', language)} dB"
    fixed = "" if not row.interval_set else " fest" if language == "de" else " set"
    sent = row.received + row.missed
    missed = f"{row.missed} ({written(100 * row.missed / sent, '.1f', language)} %)" if sent else "-"
    return (
        row.dev_eui, row.state, seen, span(row.interval_s, language) + fixed, battery_words(row.battery, language),
        margin, missed, row.device_class, row.profile, row.name,
    )  # fmt: skip


def needs_somebody(row: NodeRow) -> bool:
    """Whether it is late or down."""
    return row.state in (LATE, DOWN)
