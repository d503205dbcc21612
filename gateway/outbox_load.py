# SPDX-License-Identifier: EUPL-1.2
"""Fill an outbox as fast as the disk allows, and say what that took: to measure a card, and for `stadtfunk bench edge`.

    python -m gateway.outbox_load FOLDER [--records N] [--batch 100] [--rate 130 --window-ms 20] [--report] [--list]
                                         [--packed] [--direct | --bare]

It prints one JSON object. What is timed begins with readings, or with records that were encoded and packed before
(``--packed``). Each is given to the writer as a work of its own, as the service does, and told when it is on the disk.
With ``--report`` each batch prints ``accepted FIRST LAST`` once it is, so that whoever kills it knows what must be
there; ``--list`` tells what is there.

Without the writer's thread a batch is a transaction of the caller's, as commands have them (``--direct``). ``--bare``
stores the same packed records so in a table of SQLite's, with nothing of ours.
"""

import argparse
import asyncio
import json
import re
import sqlite3
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from decoders.records import READING, UplinkKey, UplinkMessage, encode_record
from decoders.senml import Reading
from gateway.group_commit import GroupCommit
from gateway.packing import pack
from gateway.store import open_store

_NODES = 12
_PAGE = 1000
_START_S = 1_780_000_000
_UNITS = (("soil_moisture", "%", 23.45), ("soil_temperature", "Cel", 12.5), ("surface_temperature", "Cel", -3.25))
_GROUP = 100  # as [store] group_records
_AHEAD = 2  # batches given to the writer before the first of them is waited for


def message(number: int) -> UplinkMessage:
    """What a tree node's uplink with one sample becomes: 4 readings, about 180 bytes of CBOR."""
    f_cnt, node = divmod(number, _NODES)
    at = _START_S + 900 * f_cnt + node
    readings = [Reading("battery_voltage", "V", at, round(3.3 + number % 40 / 100, 2), None)]
    for place, (quantity, unit, value) in enumerate(_UNITS):
        readings.append(Reading(quantity, unit, at, round(value + (number * 7 + place * 3) % 160 / 20, 2), None))
    key = UplinkKey(f"70b3d57ed1{node + 1:06x}", 1 << 52, f_cnt)
    return UplinkMessage(key, at + number % 1000 / 1000, "tree", tuple(readings), "concentrator")


def written_bytes() -> int:
    """What this process has caused to be written to disks. man 5 proc_pid_io: write_bytes."""
    match = re.search(r"^write_bytes: (\d+)$", Path("/proc/self/io").read_text(), re.MULTILINE)
    assert match is not None
    return int(match[1])


