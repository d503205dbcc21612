# SPDX-License-Identifier: EUPL-1.2
"""The certification responder, alone and on the real MicroPython with liblora as the certification script."""

from itertools import pairwise

import loramsg
import pytest

from firmware.certification import Responder
from firmware.mac import Accepted, Acknowledged, LinkChecked
from firmware.manifest import MODULES
from firmware.manifest_certification import MODULES as CERTIFICATION_MODULES
from simulators.firmware_build import REPOSITORY, build, compile_module
from tests.firmware.heltec_bench import S, Street
from tests.firmware.lorawan_peer import DEV_ADDR, joined


@pytest.fixture
def responder():
    mac, _ = joined()
    return Responder(mac)


def told(responder, command, f_port=224):
    responder.heard([Accepted(0, f_port, bytes.fromhex(command))])
    return responder.answer.hex()


class TestBuild:
    def test_the_shipped_node_has_nothing_of_it(self):
        assert not [path for path in MODULES if "certification" in path]
        for path in MODULES:
            assert "certification" not in (REPOSITORY / path).read_text(), path

    def test_the_test_build_is_the_shipped_one_and_the_responder(self):
        added = {"firmware/certification.py", "firmware/main_certification.py"}

        assert set(CERTIFICATION_MODULES) - set(MODULES) == added
        assert set(MODULES) < set(CERTIFICATION_MODULES)

    def test_it_compiles(self, tmp_path):
        folder = build(tmp_path, REPOSITORY / "firmware" / "manifest_certification.py")

        assert (folder / "firmware/certification.mpy").exists()


class TestTs009:
    """TS009-1.0.0 "Certification protocol commands"."""

    @pytest.mark.parametrize(
        ("command", "answer"),
        [
            ("00", "000601"),
            ("7f", "7f" + "00010000" + "01000400" + "02010004"),
            ("08" + "0102feff", "08" + "0203ff00"),
            ("09", "09" + "0100"),  # this command is the first downlink
        ],
    )
    def test_requests_with_an_answer(self, responder, command, answer):
        assert told(responder, command) == answer

    def test_the_answer_goes_out_once_on_f_port_224(self, responder):
        told(responder, "00")

        assert responder.payload() == (224, bytes.fromhex("000601"))
        assert responder.payload()[0] == 1

    @pytest.mark.parametrize(
        ("command", "order"),
        [
            ("01", "reset"),
            ("02", "join"),
            ("7d0a00184f840e", (10, 867_100_000, 14)),
            ("7d0a00184f84f7", (10, 867_100_000, -9)),
        ],
    )
    def test_orders(self, responder, command, order):
        told(responder, command)

        assert responder.order == order

    def test_adr_bit_and_duty_cycle_can_be_switched(self, responder):
        mac = responder._mac
        seen = []
        for command in ("0400", "0500", "0401", "0501"):
            told(responder, command)
            seen.append((mac.adr, mac.duty_cycle))

        assert seen == [(False, True), (False, False), (True, False), (True, True)]

    @pytest.mark.parametrize(
        ("index", "period_s"),
        [(1, 5), (2, 10), (3, 20), (4, 30), (5, 40), (6, 50), (7, 60), (8, 120), (9, 240), (10, 480)],
    )
    def test_periodicity(self, responder, index, period_s):
        told(responder, f"06{index:02x}")
        told(responder, "060b")  # reserved: ignored

        assert responder.period_s == period_s

    def test_frame_type(self, responder):
        told(responder, "0702")
        told(responder, "0700")
        assert responder.confirmed
        told(responder, "0701")
        assert not responder.confirmed

    def test_the_counter_counts_application_downlinks_and_acknowledgements(self, responder):
        responder.heard([Accepted(0, 7, b"x")])
        responder.heard([Accepted(1, None, b""), Acknowledged(3)])
        responder.heard([Accepted(2, 0, b"")])  # MAC commands only

        assert told(responder, "09") == "090300"
        told(responder, "0a")
        assert told(responder, "09") == "090100"

    @pytest.mark.parametrize(("command", "asked"), [("20", 0x02), ("21", 0x0D)])
    def test_mac_requests(self, responder, command, asked):
        told(responder, command)

        responder._mac.uplink(200, 1, b"")
        assert responder._mac.asked(asked)

    @pytest.mark.parametrize("command", ["", "0000", "04", "0401ff", "7d00", "03", "41", "ff", "0600ff"])
    def test_what_is_malformed_or_unknown_is_ignored(self, responder, command):
        before = (responder.period_s, responder.confirmed, responder._mac.adr)

        assert told(responder, command) == ""
        assert (responder.period_s, responder.confirmed, responder._mac.adr, responder.order) == (*before, None)

    def test_other_ports_are_not_listened_to(self, responder):
        assert told(responder, "00", f_port=223) == ""

    def test_once_disabled_nothing_is_answered(self, responder):
        told(responder, "7e")

        assert told(responder, "00") == ""
        assert responder.disabled


