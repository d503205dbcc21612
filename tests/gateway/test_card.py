# SPDX-License-Identifier: EUPL-1.2
"""fsck and export: on a live gateway, a dead card, a torn file. They change nothing."""

import csv
import json
import os
import random
import shutil
import sqlite3
import subprocess

import pytest
from click.testing import CliRunner

from gateway.card import opened
from gateway.cli import gateway
from gateway.store import open_store
from tests.gateway.nodes import write_config
from tests.gateway.outbox_world import uplink
from tests.gateway.running import BIN

NODE = "70b3d57ed1000001"


@pytest.fixture
def store(tmp_path):
    """100 readings, 20 of them delivered, an event; open, as by a running gateway."""
    write_config(tmp_path)
    store = open_store(tmp_path / "gateway.sqlite3", tmp_path / "gateway.key")
    with store.transaction() as ledger:
        for n in range(100):
            ledger.append_record(1, uplink(NODE, n))
        ledger.append_event("node_down", 1_795_334_400.5, dev_eui=NODE, detail={"silent_s": 7200})
        ledger.confirm(1, 20, 9, 20)
    yield store
    store.close()


def run(*arguments):
    return CliRunner().invoke(gateway, [str(argument) for argument in arguments])


def card_of(store, folder, *suffixes):
    """The files as they are now, elsewhere: what a power cut leaves on a card."""
    folder.mkdir()
    for suffix in ("", *suffixes):
        shutil.copyfile(f"{store.path}{suffix}", folder / f"gateway.sqlite3{suffix}")
    return folder / "gateway.sqlite3"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class TestLive:
    def test_fsck_says_what_is_in_each_lane(self, store, tmp_path):
        found = run("fsck", "--config", tmp_path / "gateway.toml")

        assert found.output == (
            "alarms rows=1..1 waiting=1 readable=1 unreadable=0\n"
            "readings rows=1..100 waiting=80 readable=100 unreadable=0\n"
            "diagnostics rows=none waiting=0 readable=0 unreadable=0\n"
            "ok\n"
        )
        assert found.exit_code == 0

    def test_the_writer_goes_on_meanwhile(self, store, tmp_path):
        run("fsck", "--config", tmp_path / "gateway.toml")
        with store.transaction() as ledger:
            ledger.append_record(1, uplink(NODE, 100))

        found = run("fsck", "--config", tmp_path / "gateway.toml", "--json")

        assert json.loads(found.output)["lanes"][1]["last_row"] == 101

    def test_what_is_stored_and_dropped_during_the_check_is_no_problem(self, store):
        with opened(store.path) as card:
            rows = card.rows(1)
            first = next(rows)
            with store.transaction() as ledger:
                ledger.append_record(1, uplink(NODE, 100))
                ledger.confirm(1, 100, 9, 100)

            facts = card.lane(1)

            assert (facts.last_row, facts.readable, facts.problems) == (100, 100, [])
            assert (first.delivered, sum(row.delivered for row in rows)) == (True, 19)

    def test_export_writes_a_reading_a_line(self, store, tmp_path):
        done = run("export", "--config", tmp_path / "gateway.toml", "--output", tmp_path / "out.csv")

        with (tmp_path / "out.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert done.stderr == "101 records written, 0 cannot be read\n"
        assert len(rows) == 101
        assert rows[0]["kind"] == "node_down"
        assert json.loads(rows[0]["detail"]) == {"silent_s": 7200}
        assert (rows[1]["dev_eui"], rows[1]["f_cnt"], rows[1]["quantity"], rows[1]["value"], rows[1]["delivered"]) == (
            NODE, "0", "soil_moisture", "0.0", "True",
        )  # fmt: skip

    def test_a_file_that_is_there_stays_as_it_is_the_database_itself_among_them(self, store, tmp_path):
        (tmp_path / "old.csv").write_text("precious")
        database = tmp_path / "gateway.sqlite3"

        refused = [
            run("export", "--config", tmp_path / "gateway.toml", "--output", file)
            for file in (tmp_path / "old.csv", database)
        ]

        assert [(one.exit_code, one.output) for one in refused] == [
            (1, f"Error: {file} is there already; give another name\n") for file in (tmp_path / "old.csv", database)
        ]
        assert (tmp_path / "old.csv").read_text() == "precious"
        assert run("fsck", "--config", tmp_path / "gateway.toml").exit_code == 0

    def test_a_disk_that_fills_up_leaves_no_half_an_export(self, store, tmp_path):
        """A limit on the size of files stands for the disk's end."""
        command = [BIN / "stadtfunk", "gateway", "export", "--config", tmp_path / "gateway.toml"]

        done = subprocess.run(
            ["bash", "-c", 'ulimit -f 4; exec "$@"', "bash", *command, "--output", tmp_path / "out.csv"],
            capture_output=True, text=True, timeout=120,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},  # it would be cut off, too, for all who come later
        )  # fmt: skip

        assert (done.returncode, done.stderr) == (
            1, f"Error: {tmp_path / 'out.csv'} cannot be written (File too large)\n",
        )  # fmt: skip
        assert not (tmp_path / "out.csv").exists()

    def test_only_what_waits_for_the_cloud(self, store, tmp_path):
        done = run("export", "--config", tmp_path / "gateway.toml", "--format", "ndjson", "--waiting")

        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert [line["row"] for line in lines if line["lane"] == "readings"] == list(range(21, 101))


