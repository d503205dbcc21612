# SPDX-License-Identifier: EUPL-1.2
"""What the nodes really sent, read from the frames on the air by liblora, an implementation that knows nothing of ours.

Every frame's MIC is verified on the way; loramsg.VerifyError if one is wrong. The payload is unpacked by hand here, as
decoders/README.md says.
"""

import json
import struct
from pathlib import Path
from typing import Any, NamedTuple

import loramsg  # type: ignore[import-untyped]
from loracrypto import crypto  # type: ignore[import-untyped]

from simulators.city import Device

GPS_LESS_UNIX_S = 315_964_800 - 18  # GPS epoch 1980-01-06, 18 leap seconds since (2017-01-01 to date)
# name, divisor, lowest number, step, bits: decoders/README.md, FPorts 3 to 6
FIELDS = {
    3: (
        ("soil_moisture", 100, 0, 5, 11),
        ("soil_temperature", 100, -4000, 10, 11),
        ("surface_temperature", 100, -6000, 10, 11),
        ("battery_voltage", 1000, 0, 10, 12),
        ("soil_water_tension", 10, 0, 1, 15),
        ("node_temperature", 100, -5500, 100, 8),
        ("soil_permittivity", 100, 0, 10, 10),
        ("soil_moisture_2", 100, 0, 5, 11),
        ("soil_temperature_2", 100, -4000, 10, 11),
        ("soil_water_tension_2", 10, 0, 1, 15),
        ("soil_moisture_3", 100, 0, 5, 11),
        ("soil_temperature_3", 100, -4000, 10, 11),
        ("soil_water_tension_3", 10, 0, 1, 15),
    ),
    4: (
        ("pm2_5", 10, 0, 1, 14),
        ("pm10", 10, 0, 1, 14),
        ("air_temperature", 100, -4500, 10, 11),
        ("relative_humidity", 100, 0, 10, 10),
        ("air_pressure", 10, 3000, 1, 14),
        ("battery_voltage", 1000, 0, 10, 12),
        ("node_temperature", 100, -5500, 100, 8),
        ("pm1", 10, 0, 1, 14),
        ("pm4", 10, 0, 1, 14),
        ("co2", 1, 0, 1, 16),
        ("voc_index", 10, 0, 10, 9),
        ("nox_index", 10, 0, 10, 9),
    ),
    5: (
        ("vehicle_count_approaching_slow", 1, 0, 1, 16),
        ("vehicle_count_approaching_medium", 1, 0, 1, 16),
        ("vehicle_count_approaching_fast", 1, 0, 1, 16),
        ("vehicle_count_receding_slow", 1, 0, 1, 16),
        ("vehicle_count_receding_medium", 1, 0, 1, 16),
        ("vehicle_count_receding_fast", 1, 0, 1, 16),
        ("battery_voltage", 1000, 0, 10, 12),
        ("vehicle_count", 1, 0, 1, 16),
        ("bicycle_count", 1, 0, 1, 16),
        ("people_count", 1, 0, 1, 16),
        ("node_temperature", 100, -5500, 100, 8),
    ),
    6: (
        ("firmware_version", 1, 0, 1, 16),
        ("reset_count_power", 1, 0, 1, 16),
        ("reset_count_watchdog", 1, 0, 1, 16),
        ("reset_count_other", 1, 0, 1, 16),
        ("crash_count", 1, 0, 1, 16),
        ("rx_hit_rate", 100, 0, 10, 10),
        ("clock_drift", 1, -65000, 2, 16),
        ("charge_used", 1000, 0, 100, 16),
        ("heap_free", 1, 0, 64, 16),
        ("sensor_fault_count", 1, 0, 1, 16),
        ("radio_fault_count", 1, 0, 1, 16),
        ("reading_lost_count", 1, 0, 1, 16),
    ),
}


