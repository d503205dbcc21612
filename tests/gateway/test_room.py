# SPDX-License-Identifier: EUPL-1.2
"""A disk that fills up: the database stops growing while there is still room to delete."""

import sqlite3

import pytest

from gateway.room import Room, free_bytes
from tests.gateway.nodes import Concentrator
from tests.gateway.running import GatewayThread, eventually, join, send

MIB = 1 << 20


class Disk:
    """How much is free, as the test wants it."""

    def __init__(self):
        self.free = 1000 * MIB

    def __call__(self, folder):
        return self.free


@pytest.fixture
def disk(monkeypatch):
    disk = Disk()
    monkeypatch.setattr("gateway.room.free_bytes", disk)
    return disk


def fill(service, concentrator, node):
    """Send until an uplink is not acknowledged; returns how many were."""
    before = service.metrics.refused["store_full"]
    for acknowledged in range(200):
        concentrator.push(node.uplink())
        if not concentrator.acknowledged(lambda: service.metrics.refused["store_full"] > before):
            return acknowledged
    raise AssertionError("it never filled up")


class TestRoom:
    def test_below_the_reserve_the_database_does_not_grow_but_deletes_and_fills_what_was_freed(self, store, disk):
        room = Room(store.connection, store.path, 16 * MIB)
        db = store.connection
        insert = "INSERT INTO quarantine VALUES (NULL, 'a', 0, 0, 2, 0, zeroblob(3000), 'x', '', 'ntp', '')"
        for _ in range(50):
            db.execute(insert)
        pages = db.execute("PRAGMA page_count").fetchone()

        disk.free = 15 * MIB
        room.check()
        with pytest.raises(sqlite3.OperationalError, match="full"):
            db.executescript(f"{insert};" * 50)
        db.execute("DELETE FROM quarantine WHERE id <= 40")
        for _ in range(30):
            db.execute(insert)

        assert room.short
        assert db.execute("PRAGMA page_count").fetchone() == pages

    def test_when_space_returns_it_grows_again(self, store, disk):
        room = Room(store.connection, store.path, 16 * MIB)
        disk.free = 15 * MIB
        room.check()
        disk.free = 18 * MIB
        room.check()

        assert not room.short
        for _ in range(100):
            store.connection.execute(
                "INSERT INTO quarantine VALUES (NULL, 'a', 0, 0, 2, 0, zeroblob(3000), 'x', '', 'ntp', '')"
            )

    def test_a_reserve_of_zero_switches_it_off(self, store, disk):
        disk.free = 0

        room = Room(store.connection, store.path, 0)
        room.check()

        assert not room.short

    def test_free_bytes_are_those_of_the_file_system(self, tmp_path):
        assert free_bytes(tmp_path) > 0


class TestService:
    def test_a_full_disk_is_counted_shown_and_not_acknowledged_and_heals_when_rows_are_delivered(
        self, store, disk, node
    ):
        with GatewayThread(store.config, store) as service, Concentrator(service.gwmp_port) as concentrator:
            concentrator.pull()
            join(concentrator, node)
            disk.free = 1 * MIB
            fill(service, concentrator, node)
            full = service.status()
            reader = store.reader()
            last = reader.held().last
            service._writer._loop.call_soon_threadsafe(
                lambda: service._writer.run(lambda: store.ledger.confirm(1, last, 1, last))
            )
            eventually(lambda: reader.held().delivered == last)
            send(concentrator, node.uplink())
            reader.close()

        assert full["refused"]["store_full"] == 1
        assert full["refused"]["store_failed"] == 0
        assert full["disk_short"] == 1

    def test_it_heals_when_space_returns(self, store, disk, node):
        with GatewayThread(store.config, store) as service, Concentrator(service.gwmp_port) as concentrator:
            concentrator.pull()
            join(concentrator, node)
            disk.free = 1 * MIB
            fill(service, concentrator, node)
            disk.free = 1000 * MIB
            for _ in range(50):
                send(concentrator, node.uplink())

            assert service.status()["disk_short"] == 0
