# SPDX-License-Identifier: EUPL-1.2
"""The simulated Basics Station, against a server of a few lines. What it must do stands in the original's source.

Airtimes by hand after Semtech AN1200.13, without CRC, 12 bytes: SF7 41.216 ms, SF12 991.232 ms.
"""

import pytest

from simulators.air import STEADY, Air, Position, Transmission
from simulators.basics_station import BasicsStation
from simulators.clock import Clock
from simulators.gwmp_forwarder import GatewaySilent
from simulators.station_frames import id6, uplink_fields
from tests.simulators.lns_server import Server

EUI = "0016c001ff10b001"
EPOCH = 1_780_000_000  # GPS 1_464_035_218
S = 1_000_000
UPLINK = bytes.fromhex("40 010000fd 80 0500 02 aabbcc feffffff")  # 16 bytes at SF7: 46.336 ms, by hand


class World:
    def __init__(self, server, **options):
        self.clock = Clock()
        self.air = Air(self.clock, 0, STEADY)
        self.heard_down = []
        self.server = server
        options = {"epoch_unix_s": EPOCH, "lockstep": True, **options}
        self.station = BasicsStation(self.clock, self.air, EUI, server.address, **options)
        self.air.attach(self)

    def heard(self, transmission):
        if transmission.iq_inverted:
            self.heard_down.append((transmission.start_us, transmission.frequency_hz, transmission.sf))

    def send(self, phy_payload=UPLINK, frequency_hz=868_100_000):
        start = self.clock.now_us
        self.air.transmit(
            Transmission(
                start_us=start, end_us=start + 46_336, frequency_hz=frequency_hz, sf=7, bandwidth_hz=125_000,
                power_dbm=14.0, iq_inverted=False, sync_word=0x3444, phy_payload=phy_payload, crc_on=True,
                preamble_symbols=8, position=Position(1000.0, 0.0),
            )
        )  # fmt: skip

    def wait(self, seconds):
        known = len(self.heard_down)
        self.clock.run_until(self.clock.now_us + round(seconds * S))
        return self.heard_down[known:]


@pytest.fixture
def server():
    with Server() as server:
        yield server


@pytest.fixture
def build(server):
    built = []

    def build(**options):
        built.append(World(server, **options))
        return built[-1]

    yield build
    for world in built:
        world.station.close()


def dnmsg(message, **changes):
    base = {
        "msgtype": "dnmsg", "DevEui": "70-B3-D5-7E-D1-00-00-01", "dC": 0, "diid": 5, "pdu": "00" * 12, "RxDelay": 1,
        "RX1DR": 5, "RX1Freq": message["Freq"], "RX2DR": 0, "RX2Freq": 869_525_000, "priority": 0,
        "xtime": message["upinfo"]["xtime"], "rctx": 0,
    }  # fmt: skip
    return {key: value for key, value in (base | changes).items() if value is not None}


class TestConnection:
    """src/tc.c: discovery with the EUI as ID6, then version."""

    def test_it_asks_where_to_connect_and_says_what_it_is(self, server, build):
        build()

        assert server.routers == ["16:c001:ff10:b001"]
        (version,) = server.of("version")
        assert version["features"].split()[-1] == "prod"

    @pytest.mark.parametrize(
        ("eui", "text"),
        [("0000000000000001", "::1"), ("0001000000000000", "1::"), ("b827ebfffe000000", "b827:ebff:fe00:0")],
    )
    def test_id6_shortens_one_run_of_zeros(self, eui, text):
        assert id6(eui) == text

    @pytest.mark.parametrize("change", [{"region": "US915"}, {"hwspec": ""}, {"sx1301_conf": []}])
    def test_a_configuration_it_cannot_use_is_none(self, change):
        with Server(**change) as server, pytest.raises(ValueError, match="router_config"):
            World(server)

    def test_it_hears_the_channels_that_it_is_told(self, server, build):
        world = build()

        for frequency_hz in (868_100_000, 868_500_000, 867_900_000):
            world.send(frequency_hz=frequency_hz)
            world.wait(1)

        assert [message["Freq"] for message in server.of("updf")] == [868_100_000, 867_900_000]


