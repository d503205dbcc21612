# SPDX-License-Identifier: EUPL-1.2
"""What the network asks of the node, asked by liblora, and what liblora reads in the answers."""

import pytest

from firmware.mac import Accepted, LinkChecked, NetworkTime, OpenWindow
from tests.firmware.lorawan_peer import answers, ask, free_bands, joined, up

ALL_8_CHANNELS = bytes.fromhex("184f84e85684b85e84886684586e8400")  # 867.1 867.3 867.5 867.7 867.9


def windows(mac):
    rx1 = mac.next_window()
    mac.window_closed()
    return rx1, mac.next_window()


def used_channels(mac, uplinks=24):
    return {up(mac).frequency_hz for _ in range(uplinks)}


class TestLinkCheck:
    """TS001-1.0.4 "Link Check Commands (LinkCheckReq, LinkCheckAns)"."""

    def test_it_is_asked_once_and_the_answer_reported(self):
        mac, peer = joined()
        mac.ask_link()
        mac.ask_link()

        asking = peer.read(up(mac).phy_payload)["FOpts"]
        events = mac.received(peer.downlink(0, f_opts=bytes.fromhex("021403")))

        assert asking == b"\x02"
        assert events == [Accepted(0, None, b""), LinkChecked(20, 3)]
        assert answers(mac, peer) == ""

    def test_an_answer_nobody_asked_for_is_ignored(self):
        mac, peer = joined()
        up(mac)

        assert mac.received(peer.downlink(0, f_opts=bytes.fromhex("021403"))) == [Accepted(0, None, b"")]

    def test_the_question_expires_with_its_windows(self):
        mac, peer = joined()
        mac.ask_link()
        up(mac)
        mac.window_closed()
        mac.window_closed()
        up(mac)

        assert mac.received(peer.downlink(0, f_opts=bytes.fromhex("021403"))) == [Accepted(0, None, b"")]


class TestDeviceTime:
    """TS001-1.0.4 "End-Device Time Commands (DeviceTimeReq, DeviceTimeAns)"."""

    def test_it_is_asked_for_once_and_answered(self):
        mac, peer = joined()
        mac.ask_time()

        asking = peer.read(up(mac).phy_payload)
        events = mac.received(peer.downlink(0, f_opts=bytes.fromhex("0d" + "15cd5b57" + "80")))

        assert asking["FOpts"] == b"\x0d"
        assert events == [Accepted(0, None, b""), NetworkTime(0x575BCD15, 128)]
        assert answers(mac, peer) == ""

    def test_a_time_nobody_asked_for_is_ignored(self):
        mac, peer = joined()
        up(mac)

        assert mac.received(peer.downlink(0, f_opts=bytes.fromhex("0d15cd5b5780"))) == [Accepted(0, None, b"")]

    def test_room_is_less_while_there_is_something_to_ask(self):
        mac, _ = joined()

        mac.ask_time()

        assert mac.room() == 241


