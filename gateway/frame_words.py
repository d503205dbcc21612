# SPDX-License-Identifier: EUPL-1.2
"""Frames of the log in words: as JSON for machines, as lines in English or German for technicians.

A payload is shown as readings where one of our layouts reads it, else only how long it is. No key is ever here.
"""

from collections.abc import Mapping
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


# What became of it, in words for a technician: (German, English)
_SAID: Mapping[str, tuple[str, str]] = {
    # joins
    "unknown_dev_eui": (
        "diese DevEUI ist hier nicht eingetragen: stadtfunk gateway devices add",
        "this DevEUI is not registered here: stadtfunk gateway devices add",
    ),
    "unknown_join_eui": (
        "die JoinEUI des Knotens ist eine andere als die eingetragene",
        "the node's JoinEUI is another one than registered",
    ),
    "join_mic_mismatch": (
        "MIC falsch: der AppKey von Knoten und Gateway ist verschieden",
        "MIC wrong: the AppKey of node and gateway differ",
    ),
    "dev_nonce_reused": (
        "DevNonce nicht gestiegen: Wurde der Speicher des Knotens gelöscht? stadtfunk gateway devices rearm",
        "DevNonce has not risen: was the node's memory erased? stadtfunk gateway devices rearm",
    ),
    "no_dev_addr_left": ("dev_addr_block ist voll", "dev_addr_block is full"),
    "no_join_nonce_left": ("der Knoten hat sich zu oft angemeldet", "the node has joined too often"),
    "unknown_frequency": (
        "auf dieser Frequenz darf nicht geantwortet werden",
        "it may not be answered on this frequency",
    ),
    "join_flood_dev_eui": (
        "nicht geprüft: diese DevEUI fragt zu oft",
        "not looked at: this DevEUI asks too often",
    ),
    "join_flood_unknown": (
        "nicht geprüft: zu viele unbekannte DevEUIs fragen",
        "not looked at: too many unknown DevEUIs ask",
    ),
    "join_flood_concentrator": (
        "nicht geprüft: zu viele Anfragen über diesen Konzentrator",
        "not looked at: too many requests through this concentrator",
    ),
    # data
    "mic_mismatch": (
        "MIC falsch: der Knoten hat eine andere Sitzung als das Gateway, oder ein fremder Knoten dieselbe DevAddr",
        "MIC wrong: the node has another session than the gateway, or a stranger has the same DevAddr",
    ),
    "replay": ("alter Rahmenzähler: eine Wiederholung", "old frame counter: a replay"),
    "malformed_frame": ("kein gültiger LoRaWAN-Rahmen", "no valid LoRaWAN frame"),
    "unknown_data_rate": ("unbekannte Datenrate", "unknown data rate"),
    # downlinks
    "sent": ("gesendet", "sent"),
    "open": ("noch offen", "still open"),
    "too_late": ("nicht gesendet: zu spät", "not sent: too late"),
    "too_early": ("nicht gesendet: zu früh", "not sent: too early"),
    "collision_packet": ("nicht gesendet: anderer Rahmen im Weg", "not sent: another frame is in the way"),
    "collision_beacon": ("nicht gesendet: Beacon im Weg", "not sent: a beacon is in the way"),
    "tx_freq": ("nicht gesendet: Frequenz geht nicht", "not sent: frequency not possible"),
    "tx_power": ("nicht gesendet: Leistung geht nicht", "not sent: power not possible"),
    "gps_unlocked": ("nicht gesendet: Konzentrator ohne Zeit", "not sent: the concentrator has no time"),
    "no_way": ("nicht gesendet: kein Weg zum Konzentrator", "not sent: no way to the concentrator"),
    "not_confirmed": ("nicht bestätigt vom Konzentrator", "not confirmed by the concentrator"),
    "connection_lost": ("Verbindung zum Konzentrator verloren", "connection to the concentrator lost"),
    "overlap": ("nicht gesendet: Konzentrator sendet schon", "not sent: the concentrator is sending"),
    "duty_cycle": ("nicht gesendet: Sendezeit der Stunde verbraucht", "not sent: the hour's airtime is used up"),
    "blocked": ("nicht gesendet: die Station sperrt das Band", "not sent: the station blocks the band"),
    "too_long": ("nicht gesendet: zu lang für die Datenrate", "not sent: too long for the data rate"),
    "superseded": ("überholt: der Knoten hat wiederholt", "superseded: the node has sent again"),
    # payloads
    "no_layout": ("Nutzlast unbekannt", "payload unknown"),
    "other_profile": ("Nutzlast eines anderen Profils als eingetragen", "payload of another profile than registered"),
    "malformed_payload": ("Nutzlast unlesbar", "payload not readable"),
    "newer_fields": ("Felder, die neuer sind als diese Software", "fields newer than this software"),
}
LANGUAGES = ("de", "en")


def said(code: str, language: str) -> str:
    """A reason in words; an unknown one as it is."""
    words = _SAID.get(code)
    return code if words is None else words[LANGUAGES.index(language)]


