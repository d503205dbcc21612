# SPDX-License-Identifier: EUPL-1.2
"""What a board knows of itself: its battery and its processor's temperature."""

if False:  # types only
    from firmware.hal import Board, Value, Values

_READINGS = 3
_APART_MV = 250  # readings of one cell within some milliseconds: more is a loose contact
# LiFePO4 or lithium-ion, one cell, or USB
_LEAST_MV = 2_000
_MOST_MV = 5_500
_COLDEST_CENTI_CEL = -4_000  # ESP32-S3 and RP2040: what they are specified for, and hot
_HOTTEST_CENTI_CEL = 12_500


class Battery:
    """The battery of ``board``, behind its divider."""

    QUANTITIES = ("battery_voltage",)

    def __init__(self, board: "Board") -> None:
        self._read_mv = board.battery_mv

    def start(self) -> int:
        """It needs no time."""
        return 0

    def read(self) -> "Values":
        """The voltage in mV: the middle one of three."""
        readings = sorted([self._read_mv() for _ in range(_READINGS)])
        value: "Value" = readings[_READINGS // 2]
        if not readings[-1]:
            value = "open_circuit"  # no voltage runs a node: its divider is not connected
        elif readings[-1] - readings[0] > _APART_MV:
            value = "bad_answer"
        elif not _LEAST_MV <= readings[0] <= readings[-1] <= _MOST_MV:
            value = "out_of_range"
        return {"battery_voltage": value}

    def stop(self) -> None:
        """Nothing to do: the board has disconnected its divider."""


class NodeTemperature:
    """The temperature of the processor of ``board``."""

    QUANTITIES = ("node_temperature",)

    def __init__(self, board: "Board") -> None:
        self._read = board.node_temperature

    def start(self) -> int:
        """It needs no time."""
        return 0

    def read(self) -> "Values":
        """In 0.01 degrees Celsius."""
        value = self._read()
        if not isinstance(value, str) and not _COLDEST_CENTI_CEL <= value <= _HOTTEST_CENTI_CEL:
            value = "out_of_range"
        return {"node_temperature": value}

    def stop(self) -> None:
        """Nothing to do."""
