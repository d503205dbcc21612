# SPDX-License-Identifier: EUPL-1.2
"""The store's file, and what of it outlives a changed registry."""

import json

import pytest

from cloud_ingest.errors import StoreError
from cloud_ingest.store import SqliteStore
from tests.cloud_ingest.world import opened, registry_json, small_city


class TestStore:
    def test_a_commit_is_on_the_disk_when_it_returns(self, tmp_path):
        store, _ = opened(tmp_path / "store.db")

        assert store.db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert store.db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        store.close()

    def test_its_files_are_for_their_owner_alone(self, tmp_path):
        (tmp_path / "store.db").touch(0o644)
        store, _ = opened(tmp_path / "store.db")

        assert {file.name: oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()} == {
            "store.db": "0o600",
            "store.db-wal": "0o600",
            "store.db-shm": "0o600",
        }
        store.close()

    def test_ids_of_things_survive_a_changed_registry(self, tmp_path):
        store, _ = opened(tmp_path / "store.db")
        before = dict(store.db.execute("SELECT site, id FROM things"))
        trees = registry_json()["trees"]
        trees[0]["latin"] = "Tilia platyphyllos"

        store.register(small_city(trees=list(reversed(trees))))

        assert dict(store.db.execute("SELECT site, id FROM things")) == before
        properties = store.db.execute("SELECT properties FROM things WHERE site = 'J-0001'").fetchone()[0]
        assert json.loads(properties)["species"] == "Tilia platyphyllos"

    def test_a_file_of_a_newer_version_is_refused_in_one_line(self, tmp_path):
        store, _ = opened(tmp_path / "store.db")
        store.db.execute("PRAGMA user_version = 99")
        store.close()

        with pytest.raises(StoreError, match="written by a newer Stadtfunk"):
            SqliteStore(tmp_path / "store.db")

    def test_a_file_that_is_no_database_is_refused_in_one_line(self, tmp_path):
        (tmp_path / "store.db").write_bytes(b"no database at all" * 100)

        with pytest.raises(StoreError, match="not a database"):
            SqliteStore(tmp_path / "store.db")
