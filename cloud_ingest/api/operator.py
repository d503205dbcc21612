# SPDX-License-Identifier: EUPL-1.2
"""What the operator's page reads, `/operator/data`: gateways, nodes to look at, what is missing or was set aside.

Not public: it names gateways and nodes.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from cloud_ingest import operations
from cloud_ingest.api.answers import iso
from cloud_ingest.api.readers import Snapshot
from cloud_ingest.api.situation import latest, situation, station_states
from cloud_ingest.city import City, Name, Node
from cloud_ingest.gaps import Gap
from cloud_ingest.operations import Overview
from cloud_ingest.quality import SILENT_INTERVALS
from decoders.records import LANES, Event

GAPS_AT_MOST = 200
_LEAST_PATIENCE_S = 900  # a gateway repeats what was not confirmed, and brokers are restarted
_PATIENCE_WITHOUT_NODES_S = 86_400


async def data(db: Snapshot, city: City, now: float, path: Path, listed: Sequence[str] = ()) -> dict[str, Any]:
    """``path`` is that of the store; ``listed``: gateways that should be heard."""
    nodes = await _nodes(db, city, now)
    found = await asyncio.to_thread(operations.overview, path)
    sites = {node.dev_eui: node.site for node in city.nodes.values()}
    return {
        "now": iso(now) if now else None,
        "gateways": _gateways(found, listed, now, _patience_s(city)),
        "nodes": nodes,
        "nodes_registered": len(city.nodes),
        "missing": sum(gap.missing for gap in found.gaps),
        "gaps": [_gap(gap) for gap in found.gaps[:GAPS_AT_MOST]],
        "gaps_total": len(found.gaps),
        "dead_letters": [letters._asdict() for letters in found.dead_letters],
        "tries": found.tries,
        "events": [_event(gateway, event, sites) for gateway, event in reversed(found.events)],
        "counters": found.status.counters,
    }


def _patience_s(city: City) -> float:
    """How long nothing may come from a gateway: its nodes are as slow as half of the city's, and may be lost twice."""
    intervals = [node.interval_s for node in city.nodes.values()]
    return max(SILENT_INTERVALS * median(intervals), _LEAST_PATIENCE_S) if intervals else _PATIENCE_WITHOUT_NODES_S


def _gateways(found: Overview, listed: Sequence[str], now: float, patience_s: float) -> list[dict[str, Any]]:
    """Each with the watermark of its current epoch, and what is missing of all; those first of which nothing comes."""
    current = dict(found.status.watermarks)
    heard = found.status.heard
    said = {gateway: event.at for gateway, event in found.events}
    overdue = {gateway for gateway, at in heard.items() if now - at > patience_s} | (set(listed) - current.keys())
    return [
        {
            "gateway_eui": gateway,
            "heard_at": iso(heard.get(gateway)),
            "overdue": gateway in overdue,
            "epoch": current[gateway].epoch if gateway in current else None,
            "seqs": list(current[gateway].seqs) if gateway in current else [None] * len(LANES),
            "dropped": sum(gap.missing for gap in found.gaps if gap.gateway_eui == gateway and gap.named),
            "unexplained": sum(gap.missing for gap in found.gaps if gap.gateway_eui == gateway and not gap.named),
            "last_event": iso(said.get(gateway)),
        }
        for gateway in sorted(current.keys() | set(listed), key=lambda eui: (eui not in overdue, eui))
    ]


def _gap(gap: Gap) -> dict[str, Any]:
    told = {name: getattr(gap, name) for name in ("gateway_eui", "epoch", "lane", "first_seq", "last_seq", "missing")}
    return {
        **told,
        "named": gap.named,
        "first_at": iso(gap.first_at),
        "last_at": iso(gap.last_at),
        "nodes": [{"dev_eui": device[0], "uplinks": device[4]} for device in gap.devices],
    }


def _event(gateway: str, event: Event, sites: dict[str, str]) -> dict[str, Any]:
    return {
        "at": iso(event.at),
        "time_quality": event.time_quality,
        "gateway_eui": gateway,
        "kind": event.kind,
        "dev_eui": event.dev_eui,
        "site": sites.get(event.dev_eui or ""),
        "detail": event.detail,
    }


async def _nodes(db: Snapshot, city: City, now: float) -> list[dict[str, Any]]:
    """Those to look at: silent, faulty or standing still, or with an instrument that is. Frozen soil is none."""
    at = {node.site: node for node in city.nodes.values()}
    found = []
    for area in await situation(db, city, now):
        for tree in area.trees:
            if tree.sensor in ("silent", "fault", "stuck"):
                found.append(_node(at[tree.tree.id], "tree", tree.tree.name, tree.sensor, {}, tree.snapshot.at))
    newest = await latest(db, now)
    for station in await station_states(db, city, now, newest):
        ill = {name: state for name, state in station.sensors.items() if state != "ok"}
        if station.sensor in ("silent", "fault", "stuck") or ill:
            readings = newest.get(station.thing, {}).values() if station.thing is not None else ()
            last = max((reading.at for reading in readings), default=None)
            one = station.station
            found.append(_node(at[one.id], one.kind, one.name, station.sensor, ill, last))
    return found


def _node(node: Node, kind: str, name: Name, sensor: str, ill: dict[str, str], last: int | None) -> dict[str, Any]:
    return {
        "dev_eui": node.dev_eui,
        "site": node.site,
        "kind": kind,
        "name": name.as_json(),
        "sensor": sensor,
        "sensors": ill,
        "last": iso(last),
    }
