# SPDX-License-Identifier: EUPL-1.2
"""One quantity at one site over time, in as many points as a chart can use. The README has the shape of the answer."""

from typing import Any

from cloud_ingest.api.answers import iso
from cloud_ingest.api.odata import instant
from cloud_ingest.api.readers import Snapshot
from cloud_ingest.city import City, Station, Tree
from cloud_ingest.errors import NoSuchEntity, QueryError
from decoders.quantities import QUANTITIES

MAX_POINTS = 500
_MAX_FAULTS = 100
_DEFAULT_SPAN_S = 14 * 86400
_MAX_S = 1 << 32  # 2106: what the time of a reading can be

_SERIES = (
    "SELECT o.at, o.result, o.flag, o.time_quality FROM things t JOIN datastreams d ON d.thing = t.id "
    "JOIN observations o ON o.datastream = d.id WHERE t.site = ? AND d.quantity = ? AND o.at BETWEEN ? AND ?"
)
_SUSPECT = (
    "SELECT s.first_at, s.last_at, s.reason FROM things t JOIN datastreams d ON d.thing = t.id "
    "JOIN suspects s ON s.datastream = d.id WHERE t.site = ? AND d.quantity = ? AND s.last_at >= ? AND s.first_at <= ? "
    "ORDER BY s.last_at DESC LIMIT ?"
)


async def series(
    db: Snapshot,
    city: City,
    now: float,
    site: Tree | Station | None,
    quantity: str,
    begin: str | None,
    end: str | None,
) -> dict[str, Any]:
    if site is None:
        raise NoSuchEntity("a site of this id")
    if quantity not in QUANTITIES:
        raise QueryError(f"no quantity is called {quantity!r:.40}; /v1.1/ObservedProperties lists those that are")
    end_s = instant(end) if end else now
    begin_s = instant(begin) if begin else max(end_s - _DEFAULT_SPAN_S, 0)
    if not 0 <= begin_s <= _MAX_S or not 0 <= end_s <= _MAX_S:
        raise QueryError("'from' and 'to' must be from 1970 to 2105")
    if begin_s > end_s:
        raise QueryError("'from' must not be after 'to'")
    readings, points = await _points(db, site.id, quantity, begin_s, end_s)
    faults = await db.rows(
        f"SELECT at, flag FROM ({_SERIES}) WHERE flag IS NOT NULL ORDER BY at DESC LIMIT ?",
        (site.id, quantity, begin_s, end_s, _MAX_FAULTS),
    )
    uncertain = await db.row(
        f"SELECT count(*) FROM ({_SERIES}) WHERE time_quality IS NOT NULL", (site.id, quantity, begin_s, end_s)
    )
    suspect = await db.rows(_SUSPECT, (site.id, quantity, begin_s, end_s, _MAX_FAULTS))
    rule = city.areas[site.area].rule if isinstance(site, Tree) else None
    ruled = rule is not None and rule.quantity == quantity
    return {
        "tree" if isinstance(site, Tree) else "station": site.id,
        "quantity": quantity,
        "unit": QUANTITIES[quantity].unit,
        "from": iso(begin_s),
        "to": iso(end_s),
        "act": rule.act if rule and ruled else None,
        "clear": rule.clear if rule and ruled else None,
        "readings": readings,
        "at": [at for at, _ in points],
        "value": [value for _, value in points],
        "faults": [[at, flag] for at, flag in reversed(faults)],
        "suspect": [list(row) for row in reversed(suspect)],
        "times_uncertain": uncertain[0],
    }


async def _points(
    db: Snapshot, site_id: str, quantity: str, begin_s: float, end_s: float
) -> tuple[int, list[tuple[int, float]]]:
    """How many values there are, and at most MAX_POINTS of them: the lowest and highest of each slice of time."""
    args = (site_id, quantity, begin_s, end_s)
    values = f"SELECT at, result FROM ({_SERIES}) WHERE flag IS NULL"
    total = (await db.row(f"SELECT count(*) FROM ({values})", args))[0]
    if total <= MAX_POINTS:
        return total, [(at, value) for at, value in await db.rows(f"{values} ORDER BY at", args)]
    slice_s = (end_s - begin_s) / (MAX_POINTS // 2) * 1.000001  # the end itself belongs to the last slice
    points = set()
    for extreme in ("min", "max"):
        # SQLite: a bare column beside min() or max() is of the row that has it
        grouped = f"SELECT at, {extreme}(result) FROM ({values}) GROUP BY CAST((at - ?) / ? AS INTEGER)"
        points |= {(at, value) for at, value in await db.rows(grouped, (*args, begin_s, slice_s))}
    return total, sorted(points)
