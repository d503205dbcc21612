# SPDX-License-Identifier: EUPL-1.2
"""A backlog through the real broker and ingest into the durable store, beside bare SQLite storing the same rows."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from time import monotonic, process_time
from typing import NamedTuple

from decoders import topics
from decoders.records import UplinkMessage
from decoders.uplink import decode_batch
from simulators.chaos_proxy import ChaosProxy
from simulators.load_town import LoadTown
from simulators.metric import Metric
from simulators.mqtt_frames import PUBLISH, kind, topic_and_rest

_SERVICES = ("gateway", "broker", "ingest")


class _Wire:
    """What went over the wire from the gateway to the broker."""

    def __init__(self) -> None:
        self.bytes = self.records = self.readings = 0

    def tap(self, is_up: bool, frame: bytes) -> None:
        if is_up and kind(frame) == PUBLISH:
            topic, rest = topic_and_rest(frame)
            if topics.up_lane_of(topic) is not None:
                uplinks = [item for item in decode_batch(rest[2:]).records if isinstance(item, UplinkMessage)]
                self.bytes += len(frame)
                self.records += len(uplinks)
                self.readings += sum(len(item.readings) for item in uplinks)


class Bare(NamedTuple):
    """What it took bare SQLite to store rows."""

    wall_s: float
    cpu_s: float


def store_bare(store: Path, copy: Path, transactions: int) -> Bare:
    """The observations of ``store`` once more into a table like theirs in a new file, in so many transactions.

    WAL and synchronous=FULL, one statement for all rows of a transaction, and nothing else.
    """
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as source:
        made = [
            sql for (sql,) in source.execute("SELECT sql FROM sqlite_master WHERE tbl_name = 'observations'") if sql
        ]
        rows = source.execute("SELECT * FROM observations ORDER BY received_at").fetchall()
    with closing(sqlite3.connect(copy, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        for sql in made:
            database.execute(sql)
        marks = ", ".join("?" * len(rows[0]))
        size = -(-len(rows) // transactions)
        began, cpu_s = monotonic(), process_time()
        for first in range(0, len(rows), size):
            database.execute("BEGIN IMMEDIATE")
            database.executemany(f"INSERT INTO observations VALUES ({marks})", rows[first : first + size])
            database.execute("COMMIT")
        return Bare(monotonic() - began, process_time() - cpu_s)


def drain(folder: Path, records: int) -> Iterator[Metric]:
    """The rows for a backlog of so many records, until the gateway is told that all of them are stored.

    A small one first, through a proxy that counts what is on the wire; then the one that is timed, without it.
    """
    town, wire, small = LoadTown(folder), _Wire(), records // 10
    try:
        town.start_broker()
        town.start_ingest()
        with ChaosProxy(town.mqtt_port, tap=wire.tap) as proxy:
            town.fill_outbox(small)
            town.through("gateway", proxy.port)
            town.start_gateway()
            town.drain()
            town.kill("gateway")
        town.fill_outbox(records)
        town.through("gateway", town.mqtt_port)
        town.start_gateway()
        began, before = monotonic(), [town.cpu_s(part) for part in _SERVICES]
        town.drain()
        per_s = records / (monotonic() - began)
        spent = [1e6 * (town.cpu_s(part) - was) / records for part, was in zip(_SERVICES, before, strict=True)]
        commits = town.watermarks()
        stored = town.judge().stored
    finally:
        town.stop()
    bare = store_bare(folder / "stadtfunk.db", folder / "bare.db", round(commits * stored / records))
    bare_per_s, bare_us = stored / bare.wall_s, 1e6 * bare.cpu_s / stored
    yield Metric("drain_to_the_store", round(per_s), "1/s", round(bare_per_s), 3000, at_least=True)
    for part, us in zip(_SERVICES, spent, strict=True):  # what it would be limited by on a machine of its own
        yield Metric(f"drain_cpu_{part}", round(us), "us", round(bare_us) if part == "ingest" else None, None)
    yield Metric("drain_cpu_ingest_of_bare_sqlite", round(spent[-1] / bare_us, 1), "1", None, None)
    yield Metric("drain_missing", small + records - stored, "1", None, 0)
    yield Metric("wire_per_record", round(wire.bytes / wire.records, 1), "B", None, None)
    yield Metric("wire_per_reading", round(wire.bytes / wire.readings, 2), "B", None, None)
