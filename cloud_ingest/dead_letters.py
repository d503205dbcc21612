# SPDX-License-Identifier: EUPL-1.2
"""What could not be applied is kept with its reason and its bytes, so that it can be looked at or replayed.

Bounded in bytes: three quarters for what a later registry may make good (replayable), one quarter for rubbish, so that
rubbish cannot push readings out. The oldest goes first, and is counted.
"""

import hashlib
from typing import NamedTuple

from cloud_ingest.database import Opened
from cloud_ingest.store import SqliteStore

MAX_RAW_BYTES = 1 << 20
# Reasons of letters that are a message as it came. All others are a batch of the one record that could not be applied.
WHOLE = frozenset(
    ("unknown_topic", "unknown_gateway", "unknown_version", "malformed_batch", "wrong_gateway", "unreadable", "gave_up")
)
# Of these the gateway was told that it may forget them.
LAST_COPIES = frozenset(("unreadable", "gave_up"))
_ROW_BYTES = 512  # what a row costs besides its raw bytes


class DeadLetter(NamedTuple):
    """``times`` it came; ``raw`` is the message, or for one uplink of a batch a batch of it alone."""

    id: int
    reason: str
    replayable: bool
    topic: str
    detail: str
    raw: bytes
    times: int


def keep(
    store: SqliteStore,
    max_bytes: int,
    *,
    reason: str,
    topic: str,
    detail: str,
    raw: bytes,
    identity: str = "",
) -> None:
    """Inside a transaction: count the reason and keep one letter per ``identity`` (default: topic and content)."""
    store.count("rejected", reason)
    replayable = reason not in WHOLE or reason in LAST_COPIES
    if len(raw) > MAX_RAW_BYTES:
        detail = f"{detail} (first {MAX_RAW_BYTES} of {len(raw)} bytes kept)"
    identity = identity or hashlib.sha256(topic.encode() + b"\0" + raw).hexdigest()
    raw = raw[:MAX_RAW_BYTES]
    topic = topic[:200]
    store.db.execute(
        "INSERT INTO dead_letters (identity, reason, replayable, topic, detail, raw, size) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (identity) DO UPDATE SET times = times + 1",
        (f"{reason}:{identity}", reason, replayable, topic, detail, raw, len(raw) + _ROW_BYTES),
    )
    _evict(store, replayable, max_bytes * 3 // 4 if replayable else max_bytes // 4)


def letters(store: SqliteStore, letter_id: int | None = None, reason: str | None = None) -> list[DeadLetter]:
    """All letters, oldest first; only the one of ``letter_id``, only those of ``reason``."""
    rows = store.db.execute(
        "SELECT id, reason, replayable, topic, detail, raw, times FROM dead_letters "
        "WHERE (?1 IS NULL OR id = ?1) AND (?2 IS NULL OR reason = ?2) ORDER BY id",
        (letter_id, reason),
    )
    return [DeadLetter(row[0], row[1], bool(row[2]), *row[3:]) for row in rows]


class Letters(NamedTuple):
    """How many letters there are of a reason, and how often they came."""

    reason: str
    letters: int
    times: int


def by_reason(store: Opened) -> list[Letters]:
    """The most frequent reason first."""
    rows = store.db.execute("SELECT reason, count(*), sum(times) FROM dead_letters GROUP BY reason ORDER BY 2 DESC, 1")
    return [Letters(*row) for row in rows]


def newest_of(store: SqliteStore, reason: str, at_most: int) -> list[DeadLetter]:
    """The newest letters of one ``reason``."""
    rows = store.db.execute("SELECT id FROM dead_letters WHERE reason = ? ORDER BY id DESC LIMIT ?", (reason, at_most))
    return [letter for (letter_id,) in rows.fetchall() for letter in letters(store, letter_id)]


def drop(store: SqliteStore, letter_id: int) -> None:
    """Inside a transaction: forget a letter."""
    store.db.execute("DELETE FROM dead_letters WHERE id = ?", (letter_id,))


def _evict(store: SqliteStore, replayable: bool, budget: int) -> None:
    total = store.db.execute("SELECT coalesce(sum(size), 0) FROM dead_letters WHERE replayable = ?", (replayable,))
    excess = total.fetchone()[0] - budget
    if excess <= 0:
        return
    oldest = store.db.execute("SELECT id, size FROM dead_letters WHERE replayable = ? ORDER BY id", (replayable,))
    gone = []
    for letter_id, size in oldest:
        if excess <= 0:
            break
        gone.append((letter_id,))
        excess -= size
    store.db.executemany("DELETE FROM dead_letters WHERE id = ?", gone)
    store.count("dead_letters", "evicted", len(gone))