class TestOlderProtocol:
    """LoRaWAN 1.0.x end-device certification: activated by 01010101, the uplinks carry the DOWNLINK counter."""

    def test_activation_resets_the_counter_and_every_downlink_raises_it(self, responder):
        responder.heard([Accepted(0, 7, b"x")])
        told(responder, "01010101")
        first = responder.payload()
        told(responder, "02")
        second = responder.payload()

        assert first == (224, b"\x00\x00")
        assert second == (224, b"\x00\x01")
        assert responder.confirmed
        assert responder.period_s == 5

    def test_echo_link_check_and_the_end(self, responder):
        told(responder, "01010101")

        assert told(responder, "0401ff") == "040200"
        responder.payload()
        told(responder, "05")
        responder.heard([Accepted(3, None, b""), LinkChecked(20, 2)])
        assert responder.payload() == (224, bytes((5, 20, 2)))
        told(responder, "00")
        assert responder.payload()[0] == 1

    def test_join_again(self, responder):
        told(responder, "01010101")
        told(responder, "06")

        assert responder.order == "join"


class TestOnTheNode:
    def test_a_script_drives_the_real_node(self, tmp_path):
        street = Street(tmp_path, files=True)
        # the node runs out of this folder: make the shipped build of it the one that manifest_certification describes
        for source, compiled in (("certification", "firmware/certification"), ("main_certification", "main")):
            path = REPOSITORY / f"firmware/{source}.py"
            compile_module(path, tmp_path / f"firmware/{compiled}.mpy", f"firmware/{source}.py")
        network = street.network
        network.tells_time = False
        script = ["0601", "00", "0804ff", "0702", "21", "7f", "02"]
        original = network._ended

        def ended(sent):
            heard = len(network.heard_uplinks)
            original(sent)
            if script and len(network.heard_uplinks) > heard:
                (nwk_s_key, app_s_key), _ = network.sessions[-1]
                phy_payload = loramsg.pack_dataframe(
                    loramsg.FrmType.DADN, DEV_ADDR, loramsg.FCtrl.ACK, network.downlinks, b"", 224,
                    bytes.fromhex(script.pop(0)), nwk_s_key, app_s_key,
                )  # fmt: skip
                network.downlinks += 1
                network.send(sent, phy_payload, 1)

        network._ended = ended
        try:
            street.node.power_on()
            street.run(300)
            heard = network.heard_uplinks
            answers = [fields["FRMPayload"].hex() for _, fields in heard if fields["FPort"] == 224]
            confirmed = [fields["MHdr"] for _, fields in heard]
            assert street.node.console() == ""
        finally:
            street.kernel.close()

        assert answers == ["000601", "080500", "7f" + "00010000" + "01000400" + "02010004"]
        assert 0x80 in confirmed
        assert any(b"\x0d" in fields["FOpts"] for _, fields in heard)
        assert len(network.join_requests) >= 2  # DutJoinReq
        assert min(b.start_us - a.start_us for (a, _), (b, _) in pairwise(heard)) < 9 * S