async def fill(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Append ``--records`` records, ``--batch`` at once or ``--rate`` a second, each awaited until it is durable."""
    store = open_store(folder / "gateway.sqlite3", folder / "gateway.key")
    group = _GROUP if options.rate else options.batch
    writer = GroupCommit(store.transactions, window_s=options.window_ms / 1000, records=group)
    first = sum(lane.last_seq for lane in store.ledger.lanes())
    messages = [message(number) for number in range(first, first + options.records)]
    packed = [_packed(item) for item in messages] if options.packed else []
    delays_s: list[float] = []
    under_way: deque[list[asyncio.Future[int]]] = deque()

    def told(start: int, end: int, given: float, works: "list[asyncio.Future[int]]", _: Any) -> None:
        if any(work.exception() for work in works):
            return
        delays_s.extend([time.perf_counter() - given] * (end - start))
        if options.report:
            sys.stdout.write(f"accepted {first + start} {first + end - 1}\n")
            sys.stdout.flush()

    before, began, cpu_s = written_bytes(), time.perf_counter(), time.process_time()
    for start in range(0, options.records, options.batch):
        if options.rate:
            await asyncio.sleep(began + start / options.rate - time.perf_counter())
        end, given = min(start + options.batch, options.records), time.perf_counter()
        batch = packed[start:end] or [_packed(item) for item in messages[start:end]]
        works = [writer.run(partial(store.ledger.append_packed, READING, one)) for one in batch]
        works[-1].add_done_callback(partial(told, start, end, given, works))  # they keep their order
        under_way.append(works)
        if not options.rate and len(under_way) >= _AHEAD:
            for work in under_way.popleft():
                await work
    for works in under_way:
        for work in works:
            await work
    wall_s, written = time.perf_counter() - began, written_bytes() - before
    cpu_s = time.process_time() - cpu_s
    await writer.close()
    store.close()
    return _report(delays_s, wall_s, cpu_s, written, folder / "gateway.sqlite3")


def _packed(item: UplinkMessage) -> bytes:
    return pack(encode_record(item))


def fill_direct(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The same without event loop and writer: a transaction for each batch."""
    store = open_store(folder / "gateway.sqlite3", folder / "gateway.key")

    def put(batch: Sequence[bytes]) -> None:
        with store.transaction() as ledger:
            for one in batch:
                ledger.append_packed(READING, one)

    done = _timed(put, folder / "gateway.sqlite3", options)
    store.close()
    return done


def fill_bare(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The same into one table, WAL and synchronous=FULL, a transaction for each batch, and nothing else."""
    database = sqlite3.connect(folder / "bare.sqlite3", isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE IF NOT EXISTS bare (seq INTEGER PRIMARY KEY, record BLOB NOT NULL)")

    def put(batch: Sequence[bytes]) -> None:
        database.execute("BEGIN IMMEDIATE")
        for one in batch:
            database.execute("INSERT INTO bare (record) VALUES (?)", (one,))
        database.execute("COMMIT")

    done = _timed(put, folder / "bare.sqlite3", options)
    database.close()
    return done


def _timed(put: Callable[[Sequence[bytes]], None], file: Path, options: argparse.Namespace) -> dict[str, Any]:
    messages = [message(number) for number in range(options.records)]
    packed = [_packed(item) for item in messages] if options.packed or options.bare else []
    delays_s: list[float] = []
    before, began, cpu_s = written_bytes(), time.perf_counter(), time.process_time()
    for start in range(0, options.records, options.batch):
        started, end = time.perf_counter(), start + options.batch
        batch = packed[start:end] or [_packed(item) for item in messages[start:end]]
        put(batch)
        delays_s.extend([time.perf_counter() - started] * len(batch))
    wall_s, written = time.perf_counter() - began, written_bytes() - before
    return _report(delays_s, wall_s, time.process_time() - cpu_s, written, file)


def _report(delays_s: list[float], wall_s: float, cpu_s: float, written: int, file: Path) -> dict[str, Any]:
    ordered = sorted(delays_s)
    return {
        "records": len(ordered),
        "per_s": len(ordered) / wall_s,
        "p50_ms": 1000 * ordered[len(ordered) // 2],
        "p99_ms": 1000 * ordered[len(ordered) * 99 // 100],
        "cpu_us": 1e6 * cpu_s / len(ordered),
        "written_bytes": written,
        "file_bytes": file.stat().st_size,
    }


def present(folder: Path) -> dict[str, Any]:
    """The numbers of all records in the outbox, in its order."""
    store = open_store(folder / "gateway.sqlite3", folder / "gateway.key")
    reader = store.reader()
    oldest, last, _ = reader.held()
    numbers: list[int] = []
    for first in range(oldest, last + 1, _PAGE):
        keys = (item.key for item in reader.messages(first, min(_PAGE, last + 1 - first)))
        numbers += (key.f_cnt * _NODES + int(key.dev_eui[-6:], 16) - 1 for key in keys)
    reader.close()
    store.close()
    return {"numbers": numbers}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--rate", type=float, default=0.0, help="records a second; 0: as fast as the disk allows")
    parser.add_argument("--window-ms", type=int, default=0, help="as [store] group_window_ms")
    parser.add_argument("--packed", action="store_true")
    parser.add_argument("--direct", action="store_true")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--bare", action="store_true")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        done = present(options.folder)
    elif options.bare or options.direct:
        done = (fill_bare if options.bare else fill_direct)(options.folder, options)
    else:
        done = asyncio.run(fill(options.folder, options))
    print(json.dumps(done))


if __name__ == "__main__":
    main()
