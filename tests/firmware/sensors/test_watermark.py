# SPDX-License-Identifier: EUPL-1.2
"""The Watermark driver against the simulated sensor; what it must do stands in ``watermark_behaviours``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.sensors import watermark
from tests.firmware.compiling import mpy_bytes
from tests.firmware.sensors.watermark_behaviours import BEHAVIOURS, Behaviour, Bench


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
def test_the_driver(behaviour: Behaviour) -> None:
    behaviour(watermark)


@given(st.floats(0, 1e6), st.integers(-5_000, 9_000))
def test_any_resistance_and_temperature_give_a_tension_in_range_or_a_faults_name(ohm: float, centi_cel: int) -> None:
    value = Bench(watermark, ohm=ohm).measure(centi_cel)

    assert value in ("open_circuit", "short_circuit", "out_of_range", "bad_answer") or 0 <= int(value) <= 2_390


def test_it_compiles_for_the_node() -> None:
    assert mpy_bytes("firmware/sensors/watermark.py") < 1_700
