# SPDX-License-Identifier: EUPL-1.2
"""firmware.mac over many uplinks: repetitions, acknowledgements, the ADR back-off, and 100,000 frames nobody meant."""

import random

import pytest

from firmware.errors import BandBusy
from firmware.mac import Accepted, Acknowledged, Dropped
from tests.firmware.lorawan_peer import DEV_ADDR, Peer, free_bands, joined
from tests.firmware.test_mac_commands import ALL_8_CHANNELS, ask, up


def silence(mac):
    while mac.next_window() is not None:
        mac.window_closed()


def repeated(mac, **options):
    """All transmissions of one uplink that nobody answers, and the waits before each repetition."""
    sent, waits = [up(mac, **options)], []
    silence(mac)
    while (wait_ms := free_bands(mac).repeat_wait_ms(100)) is not None:
        waits.append(wait_ms)
        sent.append(free_bands(mac).repeat(100))
        silence(mac)
    return sent, waits


class TestNbTrans:
    """TS001-1.0.4 "Link ADR Commands (LinkADRReq, LinkADRAns)": NbTrans."""

    @pytest.mark.parametrize("nb_trans", [1, 2, 15])
    @pytest.mark.parametrize("confirmed", [False, True])
    def test_each_uplink_goes_out_so_often_with_one_counter(self, nb_trans, confirmed):
        mac, peer = joined()
        mac.session.nb_trans = nb_trans

        sent, _ = repeated(mac, confirmed=confirmed)

        assert len(sent) == nb_trans
        assert {transmit.phy_payload for transmit in sent} == {sent[0].phy_payload}
        assert mac.session.f_cnt_up == 1
        assert peer.read(up(mac).phy_payload)["FCnt"] == 1

    def test_repetitions_hop_over_all_channels(self):
        mac, _ = joined(cf_list=ALL_8_CHANNELS)
        mac.session.nb_trans = 8

        sent, _ = repeated(mac)

        assert len({transmit.frequency_hz for transmit in sent}) == 8

    def test_each_repetition_has_its_windows_on_its_own_channel(self):
        mac, _ = joined()
        mac.session.nb_trans = 2
        up(mac)
        silence(mac)

        transmit = free_bands(mac).repeat(100)

        assert mac.next_window().frequency_hz == transmit.frequency_hz

    def test_there_is_no_repetition_while_windows_are_open(self):
        mac, _ = joined()
        mac.session.nb_trans = 2
        up(mac)
        mac.window_closed()

        assert free_bands(mac).repeat_wait_ms(100) is None

    @pytest.mark.parametrize("confirmed", [False, True])
    def test_any_valid_downlink_ends_them(self, confirmed):
        mac, peer = joined()
        mac.session.nb_trans = 5
        up(mac, confirmed=confirmed)

        mac.received(peer.downlink(0))

        assert free_bands(mac).repeat_wait_ms(100) is None

    def test_a_dropped_frame_does_not(self):
        mac, peer = joined()
        mac.session.nb_trans = 2
        up(mac)
        mac.received(peer.downlink(0, dev_addr=DEV_ADDR + 1))
        mac.window_closed()

        assert free_bands(mac).repeat_wait_ms(100) == 0

    def test_the_duty_cycle_comes_first(self):
        mac, _ = joined()
        mac.session.nb_trans = 2
        mac.session.dr = 0
        free_bands(mac).uplink(1000, 2, bytes(51))  # 2.793 s on air
        silence(mac)

        assert mac.repeat_wait_ms(1006) == (1323 - 1006) * 1000
        with pytest.raises(BandBusy):
            mac.repeat(1006)

    def test_an_answer_to_a_repetition_counts_for_what_was_asked(self):
        mac, peer = joined()
        mac.session.nb_trans = 2
        mac.ask_time()
        up(mac)
        silence(mac)
        free_bands(mac).repeat(100)

        assert len(mac.received(peer.downlink(0, f_opts=bytes.fromhex("0d15cd5b5780")))) == 2


class TestConfirmed:
    """TS001-1.0.4 "Frame acknowledge bit and acknowledgment procedure (ACK in FCtrl)"."""

    def test_the_frame_says_so_and_the_acknowledgement_is_reported(self):
        mac, peer = joined()

        frame = peer.read(up(mac, confirmed=True).phy_payload)
        events = mac.received(peer.downlink(0, f_ctrl=0x20))

        assert frame["MHdr"] == 0x80
        assert events == [Accepted(0, None, b""), Acknowledged(0)]

    def test_a_downlink_without_the_bit_acknowledges_nothing(self):
        mac, peer = joined()
        up(mac, confirmed=True)

        assert mac.received(peer.downlink(0)) == [Accepted(0, None, b"")]

    def test_an_unconfirmed_uplink_cannot_be_acknowledged(self):
        mac, peer = joined()
        up(mac)

        assert mac.received(peer.downlink(0, f_ctrl=0x20)) == [Accepted(0, None, b"")]

    def test_unanswered_it_waits_between_one_and_three_seconds(self):
        """RP002-1.0.4 "Default Settings": RETRANSMIT_TIMEOUT 2 s +- 1 s, random."""
        mac, _ = joined()
        mac.session.nb_trans = 15
        waits = []

        for _ in range(20):
            waits += repeated(mac, confirmed=True)[1]

        assert all(1000 <= wait_ms <= 3000 for wait_ms in waits)
        assert min(waits) < 1100
        assert max(waits) > 2900
        assert len(set(waits)) > 200

    def test_an_unconfirmed_one_need_not_wait(self):
        mac, _ = joined()
        mac.session.nb_trans = 3

        assert repeated(mac)[1] == [0, 0]

    def test_with_nb_trans_1_it_is_sent_once(self):
        mac, _ = joined()

        assert len(repeated(mac, confirmed=True)[0]) == 1


