# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk decode``."""

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from decoders import cli
from decoders.cli import decode


def run(*arguments):
    return CliRunner().invoke(decode, arguments)


def examples():
    lines = [line.strip() for line in decode.help.splitlines()]
    return [line for line in lines if line.startswith("stadtfunk decode ")]


class TestDecode:
    """DESIGN "One command line"."""

    def test_prints_every_reading(self):
        result = run("--profile", "tree", "--fport", "2", "100e9283ea55d204fdff0cfe")

        assert result.exit_code == 0
        assert json.loads(result.stdout) == {
            "profile": "tree",
            "version": 1,
            "f_port": 2,
            "unknown_fields": 0,
            "readings": [
                {"quantity": "battery_voltage", "at": "2025-09-09T05:54:08Z", "value": 3.6, "unit": "V"},
                {"quantity": "soil_moisture", "at": "2025-09-09T05:54:08Z", "value": 12.34, "unit": "%"},
                {"quantity": "soil_temperature", "at": "2025-09-09T05:54:08Z", "value": -0.03, "unit": "Cel"},
                {"quantity": "surface_temperature", "at": "2025-09-09T05:54:08Z", "value": -5.0, "unit": "Cel"},
            ],
        }

    def test_names_faults_and_counts_from_the_uplink_without_a_clock(self):
        result = run("--profile", "tree", "--fport", "2", "ffff00000000feff00800cfe3c00d20470030cfe")

        readings = json.loads(result.stdout)["readings"]
        assert readings[0] == {
            "quantity": "battery_voltage",
            "seconds_before_uplink": 0,
            "fault": "no_answer",
            "unit": "V",
        }
        assert readings[1]["fault"] == "bad_answer"
        assert readings[4] == {"quantity": "soil_moisture", "seconds_before_uplink": 60, "value": 12.34, "unit": "%"}

    @pytest.mark.parametrize("arguments", [("--fport", "4", "00"), ("xy",), ("100e9",), ("00",)])
    def test_bad_payloads_and_ports_are_one_line_in_all(self, arguments):
        result = run("--profile", "tree", *arguments)

        assert result.stderr.count("\n") == 1

    def test_the_readme_shows_an_example(self):
        assert all(example in Path(cli.__file__).with_name("README.md").read_text() for example in examples())

    def test_every_example_works(self):
        assert examples()
        for example in examples():
            result = run(*shlex.split(example)[2:])
            assert result.exit_code == 0, result.output
            assert json.loads(result.stdout)["readings"]

    @pytest.mark.parametrize(
        ("arguments", "status", "says"),
        [
            (("--profile", "tree", "00"), 1, "length: need 2, got 1"),
            (("--profile", "tree", "--fport", "2", "00"), 1, "length: need 12, got 1"),
            (("--profile", "tree", "xy"), 2, "not hexadecimal"),
            (("--profile", "tree", "--fport", "4", "00"), 2, "'tree' has no layout on FPort 4"),
            (("--profile", "bush", "00"), 2, "tree"),
            (("--profile", "tree", "--fport", "two", "00"), 2, "two"),
            (("00",), 2, "--profile"),
            (("--profile", "tree"), 2, "HEX"),
        ],
    )
    def test_bad_input_says_why_and_has_a_status(self, arguments, status, says):
        result = run(*arguments)

        assert result.exit_code == status
        assert result.stdout == ""
        (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
        assert says in line
        assert "Traceback" not in result.stderr
