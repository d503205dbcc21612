# SPDX-License-Identifier: EUPL-1.2
"""The LD2451 driver against the simulated radar; what it must do stands in ``ld2451_behaviours``."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.firmware.compiling import mpy_bytes
from tests.firmware.mutants import ld2451 as table
from tests.firmware.mutants.loading import load, sources
from tests.firmware.sensors.ld2451_behaviours import BEHAVIOURS, Behaviour
from tests.firmware.sensors.ld2451_rig import EMPTY, EXAMPLE, Script, ack, report

DRIVER = load(sources(*table.MODULES))
PIECES = st.one_of(
    st.binary(max_size=30),
    st.sampled_from([EMPTY, EXAMPLE, EXAMPLE[:-3], EXAMPLE[5:], ack(0xFF), ack(0xFE)]),
    st.lists(st.tuples(*[st.integers(0, 100)] * 2, st.integers(0, 2), st.integers(-20, 20)), max_size=5).map(
        lambda targets: report(*targets)
    ),
)


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
def test_the_driver(behaviour: Behaviour) -> None:
    behaviour(DRIVER)


@given(st.lists(PIECES, max_size=30))
def test_any_bytes_give_counts_or_one_fault(pieces: list[bytes]) -> None:
    line = Script(DRIVER)
    line.reports([EMPTY] * 30)
    line.read()

    line.reports(pieces)

    counted = line.read()
    assert counted in ("no_answer", "bad_answer", "stuck") or all(count >= 0 for count in counted)


@given(st.lists(PIECES, max_size=20), st.lists(st.integers(0, 400), max_size=20))
def test_it_does_not_matter_where_the_stream_is_cut(pieces: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(pieces)
    taken: list[list[tuple[int, ...]]] = []
    for places in ([], sorted(cuts)):
        line = Script(DRIVER).configured()
        seen: list[tuple[int, ...]] = []
        line.driver._tracker.target = lambda *target, seen=seen: seen.append(target)
        for begin, end in pairwise([0, *places, len(stream)]):
            line.port.received += stream[begin:end]
            line.driver.poll()
        taken.append(seen)

    assert taken[0] == taken[1]


def test_it_compiles_for_the_node() -> None:
    assert mpy_bytes("firmware/sensors/ld2451.py") < 3_400