class Uplink(NamedTuple):
    """A data uplink in plain. ``delivered``: the gateway has acknowledged it. ``ended_us``: when it was over."""

    dev_eui: str
    f_cnt: int
    f_port: int
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

    def __init__(self, frames: Path, devices: list[Device]) -> None:
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
                self._up(frame, event["end_us"], delivered.get(event["phy_payload"]))
            elif event["event"] == "down":
                self._down(frame)

    def _up(self, frame: bytes, end_us: int, delivered_us: int | None) -> None:
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
                fields["FPort"],
                fields["FRMPayload"],
                fields["FOpts"],
                delivered_us is not None,
                delivered_us or end_us,
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

    def _open(self, direction: str, frame: bytes) -> tuple[Session, dict[str, Any]]:
        loramsg.sanity_check_frame(frame) if direction == "up" else None
        session = self._sessions[struct.unpack_from("<i", frame, 1)[0]]
        fields = loramsg.unpack_dataframe(frame, session.last[direction], session.nwk_s_key, session.app_s_key)
        session.last[direction] = fields["FCnt"]
        self.checked[direction] += 1
        return session, fields

    def readings(self, start_unix_s: int, *, acknowledged: bool = True) -> dict[tuple[str, str, int], float]:
        """What the gateway has acknowledged, or all that was sent: (DevEUI, quantity, Unix time) -> value.

        Faults are left out. A sample without a time was taken just before it was sent: it counts from the second in
        which it arrived.
        """
        found: dict[tuple[str, str, int], float] = {}
        for uplink in self.uplinks:
            if acknowledged and not uplink.delivered:
                continue
            arrived = start_unix_s + uplink.ended_us // 1_000_000
            for name, at, value in samples(uplink.f_port, uplink.payload):
                when = at + GPS_LESS_UNIX_S if at > 0 else arrived + at
                assert found.get((uplink.dev_eui, name, when), value) == value, "one moment, two values"
                found[uplink.dev_eui, name, when] = value
        return found


def samples(f_port: int, payload: bytes) -> list[tuple[str, int, float]]:
    """(quantity, GPS s or if not above 0 s since the uplink, value) of a payload; faults left out."""
    bits = "".join(f"{byte:08b}" for byte in payload)

    def take(width: int) -> int:
        nonlocal bits
        head, bits = bits[:width], bits[width:]
        assert len(head) == width
        return int(head, 2) if head else 0

    def differences(count: int) -> list[int]:
        nonlocal bits
        k = take(4)
        found: list[int] = []
        while len(found) < count:
            if k == 15:
                found.append(0)
                continue
            ones = min(len(bits) - len(bits.lstrip("1")), 16)
            bits = bits[ones:] if ones == 16 else bits[ones + 1 :]
            zigzag = take(21) if ones == 16 else ones << k | take(k)
            found.append(zigzag // 2 if zigzag % 2 == 0 else -(zigzag + 1) // 2)
        return found

    count = take(8) + 1
    times = [take(32) if take(1) else -take(16)]
    mask = take(8)
    if mask & 0x80:
        mask = mask & 0x7F | take(8) << 7
    if count > 1:
        meant = take(20)
        for difference in differences(count - 1):
            times.append(times[-1] - meant - difference)
    taken: list[tuple[str, int, float]] = []
    for n, (name, divisor, low, step, width) in enumerate(FIELDS[f_port]):
        if not mask >> n & 1:
            continue
        good, state = [], False
        has_faults = take(1)
        for time in times:
            if has_faults and take(1):
                state = bool(take(1))
                if state:
                    take(3)
            if not state:
                good.append(time)
        raws = [take(width)] if good else []
        for difference in differences(len(good) - 1) if len(good) > 1 else []:
            raws.append(raws[-1] + difference)
        taken += [(name, time, (low + raw * step) / divisor) for time, raw in zip(good, raws, strict=True)]
    assert len(bits) < 8
    assert set(bits) <= {"0"}
    return taken
