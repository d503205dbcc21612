# SPDX-License-Identifier: EUPL-1.2
"""Frames of the log, as ``frame_objects`` makes them, in lines in English or German for technicians."""

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any

from decoders.quantities import QUANTITIES
from decoders.written import written

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


def describe(frame: Mapping[str, Any], language: str = "en", zone: tzinfo | None = None) -> list[str]:
    """The frame in one line, and a line for each detail. ``zone`` of its times; None: UTC, and they say so."""
    kind = frame["kind"]
    if kind == "uplink":
        return _describe_uplink(frame, language, zone)
    if kind == "downlink":
        return _describe_downlink(frame, language, zone)
    german = language == "de"
    if kind == "dropped":
        head = "keine Antwort" if german else "no answer"
        return [f"{head}: {said(frame['result'], language)}"]
    if kind == "refused":
        head = "Rahmen abgelehnt" if german else "frame refused"
        return [f"{head}: {said(frame['refused'], language)}", *_heard(frame, language)]
    names = f"join_eui={frame['join_eui']} dev_nonce={frame['dev_nonce']}"
    if frame["refused"] is None:
        head = "Join angenommen" if german else "join accepted"
        return [f"{head} dev_addr={frame['dev_addr']} {names}", *_heard(frame, language)]
    code = "join_mic_mismatch" if frame["refused"] == "mic_mismatch" else frame["refused"]
    head = "Join abgelehnt" if german else "join refused"
    return [f"{head}: {said(code, language)}", names, *_heard(frame, language)]


def _on_air(frame: Mapping[str, Any], language: str) -> str:
    rate = "" if frame["data_rate"] is None else f"DR{frame['data_rate']} "
    return f"{rate}{written(frame['frequency_hz'] / 1e6, '.3f', language)} MHz {_bytes(frame['bytes'], language)}"


def _bytes(count: int, language: str) -> str:
    return f"{count} {'Byte' if language == 'de' else 'bytes'}"


def _heard(frame: Mapping[str, Any], language: str) -> list[str]:
    return [
        f"{_on_air(frame, language)} <- {by['concentrator']} {by['rssi_dbm']:.0f} dBm "
        f"SNR {written(by['snr_db'], '.1f', language)} dB"
        for by in frame["heard_by"]
    ]


def _flags(frame: Mapping[str, Any], *names: str) -> str:
    return "".join(f" {name}" for name in names if frame[name])


def _describe_uplink(frame: Mapping[str, Any], language: str, zone: tzinfo | None) -> list[str]:
    port = "" if frame["f_port"] is None else f" f_port={frame['f_port']}"
    flags = _flags(frame, "confirmed", "ack", "adr", "adr_ack_req")
    lines = [f"uplink f_cnt={frame['f_cnt']}{port}{flags}", *_heard(frame, language), *_said_by(frame)]
    if frame.get("readings"):
        lines += _readings(frame["readings"], language, zone)
    elif frame.get("answers"):
        lines += [" ".join(map(str, (a["setting"], a["status"], *(a["value"] or ())))) for a in frame["answers"]]
    elif frame["f_port"] and frame["payload_bytes"]:
        lines.append(f"{'Nutzlast' if language == 'de' else 'payload'} {_bytes(frame['payload_bytes'], language)}")
    if frame["problem"]:
        lines.append(said(frame["problem"], language))
    return lines


def _readings(readings: list[Mapping[str, Any]], language: str, zone: tzinfo | None) -> list[str]:
    """The newest sample in full; of the older ones that it carries again, how many there are."""
    at = readings[0]["at"]
    older = [reading["at"] for reading in readings if reading["at"] != at]
    lines = [_reading(reading, language, zone) for reading in readings if reading["at"] == at]
    if older:
        since = "?" if older[-1] is None else moment(older[-1], zone)
        words = "und {} ältere Werte bis zurück zu {}" if language == "de" else "and {} older values back to {}"
        lines.append(words.format(len(older), since))
    return lines


# How people write the units of decoders/quantities.py; a count needs none
_UNITS = {"1": "", "Cel": " °C", "ug/m3": " µg/m³", "[ppm]": " ppm", "mA.h": " mAh", "By": " B"}


def _reading(reading: Mapping[str, Any], language: str, zone: tzinfo | None) -> str:
    quantity = QUANTITIES[reading["quantity"]]
    unit = _UNITS.get(quantity.unit, f" {quantity.unit}")
    fault = "Störung" if language == "de" else "fault"
    value = (
        f"{fault} {reading['fault']}"
        if reading["value"] is None
        else f"{written(reading['value'], 'g', language)}{unit}"
    )
    at = f" ({moment(reading['at'], zone)})" if reading["at"] else ""
    return f"{quantity.de if language == 'de' else quantity.en} {value}{at}"


def _said_by(frame: Mapping[str, Any]) -> list[str]:
    return [
        " ".join([command["name"], *(f"{name}={value}" for name, value in command.items() if name != "name")])
        for command in frame["commands"]
    ]


def _describe_downlink(frame: Mapping[str, Any], language: str, zone: tzinfo | None) -> list[str]:
    where = f"{frame['window']} {_on_air(frame, language)} {frame['power_dbm']} dBm -> {frame['concentrator']}"
    result = said(frame["result"], language)
    at = f" ({moment(frame['sends_at'], zone, 'milliseconds')})" if frame["sends_at"] else ""
    if frame["frame"] == "Join-Accept":
        return [f"downlink Join-Accept: {result}", where + at]
    port = "" if frame["f_port"] is None else f" f_port={frame['f_port']} ({_bytes(frame['payload_bytes'], language)})"
    head = f"downlink f_cnt={frame['f_cnt']}{port}{_flags(frame, 'confirmed', 'ack', 'more')}: {result}"
    return [head, where + at, *_said_by(frame)]


def describe_link(link: Mapping[str, Any], language: str = "en") -> str:
    """What ADR has agreed on with the node, and how well it is heard."""
    margin = "-" if link["snr_margin_db"] is None else f"{written(link['snr_margin_db'], '+.1f', language)} dB"
    setting = f"DR{link['data_rate']} tx_power={link['tx_power']} nb_trans={link['nb_trans']}"
    lost = f"{link['frames_lost']}/{link['frames_known']}"
    if language == "de":
        return f"ADR: {setting}, SNR-Reserve {margin}, {lost} Rahmen verloren"
    return f"ADR: {setting}, SNR margin {margin}, {lost} frames lost"


def when(frame: Mapping[str, Any], zone: tzinfo | None = None) -> str:
    """When the frame was received or sent; seconds since the boot while nobody knew the time."""
    at = frame["at"]
    return moment(at, zone) if at else f"boot +{frame['boot_s']:.1f} s"


def moment(at: str, zone: tzinfo | None, precision: str = "seconds") -> str:
    """An ISO time as people write it: that of ``zone``, or with a Z that of UTC."""
    utc = datetime.fromisoformat(at)
    if zone is None:
        return utc.replace(tzinfo=None).isoformat(" ", precision) + "Z"
    return utc.astimezone(zone).replace(tzinfo=None).isoformat(" ", precision)
