# SPDX-License-Identifier: EUPL-1.2
"""What gateways tell of themselves: events, kept once each, and tombstones of what a full one had to drop."""

import json

from cloud_ingest.database import OF_STREAM, Opened
from cloud_ingest.store import SqliteStore
from decoders.records import Event, Tombstone

_EVENTS_KEPT = 100_000
_KINDS_COUNTED = 50  # what gateways may add to the metrics


def keep_event(store: SqliteStore, gateway_eui: str, event: Event) -> None:
    """Inside a transaction: an event has no number of its own, so its content says whether we know it."""
    detail = json.dumps(event.detail, sort_keys=True, ensure_ascii=False)
    row = (gateway_eui, event.kind, event.dev_eui or "", event.at, event.time_quality, detail)
    inserted = store.db.execute(
        "INSERT OR IGNORE INTO gateway_events (gateway_eui, kind, dev_eui, at, time_quality, detail) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        row,
    ).rowcount
    store.count("events", "applied" if inserted else "duplicates")
    if inserted:
        _count_kind(store, event.kind)
    store.db.execute("DELETE FROM gateway_events WHERE id <= (SELECT max(id) FROM gateway_events) - ?", (_EVENTS_KEPT,))


def _count_kind(store: SqliteStore, kind: str) -> None:
    known = {name for (name,) in store.db.execute("SELECT reason FROM counters WHERE name = 'gateway_events'")}
    store.count("gateway_events", kind if kind in known or len(known) < _KINDS_COUNTED else "other")


def events(store: Opened, gateway_eui: str | None, at_most: int) -> list[tuple[str, Event]]:
    """The newest events, of one gateway or of all, the newest last; with their gateways."""
    rows = store.db.execute(
        "SELECT gateway_eui, kind, nullif(dev_eui, ''), at, time_quality, detail FROM gateway_events "
        "WHERE ?1 IS NULL OR gateway_eui = ?1 ORDER BY at DESC, id DESC LIMIT ?2",
        (gateway_eui, at_most),
    ).fetchall()
    return [
        (gateway, Event(kind, dev_eui, at, time_quality, json.loads(detail)))
        for gateway, kind, dev_eui, at, time_quality, detail in reversed(rows)
    ]


def keep_tombstone(store: SqliteStore, gateway_eui: str, tombstone: Tombstone) -> None:
    """Inside a transaction: of two that overlap the one that spans the other stands for both, whichever came first."""
    stream = (gateway_eui, tombstone.epoch, tombstone.lane)
    span = (tombstone.first_seq, tombstone.last_seq)
    is_known = store.db.execute(
        f"SELECT 1 FROM dropped {OF_STREAM} AND first_seq <= ? AND last_seq >= ?", (*stream, *span)
    ).fetchone()
    store.count("tombstones", "duplicates" if is_known else "applied")
    if is_known:
        return
    store.db.execute(f"DELETE FROM dropped {OF_STREAM} AND first_seq >= ? AND last_seq <= ?", (*stream, *span))
    devices = json.dumps([list(row) for row in tombstone.dropped])
    store.db.execute(
        "INSERT INTO dropped VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*stream, *span, tombstone.first_at, tombstone.last_at, tombstone.others, devices),
    )
