# SPDX-License-Identifier: EUPL-1.2
"""The SX1262 driver against the simulated chip; what it must do stands in ``sx1262_behaviours``."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.radio import sx1262
from tests.firmware.compiling import mpy_bytes, on_micropython
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
    assert mpy_bytes("firmware/radio/sx1262.py") < 4_800


class TestOnMicroPython:
    def test_the_arithmetic_is_the_same(self) -> None:
        printed = on_micropython(
            "from firmware.radio import sx1262\n"
            "print(sx1262.frequency_word(868_100_000), sx1262.frequency_word(869_525_000), sx1262.symbol_timeout(104))"
        )

        assert printed == f"{0x3641999A} {0x36586666} (104, 105)\n"

    def test_a_launch_allocates_nothing(self) -> None:
        printed = on_micropython(
            """
import micropython, time
from firmware.radio.sx1262 import Sx1262

def pin(level=0):
    return 0

class Spi:
    def write(self, data):
        pass

radio = Sx1262(Spi(), pin, pin, pin, pin, time)
micropython.heap_lock()
radio.launch_tx()
radio.launch_rx()
radio.rx_state()
micropython.heap_unlock()
print("done")
"""
        )

        assert printed == "done\n"
