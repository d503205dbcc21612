# SPDX-License-Identifier: EUPL-1.2
"""The boards as data: each table has its entry, its pins are on the header, and the README shows the same numbers."""

import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from firmware.manifest import BOARDS
from simulators.board import pins_of

ROOT = Path(__file__).parents[2]
DATA: dict[str, Any] = tomllib.loads((ROOT / "hardware" / "boards.toml").read_text(encoding="utf-8"))
ENTRIES: dict[str, dict[str, Any]] = {board["table"]: board for board in DATA["board"]}
ON_BOARD = ("LORA_", "RF_SWITCH", "BATTERY")
# Read at reset, and the pads of the USB port: ESP32-S3 data sheet, "Boot Configurations"
ESP32_AVOID = {0, 19, 20, 45, 46}


def pins(table: str) -> dict[str, int]:
    return pins_of(import_module(f"firmware.boards.{table}"))


def test_every_table_has_one_entry() -> None:
    assert len(DATA["board"]) == len(ENTRIES)
    assert set(ENTRIES) == set(BOARDS)


@pytest.mark.parametrize("table", BOARDS)
def test_an_entry_says_where_its_pins_are_known_from_and_what_is_not_known(table: str) -> None:
    entry = ENTRIES[table]

    assert all(entry[key] for key in ("what", "sources", "rail", "divider", "asleep_ua", "unmeasured"))


@pytest.mark.parametrize("table", [table for table in BOARDS if ENTRIES[table]["header"]])
def test_what_is_soldered_is_on_the_header(table: str) -> None:
    outside = {gpio for name, gpio in pins(table).items() if not name.startswith(ON_BOARD)}

    assert outside - {pins(table)["SENSOR_POWER"]} <= set(ENTRIES[table]["header"])


@pytest.mark.parametrize("table", [table for table in BOARDS if table != "pico_waveshare"])
def test_what_is_soldered_keeps_off_boot_and_usb_pins(table: str) -> None:
    assert not {gpio for name, gpio in pins(table).items() if not name.startswith(ON_BOARD)} & ESP32_AVOID


@pytest.mark.parametrize("table", BOARDS)
def test_lines_of_one_kind_of_probe_share_no_pin(table: str) -> None:
    for prefixes in (("RS485_", "ONE_WIRE"), ("SDI12_", "ONE_WIRE"), ("WATERMARK_", "ONE_WIRE"), ("I2C_", "SERIAL_")):
        lines = [gpio for name, gpio in pins(table).items() if name.startswith((*prefixes, *ON_BOARD, "SENSOR_POWER"))]

        assert len(lines) == len(set(lines)), prefixes


def test_the_readme_shows_every_pin_of_every_board() -> None:
    text = (ROOT / "hardware" / "README.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    head = next(row for row in rows if row[0] == "pin")
    shown: dict[str, dict[str, int]] = {table.strip("`"): {} for table in head[1:]}
    for name, *numbers in rows[rows.index(head) + 1 :]:
        for table, number in zip(shown, numbers, strict=False):
            if len(numbers) == len(shown) and number != "-":
                shown[table][name] = int(number)

    assert shown == {table: pins(table) for table in shown}
    assert set(shown) == set(BOARDS)
