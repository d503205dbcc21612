# SPDX-License-Identifier: EUPL-1.2
"""The LNS protocol of LoRa Basics Station, without I/O: ``parse`` what stations send, build what we send.

BS = lorabasics/basicstation 2.0.6: doc "The LNS Protocol", and the station itself, src/s2e.c, src/lora.c, src/tc.c. A
station takes frames apart and tells their fields; they are put together again here, to the byte. Frequencies in Hz,
xtime in microseconds of the concentrator with its session above, levels in dBm and dB.
"""

import json
import re
from typing import Any, NamedTuple

from decoders.eui import is_eui
from decoders.lorawan.region import EU868
from gateway.backhaul.interface import EARLIEST_GPS_S, EARLIEST_UNIX_S, LATEST_UNIX_S, Heard
from gateway.errors import MalformedMessage
from gateway.radio import Order

CHANNELS_HZ = (
    868_100_000, 868_300_000, 868_500_000, 867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000,
)  # fmt: skip
_RADIOS_HZ = (867_500_000, 868_500_000)
_EIRP_ABOVE_ERP_DB = 2.15
_PRIORITY_STEP = 30  # BS src/s2e.h: a frame that has an alternative counts up to 20 less, a beacon 128
_DR_SLOTS = 16


class Version(NamedTuple):
    """The first message of a station."""

    station: str
    model: str
    features: str


class Uplink(NamedTuple):
    """A received frame."""

    heard: Heard


class Sent(NamedTuple):
    """A downlink is on the air (dntxed): the order and where it went out. There is no opposite of it."""

    order_id: int
    frequency_hz: int


class TimeSync(NamedTuple):
    """The station asks for the GPS time and gives its own, us."""

    txtime: int


class Unused(NamedTuple):
    """A message that a station may send and that nobody here needs; ``reason`` where it is a frame that is refused."""

    msgtype: str
    reason: str = ""


Message = Version | Uplink | Sent | TimeSync | Unused


def parse(text: str | bytes) -> Message:
    """Read one message of a station; raises MalformedMessage."""
    fields = _object(text)
    kind = fields.get("msgtype")
    if not isinstance(kind, str):
        raise MalformedMessage("no msgtype")
    if kind in ("jreq", "updf", "propdf"):
        return _uplink(kind, fields)
    if kind == "version":
        return Version(*(_text(fields.get(name)) for name in ("station", "model", "features")))
    if kind == "dntxed":
        return Sent(_integer(fields, "diid", 0, 1 << 63), _integer(fields, "Freq", 0, 1 << 32))
    if kind == "timesync":
        return TimeSync(_integer(fields, "txtime", 0, 1 << 63))
    return Unused(kind)


def parse_router(text: str | bytes) -> str:
    """The EUI in a discovery request; raises MalformedMessage."""
    return parse_eui(_object(text).get("router"))


def parse_eui(value: object) -> str:
    """16 hex digits from any form a station may use: dashes, none, ID6 (16:c001::1), a number."""
    if type(value) is int and 0 <= value < 1 << 64:
        return f"{value:016x}"
    text = value.lower() if isinstance(value, str) else ""
    if is_eui(text):
        return text
    if re.fullmatch("(?:[0-9a-f]{2}-){7}[0-9a-f]{2}", text):
        return text.replace("-", "")
    groups = _id6_groups(text)
    if groups is None:
        raise MalformedMessage("not an EUI")
    return "".join(group.zfill(4) for group in groups)


def _id6_groups(text: str) -> list[str] | None:
    """BS doc "ID6": four groups of 16 bits, of which one run of zeros may be left out."""
    if text.count("::") > 1:
        return None
    head, gap, tail = text.partition("::")
    groups = [part.split(":") if part else [] for part in (head, tail)]
    zeros = 4 - len(groups[0]) - len(groups[1])
    if (gap and zeros < 1) or (not gap and zeros):
        return None
    filled = [*groups[0], *["0"] * zeros, *groups[1]]
    return filled if all(re.fullmatch("[0-9a-f]{1,4}", group) for group in filled) else None


