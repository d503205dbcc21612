# SPDX-License-Identifier: EUPL-1.2
"""The tree node as data: it can be built, every part gets a voltage it stands, and the README shows the same wiring."""

import re
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

ROOT = Path(__file__).parents[2]
NODE: dict[str, Any] = tomllib.loads((ROOT / "hardware" / "tree_node.toml").read_text(encoding="utf-8"))
PARTS: dict[str, dict[str, Any]] = {part["ref"]: part for part in NODE["part"]}
WIRES: dict[str, dict[str, Any]] = {wire["signal"]: wire for wire in NODE["wire"]}
SOLDERED = [wire for wire in NODE["wire"] if not wire.get("on_board")]

# Heltec WiFi LoRa 32 V3, pin map: what the two headers bring out.
HEADER = {*range(1, 8), 19, 20, 21, 26, *range(33, 49)}
# ESP32-S3 data sheet: "Boot Configurations" (read at reset) and the pads of USB Serial/JTAG.
STRAPPING, USB = {0, 3, 45, 46}, {19, 20}


class TestParts:
    def test_every_reference_is_given_once(self):
        assert len(PARTS) == len(NODE["part"])

    def test_every_part_says_what_it_is_its_type_and_how_many(self):
        assert all(part["what"] and part["type"] and part["count"] >= 1 for part in NODE["part"])

    def test_what_hangs_on_the_switched_rail_works_from_3_0_to_3_3_volts(self):
        for ref in ("U1", "U2", "S2"):
            lowest, highest = PARTS[ref]["supply_v"]
            assert lowest <= 3.0, ref
            assert highest >= 3.3, ref

    def test_the_soil_probe_gets_the_5_volts_it_needs(self):
        lowest, highest = PARTS["S1"]["supply_v"]

        assert lowest > 3.3  # the rail alone would not do
        assert lowest <= 5.0 <= highest

    def test_the_cell_is_kept_from_a_charger_that_would_overcharge_it(self):
        assert PARTS["B1"]["supply_v"][1] < 4.2
        assert {"from": "B1 +", "to": "U3 IN"} in NODE["supply"]


class TestWiring:
    def test_no_pin_is_used_twice(self):
        assert len({wire["gpio"] for wire in NODE["wire"]}) == len(NODE["wire"]) == len(WIRES)

    def test_soldered_wires_use_pins_that_the_header_brings_out(self):
        assert {wire["gpio"] for wire in SOLDERED} <= HEADER

    def test_soldered_wires_keep_off_boot_and_usb_pins(self):
        assert not {wire["gpio"] for wire in SOLDERED} & (STRAPPING | USB)

    def test_wires_and_supplies_end_at_parts_that_exist(self):
        ends = [wire["to"] for wire in SOLDERED] + [end for line in NODE["supply"] for end in line.values()]

        named = {ref for end in ends for ref in re.findall(r"\b[A-Z]\d\b", end)}

        assert named <= set(PARTS)
        assert {"U1", "U2", "U3", "S1", "S2", "R1", "B1", "A1"} <= named


class TestFirmware:
    """The board's table, which the node itself goes by."""

    TABLE: ClassVar[dict[str, Any]] = vars(import_module(f"firmware.boards.{NODE['node']['board']}"))

    def test_every_wire_ends_at_the_pin_that_the_firmware_uses(self):
        assert {signal: self.TABLE[signal] for signal in WIRES} == {s: wire["gpio"] for s, wire in WIRES.items()}

    def test_the_firmware_uses_no_pin_of_board_radio_and_these_sensors_that_is_not_wired(self):
        counted = ("LORA_SPI", "RS485_UART", "SENSOR_POWER_ON")  # numbers of buses, a level
        prefixes = ("LORA_", "RS485_", "SENSOR_POWER")
        used = {name for name in self.TABLE if name.startswith(prefixes) and name not in counted}

        assert used | {"ONE_WIRE", "BATTERY", "BATTERY_SWITCH"} == set(WIRES)

    def test_the_antenna_has_the_gain_that_the_transmit_power_is_reckoned_with(self):
        assert self.TABLE["ANTENNA_GAIN_DBI"] == PARTS["X1"]["gain_dbi"]


class TestReadme:
    def test_its_table_shows_every_wire_with_its_pin(self):
        shown: dict[str, int] = {}
        for line in (ROOT / "hardware" / "README.md").read_text(encoding="utf-8").splitlines():
            if line.startswith("| `"):
                signals, gpios = line.split("|")[1:3]
                shown |= zip(re.findall(r"`(\w+)`", signals), map(int, re.findall(r"\d+", gpios)), strict=True)

        assert shown == {signal: wire["gpio"] for signal, wire in WIRES.items()}
