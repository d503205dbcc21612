# SPDX-License-Identifier: EUPL-1.2
"""What of a gateway's records will not come: dropped by it and named, or missing and unexplained.

Dropped is what its tombstones name and did not arrive by another way. Unexplained is what it no longer had when it told
us so, never came, and no tombstone names.
"""

import json
from typing import NamedTuple

from cloud_ingest.progress import Range, without
from cloud_ingest.store import SqliteStore


class Gap(NamedTuple):
    """``first_seq`` to ``last_seq`` of a lane, of which ``missing`` never came.

    ``named``: its gateway told us, with ``devices`` as [dev_eui, session, first f_cnt, last f_cnt, count] and, in Unix
    seconds, when the first and the last were received."""

    gateway_eui: str
    epoch: int
    lane: int
    first_seq: int
    last_seq: int
    missing: int
    named: bool
    first_at: float | None
    last_at: float | None
    devices: list[list[str | int]]


def gaps(store: SqliteStore, gateway_eui: str | None = None) -> list[Gap]:
    """All gaps, by gateway, epoch, lane and number; those of one gateway."""
    found = []
    for stream in _streams(store, gateway_eui):
        dropped = store.db.execute(
            f"SELECT first_seq, last_seq, first_at, last_at, devices FROM dropped {_STREAM}", stream
        ).fetchall()
        spans = [(first, last) for first, last, *_ in dropped]
        for first, last, first_at, last_at, devices in dropped:
            missing = _length(without([(first, last)], _ranges(store, "applied", stream)))
            if missing:
                found.append(Gap(*stream, first, last, missing, True, first_at, last_at, json.loads(devices)))
        for first, last in without(_ranges(store, "gaps", stream), spans):
            found.append(Gap(*stream, first, last, last - first + 1, False, None, None, []))
    return sorted(found, key=lambda gap: gap[:5])


_STREAM = "WHERE gateway_eui = ? AND epoch = ? AND lane = ?"


def _streams(store: SqliteStore, gateway_eui: str | None) -> list[tuple[str, int, int]]:
    return store.db.execute(
        "SELECT gateway_eui, epoch, lane FROM dropped WHERE ?1 IS NULL OR gateway_eui = ?1 "
        "UNION SELECT gateway_eui, epoch, lane FROM gaps WHERE ?1 IS NULL OR gateway_eui = ?1",
        (gateway_eui,),
    ).fetchall()


def _ranges(store: SqliteStore, table: str, stream: tuple[str, int, int]) -> list[Range]:
    return store.db.execute(f"SELECT first_seq, last_seq FROM {table} {_STREAM}", stream).fetchall()


def _length(ranges: list[Range]) -> int:
    return sum(last - first + 1 for first, last in ranges)
