# SPDX-License-Identifier: EUPL-1.2
"""What the nodes really sent, read from the frames on the air by liblora, an implementation that knows nothing of ours.

Every frame's MIC is verified on the way; loramsg.VerifyError if one is wrong. The payload is unpacked by hand here:
the layout of FPort 2 as decoders/README.md prints it.
"""

import json
import struct
from pathlib import Path
from typing import NamedTuple

import loramsg
from loracrypto import crypto

GPS_LESS_UNIX_S = 315_964_800 - 18  # GPS epoch 1980-01-06, 18 leap seconds since (2017-01-01 to date)
FAULTS = {"H": range(0xFFFC, 0x10000), "h": range(-0x8000, -0x7FFC)}
FIELDS = (("soil_moisture", "H"), ("soil_temperature", "h"), ("surface_temperature", "h"))


class Uplink(NamedTuple):
    """A data uplink in plain. ``delivered``: the gateway has acknowledged it. ``ended_us``: when it had arrived."""

    dev_eui: str
    f_cnt: int
    payload: bytes
    f_opts: bytes
    delivered: bool
    ended_us: int


class Session:
    def __init__(self, dev_eui: str, nwk_s_key: bytes, app_s_key: bytes) -> None:
        self.dev_eui = dev_eui
        self.nwk_s_key = nwk_s_key
        self.app_s_key = app_s_key
        self.last = {"up": 0, "down": 0}


class Ledger:
    """``uplinks`` in the order of the air; ``joins``: DevEUI -> DevNonces; ``checked``: frames whose MIC was right."""

    def __init__(self, frames: Path, devices: list) -> None:
        self.uplinks: list[Uplink] = []
        self.joins: dict[str, list[int]] = {}
        self.checked = {"join_request": 0, "join_accept": 0, "up": 0, "down": 0}
        self._keys = {device.dev_eui: bytes.fromhex(device.app_key) for device in devices}
        self._sessions: dict[int, Session] = {}
        self._asking: list[tuple[str, int]] = []  # join requests, newest last
        events = [json.loads(line) for line in frames.read_text().splitlines()]
        delivered = {event["phy_payload"]: event["time_us"] for event in events if event["event"] == "delivered"}
        for event in events:
            frame = bytes.fromhex(event["phy_payload"])
            if event["event"] == "up":
                self._up(frame, delivered.get(event["phy_payload"]))
            elif event["event"] == "down":
                self._down(frame)

    def _up(self, frame: bytes, delivered_us: int | None) -> None:
        if loramsg.sanity_check_frame(frame) == loramsg.FrmType.JREQ:
            dev_eui = frame[9:17][::-1].hex()
            loramsg.verify_jreq(self._keys[dev_eui], frame)
            dev_nonce = loramsg.unpack_jreq(frame)["DevNonce"]
            self.joins.setdefault(dev_eui, []).append(dev_nonce)
            self._asking.append((dev_eui, dev_nonce))
            self.checked["join_request"] += 1
            return
        session, fields = self._open("up", frame)
        self.uplinks.append(
            Uplink(
                session.dev_eui,
                fields["FCnt"],
                fields["FRMPayload"],
                fields["FOpts"],
                delivered_us is not None,
                delivered_us or 0,
            )
        )

    def _down(self, frame: bytes) -> None:
        if frame[0] >> 5 == 0b001:
            self._join_accept(frame)
        else:
            self._open("down", frame)

    def _join_accept(self, frame: bytes) -> None:
        """Only the key of the node that asked opens it."""
        for dev_eui, dev_nonce in reversed(self._asking):
            key = self._keys[dev_eui]
            try:
                accept = loramsg.unpack_jacc(key, frame, dev_nonce)
            except loramsg.VerifyError:
                continue
            derive = [
                crypto.derive(key, dev_nonce, accept["AppNonce"], accept["NetID"], kind)
                for kind in (loramsg.KD_NwkSKey, loramsg.KD_AppSKey)
            ]
            self._sessions[accept["DevAddr"]] = Session(dev_eui, *derive)
            self.checked["join_accept"] += 1
            return
        raise loramsg.VerifyError("a join-accept that nobody asked for")

    def _open(self, direction: str, frame: bytes) -> tuple[Session, dict]:
        loramsg.sanity_check_frame(frame) if direction == "up" else None
        session = self._sessions[struct.unpack_from("<i", frame, 1)[0]]
        fields = loramsg.unpack_dataframe(frame, session.last[direction], session.nwk_s_key, session.app_s_key)
        session.last[direction] = fields["FCnt"]
        self.checked[direction] += 1
        return session, fields

    def readings(self, start_unix_s: int) -> dict[tuple[str, str, int], float]:
        """What the gateway has acknowledged: (DevEUI, quantity, Unix time) -> value; faults left out.

        A sample without a time was taken just before it was sent: it counts from the second in which it arrived.
        """
        found: dict[tuple[str, str, int], float] = {}
        for uplink in self.uplinks:
            if not uplink.delivered:
                continue
            arrived = start_unix_s + uplink.ended_us // 1_000_000
            battery, newest = struct.unpack_from("<HI", uplink.payload)
            at = newest + GPS_LESS_UNIX_S if newest else arrived
            found[uplink.dev_eui, "battery_voltage", at] = battery / 1000
            offset, age = 6, 0
            while offset < len(uplink.payload):
                for name, code in FIELDS:
                    (raw,) = struct.unpack_from("<" + code, uplink.payload, offset)
                    offset += 2
                    if raw not in FAULTS[code]:
                        found[uplink.dev_eui, name, at - age] = raw / 100
                if offset < len(uplink.payload):
                    (age,) = struct.unpack_from("<H", uplink.payload, offset)
                    offset += 2
        return found
