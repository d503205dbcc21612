# SPDX-License-Identifier: EUPL-1.2
"""Decode again what is in quarantine, as after an update of the decoders, with the times of then.

It runs beside the service.
"""

from collections import Counter
from typing import NamedTuple

from gateway.config import StoreSection
from gateway.errors import StoreFull
from gateway.kept_payloads import Quarantined
from gateway.outbox import Limits
from gateway.readings import NEWER_FIELDS, Decoded, decode
from gateway.reception_time import Moment
from gateway.room import free_bytes
from gateway.store import Ledger, Store

_AT_ONCE = 100  # in one transaction: uplinks wait for it
_EARLIER_S = 0.001


class Retried(NamedTuple):
    """How many were decoded this time, and how many were not, by the problem."""

    decoded: int
    problems: Counter[str]


def retry(store: Store, settings: StoreSection, problem: str | None = None, number: int | None = None) -> Retried:
    """Try all, those with one ``problem`` or the one with this ``number``; raises StoreError.

    Nothing is dropped for them: they are older than all that waits. Raises StoreFull while the outbox or the disk is
    full.
    """
    decoded, problems, last = 0, Counter[str](), (number or 1) - 1
    most = _AT_ONCE if number is None else 1
    while True:
        with store.transaction() as ledger:
            rows = [row for row in ledger.quarantined(problem, last, most) if number in (None, row.id)]
            if rows:
                _check_room(store, settings)
            ledger.limits = Limits(cap_bytes=1 << 62)  # dropping is the service's, by its own numbering
            for row in rows:
                again = _retry_one(ledger, row)
                decoded += not again
                problems.update([again] if again else [])
        if not rows or number is not None:
            return Retried(decoded, problems)
        last = rows[-1].id


def _check_room(store: Store, settings: StoreSection) -> None:
    if sum(lane.bytes for lane in store.ledger.lanes()) >= settings.cap_mb << 20:
        raise StoreFull("the outbox is full; try again when the cloud has taken some of it")
    if free_bytes(store.path.parent) < settings.reserve_mb << 20:
        raise StoreFull("the disk is full; make room and try again")


def _retry_one(ledger: Ledger, row: Quarantined) -> str:
    """Why it stays, or ""."""
    result = decode_again(row, _profile(ledger, row))
    if result.problem:
        ledger.stay_quarantined(row.id, result.problem, result.detail)
        return result.problem
    if result.record:
        ledger.append_encoded(result.lane, result.record)
    ledger.end_quarantine(row.id)
    return ""


def decode_again(row: Quarantined, profile: str) -> Decoded:
    """What it says by the decoders of today.

    Of a payload with newer fields the cloud has the others, by the same key; it takes up an uplink once more only when
    it was received earlier than it knew, so it is a millisecond.
    """
    earlier_s = _EARLIER_S if row.problem == NEWER_FIELDS else 0.0
    received_at = row.received_at - earlier_s if row.received_at else None
    return decode(row.payload._replace(profile=profile), Moment(received_at, row.time_quality))


def _profile(ledger: Ledger, row: Quarantined) -> str:
    """The one of then, unless that was what was wrong."""
    then = row.payload.profile
    device = ledger.device(row.payload.key.dev_eui) if row.problem == "other_profile" or not then else None
    return then if device is None else device.profile
