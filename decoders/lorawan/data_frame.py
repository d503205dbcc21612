# SPDX-License-Identifier: EUPL-1.2
"""LoRaWAN 1.0.4 data frames: parse, serialize, sign, encrypt. Nothing here waits, counts or remembers.

TS001-1.0.4 "MAC Frame Formats". ``decoders.lorawan.frame`` has all of this and the frames of the join; a node that has
joined loads this half only. ``f_cnt32`` is the full counter, of which 16 bits are on air.
"""

from collections import namedtuple

from decoders.lorawan.aes import cmac, encrypt_block
from decoders.lorawan.errors import FieldRange, MalformedFrame, MicMismatch

# TS001-1.0.4 "PHY Payload (PHYPayload)", table "MAC frame types": MHDR bits 7..5
JOIN_REQUEST = 0b000
JOIN_ACCEPT = 0b001
UNCONFIRMED_UP = 0b010
UNCONFIRMED_DOWN = 0b011
CONFIRMED_UP = 0b100
CONFIRMED_DOWN = 0b101

# TS001-1.0.4 "Frame header (FHDR)": FCtrl
ADR = 0x80
ADR_ACK_REQ = 0x40  # uplink
ACK = 0x20
CLASS_B = 0x10  # uplink
F_PENDING = 0x10  # downlink

_MIC = 4
_MAX_PHY_PAYLOAD = 255  # the radio's length byte


def m_type(phy_payload: bytes) -> int:
    """The kind of frame; raises MalformedFrame if there is none or its major version is not LoRaWAN R1."""
    if not phy_payload:
        raise MalformedFrame("PHYPayload", 1, 0)
    if phy_payload[0] & 0x03:
        raise MalformedFrame("Major", 0, phy_payload[0] & 0x03)
    return phy_payload[0] >> 5


class Fhdr(namedtuple("Fhdr", ("dev_addr", "f_ctrl", "f_cnt", "f_opts"))):
    """Frame header: DevAddr(4) FCtrl(1) FCnt(2) FOpts(0..15).

    TS001-1.0.4 "Frame header (FHDR)". ``f_ctrl`` holds the flags only: FOptsLen is the length of ``f_opts``.
    ``f_cnt`` is the low 16 bits, as on air.
    """

    dev_addr: int
    f_ctrl: int
    f_cnt: int
    f_opts: bytes

    @classmethod
    def parse(cls, data: bytes) -> "Fhdr":
        """Read the header at the start of ``data``; raises MalformedFrame."""
        need = 7 + (data[4] & 0x0F) if len(data) > 4 else 7
        if len(data) < need:
            raise MalformedFrame("FHDR", need, len(data))
        return cls(
            int.from_bytes(data[0:4], "little"),
            data[4] & 0xF0,
            int.from_bytes(data[5:7], "little"),
            bytes(data[7:need]),
        )

    def serialize(self) -> bytes:
        """7 to 22 bytes; raises FieldRange."""
        if len(self.f_opts) > 15:
            raise FieldRange("FOpts", self.f_opts)
        if self.f_ctrl & 0x0F:
            raise FieldRange("FCtrl", self.f_ctrl)
        return (
            uint("DevAddr", self.dev_addr, 4)
            + uint("FCtrl", self.f_ctrl | len(self.f_opts), 1)
            + uint("FCnt", self.f_cnt, 2)
            + self.f_opts
        )


