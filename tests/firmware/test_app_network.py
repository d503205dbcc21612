# SPDX-License-Identifier: EUPL-1.2
"""The firmware as it ships, on the real MicroPython over simulated chips, with liblora as the whole network side.

liblora does keys, MICs, encryption and parsing, and knows nothing of ours.
"""

from types import SimpleNamespace

import loramsg
import pytest

from simulators.node_states import ResetCause
from tests.firmware.heltec_bench import S, Street, identity_of
from tests.firmware.lorawan_peer import DEV_ADDR

INTERVAL_S = 900
NWK_S_KEY = bytes.fromhex("101112131415161718191a1b1c1d1e1f")
APP_S_KEY = bytes.fromhex("202122232425262728292a2b2c2d2e2f")


class Server:
    """Answers every uplink with what ``script`` holds next, in the window the node should have open by then."""

    def __init__(self, street):
        self.network = street.network
        self.script = []
        self.delay_s = 1
        self.rx1_hz = None  # where RX1 has been moved to
        self.rx2 = None  # (frequency_hz, sf) to answer in RX2
        self.acknowledges = False
        self.sent = []  # (transmission, fields) of every data uplink
        self._original = street.network._ended
        street.network._ended = self._ended
        street.network.tells_time = street.network.hears = False

    def _ended(self, sent):
        before = len(self.network.heard_uplinks)
        self._original(sent)
        if len(self.network.heard_uplinks) == before:
            return
        fields = self.network.heard_uplinks[-1][1]
        self.sent.append((sent, fields))
        f_opts = self.script.pop(0) if self.script else None
        f_opts = b"" if f_opts is None and self.acknowledges else f_opts
        if f_opts is None:
            return
        (nwk_s_key, app_s_key), _ = self.network.sessions[-1]
        phy_payload = loramsg.pack_dataframe(
            loramsg.FrmType.DADN, DEV_ADDR, loramsg.FCtrl.ACK if self.acknowledges else 0, self.network.downlinks,
            f_opts, None, b"", nwk_s_key, app_s_key,
        )  # fmt: skip
        self.network.downlinks += 1
        if self.rx2 is not None:
            frequency_hz, sf = self.rx2
            where = SimpleNamespace(end_us=sent.end_us + S, frequency_hz=frequency_hz, sf=sf)
        else:
            where = SimpleNamespace(end_us=sent.end_us, frequency_hz=self.rx1_hz or sent.frequency_hz, sf=sent.sf)
        self.network.send(where, phy_payload, self.delay_s)

    def answers(self):
        """FOpts of every uplink, hex."""
        return [fields["FOpts"].hex() for _, fields in self.sent]


@pytest.fixture
def node(street):
    """Makes a street with a server, its node switched off."""

    def make(**options):
        one = street(identity=identity_of(INTERVAL_S, **options))
        return one, Server(one)

    return make


def started(street, uplinks=1):
    street.node.power_on()
    street.run(60 + uplinks * INTERVAL_S)
    assert street.tree.complaints() == []


class TestJoinAndConfirmedData:
    """TS001-1.0.4 "Over-the-Air Activation", "Frame acknowledge bit and acknowledgment procedure (ACK in FCtrl)"."""

    def test_confirmed_uplinks_are_acknowledged_and_sent_once(self, node):
        street, server = node(confirmed=True)
        server.acknowledges = True

        started(street, 4)

        assert len(street.network.join_requests) == 1
        assert [fields["MHdr"] for _, fields in server.sent] == [0x80] * len(server.sent)
        assert street.f_cnts() == list(range(len(server.sent)))
        assert len(server.sent) >= 4

    def test_unacknowledged_ones_are_repeated_with_their_counter_after_the_timeout(self, node):
        street, server = node(confirmed=True)
        server.script = [bytes.fromhex("0350070003")]  # LinkADRReq: DR5, NbTrans 3

        started(street, 3)

        f_cnts = street.f_cnts()
        assert f_cnts[:7] == [0, 1, 1, 1, 2, 2, 2]
        (first, _), (second, _), (third, _) = server.sent[1:4]
        assert first.phy_payload == second.phy_payload == third.phy_payload
        assert len({first.frequency_hz, second.frequency_hz, third.frequency_hz}) == 3
        for earlier, later in ((first, second), (second, third)):
            assert later.start_us - earlier.end_us >= 3 * S  # RX2 and the least RETRANSMIT_TIMEOUT
            rest_us = later.start_us - earlier.start_us
            assert 100 * (earlier.end_us - earlier.start_us) <= rest_us <= 14 * S  # 1 % duty cycle, and not much more
        assert street.tree.complaints() == []


