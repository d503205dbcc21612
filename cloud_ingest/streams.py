# SPDX-License-Identifier: EUPL-1.2
"""How far each gateway's streams are durable here, in tables: progress and gaps of each lane, and whose turn it is.

A watermark follows from what was committed, whoever committed it; `touched` numbers let one process tell all of them
in one order (publisher.py).
"""

from cloud_ingest.database import OF_STREAM, Opened
from cloud_ingest.progress import Progress
from cloud_ingest.store import SqliteStore
from decoders.batch_head import Head
from decoders.records import LANES
from decoders.uplink import Continues, Watermark


def progress(store: SqliteStore, gateway_eui: str, epoch: int, lane: int) -> Progress:
    """How far one lane of a gateway's epoch is durable here."""
    stream = (gateway_eui, epoch, lane)
    ranges = store.db.execute(f"SELECT first_seq, last_seq FROM applied {OF_STREAM} ORDER BY 1", stream)
    oldest = store.db.execute(f"SELECT oldest_seq FROM watermarks {OF_STREAM}", stream).fetchone()
    return Progress(tuple(ranges), oldest[0] if oldest else 0)


def note(store: SqliteStore, head: Head, now: float, continues: Continues | None = None) -> None:
    """Inside a transaction: the records of a batch are applied; its gateway is to be told how far it may forget."""
    store.db.execute(
        "INSERT INTO epochs (gateway_eui, epoch, arrived, touched, heard_at) "
        "SELECT ?, ?, coalesce(max(arrived), 0) + 1, coalesce(max(touched), 0) + 1, ? FROM epochs WHERE true "
        "ON CONFLICT DO UPDATE SET touched = excluded.touched, heard_at = excluded.heard_at",
        (head.gateway_eui, head.epoch, now),
    )
    if continues is not None:
        _link(store, head, continues)
    last = head.first_seq + head.records - 1
    _advance(store, head.gateway_eui, head.epoch, head.lane, (head.first_seq, last, head.oldest_seq))
    _carry_over(store, head.gateway_eui, head.lane)


def _link(store: SqliteStore, head: Head, continues: Continues) -> None:
    """Of the epoch before, a gateway has no more than what it says that it had in common with it."""
    seq, of_epoch, of_seq = continues
    if seq:
        store.db.execute(
            "INSERT OR IGNORE INTO continued VALUES (?, ?, ?, ?, ?, ?)",
            (head.gateway_eui, head.lane, of_epoch, of_seq, head.epoch, seq),
        )
    if of_seq > seq:
        _advance(store, head.gateway_eui, of_epoch, head.lane, (1, 0, of_seq - seq + 1))


def _advance(store: SqliteStore, gateway_eui: str, epoch: int, lane: int, news: tuple[int, int, int]) -> bool:
    """Write what has changed, with the watermark and the gaps that follow from it; False if nothing has."""
    stream = (gateway_eui, epoch, lane)
    before = progress(store, *stream)
    after = before.with_batch(*news)
    if after == before:
        return False
    for table, old, new in (("applied", before.applied, after.applied), ("gaps", before.gaps, after.gaps)):
        gone, come = set(old) - set(new), set(new) - set(old)
        store.db.executemany(
            f"DELETE FROM {table} {OF_STREAM} AND first_seq = ?", [(*stream, pair[0]) for pair in gone]
        )
        store.db.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?)", [(*stream, *pair) for pair in come])
    store.db.execute(
        "INSERT INTO watermarks VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET seq = excluded.seq, oldest_seq = excluded.oldest_seq",
        (*stream, after.watermark, after.oldest_seq),
    )
    return True


def _carry_over(store: SqliteStore, gateway_eui: str, lane: int) -> None:
    """What an epoch says it had in common with another one counts there, too, once all of it has come."""
    advanced = True
    while advanced:
        due = store.db.execute(
            "SELECT c.epoch, c.seq FROM continued c JOIN applied a "
            "ON a.gateway_eui = c.gateway_eui AND a.lane = c.lane AND a.epoch = c.of_epoch "
            "AND a.first_seq <= max(c.of_seq - c.seq, 0) + 1 AND a.last_seq >= c.of_seq "
            "LEFT JOIN applied t ON t.gateway_eui = c.gateway_eui AND t.lane = c.lane AND t.epoch = c.epoch "
            "AND t.first_seq = 1 AND t.last_seq >= c.seq "
            "WHERE c.gateway_eui = ? AND c.lane = ? AND t.epoch IS NULL",
            (gateway_eui, lane),
        ).fetchall()
        advanced = any(_advance(store, gateway_eui, epoch, lane, (1, seq, 0)) for epoch, seq in due)


def touched_since(store: SqliteStore, number: int) -> list[tuple[int, str, int]]:
    """What was touched after ``number``, in that order: its own number, gateway and epoch."""
    return store.db.execute(
        "SELECT touched, gateway_eui, epoch FROM epochs WHERE touched > ? ORDER BY touched", (number,)
    ).fetchall()


def watermark(store: Opened, gateway_eui: str, epoch: int) -> Watermark:
    """Everything of the epoch up to there is durable here; None for a lane of which nothing has come in it.

    Nought would say that what an epoch before had confirmed is lost here; that is only known once the gateway has said
    what this one continues."""
    rows = store.db.execute(
        "SELECT lane, seq FROM watermarks WHERE gateway_eui = ? AND epoch = ?", (gateway_eui, epoch)
    )
    reached = dict(rows)
    alarm, reading, diagnostic = (reached.get(lane) for lane in LANES)
    return Watermark(epoch, (alarm, reading, diagnostic))


def watermarks(store: Opened) -> list[tuple[str, Watermark]]:
    """Every gateway's watermarks, of each gateway the epoch that first came last as the last one."""
    rows = store.db.execute("SELECT gateway_eui, epoch FROM epochs ORDER BY gateway_eui, arrived").fetchall()
    return [(gateway_eui, watermark(store, gateway_eui, epoch)) for gateway_eui, epoch in rows]


def heard(store: Opened) -> dict[str, float]:
    """When each gateway was last heard, by our clock; of none that was heard by an older version alone."""
    rows = store.db.execute(
        "SELECT gateway_eui, max(heard_at) FROM epochs WHERE heard_at IS NOT NULL GROUP BY gateway_eui"
    )
    return dict(rows.fetchall())


def current_epoch(store: SqliteStore, gateway_eui: str) -> int | None:
    """The epoch that first came last; None for a gateway never heard."""
    row = store.db.execute(
        "SELECT epoch FROM epochs WHERE gateway_eui = ? ORDER BY arrived DESC LIMIT 1", (gateway_eui,)
    ).fetchone()
    return row[0] if row else None


def gateways(store: SqliteStore) -> set[str]:
    """All that have ever been heard."""
    return {gateway_eui for (gateway_eui,) in store.db.execute("SELECT DISTINCT gateway_eui FROM epochs")}