class TestUplinks:
    """src/lora.c, s2e_parse_lora_frame; src/s2e.c, s2e_flushRxjobs."""

    def test_a_data_frame_is_taken_apart(self, server, build):
        world = build(counter_at_start=1_000)
        world.wait(1)

        world.send()
        world.wait(1)

        (message,) = server.of("updf")
        info = message.pop("upinfo")
        assert message == {
            "msgtype": "updf", "MHdr": 0x40, "DevAddr": -50_331_647, "FCtrl": 0x80, "FCnt": 5, "FOpts": "", "FPort": 2,
            "FRMPayload": "AABBCC", "MIC": -2, "RefTime": 0.0, "DR": 5, "Freq": 868_100_000,
        }  # fmt: skip
        assert info["xtime"] & ((1 << 48) - 1) == 1_047_336
        assert 1 <= info["xtime"] >> 48 <= 255
        assert info["gpstime"] == 1_464_035_218 * S + 1_046_336
        assert (info["rssi"], info["snr"]) == (-111, 4.25)

    def test_a_join_request_is_taken_apart(self):
        fields = uplink_fields(bytes.fromhex("00 000000d07ed5b370 010000d17ed5b370 0201 efcdab89"))

        assert fields == {
            "msgtype": "jreq",
            "MHdr": 0,
            "JoinEui": "70-B3-D5-7E-D0-00-00-00",
            "DevEui": "70-B3-D5-7E-D1-00-00-01",
            "DevNonce": 258,
            "MIC": -1_985_229_329,
        }

    @pytest.mark.parametrize("frame", ["", "40", "00" * 22, "41" + "00" * 15, "40 00000000 0f 0000 00000000"])
    def test_what_is_no_lorawan_frame_goes_nowhere(self, frame):
        assert uplink_fields(bytes.fromhex(frame)) is None

    def test_without_gps_there_is_no_gps_time(self, server, build):
        world = build(has_gps=False)

        world.send()
        world.wait(1)

        assert server.of("updf")[0]["upinfo"]["gpstime"] == 0

    def test_a_server_that_does_not_answer_is_an_error_in_lockstep(self, server, build):
        world = build()
        world.station.link._hold_s = 0.05
        server.silent = True

        world.send()
        with pytest.raises(GatewaySilent):
            world.wait(1)


