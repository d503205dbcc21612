# SPDX-License-Identifier: EUPL-1.2
"""firmware.mac against liblora and against literal times, frequencies and bytes."""

from collections import Counter

import loramsg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.lorawan.errors import FieldRange
from firmware.errors import BandBusy, NotJoined
from firmware.mac import Accepted, Dropped, Joined, Mac, OpenWindow
from firmware.session import Session
from tests.firmware.lorawan_peer import APP_KEY, DEV_ADDR, IDENTITY, Peer, free_bands, join_accept, joined, session_keys

DEFAULT_CHANNELS_HZ = {868_100_000, 868_300_000, 868_500_000}


class TestJoinRequest:
    """TS001-1.0.4 "Join-Request frame"."""

    def test_an_independent_implementation_reads_and_verifies_it(self):
        transmit = Mac(IDENTITY).join_request(0)

        loramsg.verify_jreq(APP_KEY, transmit.phy_payload)
        request = loramsg.unpack_jreq(transmit.phy_payload)
        assert str(request["DevEUI"]) == "70-B3-D5-7E-D0-00-00-01"
        assert str(request["JoinEUI"]) == "70-B3-D5-7E-D0-FF-FF-00"
        assert request["DevNonce"] == 0
        assert transmit.frequency_hz in DEFAULT_CHANNELS_HZ
        assert transmit.eirp_dbm == 16

    def test_dev_nonce_counts_up_with_every_request(self):
        mac = Mac(IDENTITY)

        nonces = [loramsg.unpack_jreq(free_bands(mac).join_request(n).phy_payload)["DevNonce"] for n in range(4)]

        assert nonces == [0, 1, 2, 3]

    def test_dev_nonce_is_never_used_twice_even_when_all_are_used_up(self):
        mac = Mac(IDENTITY)
        mac.next_dev_nonce = 0xFFFF

        last = mac.join_request(0)

        assert loramsg.unpack_jreq(last.phy_payload)["DevNonce"] == 0xFFFF
        with pytest.raises(FieldRange):
            free_bands(mac).join_request(1)

    def test_the_data_rate_varies_over_retries(self):
        mac = Mac(IDENTITY)

        rates = [free_bands(mac).join_request(n).dr for n in range(8)]

        assert rates == [5, 4, 3, 2, 1, 0, 5, 4]

    def test_every_default_channel_gets_its_share(self):
        mac = Mac(IDENTITY)

        channels = Counter(free_bands(mac).join_request(n).frequency_hz for n in range(300))

        assert set(channels) == DEFAULT_CHANNELS_HZ
        assert min(channels.values()) > 70

    def test_two_nodes_do_not_follow_each_other_over_the_channels(self):
        first = Mac(IDENTITY)
        second = Mac(type(IDENTITY)(**{**vars(IDENTITY), "dev_eui": "70b3d57ed0000002"}))

        same = sum(
            free_bands(first).join_request(n).frequency_hz == free_bands(second).join_request(n).frequency_hz
            for n in range(300)
        )

        assert 60 < same < 140  # a third of them, by chance

    def test_windows_are_those_of_the_join_accept(self):
        mac = Mac(IDENTITY)

        transmit = mac.join_request(0)
        rx1 = mac.next_window()
        mac.window_closed()
        rx2 = mac.next_window()
        mac.window_closed()

        assert rx1 == OpenWindow(5_000_000, transmit.frequency_hz, 5)
        assert rx2 == OpenWindow(6_000_000, 869_525_000, 0)
        assert mac.next_window() is None


