# SPDX-License-Identifier: EUPL-1.2
"""The LNS protocol. Examples are those of the Basics Station documentation, "The LNS Protocol", where it has any."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoders.lorawan.errors import RemoteError
from gateway.backhaul import lns
from gateway.backhaul.interface import Heard
from gateway.backhaul.lns import Sent, TimeSync, Unused, Uplink, Version, parse, parse_eui, parse_router
from gateway.radio import Order, Priority, Slot
from simulators.station_frames import id6, uplink_fields
from tests.gateway.nodes import Node

UPINFO = {
    "rctx": 0,
    "xtime": 44_191_571_460_522_836,
    "gpstime": 1_455_000_000_500_000,
    "fts": -1,
    "rssi": -97,
    "snr": 9.25,
    "rxtime": 1_770_964_782.5,
}
UPDF = {
    "msgtype": "updf",
    "MHdr": 64,
    "DevAddr": -50_331_647,  # 0xFD000001
    "FCtrl": 0x81,
    "FCnt": 65_535,
    "FOpts": "0D",
    "FPort": 2,
    "FRMPayload": "AABBCC",
    "MIC": -2,
    "RefTime": 0.0,
    "DR": 5,
    "Freq": 868_100_000,
    "upinfo": UPINFO,
}
JREQ = {
    "msgtype": "jreq",
    "MHdr": 0,
    "JoinEui": "70-B3-D5-7E-D0-00-00-00",
    "DevEui": "70-B3-D5-7E-D1-00-00-01",
    "DevNonce": 258,
    "MIC": -1_985_229_329,
    "RefTime": 0.0,
    "DR": 0,
    "Freq": 868_300_000,
    "upinfo": UPINFO,
}


def message(fields):
    return parse(json.dumps(fields))


class TestUplinks:
    """The station takes frames apart; the bytes that were on the air come back."""

    def test_a_data_frame(self):
        uplink = message(UPDF)

        assert uplink == Uplink(
            Heard(
                tmst_us=44_191_571_460_522_836,
                frequency_hz=868_100_000,
                sf=7,
                bandwidth_hz=125_000,
                rssi_dbm=-97,
                snr_db=9.25,
                gps_ms=1_455_000_000_500,
                unix_s=1_770_964_782.5,
                phy_payload=bytes.fromhex("40 010000fd 81 ffff 0d 02 aabbcc feffffff"),
                antenna=0,
            )
        )

    def test_a_join_request(self):
        uplink = message(JREQ)

        assert uplink.heard.phy_payload == bytes.fromhex("00 000000d07ed5b370 010000d17ed5b370 0201 efcdab89")
        assert uplink.heard.sf == 12

    def test_a_frame_without_a_port(self):
        uplink = message(UPDF | {"FPort": -1, "FRMPayload": ""})

        assert uplink.heard.phy_payload == bytes.fromhex("40 010000fd 81 ffff 0d feffffff")

    def test_numbers_without_a_sign_are_the_same(self):
        assert message(UPDF | {"MIC": 0xFFFFFFFE, "DevAddr": 0xFD000001}) == message(UPDF)

    def test_a_station_without_gps_says_nothing_about_it(self):
        uplink = message(UPDF | {"upinfo": UPINFO | {"gpstime": 0, "rxtime": 12.5}})

        assert (uplink.heard.gps_ms, uplink.heard.unix_s) == (None, None)

    def test_a_proprietary_frame_is_passed_on(self):
        fields = {"msgtype": "propdf", "FRMPayload": "E001", "DR": 3, "Freq": 868_100_000, "upinfo": UPINFO}

        assert message(fields).heard.phy_payload == b"\xe0\x01"

    def test_fsk_is_counted_and_not_understood(self):
        assert message(UPDF | {"DR": 7}) == Unused("updf", "unsupported_modulation")

    @pytest.mark.parametrize(
        "change",
        [
            {"FOpts": ""},  # FCtrl says one byte
            {"FOpts": "0"},
            {"FPort": -1},  # but there is a payload
            {"FPort": 256},
            {"FCnt": 65_536},
            {"MIC": 1 << 32},
            {"MHdr": "40"},
            {"DR": -1},
            {"DR": True},
            {"Freq": None},
            {"upinfo": None},
            {"upinfo": UPINFO | {"xtime": 0}},
            {"upinfo": UPINFO | {"snr": "9"}},
            {"FRMPayload": "00" * 256},
        ],
    )
    def test_what_does_not_fit_together_is_malformed(self, change):
        with pytest.raises(RemoteError):
            message(UPDF | change)

    @given(st.binary(min_size=12, max_size=60), st.sampled_from([0x40, 0x80, 0x00, 0xE0]))
    def test_whatever_a_station_takes_apart_comes_back_to_the_byte(self, frame, header):
        frame = bytes([header]) + frame[1:]
        fields = uplink_fields(frame)  # by the simulated station, from its source code
        if fields is None:
            return

        uplink = message(fields | {"DR": 0, "Freq": 868_100_000, "upinfo": UPINFO})

        assert uplink.heard.phy_payload == frame

    def test_real_frames_come_back_too(self):
        node = Node()
        for frame in (node.join_request(), node.uplink(), node.uplink(f_port=None), node.uplink(f_opts=b"\x0d\x02")):
            fields = uplink_fields(frame) | {"DR": 2, "Freq": 868_100_000, "upinfo": UPINFO}
            assert message(fields).heard.phy_payload == frame


class TestEuis:
    @pytest.mark.parametrize(
        "text",
        [
            "00-16-C0-01-FF-10-B0-01",
            "0016c001ff10b001",
            "16:c001:ff10:b001",
            "0016:C001:FF10:B001",
            0x0016_C001_FF10_B001,
        ],
    )
    def test_any_form_is_understood(self, text):
        assert parse_eui(text) == "0016c001ff10b001"

    @pytest.mark.parametrize(
        ("text", "eui"),
        [
            ("::1", "0000000000000001"),
            ("1::", "0001000000000000"),
            ("::", "0000000000000000"),
            ("1::2:3", "0001000000020003"),
            ("b827:ebff:fe00::", "b827ebfffe000000"),
        ],
    )
    def test_id6_may_leave_out_zeros(self, text, eui):
        assert parse_eui(text) == eui

    @pytest.mark.parametrize(
        "text", ["", "1", "1:2:3", "1:2:3:4:5", "::1::", "1:2:3:4::", "g::", None, -1, 1 << 64, 1.5]
    )
    def test_nothing_else_is(self, text):
        with pytest.raises(RemoteError):
            parse_eui(text)

    @given(st.integers(0, (1 << 64) - 1))
    def test_every_eui_survives_id6(self, number):
        assert parse_eui(id6(f"{number:016x}")) == f"{number:016x}"

    def test_discovery_names_the_station(self):
        assert parse_router('{"router": "16:c001:ff10:b001"}') == "0016c001ff10b001"


class TestOtherMessages:
    def test_version(self):
        fields = {
            "msgtype": "version", "station": "2.0.6(linux/std)", "firmware": None, "package": None, "model": "linux",
            "protocol": 2, "features": "rmtsh prod",
        }  # fmt: skip

        assert message(fields) == Version("2.0.6(linux/std)", "linux", "rmtsh prod")

    def test_dntxed(self):
        fields = {
            "msgtype": "dntxed",
            "diid": 35_648,
            "DevEui": "00-00-00-00-11-00-00-01",
            "rctx": 0,
            "Freq": 869_525_000,
        }

        assert message(fields) == Sent(35_648, 869_525_000)

    def test_timesync(self):
        assert message({"msgtype": "timesync", "txtime": 1_512}) == TimeSync(1_512)

    def test_a_station_may_say_more_than_we_need(self):
        assert message({"msgtype": "event", "what": 1}) == Unused("event")


class TestDownstream:
    """Documentation "dnmsg", "router_config" and "Discovery"."""

    ORDER = Order(
        7, "0016c001ff10b001", "70b3d57ed1000001", 44_191_571_460_522_836, 1, Slot(1000, 868_100_000, 5),
        Slot(2000, 869_525_000, 0), False, 14, Priority.ACK, b"\x60\x01",
    )  # fmt: skip

    def test_dnmsg_offers_both_windows(self):
        assert json.loads(lns.dnmsg(self.ORDER)) == {
            "msgtype": "dnmsg",
            "DevEui": "70-B3-D5-7E-D1-00-00-01",
            "dC": 0,
            "diid": 7,
            "pdu": "6001",
            "RxDelay": 1,
            "RX1DR": 5,
            "RX1Freq": 868_100_000,
            "RX2DR": 0,
            "RX2Freq": 869_525_000,
            "priority": 60,
            "xtime": 44_191_571_460_522_836,
            "rctx": 1,
        }

    def test_rx2_alone_keeps_the_delay_of_rx1(self):
        order = self.ORDER._replace(rx1=None, rx2=Slot(6000, 869_525_000, 0))

        message = json.loads(lns.dnmsg(order))

        assert message["RxDelay"] == 5
        assert "RX1DR" not in message
        assert "RX1Freq" not in message

    def test_class_c_has_no_xtime(self):
        message = json.loads(lns.dnmsg(self.ORDER._replace(rx1=None, rx2=Slot(0, 869_525_000, 0), asap=True)))

        assert (message["dC"], message["RX2Freq"], "xtime" in message) == (2, 869_525_000, False)

    def test_router_config_is_that_of_eu868(self):
        config = json.loads(lns.router_config(14))

        assert config["region"] == "EU863"
        assert config["DRs"][:8] == [
            [12, 125, 0], [11, 125, 0], [10, 125, 0], [9, 125, 0], [8, 125, 0], [7, 125, 0], [7, 250, 0], [0, 0, 0],
        ]  # fmt: skip
        assert config["DRs"][8:] == [[-1, 0, 0]] * 8
        assert config["upchannels"][0] == [868_100_000, 0, 5]
        assert config["max_eirp"] == pytest.approx(16.15)  # 14 dBm ERP
        assert config["freq_range"] == [863_000_000, 870_000_000]
        assert not {"nodc", "nocca", "nodwell"} & config.keys()

    def test_the_radios_hear_the_eight_channels(self):
        config = json.loads(lns.router_config(14))
        (radios,) = config["sx1301_conf"]

        channels = [radios[f"chan_multiSF_{n}"] for n in range(8)]
        heard = [radios[f"radio_{channel['radio']}"]["freq"] + channel["if"] for channel in channels]

        assert heard == [channel[0] for channel in config["upchannels"]]
        assert all(abs(channel["if"]) <= 400_000 for channel in channels)

    def test_discovery_says_where_to_connect(self):
        answer = json.loads(lns.router_info("0016c001ff10b001", "wss://gateway:3001/router-0016c001ff10b001"))

        assert answer == {
            "router": "0016c001ff10b001",
            "muxs": "muxs-::0",
            "uri": "wss://gateway:3001/router-0016c001ff10b001",
        }


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from([*UPDF, *JREQ, "diid", "txtime", "station"])


class TestAnyText:
    """Whatever arrives gives a message or a RemoteError, nothing else."""

    @given(st.text(max_size=200) | st.binary(max_size=200))
    def test_random_text(self, text):
        try:
            parse(text)
        except RemoteError:
            return

    @settings(max_examples=300)
    @given(
        st.sampled_from([UPDF, JREQ, {"msgtype": "dntxed"}, {"msgtype": "version"}, {"msgtype": "timesync"}]),
        st.dictionaries(NAMES, ANY, max_size=3),
        st.dictionaries(st.sampled_from(list(UPINFO)), ANY, max_size=2),
    )
    def test_messages_with_any_values(self, base, change, info):
        try:
            found = message(base | {"upinfo": UPINFO | info} | change)
        except RemoteError:
            return
        assert isinstance(found, Uplink | Unused | Version | Sent | TimeSync)

    @pytest.mark.parametrize("text", ["[" * 100_000, '{"msgtype":' + "1" * 5_000 + "}", "{}", "[]", '{"msgtype": []}'])
    def test_known_traps(self, text):
        with pytest.raises(RemoteError):
            parse(text)
