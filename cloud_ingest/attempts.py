# SPDX-License-Identifier: EUPL-1.2
"""Messages whose worker ended in the middle of them (killed, out of memory, stuck), and how often they were tried.

A message that is delivered again is tried alone, and each try is written down before it begins: so what kills a worker
is known by itself, and what merely waited behind it is not suspected.
"""

import hashlib

from cloud_ingest.database import Opened
from cloud_ingest.store import SqliteStore

MAX_TRIES = 3
_KEPT = 1000


def identity_of(topic: str, payload: bytes) -> str:
    return hashlib.sha256(topic.encode("utf-8", "surrogatepass") + b"\0" + payload).hexdigest()


def begin(store: SqliteStore, identity: str) -> bool:
    """Write down one more try, durably; False if it has had all that it gets."""
    with store.transaction():
        store.db.execute("INSERT INTO attempts VALUES (?, 1) ON CONFLICT DO UPDATE SET tries = tries + 1", (identity,))
        store.db.execute(
            "DELETE FROM attempts WHERE rowid <= (SELECT rowid FROM attempts ORDER BY rowid DESC LIMIT 1 OFFSET ?)",
            (_KEPT,),
        )
        (tries,) = store.db.execute("SELECT tries FROM attempts WHERE identity = ?", (identity,)).fetchone()
    return int(tries) <= MAX_TRIES


def forget(store: SqliteStore, identity: str) -> None:
    """Inside a transaction: it went well."""
    store.db.execute("DELETE FROM attempts WHERE identity = ?", (identity,))


def suspects(store: Opened) -> set[str]:
    """Identities that are not to be tried together with others."""
    return {identity for (identity,) in store.db.execute("SELECT identity FROM attempts")}
