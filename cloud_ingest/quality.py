# SPDX-License-Identifier: EUPL-1.2
"""Is a soil probe well? One snapshot per probe, folded from its readings in order of phenomenon time.

Times in Unix seconds. A probe that is not ``ok`` says nothing about its tree: its area may be grey because of it,
never green.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

SILENT_INTERVALS = 3
# How far clocks of nodes, gateways and our own may disagree; what lies further ahead is not yet.
CLOCK_TOLERANCE_S = 300
# Dielectric probes read too dry in frozen soil (Kings Creek, Dec 2022: -9 % for 104 h); above this it has thawed.
FROZEN_BELOW_CEL = 1.0
FROZEN = "frozen"  # what a node says instead of the moisture of frozen soil
# (down to this depth in cm, hours of one identical raw value that a well probe does not show): HUSCO, Hamburg.
_STUCK_AFTER_H = ((20, 48), (40, 120))
_STUCK_AFTER_DEEP_H = 336


class Reading(NamedTuple):
    """One stored reading; a value only when ``flag`` is None. ``temperature`` tells soil temperature from the rest."""

    at: int
    temperature: bool
    value: float | None
    flag: str | None


@dataclass(frozen=True)
class Probe:
    """What judging needs to know of a node."""

    interval_s: int
    depth_cm: int

    @property
    def silent_after_s(self) -> int:
        return SILENT_INTERVALS * self.interval_s

    @property
    def stuck_after_s(self) -> int:
        for depth_cm, hours in _STUCK_AFTER_H:
            if self.depth_cm <= depth_cm:
                return hours * 3600
        return _STUCK_AFTER_DEEP_H * 3600


@dataclass(frozen=True)
class Snapshot:
    """A probe as of its newest reading; ``value`` is the last good one and is held through faults and frost."""

    at: int | None = None
    flag: str | None = None
    value: float | None = None
    value_at: int | None = None
    temperature: float | None = None
    temperature_at: int | None = None
    raw: float | None = None
    raw_at: int | None = None
    flat_since: int | None = None


def sort_key(reading: Reading) -> tuple[int, bool]:
    """Order of judgement: by time; at one time the temperature first, because it says what moisture is worth."""
    return (reading.at, not reading.temperature)


def observe(snapshot: Snapshot, reading: Reading, probe: Probe) -> Snapshot:
    """The snapshot after one more ``reading``, not older than those before."""
    if reading.temperature:
        if reading.flag is not None:
            return snapshot
        return replace(snapshot, temperature=reading.value, temperature_at=reading.at)
    snapshot = replace(snapshot, at=reading.at, flag=reading.flag)
    if _frozen(snapshot, probe):
        return replace(snapshot, raw=None, raw_at=None, flat_since=None)
    if reading.flag is not None or reading.value is None:
        return snapshot
    goes_on = (
        snapshot.raw == reading.value
        and snapshot.raw_at is not None
        and reading.at - snapshot.raw_at <= probe.silent_after_s
    )
    return replace(
        snapshot,
        value=reading.value,
        value_at=reading.at,
        raw=reading.value,
        raw_at=reading.at,
        flat_since=snapshot.flat_since if goes_on else reading.at,
    )


def state(snapshot: Snapshot, probe: Probe, now: float) -> str:
    """One of ok, silent, fault, frozen, stuck; the first that applies of silent, fault, frozen, stuck."""
    if snapshot.at is None or not -CLOCK_TOLERANCE_S <= now - snapshot.at <= probe.silent_after_s:
        return "silent"
    if snapshot.flag not in (None, FROZEN):
        return "fault"
    if _frozen(snapshot, probe):
        return "frozen"
    if snapshot.flat_since is not None and snapshot.at - snapshot.flat_since >= probe.stuck_after_s:
        return "stuck"
    return "ok"


def _frozen(snapshot: Snapshot, probe: Probe) -> bool:
    if snapshot.flag == FROZEN:
        return True
    if snapshot.at is None or snapshot.temperature is None or snapshot.temperature_at is None:
        return False
    return snapshot.temperature < FROZEN_BELOW_CEL and snapshot.at - snapshot.temperature_at <= probe.silent_after_s