def router_info(router: object, uri: str) -> str:
    """The answer to a discovery request: where the station is to connect to."""
    return json.dumps({"router": router, "muxs": "muxs-::0", "uri": uri})


def router_error(router: object, error: str) -> str:
    """The answer to a station that is not wanted."""
    return json.dumps({"router": router, "error": error})


def router_config(tx_power_dbm: int) -> str:
    """What a station needs to know of EU868. BS doc "router_config message".

    The region is called EU863 for the sake of stations before 2.0.5. No filters: foreign frames are counted here.
    """
    rates = [[rate.sf, rate.bandwidth_hz // 1000, 0] for rate in EU868.data_rates]
    rates.append([0, 0, 0])  # DR7, FSK
    rates += [[-1, 0, 0]] * (_DR_SLOTS - len(rates))
    return json.dumps(
        {
            "msgtype": "router_config",
            "NetID": None,
            "JoinEui": None,
            "region": "EU863",
            "hwspec": "sx1301/1",
            "freq_range": [EU868.sub_bands[0].low_hz, EU868.sub_bands[-1].high_hz],
            "DRs": rates,
            "upchannels": [[frequency_hz, 0, 5] for frequency_hz in CHANNELS_HZ],
            "sx1301_conf": [_sx1301_conf()],
            "max_eirp": tx_power_dbm + _EIRP_ABOVE_ERP_DB,
            "bcning": None,
        }
    )


def _sx1301_conf() -> dict[str, Any]:
    conf: dict[str, Any] = {
        f"radio_{number}": {"enable": True, "freq": frequency_hz} for number, frequency_hz in enumerate(_RADIOS_HZ)
    }
    for number, frequency_hz in enumerate(CHANNELS_HZ):
        radio = int(frequency_hz >= 868_000_000)
        conf[f"chan_multiSF_{number}"] = {"enable": True, "radio": radio, "if": frequency_hz - _RADIOS_HZ[radio]}
    conf["chan_Lora_std"] = {"enable": True, "radio": 1, "if": -200_000, "bandwidth": 250_000, "spread_factor": 7}
    conf["chan_FSK"] = {"enable": False}
    return conf


def dnmsg(order: Order) -> str:
    """A downlink. BS doc "dnmsg": class A goes RxDelay after xtime in RX1, a second later in RX2; class C in RX2."""
    message: dict[str, Any] = {
        "msgtype": "dnmsg",
        "DevEui": dashed(order.dev_eui),
        "dC": 2 if order.asap else 0,
        "diid": order.id,
        "pdu": order.phy_payload.hex(),
        "priority": _PRIORITY_STEP * order.priority,
        "rctx": order.antenna,
    }
    if order.rx1 is not None:
        message |= {"RX1DR": order.rx1.data_rate, "RX1Freq": order.rx1.frequency_hz}
    if order.rx2 is not None:
        message |= {"RX2DR": order.rx2.data_rate, "RX2Freq": order.rx2.frequency_hz}
    if order.asap:
        message["RxDelay"] = 1
    else:
        delay_ms = order.rx1.delay_ms if order.rx1 else order.rx2.delay_ms - 1000 if order.rx2 else 1000
        message |= {"RxDelay": delay_ms // 1000, "xtime": order.tmst_us}
    return json.dumps(message)


def timesync(txtime: int, gps_us: int) -> str:
    """Answers TimeSync with the GPS time of now, us."""
    return json.dumps({"msgtype": "timesync", "txtime": txtime, "gpstime": gps_us})


def dashed(eui: str) -> str:
    """As stations write EUIs."""
    return "-".join(eui[at : at + 2] for at in range(0, 16, 2)).upper()


def _uplink(kind: str, fields: dict[str, Any]) -> Message:
    data_rate = _integer(fields, "DR", 0, 15)
    if data_rate >= len(EU868.data_rates):
        return Unused(kind, "unsupported_modulation")
    rate = EU868.data_rates[data_rate]
    info = fields.get("upinfo")
    if not isinstance(info, dict):
        raise MalformedMessage("no upinfo")
    gps_us, unix_s = info.get("gpstime"), info.get("rxtime")
    return Uplink(
        Heard(
            tmst_us=_integer(info, "xtime", 1, (1 << 63) - 1),
            frequency_hz=round(_integer(fields, "Freq", 0, 1 << 32) / 100) * 100,
            sf=rate.sf,
            bandwidth_hz=rate.bandwidth_hz,
            rssi_dbm=_number(info, "rssi", -300, 100),
            snr_db=_number(info, "snr", -100, 100),
            gps_ms=gps_us // 1000 if type(gps_us) is int and EARLIEST_GPS_S * 1_000_000 <= gps_us < 1 << 61 else None,
            unix_s=_unix_s(unix_s),
            phy_payload=_PHY_PAYLOAD[kind](fields),
            antenna=_integer(info, "rctx", 0, (1 << 63) - 1),
        )
    )


def _unix_s(value: object) -> float | None:
    sane = type(value) in (int, float) and EARLIEST_UNIX_S <= value < LATEST_UNIX_S  # type: ignore[operator]
    return float(value) if sane else None  # type: ignore[arg-type]


def _join_request(fields: dict[str, Any]) -> bytes:
    join_eui, dev_eui = (parse_eui(fields.get(name)) for name in ("JoinEui", "DevEui"))
    return (
        bytes([_integer(fields, "MHdr", 0, 255)])
        + bytes.fromhex(join_eui)[::-1]
        + bytes.fromhex(dev_eui)[::-1]
        + _integer(fields, "DevNonce", 0, 0xFFFF).to_bytes(2, "little")
        + _signed(fields, "MIC")
    )


def _data_frame(fields: dict[str, Any]) -> bytes:
    """BS src/lora.c, ``s2e_parse_lora_frame``: DevAddr and MIC are signed, FPort is -1 where there is none."""
    f_ctrl = _integer(fields, "FCtrl", 0, 255)
    f_opts = _hex(fields, "FOpts")
    f_port = _integer(fields, "FPort", -1, 255)
    frm_payload = _hex(fields, "FRMPayload")
    if len(f_opts) != f_ctrl & 0x0F or (f_port < 0 and frm_payload):
        raise MalformedMessage("fields that do not fit together")
    return (
        bytes([_integer(fields, "MHdr", 0, 255)])
        + _signed(fields, "DevAddr")
        + bytes([f_ctrl])
        + _integer(fields, "FCnt", 0, 0xFFFF).to_bytes(2, "little")
        + f_opts
        + (b"" if f_port < 0 else bytes([f_port]))
        + frm_payload
        + _signed(fields, "MIC")
    )


def _proprietary(fields: dict[str, Any]) -> bytes:
    return _hex(fields, "FRMPayload")


_PHY_PAYLOAD = {"jreq": _join_request, "updf": _data_frame, "propdf": _proprietary}


def _object(text: str | bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedMessage("not JSON") from error
    if not isinstance(value, dict):
        raise MalformedMessage("not an object")
    return value


def _integer(fields: dict[str, Any], name: str, least: int, most: int) -> int:
    value = fields.get(name)
    if type(value) is not int or not least <= value <= most:
        raise MalformedMessage(f"{name} is no number from {least} to {most}")
    return value


def _signed(fields: dict[str, Any], name: str) -> bytes:
    """Four bytes from a number that may be printed with a sign or without."""
    return (_integer(fields, name, -(1 << 31), (1 << 32) - 1) & 0xFFFF_FFFF).to_bytes(4, "little")


def _number(fields: dict[str, Any], name: str, least: float, most: float) -> float:
    value = fields.get(name)
    if type(value) not in (int, float) or not least <= value <= most:  # type: ignore[operator]
        raise MalformedMessage(f"{name} is no number from {least} to {most}")
    return float(value)  # type: ignore[arg-type]


def _hex(fields: dict[str, Any], name: str) -> bytes:
    value = fields.get(name)
    if not isinstance(value, str) or not re.fullmatch("(?:[0-9A-Fa-f]{2}){0,255}", value):
        raise MalformedMessage(f"{name} is not hex")
    return bytes.fromhex(value)


def _text(value: object) -> str:
    return value[:64] if isinstance(value, str) else ""