class TestJoinBackOff:
    """TS001-1.0.4 "Retransmissions back-off"."""

    @pytest.mark.parametrize(
        ("after_s", "at_least_s", "at_most_s"),
        # SF7 join request: 61.696 ms on air
        [(0, 7, 14), (3599, 7, 14), (3600, 62, 97), (39_599, 62, 97), (39_600, 617, 930)],
    )
    def test_it_gets_rarer_with_the_hours(self, after_s, at_least_s, at_most_s):
        mac = Mac(IDENTITY)
        mac.join_request(1000)

        wait_s = mac.join_back_off_s(1000 + after_s)

        assert at_least_s <= wait_s <= at_most_s

    def test_a_day_of_failures_stays_within_the_airtime_budget(self):
        mac = Mac(IDENTITY)
        spent_us = Counter()
        now_s = 0

        while now_s < 35 * 3600:
            try:
                transmit = mac.join_request(now_s)
            except BandBusy as busy:
                now_s += busy.wait_s
                continue
            spent_us["hour" if now_s < 3600 else "ten hours" if now_s < 39_600 else "day"] += transmit.airtime_us
            mac.window_closed()
            mac.window_closed()
            now_s += 8
            now_s += mac.join_back_off_s(now_s)

        assert spent_us["hour"] < 36_000_000
        assert spent_us["ten hours"] < 36_000_000
        assert spent_us["day"] < 8_700_000

    def test_however_often_it_is_asked_no_period_holds_more_than_its_airtime(self):
        """TR007-1.1 "Avoiding Congestion Collapse": 36 s in the first hour, 36 s in the next ten, then 8.7 s a day."""
        mac = Mac(IDENTITY)
        spent_us = Counter()
        now_s = 0

        while now_s < (11 + 3 * 24) * 3600:
            mac.band_free_s = [0] * 6  # a supply that fails again and again: RTC memory is lost each time
            try:
                transmit = mac.join_request(now_s)
            except BandBusy as busy:
                now_s += busy.wait_s
                continue
            period = 0 if now_s < 3600 else 1 if now_s < 39_600 else 2 + (now_s - 39_600) // 86_400
            spent_us[period] += transmit.airtime_us
            now_s += 20

        assert sorted(spent_us) == [0, 1, 2, 3, 4]
        assert 30_000_000 < spent_us[0] < 36_000_000
        assert 30_000_000 < spent_us[1] < 36_000_000
        assert all(7_000_000 < spent_us[day] < 8_700_000 for day in (2, 3, 4))

    def test_after_a_power_cut_it_waits_in_the_first_hour_only(self):
        mac = Mac(IDENTITY)
        mac.join_request(0)
        first_hour_s = mac.join_after_power_up_s(1000)
        free_bands(mac).join_request(3600)

        assert 7 <= first_hour_s <= 14  # as without, after SF7
        assert mac.join_after_power_up_s(5000) == 0

    def test_nodes_that_lost_power_together_do_not_try_again_together(self):
        waits = set()
        for n in range(40):
            mac = Mac(type(IDENTITY)(**{**vars(IDENTITY), "dev_eui": f"{n:016x}"}))
            mac.join_attempts = 5  # SF12
            mac.join_request(0)
            waits.add(mac.join_back_off_s(8))

        assert len(waits) > 20


