# SPDX-License-Identifier: EUPL-1.2
"""GWMP v2. Examples are those of sx1302_hal's PROTOCOL.md."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.lorawan.errors import RemoteError
from gateway.backhaul.gwmp import PullData, PushData, Stat, TxAck, Txpk, parse, pull_ack, pull_resp, push_ack
from gateway.backhaul.interface import Heard
from gateway.metrics import REFUSALS

HEAD = bytes.fromhex("02a1b2 00 0016c001ff10b001".replace(" ", ""))

# PROTOCOL.md 4 "Upstream JSON data structure", third frame of the first example; its data has no padding
EXAMPLE = {
    "time": "2013-03-31T16:21:17.532038Z",
    "tmst": 3316387610,
    "chan": 0,
    "rfch": 0,
    "freq": 863.00981,
    "stat": 1,
    "modu": "LORA",
    "datr": "SF10BW125",
    "codr": "4/7",
    "rssi": -38,
    "lsnr": 5.5,
    "size": 32,
    "data": "ysgRl452xNLep9S1NTIg2lomKDxUgn3DJ7DE+b00Ass",
}


def push(*rxpk: object, **rest: object) -> bytes:
    return HEAD + json.dumps({"rxpk": list(rxpk), **rest}).encode()


class TestPushData:
    """PROTOCOL.md 3.2 "PUSH_DATA packet" and 4 "Upstream JSON data structure"."""

    def test_a_received_frame_is_read_with_its_units(self):
        datagram = push(EXAMPLE | {"tmms": 1_455_000_000_500, "time": "2026-02-13T06:39:42.500000Z"})

        message = parse(datagram)

        frame = Heard(
            tmst_us=3316387610,
            frequency_hz=863_009_800,
            sf=10,
            bandwidth_hz=125_000,
            rssi_dbm=-38,
            snr_db=5.5,
            gps_ms=1_455_000_000_500,
            unix_s=1_770_964_782.5,
            phy_payload=bytes.fromhex("cac811978e76c4d2dea7d4b5353220da5a26283c54827dc327b0c4f9bd3402cb"),
        )
        assert message == PushData(0xA1B2, "0016c001ff10b001", (frame,), (), None)

    def test_float32_megahertz_are_rounded_to_the_channel(self):
        message = parse(push(EXAMPLE | {"freq": 868.0999755859375}))

        assert message.frames[0].frequency_hz == 868_100_000

    def test_a_clock_that_is_not_set_counts_as_no_clock(self):
        message = parse(push(EXAMPLE | {"tmms": 12_345, "time": "1970-01-01T00:00:12Z"}))

        assert (message.frames[0].gps_ms, message.frames[0].unix_s) == (None, None)

    @pytest.mark.parametrize("time", [None, 5, "", "yesterday", "2026-02-13T06:39:42", "9999-12-31T23:59:59Z"])
    def test_a_time_that_makes_no_sense_costs_the_time_only(self, time):
        message = parse(push(EXAMPLE | {"time": time}))

        assert message.frames[0].unix_s is None

    def test_one_bad_frame_does_not_cost_the_others(self):
        message = parse(push(EXAMPLE, {"tmst": "soon"}, EXAMPLE))

        assert len(message.frames) == 2
        assert message.dropped == ("malformed_rxpk",)

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"stat": -1}, "crc_failed"),
            ({"stat": 0}, "crc_failed"),
            ({"modu": "FSK", "datr": 50000}, "unsupported_modulation"),
            ({"datr": "SF7"}, "malformed_rxpk"),
            ({"datr": 7}, "malformed_rxpk"),
            ({"tmst": 1 << 32}, "malformed_rxpk"),
            ({"tmst": True}, "malformed_rxpk"),
            ({"freq": "868.1"}, "malformed_rxpk"),
            ({"freq": float("nan")}, "malformed_rxpk"),
            ({"freq": float("inf")}, "malformed_rxpk"),
            ({"rssi": None}, "malformed_rxpk"),
            ({"data": "?"}, "malformed_rxpk"),
            ({"data": 5}, "malformed_rxpk"),
        ],
    )
    def test_an_unusable_frame_is_dropped_by_reason(self, change, reason):
        message = parse(push(EXAMPLE | change))

        assert message.dropped == (reason,)
        assert reason in REFUSALS

    def test_a_statistics_message_has_no_frames(self):
        message = parse(HEAD + b'{"stat":{"time":"2014-01-12 08:59:28 GMT","rxnb":2}}')

        assert message == PushData(0xA1B2, "0016c001ff10b001", (), (), Stat(2, 0, 0, 0, 0, 0))


class TestDownstream:
    """PROTOCOL.md 5 "Downstream protocol" and 6 "Downstream JSON data structure"."""

    def test_pull_data_names_the_concentrator(self):
        message = parse(bytes.fromhex("02123402aa555a0000000101"))

        assert message == PullData(0x1234, "aa555a0000000101")

    def test_acknowledgements_repeat_the_token(self):
        assert push_ack(0xA1B2) == bytes.fromhex("02a1b201")
        assert pull_ack(0xA1B2) == bytes.fromhex("02a1b204")

    def test_pull_resp_carries_one_complete_txpk(self):
        datagram = pull_resp(7, Txpk(3_000_000_000, 868_100_000, 9, 125_000, 14, bytes.fromhex("60aabb")))

        assert datagram[:4] == bytes.fromhex("02000703")
        assert json.loads(datagram[4:]) == {
            "txpk": {
                "imme": False,
                "tmst": 3_000_000_000,
                "freq": 868.1,
                "rfch": 0,
                "powe": 14,
                "modu": "LORA",
                "datr": "SF9BW125",
                "codr": "4/5",
                "ipol": True,
                "ncrc": True,
                "size": 3,
                "data": "YKq7",
            }
        }

    @pytest.mark.parametrize(
        ("body", "error"),
        [
            (b"", "NONE"),
            (b"\x00", "NONE"),
            (b"{}", "NONE"),
            (b'{"txpk_ack":{"error":"NONE"}}', "NONE"),
            (b'{"txpk_ack":{"error":"TOO_LATE"}}', "TOO_LATE"),
            (b'{"txpk_ack":{"error":"COFFEE"}}', "OTHER"),
        ],
    )
    def test_tx_ack_says_what_became_of_the_downlink(self, body, error):
        message = parse(HEAD[:3] + b"\x05" + HEAD[4:] + body)

        assert message == TxAck(0xA1B2, "0016c001ff10b001", error)


class TestAnyBytes:
    """Whatever arrives gives a message or a RemoteError, nothing else."""

    @pytest.mark.parametrize(
        "datagram",
        [
            b"",
            HEAD[:11],
            b"\x01" + HEAD[1:] + b"{}",
            HEAD,
            HEAD + b"[]",
            HEAD + b"\xff\xfe{}",
            HEAD + b'{"rxpk":5}',
            HEAD + b"[" * 60_000,
            HEAD + b'{"rxpk":[' + b"1" * 5_000 + b"]}",
            HEAD[:3] + b"\x01" + HEAD[4:],
            HEAD[:3] + b"\x05" + HEAD[4:] + b'{"txpk_ack":5}',
        ],
    )
    def test_known_traps_are_malformed(self, datagram):
        with pytest.raises(RemoteError):
            parse(datagram)

    @given(st.binary(max_size=300))
    def test_random_bytes(self, datagram):
        try:
            message = parse(datagram)
        except RemoteError:
            return
        assert isinstance(message, PushData | PullData | TxAck)

    VALUE = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just([]) | st.just({})

    @given(st.dictionaries(st.sampled_from([*EXAMPLE, "tmms"]), VALUE, max_size=4))
    def test_a_frame_with_any_values(self, change):
        message = parse(push(EXAMPLE | change))

        assert len(message.frames) + len(message.dropped) == 1
        assert set(message.dropped) <= set(REFUSALS)
