# SPDX-License-Identifier: EUPL-1.2
"""Which readings are doubted: stretches of a series, each with its reason. The readings themselves stay as they are."""

from collections.abc import Mapping

from cloud_ingest.quality import STUCK
from cloud_ingest.station_quality import CONTRADICTORY, FLAT, HUMID
from cloud_ingest.store import SqliteStore

REASONS = (CONTRADICTORY, FLAT, HUMID, STUCK)
Stretches = Mapping[tuple[str, int], int]  # (reason, first reading) -> last reading

# Stretches of one reason do not overlap: the last that begins by then is the one, if it reaches as far.
_LAST = (
    "(SELECT s.{column} FROM suspects s WHERE s.datastream = {stream} AND s.reason = '{reason}' AND s.first_at <= {at} "
    "ORDER BY s.first_at DESC LIMIT 1)"
)


def _holds(reason: str, stream: str, at: str) -> str:
    return f"{_LAST.format(column='last_at', stream=stream, reason=reason, at=at)} >= {at}"


def any_sql(stream: str, at: str) -> str:
    """A condition: is what the series says at a time doubted? Both are SQL."""
    return f"coalesce({' OR '.join(_holds(reason, stream, at) for reason in REASONS)}, 0)"


def list_sql(stream: str, at: str) -> str:
    """The reasons as JSON, in the order of REASONS."""
    found = ", ".join(f"CASE WHEN {_holds(reason, stream, at)} THEN '{reason}' END" for reason in REASONS)
    return f"(SELECT json_group_array(value) FROM json_each(json_array({found})) WHERE value IS NOT NULL)"


def at(store: SqliteStore, stream: int, moment: int) -> dict[str, int]:
    """The reasons to doubt what the series says at ``moment``, each with the first reading of its stretch."""
    found = {}
    for reason in REASONS:
        row = store.db.execute(
            "SELECT first_at, last_at FROM suspects WHERE datastream = ? AND reason = ? AND first_at <= ? "
            "ORDER BY first_at DESC LIMIT 1",
            (stream, reason, moment),
        ).fetchone()
        if row is not None and row[1] >= moment:
            found[reason] = row[0]
    return found


def rewrite(store: SqliteStore, stream: int, begin: int, stretches: Stretches) -> None:
    """Inside a transaction: what is doubted of a series from ``begin`` on; stretches may begin before it."""
    known = store.db.execute(
        "SELECT reason, first_at, last_at FROM suspects WHERE datastream = ? AND last_at >= ?", (stream, begin)
    ).fetchall()
    new = [(reason, first_at, last_at) for (reason, first_at), last_at in stretches.items()]
    store.db.executemany(
        "DELETE FROM suspects WHERE datastream = ? AND reason = ? AND first_at = ?",
        [(stream, reason, first_at) for reason, first_at, _ in set(known) - set(new)],
    )
    store.db.executemany(
        "INSERT OR REPLACE INTO suspects VALUES (?, ?, ?, ?)", [(stream, *row) for row in new if row not in known]
    )