class TestLinkAdr:
    """TS001-1.0.4 "Link ADR Commands (LinkADRReq, LinkADRAns)"."""

    def test_data_rate_power_and_nb_trans_are_taken(self):
        mac, peer = joined()

        assert ask(mac, peer, "0334070003") == "0307"  # DR3, power 4, NbTrans 3
        assert (mac.session.dr, mac.session.nb_trans) == (3, 3)
        assert up(mac).eirp_dbm == 16 - 2 * 4

    def test_the_mask_decides_which_channels_are_used(self):
        mac, peer = joined(cf_list=ALL_8_CHANNELS)

        assert ask(mac, peer, "0350820001") == "0307"  # channels 1 and 7
        assert used_channels(mac) == {868_300_000, 867_900_000}

    def test_control_6_enables_all_that_are_defined(self):
        mac, peer = joined(cf_list=ALL_8_CHANNELS)
        ask(mac, peer, "0350010001")

        assert ask(mac, peer, "0350000061", f_cnt=1) == "0307"
        assert len(used_channels(mac)) == 8

    @pytest.mark.parametrize("redundancy", ["11", "21", "31", "41", "51", "71"])
    def test_any_other_control_is_refused(self, redundancy):
        mac, peer = joined()

        assert ask(mac, peer, "03500700" + redundancy) == "0306"

    @pytest.mark.parametrize("mask", ["0000", "0800", "0f00", "0080"])
    def test_an_empty_mask_or_an_undefined_channel_is_refused_and_nothing_applied(self, mask):
        mac, peer = joined()

        assert ask(mac, peer, "0331" + mask + "05") == "0306"
        assert (mac.session.dr, mac.session.power, mac.session.nb_trans, mac.session.channel_mask) == (5, 0, 1, 0b111)

    @pytest.mark.parametrize(
        ("dr_power", "status"), [("70", "05"), ("e0", "05"), ("60", "05"), ("58", "03"), ("5e", "03")]
    )
    def test_a_data_rate_or_power_out_of_range_is_refused_and_nothing_applied(self, dr_power, status):
        mac, peer = joined()

        assert ask(mac, peer, "03" + dr_power + "010005") == "03" + status
        assert (mac.session.dr, mac.session.power, mac.session.nb_trans, mac.session.channel_mask) == (5, 0, 1, 0b111)

    def test_15_keeps_data_rate_and_power(self):
        mac, peer = joined()
        ask(mac, peer, "0332070001")

        assert ask(mac, peer, "03ff030002", f_cnt=1) == "0307"
        assert (mac.session.dr, mac.session.power, mac.session.channel_mask) == (3, 2, 0b011)

    def test_nb_trans_0_is_the_default(self):
        mac, peer = joined()
        ask(mac, peer, "0350070003")

        ask(mac, peer, "0350070000", f_cnt=1)

        assert mac.session.nb_trans == 1

    def test_a_block_is_one_command_with_an_answer_each_and_the_last_one_counts(self):
        mac, peer = joined(cf_list=ALL_8_CHANNELS)

        answer = ask(mac, peer, "0321ff0005" + "0345000061" + "0353030002")

        assert answer == "0307" * 3
        assert (mac.session.dr, mac.session.power, mac.session.nb_trans) == (5, 3, 2)
        assert mac.session.channel_mask == 0b011

    def test_one_bad_mask_refuses_the_whole_block(self):
        mac, peer = joined()

        assert ask(mac, peer, "0330000801" + "0330070001") == "0306" * 2
        assert (mac.session.dr, mac.session.channel_mask) == (5, 0b111)

    def test_blocks_that_another_command_parts_are_judged_alone(self):
        mac, peer = joined()

        assert ask(mac, peer, "0330000801" + "06" + "0340070001") == "0306" + "06ff00" + "0307"
        assert mac.session.dr == 4

    def test_a_data_rate_that_no_enabled_channel_allows_is_refused(self):
        mac, peer = joined()
        ask(mac, peer, "0703184f8430")  # channel 3 allows DR0 to DR3 only

        assert ask(mac, peer, "0350080001", f_cnt=1) == "0305"
        assert ask(mac, peer, "0330080001", f_cnt=2) == "0307"

    def test_with_adr_off_the_network_still_decides_on_the_channels(self):
        mac, peer = joined()
        mac.adr = False

        assert ask(mac, peer, "0331030002") == "0301"
        assert (mac.session.dr, mac.session.power) == (5, 0)
        assert (mac.session.channel_mask, mac.session.nb_trans) == (0b011, 2)
        assert ask(mac, peer, "03ff070001", f_cnt=1) == "0307"


class TestDutyCycle:
    """TS001-1.0.4 "End-Device Transmit Duty Cycle (DutyCycleReq, DutyCycleAns)"."""

    def test_all_channels_rest_for_the_aggregated_share(self):
        mac, peer = joined(cf_list=ALL_8_CHANNELS)
        assert ask(mac, peer, "040a") == "04"  # 1/1024
        free_bands(mac)

        mac.uplink(1000, 2, bytes(10))  # 23 bytes at SF7: 61.696 ms, times 1024: 63.18 s

        assert mac.wait_s(1000) == 65
        assert mac.wait_s(1065) == 0

    def test_0_lifts_it_and_the_upper_bits_are_nothing(self):
        mac, peer = joined()
        ask(mac, peer, "040f")

        assert ask(mac, peer, "04f0", f_cnt=1) == "04"
        assert mac.session.max_duty == 0


