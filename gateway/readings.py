# SPDX-License-Identifier: EUPL-1.2
"""A plain payload on its way: into the outbox as readings, or raw into quarantine; or it waits until its time is known.

All of it runs inside the store's transaction, and no payload can end that: whatever a decoder raises, the payload goes
raw into quarantine with the exception's name, and what follows goes on. The decoders are tables of ours, with loops
bounded by 256 samples and the payload's bits (a test counts), so there is nothing to wait for and no timeout.
"""

import logging
from typing import NamedTuple

from decoders import settings, settings_message
from decoders.faults import MalformedPayload
from decoders.lorawan.errors import FieldRange
from decoders.lorawan.gps_time import gps_from_unix, unix_from_gps
from decoders.payload import Layout
from decoders.payload_v1 import Message
from decoders.profiles import BY_F_PORT, BY_NAME
from decoders.profiles import decode as decode_with
from decoders.quantities import QUANTITIES
from decoders.records import DIAGNOSTIC, READING, UplinkMessage, encode_record
from decoders.senml import Reading
from gateway.reception_time import EARLIEST_UNIX_S, Moment
from gateway.store import Ledger, Payload

_log = logging.getLogger(__name__)


NEWER_FIELDS = "newer_fields"
MOST_READINGS = 4096  # of one payload; 256 samples of the longest layout are 3,328

_told: set[tuple[int | str, str]] = set()  # what is in the log: bugs by FPort, problems by DevEUI; nodes repeat theirs
_MOST_TOLD = 10_000  # then all may be told again
_MOST_DATED = 100  # in one transaction


class Dated(NamedTuple):
    """What became of the uplinks that waited: how many were taken up, and of these the problems of those not stored.

    ``repaired``: records in the outbox that have a better time now.
    """

    taken: int
    problems: tuple[str, ...]
    repaired: int = 0


def keep(ledger: Ledger, payload: Payload, moment: Moment) -> str:
    """Store a payload received at a known moment; returns "" or why it is in quarantine.

    What a node answers to settings is no reading: it is logged. Of a payload with fields that are newer than our table,
    the rest goes on, and the whole is kept raw as well ("newer_fields").
    """
    decoded = decode(payload, moment)
    if decoded.problem:
        ledger.quarantine(payload, moment.unix_s or 0.0, moment.quality, decoded.problem, decoded.detail)
        _log.log(
            logging.WARNING if _is_news(payload.key.dev_eui, decoded.problem) else logging.DEBUG,
            "payload in quarantine dev_eui=%s f_port=%d problem=%s",
            payload.key.dev_eui, payload.f_port, decoded.problem,
        )  # fmt: skip
    if decoded.record:
        row = ledger.append_encoded(decoded.lane, decoded.record)
        if decoded.is_estimate:
            ledger.estimate(decoded.lane, row, moment.boot_id, moment.boot_s)
    return "" if decoded.problem == NEWER_FIELDS else decoded.problem


def date_waiting(ledger: Ledger, boot_id: str) -> Dated:
    """Take up the oldest that waited for a time and have one now, by their boots; ``boot_id`` is the present one.

    Then date records in the outbox anew whose time was an estimate, if somebody knows better.
    """
    datings = ledger.datings()
    for one, dating in datings.items():
        if not dating.final and one != boot_id:  # a later boot may know
            continue
        rows = ledger.waiting(one, _MOST_DATED)
        if rows:
            when = (Moment(row.boot_s + dating.unix_less_boot_s, dating.quality, one, row.boot_s) for row in rows)
            problems = [keep(ledger, row.payload, moment) for row, moment in zip(rows, when, strict=True)]
            ledger.end_waiting(one, rows[-1].id)
            return Dated(len(rows), tuple(problem for problem in problems if problem))
    for one, dating in datings.items():
        estimated = ledger.estimated(one, _MOST_DATED) if dating.final else []
        if estimated:
            repaired = sum(ledger.date(row, dating.unix_less_boot_s, dating.quality) for row in estimated)
            return Dated(len(estimated), (), repaired)
    return Dated(0, ())


class Decoded(NamedTuple):
    """The ``record`` for a lane, if any; ``problem`` and ``detail``: why there is none, or not all (NEWER_FIELDS).

    ``is_estimate``: its time may be known better later.
    """

    problem: str
    detail: str = ""
    record: bytes = b""
    lane: int = READING
    is_estimate: bool = False


def decode(payload: Payload, moment: Moment) -> Decoded:
    """Decode a payload; it raises nothing.

    Samples with a time of their own need none of ours: where ours is an estimate, the newest says when it was sent.
    """
    try:
        return _decoded(payload, moment)
    except _Unfit as unfit:
        return Decoded(unfit.problem, str(unfit.__cause__ or ""))
    except Exception as error:
        name = type(error).__name__
        level = logging.ERROR if _is_news(payload.f_port, name) else logging.DEBUG
        _log.log(level, "a decoder failed; this is a bug f_port=%d", payload.f_port, exc_info=True)
        return Decoded("decoder_failed", f"{name}: {error}")


def _is_news(whose: int | str, what: str) -> bool:
    """Whether that was not told yet."""
    if (whose, what) in _told:
        return False
    if len(_told) >= _MOST_TOLD:
        _told.clear()
    _told.add((whose, what))
    return True


def _decoded(payload: Payload, moment: Moment) -> Decoded:
    if payload.f_port == settings.F_PORT:
        _tell_answer(payload)
        return Decoded("")
    message = _parse(payload)
    own_s = unix_from_gps(max(message.samples[0].time, 0))
    received_at, quality = moment.unix_s, moment.quality
    if quality in ("unset", "saved") and message.samples[0].time > 0 and own_s >= EARLIEST_UNIX_S:
        received_at, quality = float(own_s), "ntp"  # a node is told no time but a sure one, and sends at once
    if received_at is None:
        raise _Unfit("time_unknown")
    readings = _readings(message, round(gps_from_unix(received_at) * 1000) // 1000)
    lane = DIAGNOSTIC if BY_F_PORT[payload.f_port].profile == "diagnostics" else READING
    record = _encoded(UplinkMessage(payload.key, received_at, payload.profile, readings, quality)) if readings else b""
    return Decoded(NEWER_FIELDS if message.unknown_fields else "", "", record, lane, quality == "saved")


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
        return decode_with(layout, payload.frm_payload)
    except MalformedPayload as malformed:
        raise _Unfit("malformed_payload") from malformed


def _encoded(message: UplinkMessage) -> bytes:
    """What could not be sent would block the outbox for ever: it does not get in."""
    try:
        return encode_record(message)
    except FieldRange as refused:
        raise _Unfit("unfit_for_the_cloud") from refused


def _readings(message: Message, received_gps_s: int) -> tuple[Reading, ...]:
    """A sample without a time was taken just before sending."""
    rows = message.readings(received_gps_s)
    if len(rows) > MOST_READINGS:
        raise _Unfit("too_many_readings")
    return tuple(
        Reading(name, QUANTITIES[name].unit, unix_from_gps(at), value, fault) for name, at, value, fault in rows
    )