class TestDownlinks:
    """src/s2e.c, handle_dnmsg, s2e_addTxjob and s2e_nextTxAction."""

    def answers(self, server, *changes):
        given = iter(changes)
        server.downlinks = lambda message: [dnmsg(message, **change) for change in next(given, [])]

    def test_rx1_is_rxdelay_after_the_uplink_and_dntxed_follows(self, server, build):
        world = build()
        self.answers(server, [{}])

        world.send()
        sent = world.wait(3)

        assert sent == [(1_046_336, 868_100_000, 7)]
        world.send()
        world.wait(1)
        (txed,) = server.of("dntxed")
        assert (txed["diid"], txed["Freq"], txed["DR"], txed["txtime"]) == (5, 868_100_000, 5, 1.046336)

    @pytest.mark.parametrize(("delay_s", "start_us"), [(None, 1_046_336), (0, 1_046_336), (5, 5_046_336)])
    def test_rxdelay_is_at_least_a_second(self, server, build, delay_s, start_us):
        world = build()
        self.answers(server, [{"RxDelay": delay_s}])

        world.send()

        assert world.wait(7) == [(start_us, 868_100_000, 7)]

    def test_rx2_alone_is_a_second_later(self, server, build):
        world = build()
        self.answers(server, [{"RX1DR": None, "RX1Freq": None}])

        world.send()

        assert world.wait(4) == [(2_046_336, 869_525_000, 12)]

    def test_after_a_frame_the_band_is_blocked_and_rx2_serves(self, server, build):
        world = build()
        self.answers(server, [{}], [{}], [{}])

        sent = []
        for frequency_hz in (867_100_000, 867_900_000, 868_300_000):
            world.send(frequency_hz=frequency_hz)
            sent += world.wait(5)

        assert [frequency_hz for _, frequency_hz, _ in sent] == [867_100_000, 869_525_000, 868_300_000]

    def test_without_rx2_it_drops_the_frame_and_says_nothing(self, server, build):
        world = build()
        only_rx1 = {"RX2DR": None, "RX2Freq": None}
        self.answers(server, [only_rx1], [only_rx1])

        for frequency_hz in (867_100_000, 867_900_000):
            world.send(frequency_hz=frequency_hz)
            world.wait(5)
        world.send()
        world.wait(1)

        assert len(world.heard_down) == len(server.of("dntxed")) == 1
        assert world.station.counters.refused == {"NO_DC_IN_BAND": 1}

    def test_41_216_ms_at_0_1_percent_block_for_41_216_s_from_the_start(self, server, build):
        world = build()
        only_rx1 = {"RX2DR": None, "RX2Freq": None}
        self.answers(server, [only_rx1], [only_rx1], [only_rx1])

        world.send(frequency_hz=867_100_000)
        world.wait(41.0)
        world.send(frequency_hz=867_100_000)  # its RX1 is 0.216 s too early
        world.wait(0.3)
        world.send(frequency_hz=867_100_000)
        world.wait(5)

        assert [start for start, _, _ in world.heard_down] == [1_046_336, 42_346_336]

    def test_a_build_for_developers_may_be_told_to_leave_that(self):
        with Server(nodc=True) as server:
            world = World(server, production=False)
            server.downlinks = lambda message: [dnmsg(message)]
            for _ in range(3):
                world.send(frequency_hz=867_100_000)
                world.wait(5)
            world.station.close()

            assert [frequency_hz for _, frequency_hz, _ in world.heard_down] == [867_100_000] * 3

    def test_production_ignores_it(self):
        with Server(nodc=True) as server:
            world = World(server)
            server.downlinks = lambda message: [dnmsg(message)]
            for _ in range(2):
                world.send(frequency_hz=867_100_000)
                world.wait(5)
            world.station.close()

            assert [frequency_hz for _, frequency_hz, _ in world.heard_down] == [867_100_000, 869_525_000]

    def test_two_at_once_the_one_of_higher_priority_goes_first(self, server, build):
        world = build()
        self.answers(server, [{"diid": 1, "priority": 0}, {"diid": 2, "priority": 60, "RX1DR": 0}])

        world.send()
        world.wait(10)
        world.send()
        world.wait(1)

        assert next(txed["diid"] for txed in server.of("dntxed")) == 2

    def test_class_c_goes_at_once_in_rx2(self, server, build):
        world = build()
        self.answers(server, [{"dC": 2, "RX1DR": None, "RX1Freq": None, "xtime": None, "RX2DR": 3}])

        world.send()

        assert world.wait(2) == [(46_336 + 20_000, 869_525_000, 9)]

    def test_an_xtime_of_another_session_has_no_time(self, server, build):
        world = build()
        self.answers(server, [{"xtime": 1}])

        world.send()

        assert world.wait(5) == []
        assert world.station.counters.refused == {"TIME": 1}

    @pytest.mark.parametrize(
        "change",
        [
            {"RX1DR": 9},
            {"RX1DR": None},
            {"RX1Freq": 862_900_000},
            {"RX1DR": None, "RX1Freq": None, "RX2DR": None, "RX2Freq": None},
            {"DevEui": "70B3D57ED1000001"},
            {"DevEui": None},
            {"pdu": "0"},
            {"dC": 3},
            {"diid": None},
            {"RxDelay": 16},
        ],
    )
    def test_what_is_missing_or_illegal_drops_the_message(self, server, build, change):
        world = build()
        self.answers(server, [change])

        world.send()

        assert world.wait(5) == []
        assert world.station.counters.refused == {"MALFORMED": 1}
