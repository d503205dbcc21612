# SPDX-License-Identifier: EUPL-1.2
"""LoRaWAN 1.0.4 frames of the join: parse, serialize, sign, encrypt. Nothing here waits, counts or remembers.

TS001-1.0.4 "End-Device Activation". EUIs are lower-case hex, most significant byte first; on air everything is little
endian. Keys are 16 bytes. ``decoders.lorawan.frame`` has this and the data frames.
"""

from collections import namedtuple

from decoders.lorawan.aes import cmac, decrypt_block, encrypt_block
from decoders.lorawan.data_frame import JOIN_ACCEPT, JOIN_REQUEST, check_mic, expect, uint
from decoders.lorawan.errors import FieldRange, MalformedFrame

_MIC = 4


class JoinRequest(namedtuple("JoinRequest", ("join_eui", "dev_eui", "dev_nonce"))):
    """MHDR(1) JoinEUI(8) DevEUI(8) DevNonce(2) MIC(4). TS001-1.0.4 "Join-Request frame"."""

    join_eui: str
    dev_eui: str
    dev_nonce: int

    @classmethod
    def parse(cls, phy_payload: bytes) -> "JoinRequest":
        """Read a frame, MIC unchecked; raises MalformedFrame."""
        expect(phy_payload, JOIN_REQUEST, JOIN_REQUEST)
        if len(phy_payload) != 23:
            raise MalformedFrame("Join-Request", 23, len(phy_payload))
        return cls(_eui(phy_payload[1:9]), _eui(phy_payload[9:17]), int.from_bytes(phy_payload[17:19], "little"))

    def serialize(self, app_key: bytes) -> bytes:
        """23 bytes, MIC included; raises FieldRange."""
        body = (
            bytes([JOIN_REQUEST << 5])
            + _eui_bytes("JoinEUI", self.join_eui)
            + _eui_bytes("DevEUI", self.dev_eui)
            + uint("DevNonce", self.dev_nonce, 2)
        )
        return body + cmac(app_key, body)[:_MIC]


def verify_join_request(phy_payload: bytes, app_key: bytes) -> None:
    """Raise MicMismatch unless the MIC was made with ``app_key``."""
    check_mic(app_key, b"", phy_payload)


class JoinAccept(namedtuple("JoinAccept", ("join_nonce", "net_id", "dev_addr", "dl_settings", "rx_delay", "cf_list"))):
    """MHDR(1) JoinNonce(3) NetID(3) DevAddr(4) DLSettings(1) RXDelay(1) CFList(0 or 16) MIC(4).

    TS001-1.0.4 "Join-Accept frame". ``cf_list``: 0 or 16 bytes, see ``decoders.lorawan.region``.
    """

    join_nonce: int
    net_id: int
    dev_addr: int
    dl_settings: int
    rx_delay: int
    cf_list: bytes

    @classmethod
    def parse(cls, phy_payload: bytes, app_key: bytes) -> "JoinAccept":
        """Decrypt and read a frame; raises MalformedFrame, MicMismatch."""
        expect(phy_payload, JOIN_ACCEPT, JOIN_ACCEPT)
        if len(phy_payload) not in (17, 33):
            raise MalformedFrame("Join-Accept", 17, len(phy_payload))
        # The server decrypts, so that the node needs encryption only.
        data = phy_payload[:1] + encrypt_block(app_key, phy_payload[1:])
        check_mic(app_key, b"", data)
        return cls(
            int.from_bytes(data[1:4], "little"),
            int.from_bytes(data[4:7], "little"),
            int.from_bytes(data[7:11], "little"),
            data[11],
            data[12],
            data[13:-_MIC],
        )

    def serialize(self, app_key: bytes) -> bytes:
        """17 or 33 bytes, encrypted, MIC included; raises FieldRange."""
        if len(self.cf_list) not in (0, 16):
            raise FieldRange("CFList", self.cf_list)
        body = (
            bytes([JOIN_ACCEPT << 5])
            + uint("JoinNonce", self.join_nonce, 3)
            + uint("NetID", self.net_id, 3)
            + uint("DevAddr", self.dev_addr, 4)
            + uint("DLSettings", self.dl_settings, 1)
            + uint("RXDelay", self.rx_delay, 1)
            + self.cf_list
        )
        return body[:1] + decrypt_block(app_key, body[1:] + cmac(app_key, body)[:_MIC])


def derive_session_keys(app_key: bytes, join_nonce: int, net_id: int, dev_nonce: int) -> tuple[bytes, bytes]:
    """(NwkSKey, AppSKey). TS001-1.0.4 "Join-Accept frame"."""
    tail = uint("JoinNonce", join_nonce, 3) + uint("NetID", net_id, 3) + uint("DevNonce", dev_nonce, 2) + bytes(7)
    return encrypt_block(app_key, b"\x01" + tail), encrypt_block(app_key, b"\x02" + tail)


def _eui(data: bytes) -> str:
    return f"{int.from_bytes(data, 'little'):016x}"


def _eui_bytes(field: str, eui: str) -> bytes:
    try:
        data = int(eui, 16).to_bytes(8, "little")
    except (ValueError, OverflowError):
        raise FieldRange(field, eui) from None
    if _eui(data) != eui:
        raise FieldRange(field, eui)
    return data