class TestJoinAccept:
    """TS001-1.0.4 "Join-Accept frame"."""

    def test_keys_are_those_an_independent_implementation_derives(self):
        mac = Mac(IDENTITY)
        mac.next_dev_nonce = 7
        mac.join_request(0)

        events = mac.received(join_accept(join_nonce=0x0A0B0C))

        assert events == [Joined(DEV_ADDR)]
        assert (mac.session.nwk_s_key, mac.session.app_s_key) == session_keys(7, 0x0A0B0C)
        assert mac.next_window() is None

    def test_the_first_join_nonce_may_be_0(self):
        mac = Mac(IDENTITY)
        mac.join_request(0)

        assert mac.received(join_accept(join_nonce=0)) == [Joined(DEV_ADDR)]

    def test_a_replayed_join_nonce_is_refused(self):
        mac, _ = joined(join_nonce=5)
        before = mac.session
        free_bands(mac).join_request(100)

        replayed = mac.received(join_accept(join_nonce=5))

        assert replayed == [Dropped("join_nonce")]
        assert mac.session is before

    def test_another_nodes_key_is_refused_and_rx2_still_opens(self):
        mac = Mac(IDENTITY)
        mac.join_request(0)

        events = mac.received(join_accept(app_key=bytes(16)))

        assert events == [Dropped("MicMismatch")]
        assert mac.session is None
        assert mac.next_window() == OpenWindow(6_000_000, 869_525_000, 0)

    def test_the_data_rate_of_the_join_stays_for_the_data(self):
        mac = Mac(IDENTITY)
        mac.join_request(0)
        free_bands(mac).join_request(100)
        mac.received(join_accept())

        assert free_bands(mac).uplink(200, 2, b"x").dr == 4

    def test_dl_settings_and_rx_delay_move_the_windows_of_the_data(self):
        mac, _ = joined(dl_settings=0x23, rx_delay=5)  # RX1DROffset 2, RX2 DR3

        transmit = free_bands(mac).uplink(100, 2, b"x")
        rx1 = mac.next_window()
        mac.window_closed()

        assert rx1 == OpenWindow(5_000_000, transmit.frequency_hz, 3)
        assert mac.next_window() == OpenWindow(6_000_000, 869_525_000, 3)

    @pytest.mark.parametrize("delay", [0, 1, 0xF1])
    def test_rx_delay_0_and_1_are_both_one_second_and_rfu_bits_are_nothing(self, delay):
        mac, _ = joined(rx_delay=delay)

        free_bands(mac).uplink(100, 2, b"x")

        assert mac.next_window().after_us == 1_000_000

    @pytest.mark.parametrize("dl_settings", [0x60, 0x70, 0x07, 0x0F])
    def test_settings_reserved_for_future_use_are_refused(self, dl_settings):
        mac = Mac(IDENTITY)
        mac.join_request(0)

        assert mac.received(join_accept(dl_settings=dl_settings)) == [Dropped("dl_settings")]

    def test_the_cf_list_adds_channels(self):
        # RP002-1.0.4 "EU863-870 Join-Accept CFList": 867.1 867.3 867.5 - 867.9, in 100 Hz, type 0
        mac, _ = joined(cf_list=bytes.fromhex("184f84e85684b85e84000000586e8400"))

        channels = {free_bands(mac).uplink(n, 2, b"x").frequency_hz for n in range(7)}

        assert channels == DEFAULT_CHANNELS_HZ | {867_100_000, 867_300_000, 867_500_000, 867_900_000}

    def test_a_frequency_outside_the_band_is_not_used(self):
        # 868.65 MHz lies between two sub-bands, 915.0 MHz in another region
        mac, _ = joined(cf_list=bytes.fromhex("848c84309e8b00000000000000000000"))

        channels = {free_bands(mac).uplink(n, 2, b"x").frequency_hz for n in range(12)}

        assert channels == DEFAULT_CHANNELS_HZ


class TestUplink:
    """TS001-1.0.4 "MAC payload of data frames"."""

    def test_an_independent_implementation_verifies_and_decrypts_it(self):
        mac, peer = joined()

        transmit = free_bands(mac).uplink(100, 2, b"soil")

        frame = peer.read(transmit.phy_payload)
        assert frame["MHdr"] == 0x40
        assert frame["DevAddr"] == DEV_ADDR
        assert (frame["FCnt"], frame["FCtrl"], frame["FOpts"]) == (0, 0x80, b"")  # ADR
        assert (frame["FPort"], frame["FRMPayload"]) == (2, b"soil")

    def test_the_counter_has_32_bits_of_which_16_go_on_air(self):
        mac, peer = joined()
        mac.session.f_cnt_up = 0x0001_FFFF

        first = free_bands(mac).uplink(100, 2, b"a").phy_payload
        second = free_bands(mac).uplink(200, 2, b"b").phy_payload

        assert first[6:8] == b"\xff\xff"
        assert second[6:8] == b"\x00\x00"
        assert peer.read(first, 0x0001_FFFE)["FRMPayload"] == b"a"
        assert peer.read(second, 0x0001_FFFF)["FRMPayload"] == b"b"

    def test_without_a_session_there_is_no_uplink(self):
        with pytest.raises(NotJoined):
            Mac(IDENTITY).uplink(0, 2, b"x")

    @pytest.mark.parametrize(("attempts", "room"), [(0, 242), (1, 242), (2, 115), (3, 51), (4, 51), (5, 51)])
    def test_room_is_what_the_data_rate_allows(self, attempts, room):
        mac = Mac(IDENTITY)
        mac.join_attempts = attempts
        mac.join_request(0)
        mac.received(join_accept())

        assert mac.room() == room
        free_bands(mac).uplink(0, 2, bytes(mac.room()))

    def test_a_payload_without_room_is_refused_and_costs_no_counter(self):
        mac, _ = joined()

        with pytest.raises(FieldRange):
            free_bands(mac).uplink(0, 2, bytes(243))

        assert mac.session.f_cnt_up == 0

    def test_every_channel_is_used_once_before_one_is_used_again(self):
        mac, _ = joined(cf_list=bytes.fromhex("184f84e85684b85e84886684586e8400"))

        channels = [free_bands(mac).uplink(n, 2, b"x").frequency_hz for n in range(80)]

        for first in range(0, 80, 8):
            assert len(set(channels[first : first + 8])) == 8
        assert channels[:8] != channels[8:16]


