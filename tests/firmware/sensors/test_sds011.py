# SPDX-License-Identifier: EUPL-1.2
"""The SDS011 driver against the simulated sensor; what it must do stands in ``sds011_behaviours``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.firmware.compiling import mpy_bytes
from tests.firmware.mutants import sds011 as table
from tests.firmware.mutants.loading import load, sources
from tests.firmware.sensors.sds011_behaviours import BEHAVIOURS, QUERY, Behaviour, Script

DRIVER = load(sources(*table.MODULES))


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
def test_the_driver(behaviour: Behaviour) -> None:
    behaviour(DRIVER)


def framed(body: bytes) -> bytes:
    """A report with the right checksum."""
    return b"\xaa\xc0" + body + bytes([sum(body) & 0xFF, 0xAB])


@given(st.one_of(st.binary(max_size=40), st.binary(min_size=6, max_size=6).map(framed)))
def test_any_answer_gives_values_in_range_or_faults_names(answer: bytes) -> None:
    values = Script(DRIVER, {QUERY: answer.hex()}).measure()

    for value in values.values():
        assert value in ("no_answer", "bad_answer", "out_of_range", "stuck") or 0 <= int(value) <= 9_999
        assert isinstance(value, str) or b"\xaa\xc0" in answer


def test_it_compiles_for_the_node() -> None:
    assert mpy_bytes("firmware/sensors/sds011.py") < 1500
