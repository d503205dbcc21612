# SPDX-License-Identifier: EUPL-1.2
"""Virtual time, and an air in which nothing fades."""

import pytest

from simulators.air import STEADY, Air
from simulators.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def air(clock: Clock) -> Air:
    return Air(clock, 0, STEADY)
