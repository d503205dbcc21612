# SPDX-License-Identifier: EUPL-1.2
"""From stored readings to judgements: each probe's snapshot, and the alerts that open and close.

Judging is repeatable: it follows from the observations, the last alert of the area and ``now``. So it may run after
any batch, late, twice, or first at the next start; an alert opens once.
"""

import json
import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from cloud_ingest import alerts, station_judge, suspects
from cloud_ingest.alerts import Episode, Sample, Watch
from cloud_ingest.city import Area, City, Node
from cloud_ingest.quality import (
    CLOCK_TOLERANCE_S,
    STUCK,
    Probe,
    Reading,
    Snapshot,
    observe,
    sort_key,
    state,
    stuck_since,
)
from cloud_ingest.station_judge import Memory
from cloud_ingest.store import SqliteStore

_log = logging.getLogger(__name__)

# How far behind what was judged already we look again for readings that came late.
LATE_S = 2 * 86400


class _Last(NamedTuple):
    """The open alert of an area, else its newest; ``ended_before``: when the last one before it closed."""

    id: int
    dry_since: int
    opened_at: int
    closed_at: int | None
    ended_before: int | None


def probe_of(node: Node) -> Probe:
    return Probe(node.interval_s, node.depth_cm)


def judge(store: SqliteStore, city: City, area: Area, now: float) -> None:
    """Bring snapshots and alerts of one area up to date with what was sampled until ``now``, in one transaction."""
    nodes = {tree.id: node for tree in city.trees_of(area.id) if (node := city.node_at(tree.id)) is not None}
    probes = {tree_id: probe_of(node) for tree_id, node in nodes.items()}
    with store.transaction():
        unmark(store, area.id)
        last = _last_alert(store, area.id)
        begin = _begin(store, area, last, int(now))
        end = int(now) + CLOCK_TOLERANCE_S
        lookback = max((probe.stuck_after_s + 2 * probe.silent_after_s for probe in probes.values()), default=0)
        readings = {
            tree_id: _readings(store, node, area.rule.quantity, begin - lookback, end)
            for tree_id, node in nodes.items()
        }
        snapshots = {
            tree_id: _follow(store, node, area.rule.quantity, readings[tree_id], begin)
            for tree_id, node in nodes.items()
        }
        for tree_id, node in nodes.items():
            _write_snapshot(store, node, snapshots[tree_id])
        is_known = any(state(snapshots[tree_id], probes[tree_id], now) == "ok" for tree_id in nodes)
        samples = [sample for sample in alerts.area_samples(probes, readings) if sample.at > begin]
        if last is not None and last.closed_at is None:
            dry = _follow_open(store, area, last, samples)
        else:
            watch = alerts.follow(area.rule, Watch(False), samples)
            dry = (
                Episode(watch.changed, watch.dry_since, None) if watch.changed and watch.dry_since is not None else None
            )
        if dry is not None:
            if not is_known:
                return  # it was dry when we last heard of it; nobody knows about now, so look again from here
            _open(store, city, area, dry)
        if samples:
            store.db.execute(
                "INSERT INTO judged VALUES (?, ?) ON CONFLICT DO UPDATE SET until = max(min(until, ?), excluded.until)",
                (area.id, samples[-1].at, end),
            )


def _follow_open(store: SqliteStore, area: Area, last: _Last, samples: list[Sample]) -> Episode | None:
    """Let the open alert say what the readings in order of time say, late ones too; a dry time after it, if any."""
    found = alerts.episodes(area.rule, samples)
    current = next((one for one in found if one.closed is None or one.closed.at > last.opened_at), None)
    if current is None:
        # what opened it is beyond what we look at again, or looks otherwise by now: it ends as any does
        watch = alerts.follow(area.rule, Watch(True), [sample for sample in samples if sample.at > last.opened_at])
        if not watch.dry and watch.changed is not None:
            _close(store, area, last, watch.changed)
        return None
    store.db.execute(
        "UPDATE alerts SET value = ?, dry_since = ?, opened_at = ? WHERE id = ?",
        (current.opened.value, current.dry_since, current.opened.at, last.id),
    )
    if current.closed is not None:
        _close(store, area, last, current.closed)
    return found[-1] if found[-1] is not current and found[-1].closed is None else None


def mark(store: SqliteStore, things: Iterable[int], sampled: Iterable[int]) -> None:
    """Inside a transaction: ``things`` are to be judged, by whoever judges here: the areas in which they stand, and
    stations from the first of the times ``sampled`` on."""
    stations = store.stations.intersection(things)
    store.db.executemany(
        "INSERT OR IGNORE INTO unjudged SELECT area FROM things WHERE id = ? AND area <> ''",
        [(thing,) for thing in things if thing not in stations],
    )
    if stations:
        since = min(sampled, default=0)
        store.db.executemany(
            "INSERT INTO unjudged_stations VALUES (?, ?) ON CONFLICT DO UPDATE SET since = min(since, excluded.since)",
            [(thing, since) for thing in stations],
        )


