# SPDX-License-Identifier: EUPL-1.2
"""A node that hears nothing for long, with the real firmware, under the real gateway's servers; no sockets between."""

import pytest

from decoders.lorawan.errors import RemoteError
from decoders.lorawan.frame import ADR_ACK_REQ, JOIN_REQUEST, DataFrame, m_type
from gateway.config import DevAddrBlock
from gateway.join_server import JoinServer
from gateway.network_server import NetworkServer
from gateway.radio import Reception
from simulators.device import Device
from simulators.firmware_build import build_rom
from tests.gateway.nodes import GATEWAY_EUI, JOIN_EUI, Node, new_store

S = 1_000_000
INTERVAL_S = 60
GPS_AT_0 = 1_455_000_000
UNIX_LESS_GPS = 315_964_782  # GPS began on 1980-01-06 and had 18 leap seconds until 2017


class Site:
    """One node, one concentrator whose transmitter can be off, one gateway on a real database."""

    def __init__(self, folder):
        factory = Node()
        self.config, self.store = new_store(folder, [factory])
        self.join_server = JoinServer(0, DevAddrBlock(0x01000000, 65536), 60)
        self.server = NetworkServer(GATEWAY_EUI, 60, "boot")
        self.transmits = True
        self.uplinks = []  # (end us, DR, parsed) of the data frames, repetitions included
        self.answered = []  # numbers of those that got an answer on the air
        self.device = Device(
            factory.dev_eui,
            JOIN_EUI,
            factory.app_key,
            interval_s=INTERVAL_S,
            seed=5,
            firmware=build_rom(folder / "firmware"),
            on_transmit=self._heard,
        )
        self.device.power_on()

    def _heard(self, uplink):
        gps_ms = GPS_AT_0 * 1000 + uplink.end_us // 1000
        reception = Reception(
            "0016c001ff10b001", uplink.end_us & 0xFFFF_FFFF, uplink.frequency_hz, 12 - uplink.dr, 125_000, -97.0, 5.0,
            gps_ms, UNIX_LESS_GPS + gps_ms / 1000, uplink.phy_payload,
        )  # fmt: skip
        joining = m_type(uplink.phy_payload) == JOIN_REQUEST
        if not joining:
            self.uplinks.append((uplink.end_us, uplink.dr, DataFrame.parse(uplink.phy_payload)))
        with self.store.transaction() as ledger:
            try:
                handled = (self.join_server.answer if joining else self.server.handle)(reception, ledger)
            except RemoteError as refused:
                raise AssertionError("the gateway refuses its own node") from refused
        if handled.answer is None or not self.transmits:
            return
        if not joining:
            self.answered.append(len(self.uplinks) - 1)
        rx1 = handled.answer.windows[0]
        start_us = uplink.end_us + rx1.delay_ms * 1000
        self.device.deliver(start_us, rx1.frequency_hz, rx1.data_rate, handled.answer.variants[0].phy_payload)

    def run(self, seconds):
        self.device.run_until(self.device.now_us + seconds * S)

    def asks(self):
        """Which uplinks have ADRACKReq set."""
        return [n for n, (_, _, frame) in enumerate(self.uplinks) if frame.fhdr.f_ctrl & ADR_ACK_REQ]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    made = Site(tmp_path_factory.mktemp("site"))
    yield made
    made.device.close()
    made.store.close()


class TestAdrAckReq:
    """TS001-1.0.4 "Data-rate adaptation control in frame header": ADR_ACK_LIMIT is 64, ADR_ACK_DELAY 32.

    Unheard for so long the node asks for other things as well; that ADRACKReq alone is answered, too, is shown in
    tests/gateway/test_network_answers.py.
    """

    def test_after_64_silent_uplinks_the_gateway_is_asked_and_answers(self, site):
        while len(site.answered) < 2 or site.uplinks[-1][2].fhdr.f_opts:  # the time, and an hour later again
            site.run(INTERVAL_S)
        assert site.asks() == []
        silent_from = max(site.answered) + 1
        site.transmits = False

        while not site.asks():
            site.run(INTERVAL_S)
            assert len(site.uplinks) < silent_from + 70
        site.run(3 * INTERVAL_S)  # nobody answers
        asking = site.asks()
        site.transmits = True
        site.run(3 * INTERVAL_S)

        assert asking[0] == silent_from + 64  # the 65th
        answered = [n for n in site.answered if n >= silent_from]
        assert answered[0] == asking[-1] + 1
        assert site.asks()[-1] == answered[0]  # content with that, the node asks no more
        assert len(site.uplinks) > answered[0] + 1
        assert {dr for _, dr, _ in site.uplinks} == {site.uplinks[0][1]}  # and has not stepped down
        assert site.device.node.complaints() == []
