# SPDX-License-Identifier: EUPL-1.2
"""LoRaWAN frames beyond the vectors: what is refused, and what holds for any bytes."""

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from decoders.lorawan.errors import FieldRange, MalformedFrame, MicMismatch, RemoteError
from decoders.lorawan.frame import (
    ADR,
    CONFIRMED_DOWN,
    CONFIRMED_UP,
    UNCONFIRMED_DOWN,
    UNCONFIRMED_UP,
    DataFrame,
    Fhdr,
    JoinAccept,
    JoinRequest,
    m_type,
    verify_data,
    verify_join_request,
)

KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
OTHER = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3d")
FHDR = Fhdr(0x26011BDA, 0, 1, b"")

any_bytes = st.binary(max_size=300)
keys = st.binary(min_size=16, max_size=16)
euis = st.integers(0, 2**64 - 1).map("{:016x}".format)


def uint(bits):
    return st.integers(0, 2**bits - 1)


@st.composite
def data_frames(draw):
    f_cnt32 = draw(uint(32))
    f_port = draw(st.none() | uint(8))
    f_opts = b"" if f_port == 0 else draw(st.binary(max_size=15))
    payload = b"" if f_port is None else draw(st.binary(max_size=222))
    kind = draw(st.sampled_from((UNCONFIRMED_UP, UNCONFIRMED_DOWN, CONFIRMED_UP, CONFIRMED_DOWN)))
    fhdr = Fhdr(draw(uint(32)), draw(uint(4)) << 4, f_cnt32 & 0xFFFF, f_opts)
    return DataFrame(kind, fhdr, f_port, payload), f_cnt32


join_requests = st.builds(JoinRequest, euis, euis, uint(16))
join_accepts = st.builds(
    JoinAccept,
    uint(24),
    uint(24),
    uint(32),
    uint(8),
    uint(8),
    st.just(b"") | st.binary(min_size=16, max_size=16),
)


class TestPhyPayload:
    """TS001-1.0.4 "PHY Payload (PHYPayload)"."""

    def test_nothing_is_no_frame(self):
        with pytest.raises(MalformedFrame, match="PHYPayload: need 1, got 0"):
            m_type(b"")

    def test_another_major_version_is_refused(self):
        with pytest.raises(MalformedFrame, match="Major: need 0, got 1"):
            m_type(b"\x41")

    def test_rfu_bits_of_the_header_are_ignored(self):
        assert m_type(b"\x5c") == UNCONFIRMED_UP

    @given(any_bytes, keys)
    @example(b"\x40" + bytes(11), KEY)
    @example(b"\x20" + bytes(16), KEY)
    @example(b"\x40" + b"\xff" * 300, KEY)
    def test_any_bytes_give_a_value_or_a_remote_error(self, data, key):
        for parse in (
            m_type,
            Fhdr.parse,
            DataFrame.parse,
            JoinRequest.parse,
            lambda phy: JoinAccept.parse(phy, key),
            lambda phy: verify_data(phy, key, 7),
            lambda phy: verify_join_request(phy, key),
            lambda phy: DataFrame.parse(phy).decrypt(key, key, 7),
        ):
            with suppress(RemoteError):
                parse(data)


class TestJoinRequest:
    """TS001-1.0.4 "Join-Request frame"."""

    @given(join_requests, keys)
    def test_what_is_serialized_parses_and_verifies(self, request, key):
        phy_payload = request.serialize(key)

        assert len(phy_payload) == 23
        assert JoinRequest.parse(phy_payload) == request
        verify_join_request(phy_payload, key)

    @given(join_requests, st.integers(0, 23 * 8 - 1))
    def test_any_flipped_bit_breaks_the_mic(self, request, bit):
        with pytest.raises(MicMismatch):
            verify_join_request(flipped(request.serialize(KEY), bit), KEY)

    @pytest.mark.parametrize("eui", ["70B3D57ED0000001", "70b3d57ed000001", "0x70b3d57ed00001", "70b3d57ed000000g", ""])
    def test_an_eui_is_16_lower_case_hex_digits(self, eui):
        with pytest.raises(FieldRange, match="DevEUI"):
            JoinRequest("70b3d57ed0000001", eui, 0).serialize(KEY)

    def test_dev_nonce_has_16_bits(self):
        with pytest.raises(FieldRange, match="DevNonce: 65536"):
            JoinRequest("70b3d57ed0000001", "70b3d57ed0000002", 65536).serialize(KEY)