class TestDutyCycle:
    """ETSI EN 300 220-2 V3.1.1: 1 % in 868.0..868.6 MHz and in 865..868 MHz, each with its own budget."""

    @pytest.mark.parametrize(("length", "hour_s"), [(0, 3600), (23, 3600), (51, 3600), (51, 3816)])
    def test_no_hour_holds_more_than_36_s_at_sf12(self, length, hour_s):
        """Nor does one of a node whose clock, that of its sleep, runs 6 % fast."""
        mac, _ = joined()
        mac.session.dr = 0
        free_bands(mac)
        now_s, sent = 1000, []

        while now_s < 1000 + 6 * 3600:
            now_s += mac.wait_s(now_s)
            sent.append((now_s, mac.uplink(now_s, 2, bytes(length)).airtime_us))

        for start_s, _ in sent[:-25]:
            hour_us = sum(airtime_us for at_s, airtime_us in sent if start_s <= at_s < start_s + hour_s)
            assert 30_000_000 < hour_us <= 36_000_000

    def test_a_band_rests_so_long_that_an_hour_keeps_its_share(self):
        mac, _ = joined()
        mac.session.dr = 0
        free_bands(mac)

        transmit = mac.uplink(1000, 2, bytes(51))  # 64 bytes at SF12: 2793.472 ms

        assert transmit.airtime_us == 2_793_472
        with pytest.raises(BandBusy) as busy:
            mac.uplink(1000 + 300, 2, b"")
        assert busy.value.wait_s >= 1
        assert mac.wait_s(1001) == 322  # 1.06 * 3600 s / (36 s - 2.8 s) * 2.793 s = 321.1 s
        assert mac.wait_s(1323) == 0
        mac.uplink(1323, 2, b"")

    def test_another_band_is_still_free(self):
        mac, _ = joined(cf_list=bytes.fromhex("184f8400000000000000000000000000"))
        mac.session.used_mask = 0b1000
        free_bands(mac)

        first = mac.uplink(0, 2, bytes(100))
        second = mac.uplink(1, 2, bytes(100))

        assert first.frequency_hz in DEFAULT_CHANNELS_HZ
        assert second.frequency_hz == 867_100_000
        with pytest.raises(BandBusy):
            mac.uplink(2, 2, b"")

    def test_a_refused_uplink_costs_no_counter(self):
        mac, _ = joined()
        mac.uplink(50, 2, bytes(100))

        with pytest.raises(BandBusy):
            mac.uplink(51, 2, b"")

        assert mac.session.f_cnt_up == 1

    def test_a_join_request_is_counted_too(self):
        mac = Mac(IDENTITY)
        mac.join_request(0)

        with pytest.raises(BandBusy):
            mac.join_request(3)


