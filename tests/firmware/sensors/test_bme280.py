# SPDX-License-Identifier: EUPL-1.2
"""The BME280 driver against the simulated sensor; what it must do stands in ``bme280_behaviours``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.firmware.compiling import mpy_bytes
from tests.firmware.mutants import bme280 as table
from tests.firmware.mutants.loading import load, sources
from tests.firmware.sensors.bme280_behaviours import BEHAVIOURS, EXAMPLE, Behaviour, patched

DRIVER = load(sources(*table.MODULES))


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
def test_the_driver(behaviour: Behaviour) -> None:
    behaviour(DRIVER)


FAULTS = {"bad_answer", "out_of_range", "not_ready"}
LIMITS = ((-4_000, 8_500), (0, 10_000), (3_000, 11_000))


@given(
    st.one_of(st.just(EXAMPLE), st.binary(min_size=6, max_size=6)),
    st.binary(min_size=2, max_size=2),
    st.one_of(st.none(), st.binary(min_size=24, max_size=24)),
    st.one_of(st.none(), st.binary(min_size=7, max_size=7)),
)
def test_any_registers_give_values_in_range_or_faults_names(
    data: bytes, humidity: bytes, calibration: bytes | None, more: bytes | None
) -> None:
    patches = {0xF7: data + humidity}
    if calibration is not None:
        patches[0x88] = calibration
    if more is not None:
        patches[0xE1] = more

    values = patched(DRIVER, patches)

    for value, (least, most) in zip(values.values(), LIMITS, strict=True):
        assert value in FAULTS or least <= int(value) <= most


def test_it_compiles_for_the_node() -> None:
    assert mpy_bytes("firmware/sensors/bme280.py") < 2600