class TestRxParamSetup:
    """TS001-1.0.4 "Receive Windows Parameters (RXParamSetupReq, RXParamSetupAns)"."""

    def test_the_windows_obey(self):
        mac, peer = joined()
        ask(mac, peer, "0523" + (8_682_000).to_bytes(3, "little").hex())

        transmit = up(mac)
        rx1, rx2 = windows(mac)

        assert rx1 == OpenWindow(1_000_000, transmit.frequency_hz, 3)
        assert rx2 == OpenWindow(2_000_000, 868_200_000, 3)

    @pytest.mark.parametrize(
        ("settings", "frequency_hz", "status"),
        [("63", 869_525_000, "03"), ("07", 869_525_000, "05"), ("03", 870_100_000, "06"), ("03", 862_900_000, "06"),
         ("7f", 433_000_000, "00")],
    )  # fmt: skip
    def test_all_or_nothing(self, settings, frequency_hz, status):
        mac, peer = joined()

        request = "05" + settings + (frequency_hz // 100).to_bytes(3, "little").hex()

        assert ask(mac, peer, request) == "05" + status
        assert (mac.session.rx1_dr_offset, mac.session.rx2_dr, mac.session.rx2_frequency_hz) == (0, 0, 869_525_000)


class TestDevStatus:
    """TS001-1.0.4 "End-Device Status (DevStatusReq, DevStatusAns)"."""

    @pytest.mark.parametrize(
        ("quarter_db", "margin"), [(0, 0x00), (-26, 0x39), (40, 0x0A), (-128, 0x20), (127, 0x1F), (-1, 0x3F)]
    )
    def test_battery_and_the_margin_of_the_request_in_six_signed_bits(self, quarter_db, margin):
        mac, peer = joined()
        mac.battery_level = 200

        assert ask(mac, peer, "06", snr_quarter_db=quarter_db) == bytes([0x06, 200, margin]).hex()


class TestNewChannel:
    """TS001-1.0.4 "Creation and Modification of a Channel (NewChannelReq, NewChannelAns)"."""

    def test_a_new_channel_is_used_at_once_and_its_windows_follow_it(self):
        mac, peer = joined()

        assert ask(mac, peer, "0703184f8450") == "0703"
        assert used_channels(mac) == {867_100_000, 868_100_000, 868_300_000, 868_500_000}

    def test_frequency_0_removes_it(self):
        mac, peer = joined(cf_list=ALL_8_CHANNELS)

        assert ask(mac, peer, "070300000000") == "0703"
        assert 867_100_000 not in used_channels(mac)

    @pytest.mark.parametrize("number", ["00", "01", "02", "10", "ff"])
    def test_default_channels_and_those_beyond_the_last_are_refused(self, number):
        mac, peer = joined()

        assert ask(mac, peer, "07" + number + "184f8450") == "0700"
        assert ask(mac, peer, "07" + number + "0000000050", f_cnt=1)[:4] == "0700"
        assert used_channels(mac) == {868_100_000, 868_300_000, 868_500_000}

    @pytest.mark.parametrize(
        ("frequency_hz", "dr_range", "status"),
        [(868_650_000, "50", "02"), (915_000_000, "50", "02"), (867_100_000, "05", "01"), (867_100_000, "70", "01"),
         (915_000_000, "f0", "00")],
    )  # fmt: skip
    def test_a_frequency_or_range_that_cannot_be_is_refused(self, frequency_hz, dr_range, status):
        mac, peer = joined()

        request = "0703" + (frequency_hz // 100).to_bytes(3, "little").hex() + dr_range

        assert ask(mac, peer, request) == "07" + status
        assert mac.session.channels_hz[3] == 0

    def test_a_channel_is_left_out_at_data_rates_it_does_not_allow(self):
        mac, peer = joined()

        ask(mac, peer, "0703184f8420")  # DR0 to DR2

        assert 867_100_000 not in used_channels(mac)
        mac.session.dr = 2
        assert 867_100_000 in used_channels(mac)

    def test_when_no_channel_is_left_the_default_ones_come_back(self):
        mac, peer = joined(cf_list=ALL_8_CHANNELS)
        ask(mac, peer, "0350080001")  # channel 3 only
        ask(mac, peer, "070300000000", f_cnt=1)

        assert used_channels(mac) == {868_100_000, 868_300_000, 868_500_000}


class TestRxTimingSetup:
    """TS001-1.0.4 "Setting Delay between TX and RX (RXTimingSetupReq, RXTimingSetupAns)"."""

    @pytest.mark.parametrize(("settings", "delay_s"), [("00", 1), ("01", 1), ("05", 5), ("0f", 15), ("f3", 3)])
    def test_the_windows_move_with_the_uplink_that_answers(self, settings, delay_s):
        mac, peer = joined(rx_delay=7)

        assert ask(mac, peer, "08" + settings) == "08"
        rx1, rx2 = windows(mac)

        assert (rx1.after_us, rx2.after_us) == (delay_s * 1_000_000, (delay_s + 1) * 1_000_000)


class TestTxParamSetup:
    """RP002-1.0.4: not implemented in EU863-870; TS001-1.0.4: then silently dropped."""

    def test_it_is_ignored_and_what_follows_is_read(self):
        mac, peer = joined()

        assert ask(mac, peer, "0935" + "06") == "06ff00"


class TestDlChannel:
    """TS001-1.0.4 "Modification of a Downlink Channel (DlChannelReq, DlChannelAns)"."""

    def test_rx1_opens_on_the_other_frequency_and_rx2_stays(self):
        mac, peer = joined()
        for n in range(3):
            assert ask(mac, peer, f"0a{n:02x}b85e84", f_cnt=n) == "0a03"

        up(mac)
        rx1, rx2 = windows(mac)

        assert (rx1.frequency_hz, rx2.frequency_hz) == (867_500_000, 869_525_000)

    @pytest.mark.parametrize(("request_", "status"), [("0a03b85e84", "01"), ("0a00309e8b", "02"), ("0a20309e8b", "00")])
    def test_an_undefined_channel_or_a_frequency_out_of_band_is_refused(self, request_, status):
        mac, peer = joined()

        assert ask(mac, peer, request_) == "0a" + status
        assert mac.session.rx1_channels_hz == [0] * 16

    def test_a_channel_that_is_made_anew_listens_where_it_sends(self):
        mac, peer = joined()
        ask(mac, peer, "0703184f8450" + "0a03b85e84")

        ask(mac, peer, "0703184f8450", f_cnt=1)

        assert mac.session.rx1_channels_hz[3] == 0
