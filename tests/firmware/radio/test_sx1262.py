# SPDX-License-Identifier: EUPL-1.2
"""The SX1262 driver against the simulated chip; what it must do stands in ``sx1262_behaviours``."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.radio import sx1262
from tests.firmware.compiling import mpy_bytes
from tests.firmware.radio.sx1262_behaviours import BEHAVIOURS, Behaviour


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
def test_the_driver(behaviour: Behaviour) -> None:
    behaviour(sx1262)


class TestFrequencyWord:
    """DS 13.4.1 "SetRfFrequency"."""

    @pytest.mark.parametrize(
        ("frequency_hz", "word"),
        [(868_000_000, 0x36400000), (868_100_000, 0x3641999A), (869_525_000, 0x36586666), (434_000_000, 0x1B200000)],
    )
    def test_of_known_frequencies(self, frequency_hz: int, word: int) -> None:
        assert sx1262.frequency_word(frequency_hz) == word

    @given(st.integers(150_000_000, 960_000_000))
    def test_is_the_nearest_step(self, frequency_hz: int) -> None:
        exact = Fraction(frequency_hz * 2**25, 32_000_000)

        assert abs(sx1262.frequency_word(frequency_hz) - exact) <= Fraction(1, 2)


def test_it_compiles_for_the_node() -> None:
    assert mpy_bytes("firmware/radio/sx1262.py") < 3_800
