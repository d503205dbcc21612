# SPDX-License-Identifier: EUPL-1.2
"""The SMT50 driver against the simulated sensor; what it must do stands in ``smt50_behaviours``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.sensors import smt50
from simulators.clock import Clock
from simulators.inprocess import Adc, Time
from tests.firmware.compiling import mpy_bytes
from tests.firmware.sensors.smt50_behaviours import BEHAVIOURS, Behaviour


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
def test_the_driver(behaviour: Behaviour) -> None:
    behaviour(smt50)


@given(st.integers(-500_000, 5_000_000), st.integers(-500_000, 5_000_000))
def test_any_voltages_give_values_in_range_or_faults_names(moisture_uv: int, temperature_uv: int) -> None:
    clock = Clock()
    driver = smt50.Smt50(Adc(clock, lambda: moisture_uv), Adc(clock, lambda: temperature_uv), Time(clock))
    driver.start()

    moisture, temperature = driver.read().values()

    faults = ("open_circuit", "short_circuit", "out_of_range")
    assert moisture in faults or 0 <= int(moisture) <= 5_000
    assert temperature in faults or -4_000 <= int(temperature) <= 8_000


def test_it_compiles_for_the_node() -> None:
    assert mpy_bytes("firmware/sensors/smt50.py") < 1_100
