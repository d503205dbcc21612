# SPDX-License-Identifier: EUPL-1.2
"""Nodes and concentrators for the gateway's tests: real frames, real datagrams, no radio and no clock."""

import base64
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from decoders.lorawan.frame import (
    CONFIRMED_UP,
    UNCONFIRMED_UP,
    DataFrame,
    Fhdr,
    JoinAccept,
    JoinRequest,
    derive_session_keys,
    verify_data,
)
from decoders.profiles import TREE_V1
from decoders.records import UplinkMessage
from gateway.command import open_database
from gateway.config import Config, load
from gateway.radio import Reception
from gateway.store import Device, Store

GATEWAY_EUI = "0016c001ff10a001"
JOIN_EUI = "70b3d57ed0000000"


class Node:
    """A node's side of LoRaWAN: joins, counts, encrypts."""

    def __init__(self, number: int = 1) -> None:
        self.dev_eui = f"70b3d57ed1{number:06x}"
        self.app_key = bytes(range(number % 200, number % 200 + 16))
        self.dev_nonce = -1
        self.f_cnt = -1
        self.dev_addr = 0
        self.nwk_s_key = self.app_s_key = bytes(16)
        self.accept: JoinAccept | None = None

    def device(self, profile: str = "tree") -> Device:
        return Device(self.dev_eui, JOIN_EUI, self.app_key, profile, f"tree of {self.dev_eui}")

    def join_request(self) -> bytes:
        self.dev_nonce += 1
        return JoinRequest(JOIN_EUI, self.dev_eui, self.dev_nonce).serialize(self.app_key)

    def joined(self, phy_payload: bytes) -> JoinAccept:
        """Take a Join-Accept."""
        accept = JoinAccept.parse(phy_payload, self.app_key)
        self.nwk_s_key, self.app_s_key = derive_session_keys(
            self.app_key, accept.join_nonce, accept.net_id, self.dev_nonce
        )
        self.dev_addr = accept.dev_addr
        self.f_cnt = -1
        self.accept = accept
        return accept

    def uplink(
        self,
        payload: bytes | None = None,
        *,
        f_port: int | None = 2,
        f_opts: bytes = b"",
        f_ctrl: int = 0,
        confirmed: bool = False,
        f_cnt: int | None = None,
    ) -> bytes:
        """The next data frame, or the one with ``f_cnt``."""
        self.f_cnt = self.f_cnt + 1 if f_cnt is None else f_cnt
        if payload is None:
            payload = tree_payload() if f_port == 2 else b""
        fhdr = Fhdr(self.dev_addr, f_ctrl, self.f_cnt & 0xFFFF, f_opts)
        frame = DataFrame(CONFIRMED_UP if confirmed else UNCONFIRMED_UP, fhdr, f_port, payload)
        return frame.serialize(self.nwk_s_key, self.app_s_key, self.f_cnt)

    def open_downlink(self, phy_payload: bytes, f_cnt: int) -> DataFrame:
        """A downlink, MIC checked under counter ``f_cnt``."""
        verify_data(phy_payload, self.nwk_s_key, f_cnt)
        return DataFrame.parse(phy_payload)


def tree_payload(gps_s: int = 1_455_000_000, moisture_percent_100: int = 2345) -> bytes:
    """One sample: 3.612 V, moisture, 12.5 and -3.25 degrees."""
    sample = {"soil_moisture": moisture_percent_100, "soil_temperature": 1250, "surface_temperature": -325}
    return TREE_V1.encode({"battery_voltage": 3612}, [(gps_s, sample)])


def reception(
    phy_payload: bytes,
    *,
    concentrator: str = "0016c001ff10b001",
    tmst_us: int = 1_000_000,
    gps_ms: int = 1_455_000_000_500,
    snr_db: float = 5.0,
    sf: int = 9,
    frequency_hz: int = 868_300_000,
) -> Reception:
    """A frame as the servers get it. GPS 1_455_000_000 s is Unix 1_770_964_782 s, 2026-02-13T06:39:42Z."""
    received_at = 1_770_964_782 - 1_455_000_000 + gps_ms / 1000
    return Reception(
        concentrator, tmst_us, frequency_hz, sf, 125_000, -97.0, snr_db, gps_ms, received_at, phy_payload
    )  # fmt: skip