class TestDeadCard:
    @pytest.mark.parametrize("left", [("-wal",), ("-wal", "-shm")], ids=["without shm", "with shm"])
    def test_what_is_only_in_the_wal_is_read_and_the_files_stay_as_they_are(self, store, tmp_path, left):
        card = card_of(store, tmp_path / "card", *left)
        before = contents(card.parent)

        found = run("fsck", "--database", card)

        assert "readings rows=1..100 waiting=80 readable=100" in found.output
        after = contents(card.parent)
        assert after.keys() == before.keys()
        assert all(after[name] == before[name] for name in before if not name.endswith("-shm"))

    def test_one_without_a_wal_is_read_in_place(self, store, tmp_path):
        store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        card = card_of(store, tmp_path / "card")
        before = contents(card.parent)

        found = run("export", "--database", card, "--format", "ndjson")

        assert len(found.stdout.splitlines()) == 101
        assert contents(card.parent) == before

    def test_one_row_that_rotted_is_named_and_the_others_are_exported(self, store, tmp_path):
        store.connection.execute("UPDATE outbox_1 SET record = zeroblob(length(record)) WHERE seq = 42")
        store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        card = card_of(store, tmp_path / "card")

        checked, exported = run("fsck", "--database", card), run("export", "--database", card)

        assert "problem readings: row 42: not as it was written: the check sum differs\n" in checked.output
        assert (checked.exit_code, exported.exit_code) == (1, 1)
        assert exported.stderr.endswith("100 records written, 1 cannot be read\n")

    def test_of_a_file_with_destroyed_pages_all_others_are_exported(self, tmp_path):
        write_config(tmp_path)
        store = open_store(tmp_path / "gateway.sqlite3", tmp_path / "gateway.key")
        with store.transaction() as ledger:
            for n in range(5000):
                ledger.append_record(1, uplink(NODE, n))
        store.close()
        pages = (tmp_path / "gateway.sqlite3").stat().st_size // 4096
        dice = random.Random(7)
        with (tmp_path / "gateway.sqlite3").open("r+b") as file:
            for page in (pages // 2, pages // 2 + 7):
                file.seek(page * 4096)
                file.write(dice.randbytes(4096))

        checked = run("fsck", "--database", tmp_path / "gateway.sqlite3", "--json")
        done = run("export", "--database", tmp_path / "gateway.sqlite3", "--format", "ndjson")

        lane = json.loads(checked.output)["lanes"][1]
        assert lane["readable"] + lane["unreadable"] == 5000
        assert 0 < lane["unreadable"] < 400
        assert len(done.stdout.splitlines()) == lane["readable"]

    @pytest.mark.parametrize("size", [0, 1, 100, 4096, 20_000])
    def test_a_file_cut_short_is_one_line_or_a_report_and_no_traceback(self, store, tmp_path, size):
        store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        card = card_of(store, tmp_path / "card")
        with card.open("r+b") as file:
            file.truncate(size)

        for command in ("fsck", "export"):
            found = run(command, "--database", card)
            assert found.exit_code == 1
            assert isinstance(found.exception, SystemExit)

    def test_of_half_a_file_what_is_in_that_half_is_read(self, store, tmp_path):
        with store.transaction() as ledger:
            for n in range(100, 5000):
                ledger.append_record(1, uplink(NODE, n))
        store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        card = card_of(store, tmp_path / "card")
        with card.open("r+b") as file:
            file.truncate(card.stat().st_size // 2 + 1000)
        before = card.read_bytes()

        done = run("export", "--database", card, "--format", "ndjson")

        assert 1000 < len(done.stdout.splitlines()) < 5000
        assert card.read_bytes() == before

    @pytest.mark.parametrize("content", [b"no database" * 1000, b""])
    def test_what_is_no_database_is_said_so(self, tmp_path, content):
        (tmp_path / "a").write_bytes(content)

        found = run("fsck", "--database", tmp_path / "a")

        assert (found.exit_code, found.output.count("\n")) == (1, 1)
        assert "is no database of a gateway" in found.output

    def test_a_missing_file_is_said_so_and_not_made(self, tmp_path):
        found = run("export", "--database", tmp_path / "a")

        assert found.output == f"Error: database: {tmp_path / 'a'} is not there\n"
        assert not (tmp_path / "a").exists()

    def test_counts_that_do_not_fit_are_said(self, store, tmp_path):
        with sqlite3.connect(store.path) as other:
            other.execute("UPDATE lanes SET bytes = 5 WHERE lane = 1")
        other.close()

        found = run("fsck", "--config", tmp_path / "gateway.toml")

        assert "bytes and says 5" in found.output
