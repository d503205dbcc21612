# SPDX-License-Identifier: EUPL-1.2
"""From stored readings to judgements: each probe's snapshot, and the alerts that open and close.

Judging is repeatable: it follows from the observations, the last alert of the area and ``now``. So it may run after
any batch, late, twice, or first at the next start; an alert opens once.
"""

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict
from typing import NamedTuple

from cloud_ingest import alerts
from cloud_ingest.alerts import Watch
from cloud_ingest.quality import CLOCK_TOLERANCE_S, Probe, Reading, Snapshot, observe, sort_key, state
from cloud_ingest.registry import Area, City, Node
from cloud_ingest.store import SqliteStore

_log = logging.getLogger(__name__)

# How far behind what was judged already we look again for readings that came late.
LATE_S = 2 * 86400


class _Last(NamedTuple):
    """The newest alert of an area."""

    id: int
    opened_at: int
    closed_at: int | None


def probe_of(node: Node) -> Probe:
    return Probe(node.interval_s, node.depth_cm)


def judge(store: SqliteStore, city: City, area: Area, now: float) -> None:
    """Bring snapshots and alerts of one area up to date with what was sampled until ``now``, in one transaction."""
    nodes = {tree.id: node for tree in city.trees_of(area.id) if (node := city.node_at(tree.id)) is not None}
    probes = {tree_id: probe_of(node) for tree_id, node in nodes.items()}
    with store.transaction():
        last = _last_alert(store, area.id)
        begin = _begin(store, area, last, int(now))
        end = int(now) + CLOCK_TOLERANCE_S
        lookback = max((probe.stuck_after_s + probe.silent_after_s for probe in probes.values()), default=0)
        readings = {
            tree_id: _readings(store, node, area.rule.quantity, begin - lookback, end)
            for tree_id, node in nodes.items()
        }
        snapshots = {tree_id: _snapshot(readings[tree_id], probes[tree_id]) for tree_id in nodes}
        for tree_id, node in nodes.items():
            _write_snapshot(store, node, snapshots[tree_id])
        is_known = any(state(snapshots[tree_id], probes[tree_id], now) == "ok" for tree_id in nodes)
        is_open = last is not None and last.closed_at is None
        samples = [sample for sample in alerts.area_samples(probes, readings) if sample.at > begin]
        watch = alerts.follow(area.rule, Watch(is_open), samples)
        if watch.dry and not is_open:
            if not is_known:
                return  # it was dry when we last heard of it; nobody knows about now, so look again from here
            _open(store, city, area, watch)
        elif is_open and not watch.dry and last is not None and watch.changed is not None:
            store.db.execute("UPDATE alerts SET closed_at = ? WHERE id = ?", (watch.changed.at, last.id))
            _log.info("alert closed area=%s value=%g clear=%g", area.id, watch.changed.value, area.rule.clear)
        if samples:
            store.db.execute(
                "INSERT INTO judged VALUES (?, ?) ON CONFLICT DO UPDATE SET until = max(min(until, ?), excluded.until)",
                (area.id, samples[-1].at, end),
            )


def areas_of(store: SqliteStore, city: City, things: Iterable[int]) -> list[Area]:
    """The reference areas in which ``things`` stand."""
    marks = json.dumps(list(things))
    rows = store.db.execute("SELECT DISTINCT area FROM things WHERE id IN (SELECT value FROM json_each(?))", (marks,))
    return [city.areas[area_id] for (area_id,) in rows if area_id in city.areas]


def _begin(store: SqliteStore, area: Area, last: _Last | None, now: int) -> int:
    """The phenomenon time after which samples count: nothing before the last change can change anything."""
    row = store.db.execute("SELECT until FROM judged WHERE area = ?", (area.id,)).fetchone()
    begin = min(row[0], now) - LATE_S - area.rule.debounce_s if row else 0
    if last is not None:
        begin = max(begin, last.opened_at if last.closed_at is None else last.closed_at)
    return int(min(begin, now))


def _last_alert(store: SqliteStore, area_id: str) -> _Last | None:
    row = store.db.execute(
        "SELECT id, opened_at, closed_at FROM alerts WHERE area = ? ORDER BY opened_at DESC, id DESC LIMIT 1",
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


def _snapshot(readings: Iterable[Reading], probe: Probe) -> Snapshot:
    snapshot = Snapshot()
    for reading in readings:
        snapshot = observe(snapshot, reading, probe)
    return snapshot


def _write_snapshot(store: SqliteStore, node: Node, snapshot: Snapshot) -> None:
    if snapshot.at is not None:
        store.db.execute(
            "INSERT OR REPLACE INTO probes VALUES (?, ?)", (store.thing_of(node.dev_eui), json.dumps(asdict(snapshot)))
        )


def _open(store: SqliteStore, city: City, area: Area, watch: Watch) -> None:
    assert watch.changed is not None
    trees = [tree.id for tree in city.trees_of(area.id)]
    litres = area.litres_per_tree * len(trees)
    store.db.execute(
        "INSERT INTO alerts (area, quantity, value, threshold, trees, litres, dry_since, opened_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            area.id,
            area.rule.quantity,
            watch.changed.value,
            area.rule.act,
            json.dumps(trees),
            litres,
            watch.dry_since,
            watch.changed.at,
        ),
    )
    _log.info("alert opened area=%s value=%g act=%g litres=%d", area.id, watch.changed.value, area.rule.act, litres)
