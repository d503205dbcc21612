# SPDX-License-Identifier: EUPL-1.2
"""The OPS243-A driver against the simulated radar; what it must do stands in ``ops243_behaviours``."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.firmware.compiling import mpy_bytes, on_micropython
from tests.firmware.mutants import ops243 as table
from tests.firmware.mutants.loading import load, sources
from tests.firmware.sensors.ops243_behaviours import BEHAVIOURS, Behaviour, Script

DRIVER = load(sources(*table.MODULES))
SPEED = st.floats(-200, 200).map(lambda kmh: f"{kmh:.1f}".encode())
LINE = st.one_of(
    st.binary(max_size=30),
    SPEED,
    st.tuples(st.floats(0, 5_000), SPEED).map(lambda pair: f"{pair[0]:.1f},".encode() + pair[1]),
    SPEED.map(lambda speed: b'{"speed":' + speed + b', "direction":"inbound"}'),
    st.sampled_from([b"{", b'{"speed"', b'{"speed":}', b'{"Units":"km-per-hr"}', b",", b"-", b".", b"{}"]),
)


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
def test_the_driver(behaviour: Behaviour) -> None:
    behaviour(DRIVER)


@given(st.lists(LINE, max_size=40), st.lists(st.integers(0, 400), max_size=20))
def test_any_lines_give_counts_or_one_fault_wherever_they_are_cut(lines: list[bytes], cuts: list[int]) -> None:
    stream = b"\r\n".join([*lines, b""])
    counted = []
    for places in ([], sorted(cuts)):
        line = Script(DRIVER).configured()
        for begin, end in pairwise([0, *places, len(stream)]):
            line.port.received += stream[begin:end]
            line.driver.poll()
        counted.append(line.read())

    assert counted[0] == counted[1]
    assert counted[0] in ("bad_answer", "stuck") or all(count >= 0 for count in counted[0])


@given(st.binary(max_size=20))
def test_any_text_is_a_number_or_none(text: bytes) -> None:
    tenths = DRIVER.number(text)

    assert tenths is None or abs(tenths) < 100_000_000


def test_it_compiles_for_the_node() -> None:
    assert mpy_bytes("firmware/sensors/ops243.py") < 3_400


def test_it_reads_lines_on_micropython() -> None:
    printed = on_micropython(
        "from firmware.sensors.ops243 import field, number\n"
        "print(number(b'-12.34'), number(b'1.x'), number(b'7'))\n"
        'print(field(b\'{"speed":"40.5", "direction":"inbound"}\', b\'"speed"\'))'
    )

    assert printed == "-123 None 70\nb'40.5'\n"
