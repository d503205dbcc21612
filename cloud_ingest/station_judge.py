# SPDX-License-Identifier: EUPL-1.2
"""Which readings of a station are doubted, from all that is stored of it, in order of phenomenon time.

Whatever order readings come in, the stretches end up the same: those from the earliest new reading on are made anew.
"""

from collections.abc import Mapping
from typing import NamedTuple

from cloud_ingest import instruments, suspects
from cloud_ingest.city import City, Node
from cloud_ingest.disclosure import COUNTS
from cloud_ingest.flat_line import FlatLine
from cloud_ingest.quality import CLOCK_TOLERANCE_S, STUCK
from cloud_ingest.station_quality import DUST, FLAT, Sample, Sensor, Suspicion, observe
from cloud_ingest.store import SqliteStore

_HUMIDITY = "relative_humidity"
_AIR = (*DUST, "co2", "air_temperature", _HUMIDITY, "air_pressure", "voc_index", "nox_index")
JUDGED = frozenset((*_AIR, *COUNTS))
SPAN_S = 30 * 86400  # of readings judged at once: what waits meanwhile waits for some tens of ms
_REMEMBERED = 40  # samples: uplinks repeat about a dozen

# By instrument: what was found after each of its newest samples, so that one need not look far back for the next.
# It may be lost at any time.
Memory = dict[tuple[int, ...], list[tuple[int, Suspicion]]]


class _Instrument(NamedTuple):
    """Its ``streams`` by quantity, and that of its node's ``humidity``."""

    sensor: Sensor
    streams: Mapping[str, int]
    humidity: int | None

    @property
    def key(self) -> tuple[int, ...]:
        return (self.humidity or 0, *self.streams.values())


def judge(store: SqliteStore, city: City, thing: int, now: float, memory: Memory) -> bool:
    """Bring a marked station up to date, in one transaction; False if there is more, for another turn."""
    end = int(now) + CLOCK_TOLERANCE_S
    with store.transaction():
        row = store.db.execute("SELECT since FROM unjudged_stations WHERE thing = ?", (thing,)).fetchone()
        since = None if row is None else _first_from(store, thing, row[0])
        if since is None:
            store.db.execute("DELETE FROM unjudged_stations WHERE thing = ?", (thing,))
            return True
        until = min(since + SPAN_S, end)
        for node in _nodes(store, city, thing):
            for instrument in _instruments(store, thing, node):
                _judge(store, instrument, since, until, memory.setdefault(instrument.key, []))
        if until == end:
            store.db.execute("DELETE FROM unjudged_stations WHERE thing = ?", (thing,))
            return True
        store.db.execute("UPDATE unjudged_stations SET since = ? WHERE thing = ?", (until + 1, thing))
        return False


def _judge(
    store: SqliteStore, instrument: _Instrument, since: int, until: int, remembered: list[tuple[int, Suspicion]]
) -> None:
    while remembered and remembered[-1][0] >= since:  # what is new may say otherwise
        remembered.pop()
    begin, suspicion = remembered[-1] if remembered else _looked_back(store, instrument, since)
    stretches: dict[str, dict[tuple[str, int], int]] = {quantity: {} for quantity in instrument.streams}
    _write_down(suspicion, begin, stretches)
    for sample in _samples(store, instrument, begin + 1, until):
        suspicion = observe(suspicion, sample, instrument.sensor)
        _write_down(suspicion, sample.at, stretches)
        remembered.append((sample.at, suspicion))
    del remembered[:-_REMEMBERED]
    for quantity, stream in instrument.streams.items():
        suspects.rewrite(store, stream, begin, stretches[quantity])


def _looked_back(store: SqliteStore, instrument: _Instrument, since: int) -> tuple[int, Suspicion]:
    """From when on to judge what was sampled ``since``, and what is known of the instrument as of then."""
    begin = since - instrument.sensor.lookback_s
    before = _samples(store, instrument, begin - instrument.sensor.silent_after_s, begin)
    return (before[-1].at, _as_judged(store, instrument, before)) if before else (begin, Suspicion())