def marked(store: SqliteStore) -> list[str | int]:
    """What is to be judged: areas by id, stations by their things."""
    areas = store.db.execute("SELECT area FROM unjudged ORDER BY rowid")
    stations = store.db.execute("SELECT thing FROM unjudged_stations ORDER BY since")
    return [found for (found,) in (*areas, *stations)]


def judge_marked(store: SqliteStore, city: City, which: str | int, now: float, memory: Memory) -> bool:
    """One of ``marked``; False if there is more of it to do, in another turn. Whoever judges keeps one ``memory``."""
    if isinstance(which, int):
        return station_judge.judge(store, city, which, now, memory)
    if which in city.areas:
        judge(store, city, city.areas[which], now)
    return True


def unmark(store: SqliteStore, area_id: str) -> None:
    """Inside a transaction: the area is judged, or cannot be."""
    store.db.execute("DELETE FROM unjudged WHERE area = ?", (area_id,))


def _begin(store: SqliteStore, area: Area, last: _Last | None, now: int) -> int:
    """The phenomenon time after which samples count: as far back as readings may come late, and after the last end."""
    if last is not None and last.closed_at is None:
        since, ended = last.dry_since, last.ended_before
    else:
        row = store.db.execute("SELECT until FROM judged WHERE area = ?", (area.id,)).fetchone()
        since, ended = row[0] if row else 0, last.closed_at if last is not None else None
    begin = max(min(since, now) - LATE_S - area.rule.debounce_s, ended or 0, 0)
    return int(min(begin, now))


def _last_alert(store: SqliteStore, area_id: str) -> _Last | None:
    row = store.db.execute(
        "SELECT id, dry_since, opened_at, closed_at, "
        "(SELECT max(closed_at) FROM alerts b WHERE b.area = a.area AND b.id <> a.id) "
        "FROM alerts a WHERE area = ? ORDER BY closed_at IS NULL DESC, opened_at DESC, id DESC LIMIT 1",
        (area_id,),
    ).fetchone()
    return _Last(*row) if row else None


def _readings(store: SqliteStore, node: Node, quantity: str, begin: int, end: int) -> list[Reading]:
    rows = store.db.execute(
        "SELECT o.at, d.quantity = 'soil_temperature', CASE WHEN o.flag IS NULL THEN o.result END, o.flag "
        "FROM datastreams d JOIN observations o ON o.datastream = d.id AND o.at > ? AND o.at <= ? "
        "WHERE d.thing = ? AND d.dev_eui = ? AND d.quantity IN (?, 'soil_temperature')",
        (begin, end, store.thing_of(node.dev_eui), node.dev_eui, quantity),
    )
    return sorted((Reading(at, bool(temperature), *rest) for at, temperature, *rest in rows), key=sort_key)


def _follow(store: SqliteStore, node: Node, quantity: str, readings: Iterable[Reading], begin: int) -> Snapshot:
    """The probe as of its newest reading; what stood still for too long since ``begin`` is written down, too."""
    probe, snapshot, stretches = probe_of(node), Snapshot(), {}
    stream = store.db.execute(
        "SELECT id FROM datastreams WHERE thing = ? AND dev_eui = ? AND quantity = ?",
        (store.thing_of(node.dev_eui), node.dev_eui, quantity),
    ).fetchone()
    begin -= probe.stuck_after_s + probe.silent_after_s
    for reading in readings:
        snapshot = observe(snapshot, reading, probe)
        flat = snapshot.flat
        if flat is None or flat.until != reading.at or reading.temperature:
            continue
        if begin - probe.silent_after_s <= reading.at <= begin:
            # as it was judged: a line may be longer than we look back
            known = suspects.at(store, stream[0], reading.at)
            snapshot = replace(snapshot, flat=flat._replace(since=known.get(STUCK, flat.since)))
        since = stuck_since(snapshot, probe)
        if since is not None:
            stretches[STUCK, since] = reading.at
    if stream is not None:
        suspects.rewrite(store, stream[0], begin, {which: last for which, last in stretches.items() if last >= begin})
    return snapshot


def _write_snapshot(store: SqliteStore, node: Node, snapshot: Snapshot) -> None:
    if snapshot.at is not None:
        store.db.execute(
            "INSERT OR REPLACE INTO probes VALUES (?, ?)", (store.thing_of(node.dev_eui), snapshot.to_json())
        )


def _close(store: SqliteStore, area: Area, last: _Last, sample: Sample) -> None:
    store.db.execute("UPDATE alerts SET closed_at = ? WHERE id = ?", (sample.at, last.id))
    _log.info("alert closed area=%s value=%g clear=%g", area.id, sample.value, area.rule.clear)


def _open(store: SqliteStore, city: City, area: Area, dry: Episode) -> None:
    trees = [tree.id for tree in city.trees_of(area.id)]
    litres = area.litres_per_tree * len(trees)
    store.db.execute(
        "INSERT INTO alerts (area, quantity, value, threshold, trees, litres, dry_since, opened_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            area.id,
            area.rule.quantity,
            dry.opened.value,
            area.rule.act,
            json.dumps(trees),
            litres,
            dry.dry_since,
            dry.opened.at,
        ),
    )
    _log.info("alert opened area=%s value=%g act=%g litres=%d", area.id, dry.opened.value, area.rule.act, litres)
