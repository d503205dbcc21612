# SPDX-License-Identifier: EUPL-1.2
"""The tracker; what it must do stands in ``tracking_behaviours``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.firmware.compiling import mpy_bytes, on_micropython
from tests.firmware.mutants.loading import load, sources
from tests.firmware.tracking_behaviours import BEHAVIOURS, Behaviour, Frames, Road

TRACKING = load(sources("firmware.tracking"))
TARGET = st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 1), st.integers(-128, 127))


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
def test_the_tracker(behaviour: Behaviour) -> None:
    behaviour(TRACKING)


@given(st.lists(st.lists(TARGET, max_size=20), max_size=40))
def test_no_frames_break_it_and_nobody_counts_twice(frames: Frames) -> None:
    counted = Road(TRACKING).watch(frames)

    assert all(count >= 0 for count in counted)
    assert sum(counted) * 4 <= sum(map(len, frames))


def test_it_compiles_for_the_node() -> None:
    assert mpy_bytes("firmware/tracking.py") < 3_800


def test_it_counts_the_same_on_micropython() -> None:
    printed = on_micropython(
        "from firmware.tracking import SpeedCounts, Tracker\n"
        "counts = SpeedCounts()\n"
        "tracker = Tracker(counts)\n"
        "for n in range(80):\n"
        "    tracker.target(round(95 - n * 48 / 36), 48, 0, 2)\n"
        "    tracker.target(round(8 + n * 60 / 36), 60, 1, -3)\n"
        "    tracker.frame()\n"
        "taken = counts.take(None)\n"
        "print([taken[name] for name in sorted(taken)])"
    )

    # approaching fast, medium, slow, receding fast, medium, slow
    assert printed == "[0, 1, 0, 1, 0, 0]\n"
