# SPDX-License-Identifier: EUPL-1.2
"""How a Basics Station takes received frames apart, and numbers its data rates.

BS = lorabasics/basicstation 2.0.6, src/lora.c, ``s2e_parse_lora_frame``, and src/s2e.c, ``s2e_rps2dr``.
"""

import re
from typing import Any

Json = dict[str, Any]

_MINIMUM = 12  # OFF_df_minlen


class DataRates:
    """The DRs of router_config: (SF, kHz, downlink only) by number; SF -1 is undefined, 0 is FSK."""

    def __init__(self, rows: tuple[tuple[int, ...], ...]) -> None:
        self._rows = rows

    def number(self, sf: int, bandwidth_hz: int) -> int:
        """The DR of a received frame."""
        return next(n for n, row in enumerate(self._rows) if row[:2] == (sf, bandwidth_hz // 1000))

    def check(self, value: Any) -> int:
        """A DR that exists; raises ValueError."""
        if type(value) is not int or not 0 <= value < len(self._rows) or self._rows[value][0] < 0:
            raise ValueError("DR")
        return value

    def modulation(self, data_rate: int) -> tuple[int, int]:
        """(SF, bandwidth in Hz)."""
        return self._rows[data_rate][0], self._rows[data_rate][1] * 1000


def uplink_fields(frame: bytes) -> Json | None:
    """The message of a frame, without what the radio knows; None where the station takes it for no LoRaWAN frame."""
    if not frame:
        return None
    kind = frame[0] >> 5
    if (len(frame) < _MINIMUM and kind != 7) or frame[0] & 0x1F:  # RFU bits and major version
        return None
    if kind in (7, 1):
        return {"msgtype": "propdf" if kind == 7 else "jacc", "FRMPayload": frame.hex().upper()}
    mic = int.from_bytes(frame[-4:], "little", signed=True)
    if kind in (0, 6):
        if len(frame) != 23:
            return None
        return {
            "msgtype": "jreq" if kind == 0 else "rejoin",
            "MHdr": frame[0],
            "JoinEui": eui_text(frame[1:9][::-1]),
            "DevEui": eui_text(frame[9:17][::-1]),
            "DevNonce": int.from_bytes(frame[17:19], "little"),
            "MIC": mic,
        }
    port_at = 8 + (frame[5] & 0x0F)
    if port_at > len(frame) - 4:
        return None
    return {
        "msgtype": "updf" if kind in (2, 4) else "dndf",
        "MHdr": frame[0],
        "DevAddr": int.from_bytes(frame[1:5], "little", signed=True),
        "FCtrl": frame[5],
        "FCnt": int.from_bytes(frame[6:8], "little"),
        "FOpts": frame[8:port_at].hex().upper(),
        "FPort": -1 if port_at == len(frame) - 4 else frame[port_at],
        "FRMPayload": frame[port_at + 1 : -4].hex().upper(),
        "MIC": mic,
    }


def eui_text(eui: bytes) -> str:
    """As a station prints it: dashes, most significant byte first."""
    return "-".join(f"{byte:02X}" for byte in eui)


def eui_bytes(text: Any) -> bytes:
    """A DevEui of a dnmsg; raises ValueError."""
    if not isinstance(text, str) or not re.fullmatch("(?:[0-9A-Fa-f]{2}-){7}[0-9A-Fa-f]{2}", text):
        raise ValueError("DevEui")
    return bytes.fromhex(text.replace("-", ""))


def id6(eui: str) -> str:
    """As a station writes its own EUI in a discovery request: four groups of 16 bits. BS doc "ID6"."""
    groups = [f"{int(eui[at : at + 4], 16):x}" for at in range(0, 16, 4)]
    return re.sub(r"(^|:)0(:0)+(:|$)", "::", ":".join(groups), count=1)
