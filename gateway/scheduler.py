# SPDX-License-Identifier: EUPL-1.2
"""Which concentrator sends what in which window: a choice among all possibilities, without I/O and without a clock.

A possibility is one (candidate, window, variant). It must be able to start in time, fit the transmitter's budget, and
carry the frame. Of those that can, the fullest variant goes first; then a link with ``_ENOUGH_DB`` to spare; then RX1,
unless it costs more than ``_DEAR`` of what is left of its sub-band and RX2 costs less; then the better SNR.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from decoders.lorawan.airtime import time_on_air_us
from decoders.lorawan.region import EU868
from gateway.airtime_budget import AirtimeBudget, Booking
from gateway.radio import FLOOR_DB, Answer, Priority, Reception, Slot, Variant, may_transmit_on

_ENOUGH_DB = 5.0
_DEAR = 0.25
_NODE_ERP_DBM = 14
_MHDR_AND_MIC = 5


class Candidate(NamedTuple):
    """A concentrator that has heard the uplink. ``ended_us``: its end by this concentrator's unwrapped counter.

    ``earliest_us``: the first moment by that counter at which a frame handed over now can start.
    """

    reception: Reception
    ended_us: int
    earliest_us: int
    power_dbm: int


class Choice(NamedTuple):
    """One possibility, with all that tells it from others."""

    candidate: Candidate
    window: int  # its place in the answer's windows: 0 for RX1
    slot: Slot
    variant: Variant
    booking: Booking
    margin_db: float
    share: float

    @property
    def concentrator(self) -> str:
        return self.candidate.reception.concentrator


Tried = frozenset[tuple[str, int]]
Kept = Callable[[str, Booking, Priority], bool]


def nothing_kept(_concentrator: str, _booking: Booking, _priority: Priority) -> bool:
    """Every slot is for all."""
    return False


def booking_of(phy_payload: bytes, slot: Slot, start_us: int) -> Booking:
    """The airtime of a downlink: no CRC. TS001-1.0.4 "PHY Payload"."""
    rate = EU868.data_rates[slot.data_rate]
    airtime_us = time_on_air_us(len(phy_payload), rate.sf, rate.bandwidth_hz, crc=False)
    return Booking(start_us, start_us + airtime_us, slot.frequency_hz)


def power_dbm(candidate: Candidate, slot: Slot) -> int:
    """What is wanted, cut to what the sub-band allows."""
    return min(candidate.power_dbm, EU868.sub_band(slot.frequency_hz).max_erp_dbm)


def choose(
    answer: Answer,
    candidates: Iterable[Candidate],
    transmitters: Mapping[str, AirtimeBudget],
    *,
    tried: Tried = frozenset(),
    kept: Kept = nothing_kept,
) -> tuple[Choice | None, str]:
    """The best possibility, or None and why there is none: "too_late" only if nothing may come of waiting.

    ``tried``: (concentrator, window) that have failed. ``kept`` tells whether a slot is meant for what matters more.
    """
    best: Choice | None = None
    obstacle = "too_late"
    offers = list(candidates)
    for variant in answer.variants:
        choices = []
        for found in _possibilities(answer, variant, offers, transmitters, tried, kept):
            if isinstance(found, str):
                obstacle = found if found != "too_late" else obstacle
            else:
                choices.append(found)
        if choices:
            best = _best(choices)
            break
    return best, "" if best else obstacle


def _possibilities(
    answer: Answer,
    variant: Variant,
    candidates: list[Candidate],
    transmitters: Mapping[str, AirtimeBudget],
    tried: Tried,
    kept: Kept,
) -> Iterator[Choice | str]:
    for candidate in candidates:
        name = candidate.reception.concentrator
        for window, slot in enumerate(answer.windows):
            if (name, window) in tried or not may_transmit_on(slot.frequency_hz):
                continue
            if len(variant.phy_payload) - _MHDR_AND_MIC > EU868.data_rates[slot.data_rate].max_payload:
                yield "too_long"
                continue
            booking = booking_of(variant.phy_payload, slot, candidate.ended_us + slot.delay_ms * 1000)
            if booking.start_us < candidate.earliest_us:
                yield "too_late"
                continue
            obstacle = transmitters[name].obstacle(booking, variant.priority)
            if not obstacle and kept(name, booking, answer.priority):
                obstacle = "overlap"
            if obstacle:
                yield obstacle
                continue
            gain_db = power_dbm(candidate, slot) - _NODE_ERP_DBM
            margin_db = candidate.reception.snr_db + gain_db - FLOOR_DB[EU868.data_rates[slot.data_rate].sf]
            share = transmitters[name].share(booking)
            yield Choice(candidate, window, slot, variant, booking, margin_db, share)


def _best(choices: list[Choice]) -> Choice:
    least = min(choice.share for choice in choices)

    def rank(choice: Choice) -> tuple[bool, bool, int, float]:
        dear = choice.share > _DEAR and choice.share > least
        return choice.margin_db < _ENOUGH_DB, dear, choice.window, -choice.margin_db

    weak = all(choice.margin_db < _ENOUGH_DB for choice in choices)
    return max(choices, key=lambda choice: choice.margin_db) if weak else min(choices, key=rank)
