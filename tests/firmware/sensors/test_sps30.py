# SPDX-License-Identifier: EUPL-1.2
"""The SPS30 driver against the simulated sensor; what it must do stands in ``sps30_behaviours``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.chips.sensirion import crc8
from tests.firmware.compiling import mpy_bytes
from tests.firmware.mutants import sps30 as table
from tests.firmware.mutants.loading import load, sources
from tests.firmware.sensors.sps30_behaviours import BEHAVIOURS, Behaviour, script

DRIVER = load(sources(*table.MODULES))


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
def test_the_driver(behaviour: Behaviour) -> None:
    behaviour(DRIVER)


FAULTS = {"bad_answer", "out_of_range", "stuck"}
WORDS = st.lists(st.integers(0, 0xFFFF), min_size=8, max_size=8).map(tuple)


@given(st.one_of(WORDS, st.binary(min_size=24, max_size=24)))
def test_any_answer_gives_values_in_range_or_faults_names(answer: tuple[int, ...] | bytes) -> None:
    values = script(DRIVER, x0300=answer).measure()

    for value in values.values():
        assert value in FAULTS or 0 <= int(value) <= 10_000
    if isinstance(answer, bytes) and any(
        crc8(answer[n] << 8 | answer[n + 1]) != answer[n + 2] for n in range(0, 24, 3)
    ):
        assert set(values.values()) == {"bad_answer"}


def test_it_compiles_for_the_node() -> None:
    assert mpy_bytes("firmware/sensors/sps30.py") < 1300
