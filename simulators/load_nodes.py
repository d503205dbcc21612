# SPDX-License-Identifier: EUPL-1.2
"""Nodes for a load: they join and send real frames, without a radio and without a firmware.

Frames are made before the load begins, so that making them costs nothing while it runs.
"""

import hashlib
from typing import NamedTuple

from decoders.layouts.tree import LAYOUT
from decoders.lorawan.frame import ADR, UNCONFIRMED_UP, DataFrame, Fhdr, JoinAccept, JoinRequest, derive_session_keys
from decoders.payload_encoder import encode

JOIN_EUI = "70b3d57ed0000000"
_MASK = 0b1111  # moisture, two temperatures, battery
_INTERVAL_S = 900
_LINK_CHECK_REQ = b"\x02"  # TS001-1.0.4 "Link Check Commands"


class Frame(NamedTuple):
    """One uplink, ready to send. ``f_cnt`` names it together with ``dev_eui``."""

    dev_eui: str
    f_cnt: int
    phy_payload: bytes
    nwk_s_key: bytes
    app_s_key: bytes


class LoadNode:
    """A tree node's side of LoRaWAN."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.dev_eui = f"70b3d57ed1{number:06x}"
        self.app_key = hashlib.sha256(f"load {number}".encode()).digest()[:16]
        self._dev_nonce = -1
        self._f_cnt = -1
        self._dev_addr = 0
        self._nwk_s_key = self._app_s_key = b""

    def csv_row(self) -> str:
        """For ``stadtfunk gateway devices import``."""
        return f"{self.dev_eui},{JOIN_EUI},{self.app_key.hex()},tree,load {self.number}"

    def join_request(self) -> bytes:
        self._dev_nonce += 1
        return JoinRequest(JOIN_EUI, self.dev_eui, self._dev_nonce).serialize(self.app_key)

    def joined(self, phy_payload: bytes) -> None:
        """Take a Join-Accept; raises RemoteError for one that is not for this node."""
        accept = JoinAccept.parse(phy_payload, self.app_key)
        self._nwk_s_key, self._app_s_key = derive_session_keys(
            self.app_key, accept.join_nonce, accept.net_id, self._dev_nonce
        )
        self._dev_addr, self._f_cnt = accept.dev_addr, -1

    def uplink(self, gps_s: int, *, asks: bool = False) -> Frame:
        """The next frame: two samples, the newest of ``gps_s``; ``asks``: and a LinkCheckReq."""
        self._f_cnt += 1
        samples = [(gps_s - age, LAYOUT.raws(self._values(gps_s - age))[1]) for age in (0, _INTERVAL_S)]
        fhdr = Fhdr(self._dev_addr, ADR, self._f_cnt & 0xFFFF, _LINK_CHECK_REQ if asks else b"")
        frame = DataFrame(UNCONFIRMED_UP, fhdr, LAYOUT.f_port, encode(LAYOUT, _MASK, samples))
        phy_payload = frame.serialize(self._nwk_s_key, self._app_s_key, self._f_cnt)
        return Frame(self.dev_eui, self._f_cnt, phy_payload, self._nwk_s_key, self._app_s_key)

    def _values(self, at: int) -> dict[str, int | str]:
        """Plausible, and different for every node and time."""
        drift = (self.number * 37 + at // _INTERVAL_S * 11) % 100
        return {
            "soil_moisture": 2000 + 5 * drift,
            "soil_temperature": 1200 + 10 * (drift % 40),
            "surface_temperature": 1500 + 10 * (drift % 70),
            "battery_voltage": 3600 - 10 * (drift % 20),
        }