class TestJoinAccept:
    """TS001-1.0.4 "Join-Accept frame"."""

    @given(join_accepts, keys)
    def test_what_is_serialized_parses(self, accept, key):
        phy_payload = accept.serialize(key)

        assert len(phy_payload) == (33 if accept.cf_list else 17)
        assert JoinAccept.parse(phy_payload, key) == accept

    @given(join_accepts, st.integers(8, 17 * 8 - 1))
    def test_any_flipped_bit_breaks_the_mic(self, accept, bit):
        with pytest.raises(MicMismatch):
            JoinAccept.parse(flipped(accept.serialize(KEY), bit), KEY)

    def test_another_app_key_does_not_open_it(self):
        with pytest.raises(MicMismatch):
            JoinAccept.parse(JoinAccept(1, 0, 1, 0, 1, b"").serialize(KEY), OTHER)

    def test_a_cf_list_has_16_bytes_or_none(self):
        with pytest.raises(FieldRange, match="CFList"):
            JoinAccept(1, 0, 1, 0, 1, bytes(15)).serialize(KEY)


class TestMacPayload:
    """TS001-1.0.4 "MAC Payload of Data Frames (MACPayload)"."""

    @given(data_frames(), keys, keys)
    def test_what_is_serialized_parses_verifies_and_decrypts(self, frame_and_count, nwk_s_key, app_s_key):
        frame, f_cnt32 = frame_and_count

        phy_payload = frame.serialize(nwk_s_key, app_s_key, f_cnt32)
        parsed = DataFrame.parse(phy_payload)

        verify_data(phy_payload, nwk_s_key, f_cnt32)
        assert parsed[:3] == frame[:3]
        assert parsed.decrypt(nwk_s_key, app_s_key, f_cnt32) == frame.frm_payload

    @given(data_frames(), st.data())
    def test_any_flipped_bit_breaks_the_mic_or_the_form(self, frame_and_count, data):
        frame, f_cnt32 = frame_and_count
        phy_payload = frame.serialize(KEY, OTHER, f_cnt32)
        bit = data.draw(st.integers(0, 8 * len(phy_payload) - 1))

        with pytest.raises(RemoteError):
            verify_data(flipped(phy_payload, bit), KEY, f_cnt32)

    @given(data_frames(), uint(32))
    def test_another_counter_breaks_the_mic(self, frame_and_count, f_cnt32):
        frame, real = frame_and_count
        if f_cnt32 != real:
            with pytest.raises(MicMismatch):
                verify_data(frame.serialize(KEY, OTHER, real), KEY, f_cnt32)

    def test_mac_commands_in_both_places_are_refused(self):
        # MHDR, DevAddr, FCtrl with FOptsLen 1, FCnt, FOpts, FPort 0, payload, MIC
        phy_payload = bytes.fromhex("60" + "da1b0126" + "01" + "0000" + "06" + "00" + "aa" + "00000000")

        with pytest.raises(MalformedFrame, match="FOpts beside FPort 0"):
            DataFrame.parse(phy_payload)

    def test_options_longer_than_the_frame_are_refused(self):
        with pytest.raises(MalformedFrame, match="FHDR: need 9, got 7"):
            DataFrame.parse(bytes.fromhex("40" + "da1b0126" + "02" + "0000" + "00000000"))

    def test_a_rejoin_request_is_no_data_frame(self):
        with pytest.raises(MalformedFrame, match="MType: need 2, got 6"):
            DataFrame.parse(b"\xc0" + bytes(18))

    @pytest.mark.parametrize(
        ("frame", "field"),
        [
            (DataFrame(UNCONFIRMED_UP, FHDR, None, b"x"), "FPort"),
            (DataFrame(UNCONFIRMED_UP, FHDR, 256, b"x"), "FPort"),
            (DataFrame(0, FHDR, 2, b"x"), "MType"),
            (DataFrame(UNCONFIRMED_UP, Fhdr(1, 0, 2, b""), 2, b"x"), "FCnt"),
            (DataFrame(UNCONFIRMED_UP, Fhdr(1, ADR | 1, 1, b""), 2, b"x"), "FCtrl"),
            (DataFrame(UNCONFIRMED_UP, Fhdr(1, 0, 1, bytes(16)), 2, b"x"), "FOpts"),
            (DataFrame(UNCONFIRMED_UP, Fhdr(1, 0, 1, b"\x02"), 0, b"\x02"), "FOpts"),
            (DataFrame(UNCONFIRMED_UP, Fhdr(1 << 32, 0, 1, b""), 2, b"x"), "DevAddr"),
            (DataFrame(UNCONFIRMED_UP, FHDR, 2, bytes(243)), "PHYPayload"),
            (DataFrame(UNCONFIRMED_UP, FHDR, 2, bytes(300)), "FRMPayload"),
        ],
    )
    def test_what_the_specification_forbids_is_not_sent(self, frame, field):
        with pytest.raises(FieldRange) as refused:
            frame.serialize(KEY, OTHER, 1)

        assert refused.value.field == field


def flipped(data, bit):
    return bytes(byte ^ (1 << bit % 8) if i == bit // 8 else byte for i, byte in enumerate(data))
