# SPDX-License-Identifier: EUPL-1.2
"""Frames of the log as JSON for machines; ``frame_words`` makes lines for technicians of that.

A payload is shown as readings where one of our layouts reads it, else only how long it is. No key is ever here.
"""

from datetime import UTC, datetime
from typing import Any

from decoders import settings, settings_message
from decoders.lorawan.frame import (
    ACK,
    ADR,
    ADR_ACK_REQ,
    CONFIRMED_DOWN,
    CONFIRMED_UP,
    F_PENDING,
    JOIN_ACCEPT,
    DataFrame,
    JoinRequest,
    m_type,
)
from decoders.lorawan.gps_time import gps_from_unix, unix_from_gps
from decoders.payload import Layout
from decoders.profiles import BY_F_PORT, BY_NAME, decode
from decoders.quantities import QUANTITIES
from gateway import mac_words
from gateway.errors import Refused
from gateway.frame_log import Downlink, Entry, HeardBy, Join, RefusedData, Uplink
from gateway.mac_words import Words
from gateway.radio import Order, Reception, Slot

Object = dict[str, Any]


def as_object(entry: Entry) -> Object:
    """One frame for JSON."""
    common: Object = {"seq": entry.seq, "at": _iso(entry.at.unix_s), "boot_s": round(entry.at.boot_s, 3)}
    if isinstance(entry, Uplink):
        return common | {"kind": "uplink"} | _radio(entry.reception, entry.heard_by) | _uplink(entry)
    if isinstance(entry, Join):
        request = JoinRequest.parse(entry.reception.phy_payload)
        return common | {
            "kind": "join", **_radio(entry.reception, entry.heard_by),
            "join_eui": request.join_eui, "dev_nonce": request.dev_nonce, "refused": entry.reason or None,
            "dev_addr": None if entry.dev_addr is None else f"{entry.dev_addr:08x}",
        }  # fmt: skip
    if isinstance(entry, RefusedData):
        return common | {"kind": "refused"} | _radio(entry.reception, entry.heard_by) | {"refused": entry.reason}
    if isinstance(entry, Downlink):
        return common | {"kind": "downlink"} | _downlink(entry)
    return common | {"kind": "dropped", "result": entry.reason}


def _iso(unix_s: float | None) -> str | None:
    return None if unix_s is None else datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds")


def _radio(reception: Reception, heard_by: list[HeardBy]) -> Object:
    try:
        data_rate: int | None = reception.data_rate
    except Refused:
        data_rate = None
    return {
        "data_rate": data_rate, "sf": reception.sf, "bandwidth_hz": reception.bandwidth_hz,
        "frequency_hz": reception.frequency_hz, "bytes": len(reception.phy_payload),
        "heard_by": [
            {"concentrator": by.concentrator, "rssi_dbm": by.rssi_dbm, "snr_db": by.snr_db} for by in heard_by
        ],
    }  # fmt: skip


def _uplink(entry: Uplink) -> Object:
    frame = DataFrame.parse(entry.reception.phy_payload)
    flags = frame.fhdr.f_ctrl
    said = mac_words.of_uplink(entry.frm_payload if frame.f_port == 0 else frame.fhdr.f_opts)
    return {
        "f_cnt": entry.f_cnt, "f_port": frame.f_port, "confirmed": frame.m_type == CONFIRMED_UP,
        "ack": bool(flags & ACK), "adr": bool(flags & ADR), "adr_ack_req": bool(flags & ADR_ACK_REQ),
        "commands": _commands(said), "payload_bytes": len(frame.frm_payload), "problem": entry.problem or None,
        **_payload(frame.f_port, entry),
    }  # fmt: skip


def _commands(words: list[Words]) -> list[Object]:
    return [{"name": command.name, **command.fields} for command in words]


def _payload(f_port: int | None, entry: Uplink) -> Object:
    """``readings`` or ``answers``, where one of our layouts reads it."""
    try:
        if f_port == settings.F_PORT:
            layout = BY_NAME.get(entry.profile)
            if not isinstance(layout, Layout):
                return {}
            _, answers = settings_message.decode(layout, entry.frm_payload)
            return {"answers": [answer._asdict() for answer in answers]}
        known = BY_F_PORT.get(f_port or 0)
        if known is None or known.profile not in (entry.profile, "diagnostics"):
            return {}
        unix_s = entry.at.unix_s
        rows = decode(known, entry.frm_payload).readings(0 if unix_s is None else int(gps_from_unix(unix_s)))
        return {
            "readings": [
                {
                    "quantity": name, "unit": QUANTITIES[name].unit, "value": value, "fault": fault,
                    "at": _iso(unix_from_gps(at)) if at > 0 else None,
                }
                for name, at, value, fault in rows
            ]
        }  # fmt: skip
    except Exception:  # nobody can read it, or a bug of ours that quarantine names: the page shows the rest
        return {}


def _downlink(entry: Downlink) -> Object:
    order = entry.order
    window, slot = _window(order, entry.sent_hz)
    made: Object = {
        "window": window, "frequency_hz": slot.frequency_hz, "data_rate": slot.data_rate,
        "power_dbm": order.power_dbm, "concentrator": order.concentrator, "result": entry.result or "open",
        "bytes": len(order.phy_payload), "frame": "Join-Accept", "sends_at": None,
    }  # fmt: skip
    if entry.answers is not None and entry.answers.unix_s is not None:
        made["sends_at"] = _iso(entry.answers.unix_s + slot.delay_ms / 1000)
    if m_type(order.phy_payload) == JOIN_ACCEPT:
        return made
    frame = DataFrame.parse(order.phy_payload)
    return made | {
        "frame": "data", "f_cnt": frame.fhdr.f_cnt, "f_port": frame.f_port, "payload_bytes": len(frame.frm_payload),
        "confirmed": frame.m_type == CONFIRMED_DOWN, "ack": bool(frame.fhdr.f_ctrl & ACK),
        "more": bool(frame.fhdr.f_ctrl & F_PENDING), "commands": _commands(mac_words.of_downlink(frame.fhdr.f_opts)),
    }  # fmt: skip


def _window(order: Order, sent_hz: int | None) -> tuple[str, Slot]:
    """A Basics Station may have been given both; which one it took is known when it has said so."""
    if order.rx1 is None or (order.rx2 is not None and order.rx2.frequency_hz == sent_hz != order.rx1.frequency_hz):
        assert order.rx2 is not None
        return "class C" if order.asap else "RX2", order.rx2
    return ("RX1" if order.rx2 is None or sent_hz else "RX1 or RX2"), order.rx1
