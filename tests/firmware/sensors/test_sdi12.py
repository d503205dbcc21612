# SPDX-License-Identifier: EUPL-1.2
"""The SDI-12 recorder against the simulated sensor; what it must do stands in ``sdi12_behaviours``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.firmware.compiling import mpy_bytes
from tests.firmware.mutants import sdi12 as table
from tests.firmware.mutants.loading import load, sources
from tests.firmware.sensors.sdi12_behaviours import BEHAVIOURS, Behaviour, Prepared

DRIVER = load(sources(*table.MODULES))


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
def test_the_driver(behaviour: Behaviour) -> None:
    behaviour(DRIVER)


@given(st.one_of(st.binary(max_size=20), st.text("+-.0123456789", max_size=20).map(str.encode)))
def test_any_text_gives_values_or_none(text: bytes) -> None:
    values = DRIVER.hundredths(text)

    assert values is None or all(abs(value) < 10**9 for value in values)


@given(st.lists(st.binary(min_size=1, max_size=12), max_size=4))
def test_any_answers_give_values_or_a_faults_name(answers: list[bytes]) -> None:
    values, fault = Prepared(DRIVER, *[bytes(byte & 0x7F for byte in answer) for answer in answers]).bus.measure(b"0")

    assert (fault is None) == bool(values)
    assert fault in (None, "no_answer", "bad_answer", "not_ready")


def test_it_compiles_for_the_node() -> None:
    assert mpy_bytes("firmware/sensors/sdi12.py") < 2_600
