# SPDX-License-Identifier: EUPL-1.2
"""The SEN55 driver against the simulated sensor; what it must do stands in ``sen55_behaviours``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.chips.sensirion import crc8
from tests.firmware.compiling import mpy_bytes
from tests.firmware.mutants import sen55 as table
from tests.firmware.mutants.loading import load, sources
from tests.firmware.sensors.sen55_behaviours import BEHAVIOURS, Behaviour, script

DRIVER = load(sources(*table.MODULES))


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
def test_the_driver(behaviour: Behaviour) -> None:
    behaviour(DRIVER)


FAULTS = {"bad_answer", "out_of_range", "not_ready"}
LIMITS = [(0, 10_000)] * 5 + [(-4_000, 7_000), (10, 5_000), (10, 5_000)]
WORDS = st.lists(st.integers(0, 0xFFFF), min_size=8, max_size=8).map(tuple)


@given(st.one_of(WORDS, st.binary(min_size=24, max_size=24)), st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)))
def test_any_answer_gives_values_in_range_or_faults_names(
    answer: tuple[int, ...] | bytes, status: tuple[int, int]
) -> None:
    values = script(DRIVER, x03C4=answer, xD210=status).measure()

    for value, (least, most) in zip(values.values(), LIMITS, strict=True):
        assert value in FAULTS or least <= int(value) <= most
    if isinstance(answer, bytes) and any(
        crc8(answer[n] << 8 | answer[n + 1]) != answer[n + 2] for n in range(0, 24, 3)
    ):
        assert set(values.values()) == {"bad_answer"}


def test_it_compiles_for_the_node() -> None:
    assert mpy_bytes("firmware/sensors/sen55.py") < 1700
