# SPDX-License-Identifier: EUPL-1.2
"""EU868 against RP002-1.0.4, row by row."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.lorawan import region
from decoders.lorawan.errors import FieldRange, MalformedFrame
from decoders.lorawan.region import EU868


class TestEu868:
    """RP002-1.0.4 "EU863-870 MHz Band"."""

    def test_data_rates_and_maximum_payload_sizes(self):
        assert [tuple(row) for row in EU868.data_rates] == [
            (12, 125_000, 59),
            (11, 125_000, 59),
            (10, 125_000, 59),
            (9, 125_000, 123),
            (8, 125_000, 250),
            (7, 125_000, 250),
            (7, 250_000, 250),
        ]

    def test_default_channels_rx2_and_power(self):
        assert EU868.default_channels_hz == (868_100_000, 868_300_000, 868_500_000)
        assert EU868.rx2 == (869_525_000, 0)
        assert EU868.max_eirp_dbm == 16

    def test_default_delays(self):
        delays = (
            region.RECEIVE_DELAY1_MS,
            region.RECEIVE_DELAY2_MS,
            region.JOIN_ACCEPT_DELAY1_MS,
            region.JOIN_ACCEPT_DELAY2_MS,
        )
        assert delays == (1000, 2000, 5000, 6000)

    def test_sub_bands_do_not_overlap_and_cover_every_channel(self):
        edges = [edge for band in EU868.sub_bands for edge in (band.low_hz, band.high_hz)]

        assert edges == sorted(edges)
        for frequency_hz in (*EU868.default_channels_hz, EU868.rx2[0]):
            assert EU868.sub_band(frequency_hz) in EU868.sub_bands

    @pytest.mark.parametrize("frequency_hz", [862_999_999, 868_650_000, 869_300_000, 870_000_000])
    def test_outside_the_sub_bands_nothing_may_be_sent(self, frequency_hz):
        with pytest.raises(FieldRange, match="frequency_hz"):
            EU868.sub_band(frequency_hz)

    @pytest.mark.parametrize(("up_dr", "offset", "field"), [(0, 6, "RX1DROffset"), (7, 0, "DR"), (-1, 0, "DR")])
    def test_rx1_has_no_rate_for_reserved_values(self, up_dr, offset, field):
        with pytest.raises(FieldRange) as refused:
            EU868.rx1_dr(up_dr, offset)

        assert refused.value.field == field


class TestCfList:
    """RP002-1.0.4 "EU863-870 Join-Accept CFList"."""

    @given(st.binary(max_size=20))
    def test_any_bytes_give_a_value_or_a_remote_error(self, data):
        with suppress(MalformedFrame):
            assert len(region.parse_cf_list(data)) in (0, 5)

    def test_another_type_of_list_is_left_alone(self):
        assert region.parse_cf_list(bytes(15) + b"\x01") == ()

    @pytest.mark.parametrize("frequencies_hz", [(867_100_050,), (-100,), (1_677_721_600,), (867_100_000,) * 6])
    def test_a_frequency_that_does_not_fit_is_refused(self, frequencies_hz):
        with pytest.raises(FieldRange, match="CFList"):
            region.cf_list(frequencies_hz)
