# SPDX-License-Identifier: EUPL-1.2
"""The SCD41 driver against the simulated sensor; what it must do stands in ``scd41_behaviours``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.chips.sensirion import crc8
from tests.firmware.compiling import mpy_bytes
from tests.firmware.mutants import scd41 as table
from tests.firmware.mutants.loading import load, sources
from tests.firmware.sensors.scd41_behaviours import BEHAVIOURS, Behaviour, script

DRIVER = load(sources(*table.MODULES))


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
def test_the_driver(behaviour: Behaviour) -> None:
    behaviour(DRIVER)


WORDS = st.lists(st.integers(0, 0xFFFF), min_size=3, max_size=3).map(tuple)


@given(st.one_of(WORDS, st.binary(min_size=9, max_size=9)), st.integers(0, 0xFFFF))
def test_any_answer_gives_values_in_range_or_faults_names(answer: tuple[int, ...] | bytes, ready: int) -> None:
    value = script(DRIVER, answer, xE4B8=(ready,)).measure()["co2"]

    assert value in ("bad_answer", "out_of_range", "not_ready") or 300 <= int(value) <= 40_000
    if isinstance(answer, bytes) and any(crc8(answer[n] << 8 | answer[n + 1]) != answer[n + 2] for n in (0, 3, 6)):
        assert value in ("bad_answer", "not_ready")


def test_it_compiles_for_the_node() -> None:
    assert mpy_bytes("firmware/sensors/scd41.py") < 1100