class TestMacCommands:
    """TS001-1.0.4 "MAC Commands", in the order in which a certification script goes through them."""

    def test_every_request_is_answered_and_obeyed(self, node):
        street, server = node()
        server.script = [
            bytes.fromhex("06"),  # DevStatusReq
            bytes.fromhex("0343070001"),  # LinkADRReq: DR4, power 3
            bytes.fromhex("0703407284500704184f8450"),  # NewChannelReq: 3 at 868.0, 4 at 867.1 MHz
        ]

        started(street, 4)

        answers = server.answers()
        assert answers[0] == "0d"
        assert answers[1][:2] == "06"
        assert 1 <= int(answers[1][2:4], 16) <= 254  # a battery
        assert answers[2] == "0307" + "0d02"  # nobody has told the time: so it asks for the link, too
        assert answers[3] == "0703" + "0703" + "0d02"
        assert [sent.sf for sent, _ in server.sent][:3] == [7, 7, 8]
        assert server.sent[1][0].power_dbm - server.sent[2][0].power_dbm == pytest.approx(6.0)
        street.run(20 * INTERVAL_S)
        assert {868_000_000, 867_100_000} < {sent.frequency_hz for sent, _ in server.sent}

    def test_rx_timing_and_both_windows_move_and_the_answers_stick(self, node):
        street, server = node()
        server.script = [bytes.fromhex("0803" + "0513b85e84")]  # 3 s; offset 1, RX2 DR3 on 867.5 MHz
        started(street, 2)
        sticky = server.answers()[1:3]

        server.delay_s = 3
        server.rx2 = (867_500_000, 9)
        server.script = [b""]
        street.run(2 * INTERVAL_S)

        assert [answer[:6] for answer in sticky] == ["080507"] * 2
        assert server.answers()[-1] in ("", "0d02")  # heard in the moved RX2: they end
        assert street.network.downlinks == 2

    def test_dl_channel_moves_rx1(self, node):
        street, server = node()
        move_all = "".join(f"0a{n:02x}b85e84" for n in range(3))  # to 867.5 MHz
        server.script = [bytes.fromhex(move_all)]
        started(street, 1)
        server.rx1_hz = 867_500_000
        server.script = [b"\x06"]
        street.run(2 * INTERVAL_S)

        answers = server.answers()
        assert answers[1][:12] == "0a03" * 3
        assert answers[-1][:2] == "06"

    def test_what_was_set_survives_a_power_cut(self, node):
        street, server = node()
        server.script = [bytes.fromhex("0341070001" + "0802" + "0703184f8450")]
        started(street, 1)
        street.node.power_off()
        street.node.power_on()
        street.run(INTERVAL_S)

        before, after = server.answers()[1], server.answers()[-1]
        assert before[:10] == "0307" + "08" + "0703"
        assert after[:10] == before[:10]  # flash does not know that they went out already: the sticky one is owed
        assert server.sent[-1][0].sf == 8
        assert len(street.network.join_requests) == 1
        assert street.node.statistics.boots[ResetCause.POWER_ON] == 2


class TestPersonalised:
    """TS001-1.0.4 "Activation by Personalization"."""

    def test_it_never_joins_starts_at_dr_0_and_its_counter_outlives_power_cuts(self, tmp_path):
        session = (DEV_ADDR, NWK_S_KEY, APP_S_KEY)
        street = Street(tmp_path, identity=identity_of(INTERVAL_S, session=session))
        street.network.sessions.append(((NWK_S_KEY, APP_S_KEY), -1))
        try:
            street.node.power_on()
            street.run(2 * INTERVAL_S)
            before = street.f_cnts()
            street.node.power_off()
            street.node.power_on()
            street.run(2 * INTERVAL_S)
            after = street.f_cnts()[len(before) :]
        finally:
            street.kernel.close()

        assert street.network.join_requests == []
        assert street.network.heard_uplinks[0][0].sf == 12
        assert before == list(range(len(before)))
        assert after[0] > before[-1]
        assert after == sorted(set(after))
