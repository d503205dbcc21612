# SPDX-License-Identifier: EUPL-1.2
"""Is a soil probe well? One snapshot per probe, folded from its readings in order of phenomenon time.

Times in Unix seconds. A probe that is not ``ok`` says nothing about its tree: its area may be grey because of it,
never green.
"""

import json
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

from cloud_ingest.flat_line import FlatLine, followed

SILENT_INTERVALS = 3
# How far clocks of nodes, gateways and our own may disagree; what lies further ahead is not yet.
CLOCK_TOLERANCE_S = 300
# Dielectric probes read too dry in frozen soil (Kings Creek, Dec 2022: -9 % for 104 h); above this it has thawed.
FROZEN_BELOW_CEL = 1.0
STUCK = "stuck"
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
    flat: FlatLine | None = None

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Snapshot":
        fields = json.loads(text)
        if fields["flat"] is not None:
            values, since, until = fields["flat"]
            fields["flat"] = FlatLine(tuple(values), since, until)
        return cls(**fields)


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
        return replace(snapshot, flat=None)
    if reading.flag is not None or reading.value is None:
        return snapshot
    flat = followed(snapshot.flat, reading.at, (reading.value,), probe.silent_after_s)
    return replace(snapshot, value=reading.value, value_at=reading.at, flat=flat)


def state(snapshot: Snapshot, probe: Probe, now: float) -> str:
    """One of ok, silent, fault, frozen, stuck; the first that applies of silent, fault, frozen, stuck."""
    if is_silent(snapshot.at, probe.silent_after_s, now):
        return "silent"
    if snapshot.flag not in (None, FROZEN):
        return "fault"
    if _frozen(snapshot, probe):
        return "frozen"
    return STUCK if stuck_since(snapshot, probe) is not None else "ok"


def is_silent(newest_at: int | None, silent_after_s: int, now: float) -> bool:
    """Nothing came for too long, or what came lies ahead of now."""
    return newest_at is None or not -CLOCK_TOLERANCE_S <= now - newest_at <= silent_after_s


def stuck_since(snapshot: Snapshot, probe: Probe) -> int | None:
    """When the flat line began that lasts too long by now; None without one."""
    flat = snapshot.flat
    return flat.since if flat is not None and flat.lasts_s >= probe.stuck_after_s else None


def _frozen(snapshot: Snapshot, probe: Probe) -> bool:
    if snapshot.flag == FROZEN:
        return True
    if snapshot.at is None or snapshot.temperature is None or snapshot.temperature_at is None:
        return False
    return snapshot.temperature < FROZEN_BELOW_CEL and snapshot.at - snapshot.temperature_at <= probe.silent_after_s
