# SPDX-License-Identifier: EUPL-1.2
"""A plain payload on its way: into the outbox as readings, or raw into quarantine; or it waits until its time is known.

All of it runs inside the store's transaction.
"""

import logging
from typing import NamedTuple

from decoders import settings, settings_message
from decoders.faults import MalformedPayload
from decoders.lorawan.errors import FieldRange
from decoders.lorawan.gps_time import gps_from_unix, unix_from_gps
from decoders.payload import Layout
from decoders.payload_v1 import Message
from decoders.profiles import BY_F_PORT, BY_NAME, decode
from decoders.quantities import QUANTITIES
from decoders.records import DIAGNOSTIC, READING
from decoders.senml import Reading
from gateway.store import Ledger, Payload

_log = logging.getLogger(__name__)


class Dated(NamedTuple):
    """What became of the uplinks that waited: how many were taken up, and of these the problems of those not stored."""

    taken: int
    problems: tuple[str, ...]


def keep(ledger: Ledger, gateway_eui: str, payload: Payload, gps_ms: int | None, received_at: float) -> str:
    """Store a payload received at a known time; returns "" or why it is in quarantine. ``gps_ms`` None: unknown.

    Without a time of reception, samples that carry none of their own cannot be dated. What a node answers to settings
    is no reading: it is logged. Of a payload with fields that are newer than our table, the rest goes on, and the whole
    is kept raw as well ("newer_fields").
    """
    try:
        if payload.f_port == settings.F_PORT:
            _tell_answer(payload)
            return ""
        message = _parse(payload)
        if gps_ms is None:
            if message.samples[0].time <= 0:
                raise _Unfit("time_unknown")
            received_at = unix_from_gps(message.samples[0].time)  # a node sends at once what it has sampled
            gps_ms = round(gps_from_unix(received_at) * 1000)
        readings = _readings(message, gps_ms // 1000)
        if readings:
            _append(ledger, payload, received_at, readings)
    except _Unfit as unfit:
        ledger.quarantine(payload.key, payload.f_port, received_at, payload.frm_payload, unfit.problem)
        return unfit.problem
    if message.unknown_fields:
        ledger.quarantine(payload.key, payload.f_port, received_at, payload.frm_payload, "newer_fields")
    return ""


def date_waiting(ledger: Ledger, gateway_eui: str, boot_id: str, unix_less_boot_s: float) -> Dated:
    """Take up the oldest that waited for a time: those of this boot have one now, those of another never will."""
    rows = ledger.waiting()
    problems = []
    for row in rows:
        if row.boot_id == boot_id:
            received_at = row.boot_s + unix_less_boot_s
            problem = keep(ledger, gateway_eui, row.payload, round(gps_from_unix(received_at) * 1000), received_at)
        else:
            problem = keep(ledger, gateway_eui, row.payload, None, 0.0)
        if problem:
            problems.append(problem)
    if rows:
        ledger.end_waiting(rows[-1].id)
    return Dated(len(rows), tuple(problems))


class _Unfit(Exception):
    """Not for the cloud; ``problem`` says why in a word."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


def _tell_answer(payload: Payload) -> None:
    layout = BY_NAME.get(payload.profile)
    if not isinstance(layout, Layout):
        raise _Unfit("other_profile")
    try:
        token, answers = settings_message.decode(layout, payload.frm_payload)
    except MalformedPayload as malformed:
        raise _Unfit("malformed_payload") from malformed
    for answer in answers:
        _log.info(
            "setting dev_eui=%s token=%d name=%s status=%s value=%s",
            payload.key.dev_eui, token, answer.setting, answer.status, answer.value,
        )  # fmt: skip


def _parse(payload: Payload) -> Message:
    layout = BY_F_PORT.get(payload.f_port)
    if layout is None:
        raise _Unfit("no_layout")
    if layout.profile not in (payload.profile, "diagnostics"):
        raise _Unfit("other_profile")
    try:
        return decode(layout, payload.frm_payload)
    except MalformedPayload as malformed:
        raise _Unfit("malformed_payload") from malformed


def _append(ledger: Ledger, payload: Payload, received_at: float, readings: tuple[Reading, ...]) -> None:
    """What could not be sent would block the outbox for ever: it does not get in."""
    lane = DIAGNOSTIC if BY_F_PORT[payload.f_port].profile == "diagnostics" else READING
    try:
        ledger.append(payload.key, received_at, payload.profile, readings, lane=lane)
    except FieldRange as refused:
        raise _Unfit("unfit_for_the_cloud") from refused


def _readings(message: Message, received_gps_s: int) -> tuple[Reading, ...]:
    """A sample without a time was taken just before sending."""
    return tuple(
        Reading(name, QUANTITIES[name].unit, unix_from_gps(at), value, fault)
        for name, at, value, fault in message.readings(received_gps_s)
    )
