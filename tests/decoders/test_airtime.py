# SPDX-License-Identifier: EUPL-1.2
"""Time on air beyond the vectors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.lorawan.airtime import low_data_rate_optimize, symbol_us, time_on_air_us


class TestLoRaTimeOnAir:
    """DS.SX1261-2 "LoRa Time-on-Air"."""

    @pytest.mark.parametrize(("sf", "ms"), [(7, 62), (8, 113), (9, 206), (10, 412), (11, 823), (12, 1483)])
    def test_a_frame_of_25_bytes_takes_what_semtechs_calculator_says(self, sf, ms):
        assert round(time_on_air_us(25, sf) / 1000) == ms

    def test_sf5_has_its_own_preamble_and_no_spare_bits(self):
        # A symbol is 256 us. 10 bytes: ceil((80 + 16 - 20 + 20) / 20) = 5 groups of 5; 8 + 6.25 + 8 + 25 = 47.25.
        assert time_on_air_us(10, 5) == 12_096

    @given(st.integers(0, 254), st.integers(5, 12), st.sampled_from((125_000, 250_000, 500_000)), st.integers(1, 4))
    def test_a_longer_frame_never_takes_less_time(self, length, sf, bandwidth_hz, coding_rate):
        shorter = time_on_air_us(length, sf, bandwidth_hz, coding_rate=coding_rate)
        longer = time_on_air_us(length + 1, sf, bandwidth_hz, coding_rate=coding_rate)

        assert 0 < shorter <= longer

    def test_a_symbol_lasts_two_to_the_sf_over_bandwidth(self):
        assert symbol_us(7, 125_000) == 1_024
        assert symbol_us(12, 125_000) == 32_768
        assert symbol_us(7, 500_000) == 256

    def test_long_symbols_are_optimized(self):
        rates = [
            (sf, bw) for bw in (125_000, 250_000, 500_000) for sf in range(7, 13) if low_data_rate_optimize(sf, bw)
        ]

        assert rates == [(11, 125_000), (12, 125_000), (12, 250_000)]
