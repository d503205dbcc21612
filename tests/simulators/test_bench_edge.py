# SPDX-License-Identifier: EUPL-1.2
"""The bench's own instruments: the load that fills an outbox, the kill that looks for what it had accepted, sums."""

import json
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from simulators import bench_edge
from simulators.bench_edge import crashes, fill
from simulators.edge_anchors import SAFE, AnchorMissing, bridge_loss
from simulators.edge_cli import edge


class TestOutboxLoad:
    """`python -m gateway.outbox_load`"""

    def test_what_it_appends_is_there_in_order_and_goes_on_where_it_ended(self, tmp_path):
        first = fill(tmp_path, "--records", "250")
        fill(tmp_path, "--records", "50", "--batch", "7")

        assert first["records"] == 250
        assert fill(tmp_path, "--list")["numbers"] == list(range(300))

    @pytest.mark.parametrize("options", [["--packed"], ["--packed", "--direct"], ["--direct"]])
    def test_whatever_it_begins_with_the_same_is_stored(self, tmp_path, options):
        fill(tmp_path / "each", "--records", "250")
        fill(tmp_path / "other", "--records", "250", *options)

        stored = [rows_of(tmp_path / name / "gateway.sqlite3", "outbox_1") for name in ("each", "other")]
        assert len(stored[0]) == 250
        assert stored[0] == stored[1]

    def test_the_bound_is_given_what_the_outbox_stores(self, tmp_path):
        fill(tmp_path, "--records", "250")
        fill(tmp_path, "--records", "250", "--bare")

        assert rows_of(tmp_path / "bare.sqlite3", "bare") == rows_of(tmp_path / "gateway.sqlite3", "outbox_1")

    def test_the_bound_writes_as_many_rows_with_the_same_durability(self, tmp_path):
        fill(tmp_path, "--records", "250", "--bare")

        with sqlite3.connect(tmp_path / "bare.sqlite3") as database:
            assert database.execute("SELECT count(*) FROM bare").fetchone() == (250,)
            assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)

    def test_it_counts_what_the_kernel_has_written(self, tmp_path):
        assert fill(tmp_path, "--records", "200", "--batch", "1")["written_bytes"] >= 200 * 512


def rows_of(path: Path, table: str) -> list[tuple[int, bytes]]:
    with sqlite3.connect(path) as database:
        return database.execute(f"SELECT seq, record FROM {table} ORDER BY seq").fetchall()


class TestCrashes:
    def test_a_killed_outbox_has_all_it_had_accepted(self, tmp_path):
        loss = crashes(tmp_path, 1)

        assert loss.accepted >= 100
        assert loss.lost == 0

    def test_a_missing_record_would_be_seen(self, tmp_path, monkeypatch):
        monkeypatch.setattr(bench_edge, "fill", lambda *_: {"numbers": [0, 1, 2]})

        loss = crashes(tmp_path, 1)

        assert loss.lost == loss.accepted - 3


class TestBridge:
    def test_mosquitto_loses_what_it_acknowledged_unless_it_saves_at_every_message(self, tmp_path):
        try:
            default = bridge_loss(tmp_path / "default", 200)
            safe = bridge_loss(tmp_path / "safe", 200, *SAFE)
        except AnchorMissing as missing:
            pytest.skip(str(missing))

        assert (default.accepted, safe.accepted) == (200, 200)
        assert default.lost == 200
        assert safe.lost <= 1


class TestSums:
    def test_a_card_of_32_gb_lasts_twenty_years_at_12288_bytes_a_second(self):
        # 32e9 B x 1000 erases / 4 (the card's own amplification) / 12288 B/s = 6.51e8 s
        assert bench_edge._card_years(12_288) == pytest.approx(20.64, abs=0.01)

    def test_the_rows_have_the_form_of_all_benches(self):
        rows = [metric.as_json() for metric in bench_edge._losses("kills", bench_edge.Loss(5, 1000, 1), 0)]

        assert json.loads(json.dumps(rows)) == [
            {"metric": "kills_accepted", "value": 1000, "unit": "1", "baseline": None, "goal": None, "holds": None},
            {"metric": "kills_lost", "value": 1, "unit": "1", "baseline": None, "goal": 0, "holds": False},
        ]

    def test_results_go_where_all_results_are(self):
        assert bench_edge.RESULTS.parts[-2:] == (".bench", "edge.json")
        assert isinstance(bench_edge.RESULTS, Path)


class TestCommand:
    def test_a_folder_that_is_not_there_is_refused_and_not_made(self, tmp_path):
        """What is not mounted would be measured on another disk."""
        done = CliRunner().invoke(edge, ["--quick", "--folder", str(tmp_path / "typo")])

        assert done.exit_code == 2
        assert f"'{tmp_path / 'typo'}' does not exist" in done.output
        assert not (tmp_path / "typo").exists()
