# SPDX-License-Identifier: EUPL-1.2
"""MAC commands in words, against bytes written out by hand from TS001-1.0.4 "MAC Commands"."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mac_words import of_downlink, of_uplink


def link_adr(**fields):
    return {"data_rate": 0, "tx_power": 0, "channel_mask": 0, "channel_mask_control": 0, "nb_trans": 1} | fields


DOWN = [
    ("021402", "LinkCheckAns", {"margin_db": 20, "gateways": 2}),
    ("0351070001", "LinkADRReq", link_adr(data_rate=5, tx_power=1, channel_mask=7)),
    ("03f0ff0061", "LinkADRReq", link_adr(data_rate=15, channel_mask=255, channel_mask_control=6)),
    ("0407", "DutyCycleReq", {"max_duty_cycle": 7}),
    ("0523d2ad84", "RXParamSetupReq", {"rx1_dr_offset": 2, "rx2_data_rate": 3, "frequency_hz": 869_525_000}),
    ("06", "DevStatusReq", {}),
    (
        "0703184f8450", "NewChannelReq",
        {"channel": 3, "frequency_hz": 867_100_000, "min_data_rate": 0, "max_data_rate": 5},
    ),
    ("0805", "RXTimingSetupReq", {"delay_s": 5}),
    ("0935", "TXParamSetupReq", {"max_eirp": 5, "uplink_dwell": 1, "downlink_dwell": 1}),
    ("0a02d2ad84", "DlChannelReq", {"channel": 2, "frequency_hz": 869_525_000}),
    ("0dc089b95680", "DeviceTimeAns", {"gps_s": 1_455_000_000, "fraction_256": 128}),
]  # fmt: skip
UP = [
    ("02", "LinkCheckReq", {}),
    ("0305", "LinkADRAns", {"channel_mask_ok": 1, "data_rate_ok": 0, "tx_power_ok": 1}),
    ("04", "DutyCycleAns", {}),
    ("0503", "RXParamSetupAns", {"rx2_frequency_ok": 1, "rx2_data_rate_ok": 1, "rx1_dr_offset_ok": 0}),
    ("06c83a", "DevStatusAns", {"battery": 200, "margin_db": -6}),
    ("06ff1f", "DevStatusAns", {"battery": 255, "margin_db": 31}),
    ("0702", "NewChannelAns", {"frequency_ok": 0, "data_rates_ok": 1}),
    ("08", "RXTimingSetupAns", {}),
    ("09", "TXParamSetupAns", {}),
    ("0a01", "DlChannelAns", {"frequency_ok": 1, "uplink_frequency_exists": 0}),
    ("0d", "DeviceTimeReq", {}),
]


class TestMacCommands:
    """TS001-1.0.4 "MAC Commands"."""

    @pytest.mark.parametrize(("data", "name", "fields"), DOWN, ids=[row[0] for row in DOWN])
    def test_what_the_network_says(self, data, name, fields):
        assert of_downlink(bytes.fromhex(data)) == [(name, fields)]

    @pytest.mark.parametrize(("data", "name", "fields"), UP, ids=[row[0] for row in UP])
    def test_what_a_node_says(self, data, name, fields):
        assert of_uplink(bytes.fromhex(data)) == [(name, fields)]

    def test_several_are_told_in_their_order_up_to_an_unknown_one(self):
        assert [words.name for words in of_uplink(bytes.fromhex("0307060a0bff02"))] == ["LinkADRAns", "DevStatusAns"]

    @given(st.binary(max_size=60))
    def test_any_bytes_are_words_or_nothing(self, data):
        for words in (*of_uplink(data), *of_downlink(data)):
            assert words.name
            assert all(type(value) is int for value in words.fields.values())