class DataFrame(namedtuple("DataFrame", ("m_type", "fhdr", "f_port", "frm_payload"))):
    """MHDR(1) FHDR(7..22) FPort(0..1) FRMPayload(0..N) MIC(4). TS001-1.0.4 "MAC Payload of Data Frames (MACPayload)".

    ``frm_payload`` is encrypted in a parsed frame and plain in one to be serialized. ``f_port`` is None when absent.
    """

    m_type: int
    fhdr: Fhdr
    f_port: int | None
    frm_payload: bytes

    @classmethod
    def parse(cls, phy_payload: bytes) -> "DataFrame":
        """Read a frame, MIC unchecked, payload still encrypted; raises MalformedFrame."""
        kind = _expect_data(phy_payload)
        fhdr = Fhdr.parse(phy_payload[1:-_MIC])
        rest = phy_payload[8 + len(fhdr.f_opts) : -_MIC]
        # "Frame options (FOptsLen in FCtrl, FOpts)": MAC commands never in both, such a frame is discarded
        if rest and rest[0] == 0 and fhdr.f_opts:
            raise MalformedFrame("FOpts beside FPort 0", 0, len(fhdr.f_opts))
        return cls(kind, fhdr, rest[0] if rest else None, bytes(rest[1:]))

    def serialize(self, nwk_s_key: bytes, app_s_key: bytes, f_cnt32: int) -> bytes:
        """Encrypt the payload with the key that FPort selects and append the MIC; raises FieldRange."""
        if self.m_type not in (UNCONFIRMED_UP, UNCONFIRMED_DOWN, CONFIRMED_UP, CONFIRMED_DOWN):
            raise FieldRange("MType", self.m_type)
        if f_cnt32 & 0xFFFF != self.fhdr.f_cnt:
            raise FieldRange("FCnt", self.fhdr.f_cnt)
        body = bytes([self.m_type << 5]) + self.fhdr.serialize()
        if self.f_port is None:
            if self.frm_payload:
                raise FieldRange("FPort", None)
        else:
            if self.f_port == 0 and self.fhdr.f_opts:
                raise FieldRange("FOpts", self.fhdr.f_opts)
            body += uint("FPort", self.f_port, 1) + self.decrypt(nwk_s_key, app_s_key, f_cnt32)
        if len(body) + _MIC > _MAX_PHY_PAYLOAD:
            raise FieldRange("PHYPayload", len(body) + _MIC)
        return body + cmac(nwk_s_key, _b0(body, f_cnt32) + body)[:_MIC]

    def decrypt(self, nwk_s_key: bytes, app_s_key: bytes, f_cnt32: int) -> bytes:
        """Plain FRMPayload from encrypted, and back. TS001-1.0.4 "MAC frame payload encryption (FRMPayload)"."""
        payload = self.frm_payload
        head = b"\x01" + bytes(4) + _direction_block(self.m_type, self.fhdr.dev_addr, f_cnt32) + b"\x00"
        count = (len(payload) + 15) // 16
        if count > 16:
            raise FieldRange("FRMPayload", len(payload))
        stream = encrypt_block(nwk_s_key if self.f_port == 0 else app_s_key, _a_blocks(head, count))
        other = bytearray(payload)  # a list of 242 integers asks much of a node's heap
        for i in range(len(payload)):
            other[i] ^= stream[i]
        return bytes(other)


def verify_data(phy_payload: bytes, nwk_s_key: bytes, f_cnt32: int) -> None:
    """Raise MicMismatch unless MIC, key and counter fit. TS001-1.0.4 "Message Integrity Code (MIC)"."""
    _expect_data(phy_payload)
    check_mic(nwk_s_key, _b0(phy_payload[:-_MIC], f_cnt32), phy_payload)


def expect(phy_payload: bytes, first: int, last: int) -> int:
    """The kind of frame; raises MalformedFrame unless it is from ``first`` to ``last``."""
    kind = m_type(phy_payload)
    if not first <= kind <= last:
        raise MalformedFrame("MType", first, kind)
    return kind


def _expect_data(phy_payload: bytes) -> int:
    kind = expect(phy_payload, UNCONFIRMED_UP, CONFIRMED_DOWN)
    if len(phy_payload) < 12:
        raise MalformedFrame("PHYPayload", 12, len(phy_payload))
    if len(phy_payload) > _MAX_PHY_PAYLOAD:
        raise MalformedFrame("PHYPayload", _MAX_PHY_PAYLOAD, len(phy_payload))
    return kind


def check_mic(key: bytes, prefix: bytes, frame: bytes) -> None:
    """Raise MicMismatch unless ``frame`` ends with the MIC of ``prefix`` and what comes before."""
    if cmac(key, prefix + frame[:-_MIC])[:_MIC] != frame[-_MIC:]:
        raise MicMismatch


def _b0(body: bytes, f_cnt32: int) -> bytes:
    dev_addr = int.from_bytes(body[1:5], "little")
    return b"\x49" + bytes(4) + _direction_block(body[0] >> 5, dev_addr, f_cnt32) + bytes([0, len(body)])


def _direction_block(kind: int, dev_addr: int, f_cnt32: int) -> bytes:
    """Dir(1) DevAddr(4) FCnt(4), common to the blocks B0 and Ai. Uplink MTypes are even."""
    return bytes([kind & 1]) + uint("DevAddr", dev_addr, 4) + uint("FCnt", f_cnt32, 4)


def _a_blocks(head: bytes, count: int) -> bytes:
    blocks = b""
    for i in range(1, count + 1):
        blocks += head + bytes([i])
    return blocks


def uint(field: str, value: int, length: int) -> bytes:
    """``length`` bytes, little endian; raises FieldRange."""
    if not 0 <= value < 1 << 8 * length:
        raise FieldRange(field, value)
    return value.to_bytes(length, "little")