class TestDownlink:
    """TS001-1.0.4 "Receive windows", "Frame counter (FCnt)"."""

    def listening(self, **settings):
        mac, peer = joined(**settings)
        free_bands(mac).uplink(100, 2, b"x")
        return mac, peer

    def test_windows_open_one_and_two_seconds_after_the_uplink(self):
        mac, _ = joined()

        transmit = free_bands(mac).uplink(100, 2, b"x")
        rx1 = mac.next_window()
        mac.window_closed()

        assert rx1 == OpenWindow(1_000_000, transmit.frequency_hz, 5)
        assert mac.next_window() == OpenWindow(2_000_000, 869_525_000, 0)

    def test_a_frame_for_us_in_rx1_leaves_rx2_closed(self):
        mac, peer = self.listening()

        events = mac.received(peer.downlink(0, port=21, payload=b"set"))

        assert events == [Accepted(0, 21, b"set")]
        assert mac.next_window() is None

    def test_a_frame_for_another_node_in_rx1_leaves_rx2_open(self):
        mac, peer = self.listening()

        events = mac.received(peer.downlink(0, dev_addr=DEV_ADDR + 1))

        assert events == [Dropped("dev_addr")]
        assert mac.next_window().after_us == 2_000_000

    def test_a_wrong_mic_is_dropped_and_changes_nothing(self):
        mac, peer = self.listening()
        before = mac.session.pack()
        phy_payload = peer.downlink(3, port=21, payload=b"set", confirmed=True)

        events = mac.received(phy_payload[:-1] + bytes([phy_payload[-1] ^ 1]))

        assert events == [Dropped("MicMismatch")]
        assert mac.session.pack() == before

    @pytest.mark.parametrize("f_cnt", [0, 4, 5])
    def test_a_counter_that_does_not_advance_is_a_replay(self, f_cnt):
        mac, peer = self.listening()
        mac.session.f_cnt_down = 5

        assert mac.received(peer.downlink(f_cnt, port=21, payload=b"old")) == [Dropped("MicMismatch")]
        assert mac.session.f_cnt_down == 5

    @pytest.mark.parametrize(("last", "now"), [(-1, 0), (-1, 9), (0xFFFF, 0x1_0000), (0x1_8000, 0x2_7FFF), (5, 60_000)])
    def test_the_counter_may_jump_and_roll_over_its_16_bits(self, last, now):
        mac, peer = self.listening()
        mac.session.f_cnt_down = last

        assert mac.received(peer.downlink(now, port=21, payload=b"a")) == [Accepted(now, 21, b"a")]
        assert mac.session.f_cnt_down == now

    def test_a_confirmed_downlink_is_acknowledged_once_by_the_next_uplink(self):
        mac, peer = self.listening()
        mac.received(peer.downlink(0, port=21, payload=b"a", confirmed=True))

        acknowledging = peer.read(free_bands(mac).uplink(200, 2, b"x").phy_payload)
        after = peer.read(free_bands(mac).uplink(300, 2, b"x").phy_payload)

        assert acknowledging["FCtrl"] == 0xA0  # ADR, ACK
        assert after["FCtrl"] == 0x80

    def test_a_frame_longer_than_the_data_rate_allows_is_dropped(self):
        mac, peer = self.listening()
        mac.window_closed()  # RX2 at DR0: at most 59 bytes of MACPayload, 64 of PHYPayload

        assert mac.received(peer.downlink(0, port=21, payload=bytes(52))) == [Dropped("length")]

    def test_a_frame_as_long_as_the_data_rate_allows_is_taken(self):
        mac, peer = self.listening()
        mac.window_closed()

        assert mac.received(peer.downlink(0, port=21, payload=bytes(51))) == [Accepted(0, 21, bytes(51))]

    def test_an_uplink_heard_from_a_neighbour_is_dropped(self):
        mac, _ = self.listening()

        assert mac.received(free_bands(joined()[0]).uplink(0, 2, b"x").phy_payload) == [Dropped("m_type")]

    def test_a_join_accept_out_of_turn_is_dropped(self):
        mac, _ = self.listening()

        assert mac.received(join_accept(join_nonce=9)) == [Dropped("m_type")]

    @given(phy_payload=st.binary(max_size=255))
    def test_any_bytes_give_a_drop_and_nothing_else(self, phy_payload):
        mac, _ = joined()
        free_bands(mac).uplink(100, 2, b"x")
        before = mac.session.pack()

        events = mac.received(phy_payload)

        assert [type(event) for event in events] == [Dropped]
        assert mac.session.pack() == before


class TestSession:
    def test_it_survives_packing_with_everything_it_knows(self):
        mac, peer = joined(dl_settings=0x23, rx_delay=5, cf_list=bytes.fromhex("184f84e85684b85e84886684586e8400"))
        free_bands(mac).uplink(100, 2, b"x")
        mac.received(peer.downlink(3, f_opts=b"\x06", confirmed=True))

        again = Session.unpack(mac.session.pack())

        assert {name: getattr(again, name) for name in Session.__slots__} == {
            name: getattr(mac.session, name) for name in Session.__slots__
        }
        assert again.answers == bytes.fromhex("06ff00")
        assert again.ack is True

    def test_a_fresh_one_has_accepted_nothing(self):
        session = Session.unpack(Session(DEV_ADDR, bytes(16), bytes(16), 5).pack())

        assert session.f_cnt_down == -1
        assert session.channels_hz[:4] == [868_100_000, 868_300_000, 868_500_000, 0]
        assert Peer().nwk_s_key != session.nwk_s_key
