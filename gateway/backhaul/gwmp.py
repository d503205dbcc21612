# SPDX-License-Identifier: EUPL-1.2
"""GWMP v2, the Semtech UDP protocol, without I/O: ``parse`` what concentrators send, build what we send.

Source: Lora-net/sx1302_hal, packet_forwarder/PROTOCOL.md, "Basic communication protocol between LoRa gateway and
server". Frequencies in Hz (rounded to 100 Hz: some forwarders report float32 MHz), tmst in us modulo 2**32, levels in
dBm and dB.
"""

import base64
import binascii
import json
import math
import re
from datetime import datetime
from typing import Any, NamedTuple

from gateway.backhaul.interface import EARLIEST_GPS_S, EARLIEST_UNIX_S, LATEST_UNIX_S, Heard
from gateway.errors import MalformedDatagram

_VERSION = 2
_PUSH_DATA, _PUSH_ACK, _PULL_DATA, _PULL_RESP, _PULL_ACK, _TX_ACK = range(6)  # "Identifier" of each message
_DATA_RATE = re.compile(r"SF([0-9]{1,2})BW([0-9]{2,3})")
_TX_ERRORS = frozenset(
    ("NONE", "TOO_LATE", "TOO_EARLY", "COLLISION_PACKET", "COLLISION_BEACON", "TX_FREQ", "TX_POWER", "GPS_UNLOCKED")
)


class Stat(NamedTuple):
    """A concentrator's own counts since its last statistics. PROTOCOL.md, "JSON stat object"; 0 where it gives none."""

    rxnb: int  # radio packets received
    rxok: int  # with a good CRC
    rxfw: int  # forwarded
    ackr: float  # percentage of upstream datagrams acknowledged
    dwnb: int  # downlink datagrams received
    txnb: int  # packets emitted


class PushData(NamedTuple):
    """Frames received; ``dropped`` names, one by one, why the others of the datagram were not usable."""

    token: int
    concentrator: str
    frames: tuple[Heard, ...]
    dropped: tuple[str, ...]
    stat: Stat | None


class PullData(NamedTuple):
    """Keeps the way down open: downlinks go to where this came from."""

    token: int
    concentrator: str


class TxAck(NamedTuple):
    """What became of the downlink with this token; ``error`` is NONE on success."""

    token: int
    concentrator: str
    error: str


class Txpk(NamedTuple):
    """One frame to send when the concentrator's counter reaches ``tmst_us`` (None: at once).

    IQ inverted and without CRC, as all downlinks.
    """

    tmst_us: int | None
    frequency_hz: int
    sf: int
    bandwidth_hz: int
    power_dbm: int
    phy_payload: bytes


def parse(datagram: bytes) -> PushData | PullData | TxAck:
    """Read one datagram of a concentrator; raises MalformedDatagram."""
    if len(datagram) < 12:
        raise MalformedDatagram("shorter than the header")
    if datagram[0] != _VERSION:
        raise MalformedDatagram("not protocol version 2")
    token = int.from_bytes(datagram[1:3], "big")
    concentrator = datagram[4:12].hex()
    body = datagram[12:]
    if datagram[3] == _PUSH_DATA:
        return _push_data(token, concentrator, _json_object(body))
    if datagram[3] == _PULL_DATA:
        return PullData(token, concentrator)
    if datagram[3] == _TX_ACK:
        return TxAck(token, concentrator, _tx_error(body))
    raise MalformedDatagram("no message that a concentrator sends")


def push_ack(token: int) -> bytes:
    """PUSH_ACK for the PUSH_DATA with this token."""
    return bytes((_VERSION,)) + token.to_bytes(2, "big") + bytes((_PUSH_ACK,))


def pull_ack(token: int) -> bytes:
    """PULL_ACK for the PULL_DATA with this token."""
    return bytes((_VERSION,)) + token.to_bytes(2, "big") + bytes((_PULL_ACK,))