def _write_down(suspicion: Suspicion, at: int, stretches: dict[str, dict[tuple[str, int], int]]) -> None:
    for found in stretches.values():
        found |= dict.fromkeys(suspicion.since, at)
    for quantity, since in suspicion.flat:
        stretches[quantity][FLAT, since] = at


def _as_judged(store: SqliteStore, instrument: _Instrument, before: list[Sample]) -> Suspicion:
    """As of the last of these samples. A line that does not last too long yet need not be known further back: by the
    time of what is new it has changed, or is known to last too long."""
    newest = before[-1]
    lines: list[FlatLine | None] = []
    flat = []
    known: dict[str, int] = {}
    for n, (quantity, stream) in enumerate(instrument.streams.items()):
        known = suspects.at(store, stream, newest.at)
        if FLAT in known:
            flat.append((quantity, known.pop(FLAT)))
        last = next((sample for sample in reversed(before) if sample.values[n] is not None), None)
        began = suspects.at(store, stream, last.at).get(FLAT, last.at) if last is not None else 0
        lines.append(None if last is None else FlatLine((last.values[n],), began, last.at))
    line = FlatLine(newest.values, known.get(STUCK, newest.at), newest.at)  # what is of all is of the last one, too
    return Suspicion(line, tuple(known.items()), tuple(lines), tuple(flat))


def _nodes(store: SqliteStore, city: City, thing: int) -> list[Node]:
    """All registered ones that ever measured there."""
    [site] = store.db.execute("SELECT site FROM things WHERE id = ?", (thing,)).fetchone()
    heard = store.db.execute("SELECT DISTINCT dev_eui FROM datastreams WHERE thing = ?", (thing,))
    places = (place for (dev_eui,) in heard.fetchall() for place in city.places.get(dev_eui, ()))
    return list({place.dev_eui: place for place in places if place.site == site}.values())


def _instruments(store: SqliteStore, thing: int, node: Node) -> list[_Instrument]:
    rows = store.db.execute(
        "SELECT quantity, id FROM datastreams WHERE thing = ? AND dev_eui = ? ORDER BY 1", (thing, node.dev_eui)
    )
    known = {quantity: stream for quantity, stream in rows if quantity in JUDGED}
    by_name: dict[str, dict[str, int]] = {}
    for quantity, stream in known.items():
        by_name.setdefault(instruments.of(quantity, node.instruments).name, {})[quantity] = stream
    return [
        _Instrument(
            Sensor(node.interval_s, tuple(streams), not set(COUNTS).isdisjoint(streams)), streams, known.get(_HUMIDITY)
        )
        for streams in by_name.values()
    ]


def _first_from(store: SqliteStore, thing: int, since: int) -> int | None:
    """When the first reading at or after ``since`` was sampled."""
    [first] = store.db.execute(
        "SELECT min((SELECT min(at) FROM observations o WHERE o.datastream = d.id AND o.at >= ?)) "
        "FROM datastreams d WHERE d.thing = ?",
        (since, thing),
    ).fetchone()
    return None if first is None else int(first)


def _samples(store: SqliteStore, instrument: _Instrument, begin: int, until: int) -> list[Sample]:
    """Those with a value from ``begin`` to ``until``, oldest first."""
    values: dict[int, dict[str, float]] = {}
    humidity: dict[int, float] = {}
    for quantity, stream in instrument.streams.items():
        for moment, value in _values(store, stream, begin, until):
            values.setdefault(moment, {})[quantity] = value
    if instrument.humidity is not None:
        humidity = dict(_values(store, instrument.humidity, begin, until))
    return [
        Sample(moment, tuple(map(values[moment].get, instrument.sensor.quantities)), humidity.get(moment))
        for moment in sorted(values)
    ]


def _values(store: SqliteStore, stream: int, begin: int, until: int) -> list[tuple[int, float]]:
    return store.db.execute(
        "SELECT at, result FROM observations WHERE datastream = ? AND at BETWEEN ? AND ? AND flag IS NULL",
        (stream, begin, until),
    ).fetchall()