def write_config(folder: Path, **sections: dict[str, Any]) -> Path:
    """A gateway.toml on free ports; keyword arguments are sections that add to it."""
    base: dict[str, dict[str, Any]] = {
        "gateway": {"eui": GATEWAY_EUI},
        "gwmp": {"port": 0},
        # frames come at 2026-02-13, whatever the machine's clock says; nobody is asked for a status as time jumps
        "network": {"time_tolerance_s": 0, "dev_status_interval_s": 0},
        "downlinks": {"virtual_time": True},  # an answer comes before the PUSH_ACK
        "page": {"port": 0},
    }
    lines = []
    for name in base | sections:
        lines.append(f"[{name}]")
        for key, value in (base.get(name, {}) | sections.get(name, {})).items():
            lines.append(f"{key} = {json.dumps(value)}")
    path = folder / "gateway.toml"
    path.write_text("\n".join(lines), "utf-8")
    return path


def new_store(folder: Path, nodes: list[Node], **sections: dict[str, Any]) -> tuple[Config, Store]:
    """An open database that knows these nodes, and its configuration."""
    config = load(write_config(folder, **sections))
    store = open_database(config)
    with store.transaction() as ledger:
        for node in nodes:
            ledger.put_device(node.device())
    return config, store


def uplinks_in(store: Store) -> list[UplinkMessage]:
    """The readings in the outbox, as whoever reads beside the writer sees them."""
    reader = store.reader()
    try:
        return reader.messages(1, 1000)
    finally:
        reader.close()


class Concentrator:
    """A packet forwarder with one UDP socket. Written from PROTOCOL.md; blocking, for test threads."""

    def __init__(self, port: int, eui: str = "0016c001ff10b001") -> None:
        self.eui = eui
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", port))
        self._token = 0
        self._pushes = -1

    def __enter__(self) -> "Concentrator":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send_raw(self, datagram: bytes) -> None:
        self._socket.send(datagram)

    def push(self, *phy_payloads: bytes, tmst_us: int | None = None, **fields: Any) -> int:
        """Send PUSH_DATA, 20 s after the last one if ``tmst_us`` does not say otherwise; returns its token.

        Extra fields go into each rxpk.
        """
        self._token = (self._token + 1) & 0xFFFF
        if tmst_us is None:
            self._pushes += 1
            tmst_us = (5_000_000 + 20_000_000 * self._pushes) & 0xFFFF_FFFF
            fields = {"tmms": 1_455_000_000_500 + 20_000 * self._pushes} | fields
        rxpk = [rxpk_of(phy_payload, tmst=tmst_us, **fields) for phy_payload in phy_payloads]
        body = json.dumps({"rxpk": rxpk}).encode()
        self.send_raw(b"\x02" + self._token.to_bytes(2, "big") + b"\x00" + bytes.fromhex(self.eui) + body)
        return self._token

    def pull(self) -> None:
        """Send PULL_DATA and wait for its PULL_ACK."""
        self._token = (self._token + 1) & 0xFFFF
        self.send_raw(b"\x02" + self._token.to_bytes(2, "big") + b"\x02" + bytes.fromhex(self.eui))
        assert self.receive() == (4, self._token, None)

    def receive(self, timeout_s: float = 60.0) -> tuple[int, int, dict[str, Any] | None]:
        """(message id, token, JSON body); raises TimeoutError, or ConnectionRefusedError when nobody listens."""
        self._socket.settimeout(timeout_s)
        data = self._socket.recv(65_536)
        assert data[0] == 2
        return data[3], int.from_bytes(data[1:3], "big"), json.loads(data[4:]) if data[4:] else None

    def acknowledged(self, refused: Callable[[], bool]) -> bool:
        """Wait for the answer to a push; False once ``refused`` says that there will be none."""
        while True:
            will_be_none = refused()
            try:
                self.receive(0.01)
            except TimeoutError:
                if will_be_none:
                    return False
            else:
                return True


def rxpk_of(phy_payload: bytes, **fields: Any) -> dict[str, Any]:
    """One rxpk as an SX1302 concentrator with GPS reports it."""
    return {
        "jver": 1,
        "tmst": 5_000_000,
        "time": "2026-02-13T06:39:42.500000Z",
        "tmms": 1_455_000_000_500,
        "chan": 1,
        "rfch": 0,
        "freq": 868.3,
        "mid": 8,
        "stat": 1,
        "modu": "LORA",
        "datr": "SF9BW125",
        "codr": "4/5",
        "rssi": -97,
        "lsnr": 5.0,
        "foff": 120,
        "size": len(phy_payload),
        "data": base64.b64encode(phy_payload).decode(),
    } | fields