def pull_resp(token: int, txpk: Txpk) -> bytes:
    """PULL_RESP with one downlink. No field is null or left to a default: some forwarders refuse such a txpk."""
    moment = {"imme": True} if txpk.tmst_us is None else {"imme": False, "tmst": txpk.tmst_us}
    message = {
        **moment,
        "freq": txpk.frequency_hz / 1_000_000,
        "rfch": 0,
        "powe": txpk.power_dbm,
        "modu": "LORA",
        "datr": f"SF{txpk.sf}BW{txpk.bandwidth_hz // 1000}",
        "codr": "4/5",
        "ipol": True,
        "ncrc": True,
        "size": len(txpk.phy_payload),
        "data": base64.b64encode(txpk.phy_payload).decode("ascii"),
    }
    head = bytes((_VERSION,)) + token.to_bytes(2, "big") + bytes((_PULL_RESP,))
    return head + json.dumps({"txpk": message}, separators=(",", ":")).encode("ascii")


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise MalformedDatagram("body is not JSON") from error
    if not isinstance(value, dict):
        raise MalformedDatagram("body is no JSON object")
    return value


def _push_data(token: int, concentrator: str, body: dict[str, Any]) -> PushData:
    received = body.get("rxpk", [])
    if not isinstance(received, list):
        raise MalformedDatagram("rxpk is no list")
    frames: list[Heard] = []
    dropped: list[str] = []
    for item in received:
        try:
            frames.append(_rxpk(item))
        except _Unusable as unusable:
            dropped.append(unusable.args[0])
    return PushData(token, concentrator, tuple(frames), tuple(dropped), _stat(body.get("stat")))


def _stat(stat: object) -> Stat | None:
    """None where there is none; a count that makes no sense is 0."""
    if not isinstance(stat, dict):
        return None
    counts: dict[str, Any] = {name: stat.get(name) for name in Stat._fields}
    sane = {
        name: value if type(value) in (int, float) and 0 <= value < 1 << 53 else 0 for name, value in counts.items()
    }
    return Stat(**sane)


def _tx_error(body: bytes) -> str:
    if not body.strip(b" \t\r\n\0"):
        return "NONE"  # "TX_ACK packet": no body means success
    ack = _json_object(body).get("txpk_ack", {})
    error = ack.get("error", "NONE") if isinstance(ack, dict) else None
    if not isinstance(error, str):
        raise MalformedDatagram("txpk_ack without an error text")
    return error if error in _TX_ERRORS else "OTHER"


class _Unusable(Exception):
    """One rxpk that cannot be used; the argument is a reason of metrics.REFUSALS."""


def _rxpk(item: object) -> Heard:
    if not isinstance(item, dict):
        raise _Unusable("malformed_rxpk")
    if item.get("stat", 1) != 1:  # 1 CRC ok, -1 CRC failed, 0 no CRC: every LoRaWAN uplink carries one
        raise _Unusable("crc_failed")
    if item.get("modu", "LORA") != "LORA":
        raise _Unusable("unsupported_modulation")
    data_rate = _DATA_RATE.fullmatch(item["datr"]) if isinstance(item.get("datr"), str) else None
    if data_rate is None:
        raise _Unusable("malformed_rxpk")
    return Heard(
        tmst_us=_integer(item.get("tmst"), 0xFFFF_FFFF),
        frequency_hz=round(_number(item.get("freq"), 0, 10_000) * 10_000) * 100,
        sf=int(data_rate[1]),
        bandwidth_hz=int(data_rate[2]) * 1000,
        rssi_dbm=_number(item.get("rssi"), -300, 100),
        snr_db=_number(item.get("lsnr", 0), -100, 100),
        gps_ms=_gps_ms(item.get("tmms")),
        unix_s=_unix_s(item.get("time")),
        phy_payload=_payload(item.get("data")),
    )


def _integer(value: object, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise _Unusable("malformed_rxpk")
    return value


def _number(value: Any, least: float, most: float) -> float:
    if type(value) not in (int, float) or not least <= value <= most:
        raise _Unusable("malformed_rxpk")
    return float(value)


def _payload(value: Any) -> bytes:
    try:
        # "data: Base64 encoded RF packet payload, padded"; some forwarders leave the padding out
        return base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise _Unusable("malformed_rxpk") from error


def _gps_ms(value: object) -> int | None:
    """A time that makes no sense costs the time, not the reading: the caller has other clocks."""
    return value if type(value) is int and EARLIEST_GPS_S * 1000 <= value < 1000 << 32 else None


def _unix_s(value: object) -> float | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        seconds = moment.timestamp() if moment.tzinfo else math.nan
    except (ValueError, OverflowError, OSError):
        return None
    return seconds if EARLIEST_UNIX_S <= seconds < LATEST_UNIX_S else None
