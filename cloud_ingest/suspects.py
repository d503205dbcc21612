# SPDX-License-Identifier: EUPL-1.2
"""Which readings are doubted: stretches of a series, each with its reason. The readings themselves stay as they are."""

from collections.abc import Iterable, Mapping

from cloud_ingest.store import SqliteStore

Stretches = Mapping[tuple[str, int], int]  # (reason, first reading) -> last reading


def at(store: SqliteStore, stream: int, moment: int) -> tuple[tuple[str, int], ...]:
    """The reasons to doubt what the series says at ``moment``, each with the first reading of its stretch."""
    rows = store.db.execute(
        "SELECT reason, first_at FROM suspects WHERE datastream = ? AND first_at <= ? AND last_at >= ?",
        (stream, moment, moment),
    )
    return tuple((reason, first_at) for reason, first_at in rows)


def rewrite(store: SqliteStore, streams: Iterable[int], begin: int, stretches: Stretches) -> None:
    """Inside a transaction: what is doubted of these series from ``begin`` on; stretches may begin before it."""
    for stream in streams:
        known = store.db.execute(
            "SELECT reason, first_at, last_at FROM suspects WHERE datastream = ? AND last_at >= ?", (stream, begin)
        ).fetchall()
        new = [(reason, first_at, last_at) for (reason, first_at), last_at in stretches.items()]
        gone = set(known) - set(new)
        store.db.executemany(
            "DELETE FROM suspects WHERE datastream = ? AND reason = ? AND first_at = ?",
            [(stream, reason, first_at) for reason, first_at, _ in gone],
        )
        store.db.executemany(
            "INSERT INTO suspects VALUES (?, ?, ?, ?)", [(stream, *row) for row in new if row not in known]
        )
