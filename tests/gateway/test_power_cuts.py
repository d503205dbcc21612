# SPDX-License-Identifier: EUPL-1.2
"""What was acknowledged is on the disk: whatever moment the power goes, whatever operation of the disk fails.

Each failure names its seed; ``python -m tests.gateway.power_cuts 1 SEED`` lives that life again.
"""

import random
import sqlite3
from pathlib import Path
from types import ModuleType

import apsw
import pytest

from gateway import database, lanes, transactions
from tests.gateway.lossy_disk import Connection, LossyDisk
from tests.gateway.power_cuts import Broken, Gateway, state_of, survive, works

LIVES = [f"life-{n}" for n in range(8)]
CUTS_A_LIFE = 1250


class TestPowerCuts:
    """10,000 of them: unsynchronised writes are kept, torn at 512 bytes or lost, each by itself."""

    @pytest.mark.parametrize("seed", LIVES)
    def test_nothing_acknowledged_is_lost(self, seed):
        assert survive(seed, CUTS_A_LIFE) == CUTS_A_LIFE

    def test_a_crash_between_any_two_operations_loses_nothing_either(self):
        """The process dies, the machine goes on: all that was written is there."""
        disk, states, images = LossyDisk(), [], []
        gateway = Gateway(disk)
        states.append(gateway.state())
        disk.before = lambda _operation: images.append((len(states) - 1, disk.crashed()))
        for group in works(gateway.ledger, random.Random(3)):
            gateway.transactions.run(group, lambda _results: states.append(gateway.state()))
        states.append(gateway.state())

        for acknowledged, image in images:
            after = LossyDisk(image)
            assert state_of(Connection(after)) in states[acknowledged : acknowledged + 2]

        assert len(images) > 150

    def test_one_seed_is_one_cut(self):
        disk = LossyDisk()
        Gateway(disk)

        assert disk.cut(random.Random("one")) == disk.cut(random.Random("one"))

    def test_the_disk_loses_tears_and_keeps(self):
        """Cuts of one moment differ, or nothing here would mean anything."""
        disk = LossyDisk()
        connection = Connection(disk)
        database.make_durable(connection)
        connection.execute("CREATE TABLE a (b)")
        connection.execute("PRAGMA synchronous = OFF")
        for _ in range(5):
            connection.execute("INSERT INTO a VALUES (randomblob(3000))")

        images = {disk.cut(random.Random(seed))["gateway.sqlite3-wal"] for seed in range(50)}

        assert len(images) > 40


class TestTeeth:
    """Each way to be less durable is found out."""

    @pytest.mark.parametrize(
        ("module", "right", "wrong"),
        [
            (database, "synchronous = FULL", "synchronous = NORMAL"),
            (database, "synchronous = FULL", "synchronous = OFF"),
            (database, "journal_mode = WAL", "journal_mode = MEMORY"),
            (
                transactions,
                "                    results.append(self._result(work))\n",
                "                    results.append(self._result(work))\n"
                "                done(results)\n"
                "                done = lambda _: None\n",
            ),
            (transactions, 'execute("COMMIT")', 'execute("ROLLBACK")'),
            (transactions, "                self._draft.write()\n", ""),
            (
                transactions,
                "                self._draft.write()\n",
                '                self._connection.execute("COMMIT"); self._connection.execute("BEGIN")\n'
                "                self._draft.write()\n",
            ),
            (
                lanes,
                "        self.write_rows()\n        for lane",
                '        self.write_rows()\n        self._db.execute("COMMIT"); self._db.execute("BEGIN")\n'
                "        for lane",
            ),
        ],
        ids=[
            "normal",
            "off",
            "journal in memory",
            "acknowledge before commit",
            "roll back",
            "forget the draft",
            "counters before their records",
            "records before what is known of them",
        ],
    )
    def test_a_mutant_loses_something(self, module, right, wrong, monkeypatch):
        broken = mutant(module, right, wrong)
        modules = {module.__name__.split(".")[1]: broken}
        if module is lanes:
            modules = {}
            monkeypatch.setattr("gateway.store.Lanes", broken.Lanes)

        with pytest.raises((Broken, AssertionError)):
            survive("teeth", 600, **modules)


def mutant(module: ModuleType, right: str, wrong: str) -> ModuleType:
    """The module with one text in place of another."""
    assert module.__file__ is not None
    source = Path(module.__file__).read_text("utf-8")
    assert source.count(right) == 1
    broken = ModuleType(module.__name__)
    exec(compile(source.replace(right, wrong), module.__file__, "exec"), broken.__dict__)
    return broken


class TestFailingDisk:
    """Every single operation fails once, or it and the next four: as full (ENOSPC) and as broken (EIO)."""

    @pytest.mark.parametrize("error", [apsw.FullError, apsw.IOError], ids=["ENOSPC", "EIO"])
    @pytest.mark.parametrize("long", [1, 5], ids=["once", "a while"])
    def test_what_was_acknowledged_is_there_and_work_goes_on(self, error, long):
        operations = failing_life(error, 1 << 30, long)

        assert operations > 100
        for fails_at in range(operations):
            failing_life(error, fails_at, long)


def failing_life(error: type[apsw.Error], fails_at: int, long: int) -> int:
    """Live through a failure; returns the operations of the disk."""
    disk, operations, acknowledged = LossyDisk(), 0, 0
    gateway = Gateway(disk)

    def before(_operation: str) -> None:
        nonlocal operations
        operations += 1
        if fails_at < operations <= fails_at + long:
            raise error("as the test wants it")

    def done(results: list[object]) -> None:
        nonlocal acknowledged
        acknowledged += sum(not isinstance(result, Exception) for result in results)

    groups = works(gateway.ledger, random.Random(11))
    gateway.transactions.run(next(groups), done)  # the nodes join in peace
    disk.before = before
    for group, _ in zip(groups, range(16), strict=False):
        gateway.transactions.run(group, done)
    disk.before = lambda _operation: None
    state = gateway.state()

    after = LossyDisk(disk.cut(random.Random(fails_at)))
    connection = Connection(after)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)], fails_at
    assert state_of(connection) == state, fails_at
    assert acknowledged > 3 + 16 // 2  # it went on
    gateway.close()
    return operations


def test_the_adapter_says_what_sqlite3_says():
    """So that the gateway meets the errors that it knows."""
    disk = LossyDisk()
    connection = Connection(disk)
    connection.execute("CREATE TABLE a (b INTEGER PRIMARY KEY)")
    disk.before = lambda _operation: (_ for _ in ()).throw(apsw.FullError("full"))

    with pytest.raises(sqlite3.OperationalError) as raised:
        connection.execute("INSERT INTO a VALUES (1)")

    assert raised.value.sqlite_errorcode == sqlite3.SQLITE_FULL
    disk.before = lambda _operation: None
    assert connection.execute("INSERT INTO a VALUES (2)").rowcount == 1