def describe(frame: Mapping[str, Any], language: str = "en") -> list[str]:
    """The frame in one line, and a line for each detail."""
    kind = frame["kind"]
    if kind == "uplink":
        return _describe_uplink(frame, language)
    if kind == "downlink":
        return _describe_downlink(frame, language)
    german = language == "de"
    if kind == "dropped":
        head = "keine Antwort" if german else "no answer"
        return [f"{head}: {said(frame['result'], language)}"]
    if kind == "refused":
        head = "Rahmen abgelehnt" if german else "frame refused"
        return [f"{head}: {said(frame['refused'], language)}", *_heard(frame)]
    names = f"join_eui={frame['join_eui']} dev_nonce={frame['dev_nonce']}"
    if frame["refused"] is None:
        head = "Join angenommen" if german else "join accepted"
        return [f"{head} dev_addr={frame['dev_addr']} {names}", *_heard(frame)]
    code = "join_mic_mismatch" if frame["refused"] == "mic_mismatch" else frame["refused"]
    head = "Join abgelehnt" if german else "join refused"
    return [f"{head}: {said(code, language)}", names, *_heard(frame)]


def _on_air(frame: Mapping[str, Any]) -> str:
    rate = "" if frame["data_rate"] is None else f"DR{frame['data_rate']} "
    return f"{rate}{frame['frequency_hz'] / 1e6:.3f} MHz {frame['bytes']} bytes"


def _heard(frame: Mapping[str, Any]) -> list[str]:
    return [
        f"{_on_air(frame)} <- {by['concentrator']} {by['rssi_dbm']:.0f} dBm SNR {by['snr_db']:.1f} dB"
        for by in frame["heard_by"]
    ]


def _flags(frame: Mapping[str, Any], *names: str) -> str:
    return "".join(f" {name}" for name in names if frame[name])


def _describe_uplink(frame: Mapping[str, Any], language: str) -> list[str]:
    port = "" if frame["f_port"] is None else f" f_port={frame['f_port']}"
    flags = _flags(frame, "confirmed", "ack", "adr", "adr_ack_req")
    lines = [f"uplink f_cnt={frame['f_cnt']}{port}{flags}", *_heard(frame), *_said_by(frame)]
    if frame.get("readings"):
        lines += _readings(frame["readings"], language)
    elif frame.get("answers"):
        lines += [" ".join(map(str, (a["setting"], a["status"], *(a["value"] or ())))) for a in frame["answers"]]
    elif frame["f_port"] and frame["payload_bytes"]:
        lines.append(f"payload {frame['payload_bytes']} bytes")
    if frame["problem"]:
        lines.append(said(frame["problem"], language))
    return lines


def _readings(readings: list[Object], language: str) -> list[str]:
    """The newest sample in full; of the older ones that it carries again, how many there are."""
    at = readings[0]["at"]
    older = [reading["at"] for reading in readings if reading["at"] != at]
    lines = [_reading(reading, language) for reading in readings if reading["at"] == at]
    if older:
        since = "?" if older[-1] is None else f"{older[-1][:10]} {older[-1][11:19]}Z"
        words = "und {} ältere Werte bis zurück zu {}" if language == "de" else "and {} older values back to {}"
        lines.append(words.format(len(older), since))
    return lines


# How people write the units of decoders/quantities.py; a count needs none
_UNITS = {"1": "", "Cel": " °C", "ug/m3": " µg/m³", "[ppm]": " ppm", "mA.h": " mAh", "By": " B"}


def _reading(reading: Mapping[str, Any], language: str) -> str:
    quantity = QUANTITIES[reading["quantity"]]
    unit = _UNITS.get(quantity.unit, f" {quantity.unit}")
    value = f"fault {reading['fault']}" if reading["value"] is None else f"{reading['value']:g}{unit}"
    at = f" ({reading['at'][:10]} {reading['at'][11:19]}Z)" if reading["at"] else ""
    return f"{quantity.de if language == 'de' else quantity.en} {value}{at}"


def _said_by(frame: Mapping[str, Any]) -> list[str]:
    return [
        " ".join([command["name"], *(f"{name}={value}" for name, value in command.items() if name != "name")])
        for command in frame["commands"]
    ]


def _describe_downlink(frame: Mapping[str, Any], language: str) -> list[str]:
    where = f"{frame['window']} {_on_air(frame)} {frame['power_dbm']} dBm -> {frame['concentrator']}"
    result = said(frame["result"], language)
    at = f" ({frame['sends_at'][:10]} {frame['sends_at'][11:23]}Z)" if frame["sends_at"] else ""
    if frame["frame"] == "Join-Accept":
        return [f"downlink Join-Accept: {result}", where + at]
    port = "" if frame["f_port"] is None else f" f_port={frame['f_port']} ({frame['payload_bytes']} bytes)"
    head = f"downlink f_cnt={frame['f_cnt']}{port}{_flags(frame, 'confirmed', 'ack', 'more')}: {result}"
    return [head, where + at, *_said_by(frame)]


def describe_link(link: Mapping[str, Any], language: str = "en") -> str:
    """What ADR has agreed on with the node, and how well it is heard."""
    margin = "-" if link["snr_margin_db"] is None else f"{link['snr_margin_db']:+.1f} dB"
    setting = f"DR{link['data_rate']} tx_power={link['tx_power']} nb_trans={link['nb_trans']}"
    lost = f"{link['frames_lost']}/{link['frames_known']}"
    if language == "de":
        return f"ADR: {setting}, SNR-Reserve {margin}, {lost} Rahmen verloren"
    return f"ADR: {setting}, SNR margin {margin}, {lost} frames lost"


def when(frame: Mapping[str, Any]) -> str:
    """The moment as people write it."""
    at = frame["at"]
    return f"{at[:10]} {at[11:19]}Z" if at else f"boot +{frame['boot_s']:.1f} s"
