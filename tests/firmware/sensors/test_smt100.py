# SPDX-License-Identifier: EUPL-1.2
"""The SMT100 driver against the simulated sensor; what it must do stands in ``smt100_behaviours``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.firmware.compiling import mpy_bytes, on_micropython
from tests.firmware.mutants import smt100 as table
from tests.firmware.mutants.loading import load, sources
from tests.firmware.sensors.smt100_behaviours import BEHAVIOURS, Behaviour, Slave, frame

DRIVER = load(sources(*table.MODULES))


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
def test_the_driver(behaviour: Behaviour) -> None:
    behaviour(DRIVER)


@given(st.one_of(st.binary(min_size=1, max_size=12), st.binary(min_size=2, max_size=7).map(lambda b: frame(b.hex()))))
def test_any_answer_gives_values_in_range_or_faults_names(answer: bytes) -> None:
    moisture, temperature = Slave(DRIVER, answer, answer, answer).read()

    assert moisture in ("bad_answer", "not_ready", "out_of_range") or 0 <= int(moisture) <= 10_000
    assert temperature in ("bad_answer", "not_ready", "out_of_range") or -4_000 <= int(temperature) <= 8_000


@pytest.mark.parametrize(("module", "limit"), [("smt100", 900), ("modbus", 1_300)])
def test_it_compiles_for_the_node(module: str, limit: int) -> None:
    assert mpy_bytes(f"firmware/sensors/{module}.py") < limit


def test_the_checksums_are_the_same_on_micropython() -> None:
    printed = on_micropython(
        "from firmware.sensors.modbus import crc16\n"
        "from firmware.sensors.ds18b20 import crc8\n"
        "from firmware.sensors.smt100 import Smt100\n"
        "print(crc16(b'123456789'), crc8(b'123456789'))"
    )

    # Check values of CRC-16/MODBUS and CRC-8/MAXIM-DOW, catalogue of parametrised CRC algorithms
    assert printed == f"{0x4B37} {0xA1}\n"
