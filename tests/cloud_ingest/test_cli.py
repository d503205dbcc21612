# SPDX-License-Identifier: EUPL-1.2
"""`stadtfunk ingest`: documented, and clear when something is wrong."""

import json
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cloud_ingest import cli
from tests.cloud_ingest.world import (
    NODES,
    START,
    STRANGER,
    UP,
    batch,
    moisture_series,
    opened,
    registry_json,
    sample,
    uplink,
)

README = Path(cli.__file__).with_name("README.md").read_text(encoding="utf-8")


def commands(group: click.Group, way: str = "stadtfunk ingest"):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{way} {name}")
        else:
            yield f"{way} {name}", command


@pytest.fixture
def site(tmp_path):
    (tmp_path / "city.json").write_text(json.dumps(registry_json()))
    (tmp_path / "ingest.toml").write_text("")
    store, ingest = opened(tmp_path / "stadtfunk.db")
    ingest.apply(UP, moisture_series(NODES[0], [20.0]))
    ingest.apply(UP, batch(uplink(5, STRANGER, 0, sample(START, 17.5)), oldest_seq=4))
    ingest.apply(UP, b"rubbish")
    store.close()
    return tmp_path


def run(site, *words):
    return CliRunner().invoke(cli.ingest, [*words, "--config", str(site / "ingest.toml")])


@pytest.mark.parametrize(("way", "command"), list(commands(cli.ingest)))
def test_every_command_is_in_the_readme_and_has_an_example(way, command):
    assert f"`{way}" in README
    assert way in command.help
    for option in re.findall(r"--[a-z-]+", " ".join(command.help.split("Example:")[1:])):
        assert option in [name for parameter in command.params for name in parameter.opts]


class TestStatus:
    def test_it_prints_counters_watermarks_and_gaps(self, site):
        lines = run(site, "status").stdout.splitlines()

        assert "readings.values 2" in lines
        assert "gateway 0016c001f1500812 last heard 2026-07-01T00:00:02Z" in lines
        assert "watermark 0016c001f1500812 epoch 1 seqs -, 3, -" in lines  # 4 is still at the gateway
        assert "gap 0016c001f1500812 epoch 1 lane 1 seq 2..3" in lines

    def test_as_json(self, site):
        found = json.loads(run(site, "status", "--json").stdout)

        assert found["counters"]["rejected.unknown_dev_eui"] == 1
        assert found["gateways"] == [{"gateway_eui": "0016c001f1500812", "heard_at": "2026-07-01T00:00:02Z"}]
        assert found["gaps"] == [["0016c001f1500812", 1, 1, 2, 3]]


class TestDeadLetters:
    def test_the_list_says_what_came_and_why_not(self, site):
        lines = run(site, "dead-letters", "list").stdout.splitlines()

        assert lines[0].startswith(
            "1 unknown_dev_eui x1 stadtfunk/1/0016c001f1500812/up/reading dev_eui=70b3d57ed00000ff"
        )
        assert lines[1].startswith("2 malformed_batch x1 ")
        assert lines[2] == "2 dead letters"

    def test_as_json_with_the_bytes(self, site):
        found = json.loads(run(site, "dead-letters", "list", "--json").stdout)

        assert bytes.fromhex(found[1]["raw"]) == b"rubbish"

    def test_a_replay_that_cannot_be_applied_ends_with_1_and_keeps_the_letter(self, site):
        result = run(site, "dead-letters", "replay")

        assert (result.exit_code, result.stdout) == (1, "0 applied, 1 still cannot be\n")
        assert result.stderr == f"1 unknown_dev_eui dev_eui={STRANGER} session=1 f_cnt=0\n"
        assert run(site, "dead-letters", "list").stdout.splitlines()[-1] == "2 dead letters"

    def test_a_replay_after_registering_the_node_applies_it(self, site):
        nodes = [*registry_json()["nodes"], {"dev_eui": STRANGER, "tree": "J-0003", "interval_s": 3600}]
        (site / "city.json").write_text(json.dumps(registry_json(nodes=nodes)))

        result = run(site, "dead-letters", "replay", "1")

        assert (result.exit_code, result.stdout) == (0, "1 applied, 0 still cannot be\n")
        assert "readings.values 4" in run(site, "status").stdout

    def test_one_is_shown_with_what_it_says(self, site):
        assert run(site, "dead-letters", "show", "1").stdout.splitlines() == [
            "id 1",
            "reason unknown_dev_eui",
            "times 1",
            "topic stadtfunk/1/0016c001f1500812/up/reading",
            f"detail dev_eui={STRANGER} session=1 f_cnt=0",
            f"uplink {STRANGER} session 1 f_cnt 0 received 2026-07-01T00:00:02Z",
            "  soil_moisture 17.5 % at 2026-07-01T00:00:00Z",
            "  soil_temperature 20 Cel at 2026-07-01T00:00:00Z",
        ]
        assert run(site, "dead-letters", "show", "2").stdout.splitlines()[-1] == "bytes 72756262697368"

    @pytest.mark.parametrize("command", ["show", "replay"])
    @pytest.mark.parametrize("number", ["0", "9" * 23, "x"])
    def test_a_number_that_none_can_have_is_bad_usage(self, site, command, number):
        done = run(site, "dead-letters", command, number)

        assert done.exit_code == 2
        assert "Invalid value" in done.stderr

    def test_those_of_a_reason_are_listed_and_replayed_together(self, site):
        listed = run(site, "dead-letters", "list", "--reason", "malformed_batch").stdout.splitlines()
        replayed = run(site, "dead-letters", "replay", "--reason", "malformed_batch")

        assert listed[-1] == "1 dead letters"
        assert (replayed.exit_code, replayed.stdout) == (1, "0 applied, 1 still cannot be\n")

    def test_a_letter_that_is_not_there_is_one_clear_line(self, site):
        assert run(site, "dead-letters", "replay", "9").stderr == "Error: there is no dead letter 9\n"


class TestMistakes:
    @pytest.mark.parametrize(
        ("file", "text", "problem"),
        [
            ("ingest.toml", "[http]\nprot = 1", "unknown key 'http.prot'"),
            ("city.json", "{}", "city.json: 'name' is missing"),
        ],
    )
    def test_a_mistake_in_a_file_is_one_clear_line_and_status_1(self, site, file, text, problem):
        (site / file).write_text(text)

        result = run(site, "run")

        assert result.exit_code == 1
        assert problem in result.stderr
        assert result.stderr.startswith("Error: ")
        assert result.stderr.count("\n") == 1

    def test_a_store_that_is_not_there_is_one_clear_line(self, site):
        (site / "stadtfunk.db").unlink()

        result = run(site, "status")

        assert result.exit_code == 1
        assert "does not exist yet" in result.stderr
