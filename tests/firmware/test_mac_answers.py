# SPDX-License-Identifier: EUPL-1.2
"""How the node answers MAC commands, whichever they are: in what order, where, how often. liblora asks and reads."""

import pytest

from firmware.mac import Accepted, Dropped
from tests.firmware.lorawan_peer import answers, ask, joined, up

ALL_8_CHANNELS = bytes.fromhex("184f84e85684b85e84886684586e8400")  # 867.1 867.3 867.5 867.7 867.9


class TestOrder:
    """TS001-1.0.4 "MAC Commands"."""

    def test_answers_come_in_the_order_of_the_requests(self):
        mac, peer = joined()

        # LinkADRReq DR5 power 1 channels 0-2, DevStatusReq, RXParamSetupReq DR3, RXTimingSetupReq 2 s
        answer = ask(mac, peer, "0351070001" + "06" + "0503d2ad84" + "0802", snr_quarter_db=-26)

        assert answer == "0307" + "06ff39" + "0507" + "08"

    def test_an_unknown_command_ends_the_parsing(self):
        mac, peer = joined()

        assert ask(mac, peer, "06" + "7f" + "06") == "06ff00"

    def test_a_truncated_command_ends_the_parsing_and_changes_nothing(self):
        mac, peer = joined()

        assert ask(mac, peer, "06" + "03010700") == "06ff00"
        assert (mac.session.dr, mac.session.channel_mask) == (5, 0b111)

    def test_commands_may_come_encrypted_on_f_port_0(self):
        mac, peer = joined()
        up(mac)

        events = mac.received(peer.downlink(0, port=0, payload=b"\x06"))

        assert events == [Accepted(0, 0, b"")]
        assert answers(mac, peer) == "06ff00"

    def test_f_opts_beside_f_port_0_drop_the_frame(self):
        mac, peer = joined()
        up(mac)
        before = mac.session.pack()

        events = mac.received(peer.downlink(0, f_opts=b"\x06", port=0, payload=b"\x08\x05"))

        assert events == [Dropped("MalformedFrame")]
        assert mac.session.pack() == before

    def test_an_answer_that_is_not_sticky_goes_out_once(self):
        mac, peer = joined()
        ask(mac, peer, "06")

        assert answers(mac, peer) == ""

    def test_answers_go_before_what_the_node_asks(self):
        mac, peer = joined()
        up(mac)
        mac.received(peer.downlink(0, f_opts=b"\x06"))
        mac.ask_time()
        mac.ask_link()

        assert answers(mac, peer) == "06ff00" + "0d" + "02"

    def test_a_question_without_room_was_not_asked(self):
        mac, peer = joined()
        up(mac)
        mac.received(peer.downlink(0, f_opts=b"\x06" * 5))
        mac.ask_time()

        assert answers(mac, peer) == "06ff00" * 5
        assert mac.received(peer.downlink(1, f_opts=bytes.fromhex("0d15cd5b5780"))) == [Accepted(1, None, b"")]

    def test_the_payload_makes_room_for_answers(self):
        mac, peer = joined()
        mac.session.dr = 0
        up(mac, b"")
        mac.received(peer.downlink(0, f_opts=b"\x06\x06"))

        assert mac.room() == 51 - 6

    def test_answers_beyond_f_opts_go_out_alone_on_f_port_0(self):
        mac, peer = joined()
        up(mac)
        mac.received(peer.downlink(0, f_opts=b"\x06" * 15))

        assert mac.room() == 0
        frame = peer.read(up(mac, b"").phy_payload)

        assert (frame["FPort"], frame["FOpts"]) == (0, b"")
        assert frame["FRMPayload"].hex() == "06ff00" * 15
        assert mac.room() == 242

    def test_answers_that_do_not_fit_are_left_off_whole_but_every_request_is_executed(self):
        mac, peer = joined()
        mac.session.dr = 0
        up(mac, b"")
        mac.received(peer.downlink(0, port=0, payload=b"\x08\x00" + b"\x06" * 30 + b"\x04\x03"))

        frame = peer.read(up(mac, b"").phy_payload)

        assert frame["FRMPayload"].hex() == "08" + "06ff00" * 16  # 51 bytes at DR0 hold 49 of them
        assert mac.session.max_duty == 3
        assert answers(mac, peer) == "08"

    def test_sticky_answers_that_did_not_fit_come_with_the_next_uplink(self):
        mac, peer = joined()
        mac.session.dr = 0
        up(mac, b"")
        mac.received(peer.downlink(0, port=0, payload=b"\x06" * 17 + b"\x08\x05"))

        assert peer.read(up(mac, b"").phy_payload)["FRMPayload"].hex() == "06ff00" * 17
        assert answers(mac, peer) == "08"

    def test_a_repetition_carries_the_same_answers(self):
        mac, peer = joined()
        ask(mac, peer, "0350070002")  # NbTrans 2; this uplink answers
        mac.window_closed()
        mac.window_closed()

        assert peer.read(mac.repeat(200).phy_payload)["FOpts"].hex() == "0307"


class TestSticky:
    """TS001-1.0.4: RXParamSetupAns, RXTimingSetupAns and DlChannelAns in all uplinks until a class A downlink."""

    @pytest.mark.parametrize(
        ("request_", "answer"), [("0503d2ad84", "0507"), ("0805", "08"), ("0a00b85e84", "0a03"), ("05f3d2ad84", "0503")]
    )
    def test_the_answer_is_repeated_until_a_downlink_comes(self, request_, answer):
        mac, peer = joined()

        heard = [ask(mac, peer, request_), answers(mac, peer), answers(mac, peer)]
        mac.received(peer.downlink(1))

        assert heard == [answer] * 3
        assert answers(mac, peer) == ""

    def test_only_they_stay_and_in_their_order(self):
        mac, peer = joined()

        first = ask(mac, peer, "0805" + "06" + "0503d2ad84")

        assert (first, answers(mac, peer)) == ("08" + "06ff00" + "0507", "08" + "0507")

    def test_a_new_downlink_brings_its_own_answers_instead(self):
        mac, peer = joined()
        ask(mac, peer, "0805")

        mac.received(peer.downlink(1, f_opts=b"\x06"))

        assert answers(mac, peer) == "06ff00"

    def test_a_refused_frame_does_not_end_them(self):
        mac, peer = joined()
        ask(mac, peer, "0805")

        mac.received(peer.downlink(0))  # a replay

        assert answers(mac, peer) == "08"
