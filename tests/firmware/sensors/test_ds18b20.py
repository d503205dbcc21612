# SPDX-License-Identifier: EUPL-1.2
"""The DS18B20 driver against the simulated chip; what it must do stands in ``ds18b20_behaviours``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.sensors import ds18b20
from simulators.chips.ds18b20 import Ds18b20Sim
from tests.firmware.compiling import mpy_bytes
from tests.firmware.sensors.ds18b20_behaviours import BEHAVIOURS, Behaviour, Bench


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
def test_the_driver(behaviour: Behaviour) -> None:
    behaviour(ds18b20)


class TestCrc:
    """DS "CRC Generation"; the check value of CRC-8/MAXIM-DOW in the catalogue of parametrised CRC algorithms."""

    def test_of_the_catalogues_nine_digits(self) -> None:
        assert ds18b20.crc8(b"123456789") == 0xA1


@given(st.binary(min_size=9, max_size=9))
def test_any_scratchpad_gives_a_temperature_in_range_or_a_faults_name(scratchpad: bytes) -> None:
    class Mad(Ds18b20Sim):
        def scratchpad(self) -> bytes:
            return scratchpad

    value = Bench(ds18b20, chip=Mad).measure()

    assert value in ("bad_answer", "not_ready", "out_of_range") or -5_500 <= int(value) <= 12_500


def test_it_compiles_for_the_node() -> None:
    assert mpy_bytes("firmware/sensors/ds18b20.py") < 1_400
