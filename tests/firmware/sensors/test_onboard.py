# SPDX-License-Identifier: EUPL-1.2
"""The drivers of battery and processor; what they must do stands in ``onboard_behaviours``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.sensors import onboard
from tests.firmware.compiling import mpy_bytes
from tests.firmware.sensors.onboard_behaviours import BEHAVIOURS, Behaviour, Prepared, voltage


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
def test_the_driver(behaviour: Behaviour) -> None:
    behaviour(onboard)


@given(st.lists(st.integers(0, 10_000), min_size=3, max_size=3))
def test_any_readings_give_a_voltage_in_range_or_a_faults_name(readings: list[int]) -> None:
    value = voltage(onboard, Prepared(*readings))

    assert value in ("open_circuit", "bad_answer", "out_of_range") or 2_000 <= value <= 5_500


def test_it_compiles_for_the_node() -> None:
    assert mpy_bytes("firmware/sensors/onboard.py") < 1_000
