# SPDX-License-Identifier: EUPL-1.2
"""Sensirion's protocol, as the drivers of SPS30, SEN55 and SCD41 share it. DS = SCD4x datasheet V1.5."""

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.sensors.sensirion import Sensirion, bus_fault, crc8
from simulators.chips import sensirion as chips
from simulators.clock import Clock
from simulators.inprocess import Time
from simulators.inprocess_buses import I2c
from simulators.wires import I2cBus
from tests.firmware.compiling import mpy_bytes, on_micropython
from tests.firmware.sensors.air_rig import Says

# DS "Checksum Calculation" and the examples of DS "Command Overview"
CHECKSUMS = (
    (0xBEEF, 0x92),
    (0x0000, 0x81),
    (0x01F4, 0x33),
    (0x6667, 0xA2),
    (0x5EB9, 0x3C),
    (0x03DB, 0x42),
    (0x8000, 0xA2),
    (0xF896, 0x31),
    (0x9F07, 0xC2),
    (0x3BBE, 0x89),
)


class TestChecksum:
    """DS "Checksum Calculation"."""

    @pytest.mark.parametrize(("word", "checksum"), CHECKSUMS)
    def test_of_the_datasheets_words(self, word: int, checksum: int) -> None:
        assert crc8(word.to_bytes(2, "big"), 0) == checksum
        assert chips.crc8(word) == checksum

    def test_is_the_same_on_micropython(self) -> None:
        printed = on_micropython(
            "from firmware.sensors.sensirion import crc8\nprint(crc8(b'\\xbe\\xef', 0), crc8(b'_\\x01\\xf4', 1))"
        )

        assert printed == f"{0x92} {0x33}\n"


class TestBusFault:
    """ports/esp32/machine_i2c.c and ports/rp2/machine_i2c.c of MicroPython; newlib's ETIMEDOUT is 116."""

    @pytest.mark.parametrize(
        ("number", "fault"),
        [(errno.ENODEV, "no_answer"), (errno.EIO, "no_answer"), (116, "stuck"), (110, "stuck")],
    )
    def test_by_number(self, number: int, fault: str) -> None:
        assert bus_fault(OSError(number, "")) == fault


@given(st.integers(1, 8).flatmap(lambda count: st.binary(min_size=3 * count, max_size=3 * count)))
def test_no_word_is_taken_without_its_checksum(answer: bytes) -> None:
    clock = Clock()
    sensor = Sensirion(I2c(clock, I2cBus(Says(clock, 0x62, {0x1234: answer}))), Time(clock), 0x62, 8)

    fault = sensor.ask(0x1234, len(answer) // 3)

    words = [int.from_bytes(answer[n : n + 2], "big") for n in range(0, len(answer), 3)]
    fits = chips.encode(words) == answer
    assert fault == (None if fits else "bad_answer")


def test_it_compiles_for_the_node() -> None:
    assert mpy_bytes("firmware/sensors/sensirion.py") < 1_300
