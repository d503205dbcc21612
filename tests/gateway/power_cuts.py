# SPDX-License-Identifier: EUPL-1.2
"""A gateway's life on a disk that loses power, and the verdict on what is left of it.

The gateway's own code writes: its schema, its pragmas, its ledger, its transactions. ``Gateway`` is given the modules
that it shall run, so that a test can break one of them and see that this notices. Whole runs:

    python -m tests.gateway.power_cuts 10000
"""

import hashlib
import random
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import apsw

from gateway import database, transactions
from gateway.config import DevAddrBlock
from gateway.keys import Keyring
from gateway.outbox import Limits
from gateway.store import Device, Ledger
from tests.gateway.lossy_disk import Connection, Image, LossyDisk
from tests.gateway.outbox_world import uplink

NODES = ("70b3d57ed1000001", "70b3d57ed1000002", "70b3d57ed1000003")
TRANSACTIONS = 40
_KEYRING = Keyring(bytes(32))
_TABLES = ("lanes", "outbox_0", "outbox_1", "outbox_2", "sessions", "devices", "quarantine")


class Cut(NamedTuple):
    """What was left after a cut, and how many transactions had been acknowledged by then."""

    seed: str
    image: Image
    acknowledged: int


class Broken(AssertionError):
    """Something that was acknowledged is gone, or something is there that never was."""


class Gateway:
    """The part of a gateway that writes, over a lossy disk."""

    def __init__(self, disk: LossyDisk, transactions: ModuleType = transactions, database: ModuleType = database):
        self.connection: Any = Connection(disk)
        database.make_durable(self.connection)
        database.migrate(self.connection)
        if self.connection.execute("SELECT 1 FROM gateway").fetchone() is None:
            self.connection.execute("INSERT INTO gateway (id, key_check, last_dev_addr) VALUES (1, x'', -1)")
        self.connection.execute("PRAGMA wal_autocheckpoint = 40")  # a checkpoint every few transactions, not every 1000
        self.ledger = Ledger(self.connection, _KEYRING)
        self.transactions = transactions.Transactions(self.connection, self.ledger.draft)
        self.ledger.limits = Limits(5000, 1000)
        self.ledger.begin_epoch()

    def state(self) -> str:
        return state_of(self.connection)

    def close(self) -> None:
        self.connection.apsw.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        self.connection.close()


def state_of(connection: Any) -> str:
    """A digest of everything that matters."""
    digest = hashlib.blake2b()
    for table in _TABLES:
        digest.update(repr(connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()).encode())
    return digest.hexdigest()


def works(ledger: Ledger, rng: random.Random) -> Iterator[list[Callable[[], Any]]]:
    """Groups as a gateway's day brings them: joins, uplinks with their counters, events, watermarks, new epochs."""
    counters = dict.fromkeys(NODES, -1)

    def join(dev_eui: str) -> None:
        ledger.put_device(Device(dev_eui, "70b3d57ed0000000", bytes(16), "tree", ""))
        dev_addr = ledger.allocate_dev_addr(DevAddrBlock(0x01000000, 1 << 16))
        ledger.record_join(dev_eui, 1, 1, dev_addr, bytes(16), bytes(16))

    def receive(dev_eui: str, f_cnt: int, lane: int) -> None:
        (session,) = (s for n in range(len(NODES)) for s in ledger.sessions(0x01000000 + n) if s.dev_eui == dev_eui)
        ledger.advance_up(session, f_cnt, b"digest", 1.0)
        ledger.append_record(lane, uplink(dev_eui, f_cnt))

    yield [lambda dev_eui=dev_eui: join(dev_eui) for dev_eui in NODES]  # type: ignore[misc]
    for number in range(TRANSACTIONS - 1):
        group: list[Callable[[], Any]] = []
        for _ in range(rng.choice((1, 1, 2, 5))):
            dev_eui = rng.choice(NODES)
            counters[dev_eui] += 1
            lane = rng.choices((1, 2), (9, 1))[0]
            group.append(lambda e=dev_eui, n=counters[dev_eui], lane=lane: receive(e, n, lane))  # type: ignore[misc]
        if rng.random() < 0.1:
            group.append(lambda number=number: ledger.append_event("node_down", 1e9 + number))  # type: ignore[misc]
        if rng.random() < 0.2:
            share = rng.random()
            group.append(lambda share=share: confirm(ledger, share))  # type: ignore[misc]
        if rng.random() < 0.05:
            ledger.begin_epoch()
        yield group


def confirm(ledger: Ledger, share: float) -> None:
    """The cloud has some of the readings, sometimes fewer than before."""
    lane = ledger.lanes()[1]
    row = lane.first_seq - 1 + round(share * (lane.last_seq - lane.first_seq + 1))
    ledger.confirm(1, row, 9, row)


def live(seed: str, **modules: ModuleType) -> tuple[list[str], list[Cut]]:
    """One life: its states, one a transaction, and a cut between any two operations of the disk."""
    rng, disk = random.Random(seed), LossyDisk()
    gateway = Gateway(disk, **modules)
    states, found = [gateway.state()], list[Cut]()

    def before(_operation: str) -> None:
        name = f"{seed}/{len(found)}"
        found.append(Cut(name, disk.cut(random.Random(name)), len(states) - 1))

    def acknowledged(results: list[Any]) -> None:
        assert not [result for result in results if isinstance(result, Exception)], results
        states.append(gateway.state())

    disk.before = before
    for group in works(gateway.ledger, rng):
        gateway.transactions.run(group, acknowledged)
    disk.before = lambda _operation: None
    states.append(gateway.state())
    gateway.close()
    disk.unregister()
    return states, found


def judge(states: list[str], cut: Cut, database: ModuleType = database) -> None:
    """Everything acknowledged is there, and at most the transaction under way besides; raises Broken."""
    disk = LossyDisk(cut.image)
    try:
        connection = Connection(disk)
        database.make_durable(connection)
        try:
            sound = connection.execute("PRAGMA integrity_check").fetchall()
            found = state_of(connection)
        except sqlite3.Error as error:
            raise Broken(f"cut {cut.seed}: {error}") from error
        if sound != [("ok",)]:
            raise Broken(f"cut {cut.seed}: {sound[0][0]}")
        if found not in states[cut.acknowledged : cut.acknowledged + 2]:
            known = states.index(found) if found in states else None
            raise Broken(f"cut {cut.seed}: {cut.acknowledged} transactions acknowledged, found is number {known}")
        connection.apsw.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.close()
    finally:
        disk.unregister()


def survive(seed: str, cuts: int, **modules: ModuleType) -> int:
    """Live on under ever new seeds until the power was cut ``cuts`` times; returns how often it was. Raises Broken."""
    done = 0
    while done < cuts:
        states, found = live(f"{seed}.{done}", **modules)
        for cut in found[: cuts - done]:
            judge(states, cut)
            done += 1
    return done


if __name__ == "__main__":
    began = time.monotonic()
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    name = sys.argv[2] if len(sys.argv) > 2 else "0"
    cuts_survived = survive(name, wanted)
    print(f"{cuts_survived} power cuts, seed {name}, nothing lost, {time.monotonic() - began:.0f} s")
