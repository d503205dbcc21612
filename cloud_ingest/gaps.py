# SPDX-License-Identifier: EUPL-1.2
"""What of a gateway's records will not come: dropped by it and named, or missing and unexplained.

Dropped is what its tombstones name and did not arrive by another way: a gateway drops what nobody has confirmed, and
some of that may be here, under the same number, or under another one that it had in an epoch before. Unexplained is
what it no longer had when it told us so, never came, and no tombstone names.
"""

import json
from typing import NamedTuple

from cloud_ingest.database import OF_STREAM, Opened
from cloud_ingest.progress import Range, without
from decoders.records import ALARM


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


# Of each tombstone: how many of its numbers never came, and how many of its keys are not here (as far as can be known:
# of counters from 1 to 9 of which 3 were dropped, and 7 are here, at most 2 are missing).
_DROPPED = """
SELECT d.*,
    d.last_seq - d.first_seq + 1 - (
        SELECT coalesce(sum(min(a.last_seq, d.last_seq) - max(a.first_seq, d.first_seq) + 1), 0) FROM applied a
        WHERE a.gateway_eui = d.gateway_eui AND a.epoch = d.epoch AND a.lane = d.lane
            AND a.first_seq <= d.last_seq AND a.last_seq >= d.first_seq
    ) AS without_number,
    d.others + (
        SELECT coalesce(sum(min(j.value ->> 4, (j.value ->> 3) - (j.value ->> 2) + 1 - (
            SELECT count(*) FROM uplinks u
            WHERE u.dev_eui = j.value ->> 0 AND u.session = j.value ->> 1
                AND u.f_cnt BETWEEN j.value ->> 2 AND j.value ->> 3
        ))), 0) FROM json_each(d.devices) j
    ) AS without_key
FROM dropped d
"""

# Numbers of gaps that no tombstone names.
_UNEXPLAINED = """
SELECT g.lane, g.last_seq - g.first_seq + 1 - (
    SELECT coalesce(sum(min(d.last_seq, g.last_seq) - max(d.first_seq, g.first_seq) + 1), 0) FROM dropped d
    WHERE d.gateway_eui = g.gateway_eui AND d.epoch = g.epoch AND d.lane = g.lane
        AND d.first_seq <= g.last_seq AND d.last_seq >= g.first_seq
) AS missing
FROM gaps g
"""

# One number each, for whoever reads the store: records that gateways dropped and that are not here; and uplinks that
# are missing, whether their gateway said so or not.
DROPPED_RECORDS = f"SELECT coalesce(sum(min(without_number, without_key)), 0) FROM ({_DROPPED})"
LOST_UPLINKS = (
    f"SELECT coalesce(sum(missing), 0) FROM (SELECT lane, missing FROM ({_UNEXPLAINED}) UNION ALL "
    f"SELECT lane, min(without_number, without_key) AS missing FROM ({_DROPPED})) WHERE lane <> {ALARM}"
)


def gaps(store: Opened, gateway_eui: str | None = None) -> list[Gap]:
    """All gaps, by gateway, epoch, lane and number; those of one gateway."""
    found = []
    for stream in _streams(store, gateway_eui):
        dropped = store.db.execute(
            "SELECT first_seq, last_seq, min(without_number, without_key), first_at, last_at, devices "
            f"FROM ({_DROPPED}) {OF_STREAM}",
            stream,
        ).fetchall()
        spans = [(first, last) for first, last, *_ in dropped]
        for first, last, missing, first_at, last_at, devices in dropped:
            if missing:
                found.append(Gap(*stream, first, last, missing, True, first_at, last_at, json.loads(devices)))
        for first, last in without(_ranges(store, "gaps", stream), spans):
            found.append(Gap(*stream, first, last, last - first + 1, False, None, None, []))
    return sorted(found, key=lambda gap: gap[:5])


def _streams(store: Opened, gateway_eui: str | None) -> list[tuple[str, int, int]]:
    return store.db.execute(
        "SELECT gateway_eui, epoch, lane FROM dropped WHERE ?1 IS NULL OR gateway_eui = ?1 "
        "UNION SELECT gateway_eui, epoch, lane FROM gaps WHERE ?1 IS NULL OR gateway_eui = ?1",
        (gateway_eui,),
    ).fetchall()


def _ranges(store: Opened, table: str, stream: tuple[str, int, int]) -> list[Range]:
    return store.db.execute(f"SELECT first_seq, last_seq FROM {table} {OF_STREAM}", stream).fetchall()