class TestAdrBackOff:
    """TS001-1.0.4 "Data-rate adaptation control in frame header (ADR, ADRACKReq in FCtrl)", table 9."""

    def after(self, mac, uplinks):
        """The uplink with ADRACKCnt ``uplinks``."""
        while mac.session.adr_ack_cnt < uplinks:
            up(mac, b"")
            silence(mac)
        return up(mac, b"")

    @pytest.mark.parametrize(("uplinks", "f_ctrl"), [(0, 0x80), (63, 0x80), (64, 0xC0), (95, 0xC0), (300, 0xC0)])
    def test_an_answer_is_demanded_after_64_uplinks_without_one(self, uplinks, f_ctrl):
        mac, peer = joined()

        assert peer.read(self.after(mac, uplinks).phy_payload)["FCtrl"] == f_ctrl

    @pytest.mark.parametrize(
        ("uplinks", "dr", "eirp_dbm", "nb_trans", "mask"),
        [
            (95, 1, 8, 3, 0b1000),
            (96, 1, 16, 3, 0b1000),
            (127, 1, 16, 3, 0b1000),
            (128, 0, 16, 3, 0b1000),
            (159, 0, 16, 3, 0b1000),
            (160, 0, 16, 1, 0b1111),
            (400, 0, 16, 1, 0b1111),
        ],
    )
    def test_table_9(self, uplinks, dr, eirp_dbm, nb_trans, mask):
        mac, peer = joined(cf_list=ALL_8_CHANNELS)
        ask(mac, peer, "0314080003")  # DR1, power 4, channel 3, NbTrans 3
        mac.session.adr_ack_cnt = 0

        transmit = self.after(mac, uplinks)

        assert (transmit.dr, transmit.eirp_dbm) == (dr, eirp_dbm)
        assert (mac.session.nb_trans, mac.session.channel_mask) == (nb_trans, mask)

    def test_room_is_that_of_the_data_rate_to_come(self):
        mac, _ = joined()
        mac.session.dr = 3
        self.after(mac, 127)

        assert mac.room() == 51

    def test_repetitions_do_not_count(self):
        mac, _ = joined()
        mac.session.nb_trans = 3

        for _ in range(10):
            repeated(mac)

        assert mac.session.adr_ack_cnt == 10

    @pytest.mark.parametrize(
        "frame", [{}, {"port": 7, "payload": b"a"}, {"f_opts": b"\x06"}, {"port": 0, "payload": b"\x06"}]
    )
    def test_any_class_a_downlink_starts_the_count_again(self, frame):
        mac, peer = joined()
        self.after(mac, 130)
        assert mac.session.dr == 4

        mac.received(peer.downlink(0, **frame))

        assert (mac.session.adr_ack_cnt, mac.session.adr_steps) == (0, 0)
        assert self.after(mac, 127).dr == 4
        assert self.after(mac, 128).dr == 3

    def test_with_adr_off_the_node_keeps_what_it_has_and_demands_nothing(self):
        mac, peer = joined()
        mac.adr = False

        transmit = self.after(mac, 200)

        assert transmit.dr == 5
        assert peer.read(transmit.phy_payload)["FCtrl"] == 0


class TestAnything:
    """100,000 frames: random, mutated, replayed, of another session. None is accepted, none changes anything."""

    def test_no_frame_of_a_hundred_thousand_changes_the_state_or_raises(self):
        draw = random.Random(20261122)
        mac, peer = joined(cf_list=ALL_8_CHANNELS)
        up(mac)
        mac.received(peer.downlink(7, f_opts=bytes.fromhex("0351070001" + "06" + "0802"), confirmed=True))
        up(mac)
        mac.ask_link()
        up(mac, confirmed=True)
        other = Peer(dev_nonce=1)
        good = [
            peer.downlink(8, f_opts=bytes.fromhex("0350070001" + "040f")),
            peer.downlink(9, port=0, payload=bytes.fromhex("0805" + "0523d2ad84")),
            peer.downlink(10, port=21, payload=bytes(40), confirmed=True),
        ]
        replays = [peer.downlink(f_cnt, port=21, payload=b"old") for f_cnt in range(8)]
        foreign = [other.downlink(8, f_opts=b"\x06"), peer.downlink(8, dev_addr=DEV_ADDR ^ 1)]
        both = [peer.downlink(8, f_opts=b"\x06", port=0, payload=b"\x06")]
        windows = list(mac._windows)
        before = (mac.session.pack(), mac.next_dev_nonce, mac.last_join_nonce, mac.frame, mac.requests, mac.repeats)

        for n in range(100_000):
            kind = n % 10
            if kind < 3:
                phy_payload = draw.randbytes(draw.randrange(60) if n % 7 else draw.randrange(256))
            elif kind < 8:
                mutant = bytearray(draw.choice(good))
                for _ in range(draw.randrange(1, 4)):
                    mutant[draw.randrange(len(mutant))] ^= draw.randrange(1, 256)
                phy_payload = bytes(mutant[: draw.randrange(len(mutant))] if kind == 7 else mutant)
                if phy_payload in good:
                    continue
            else:
                phy_payload = draw.choice(replays + foreign + both)
            mac._windows = list(windows)  # never runs out
            events = mac.received(phy_payload, draw.randrange(-128, 128))
            assert [type(event) for event in events] == [Dropped], phy_payload.hex()

        after = (mac.session.pack(), mac.next_dev_nonce, mac.last_join_nonce, mac.frame, mac.requests, mac.repeats)
        assert after == before
