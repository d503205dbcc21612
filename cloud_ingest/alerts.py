# SPDX-License-Identifier: EUPL-1.2
"""When a reference area is to be watered: a pure state machine with hysteresis and debounce.

An area's value is the median of its probes that are well. It becomes dry when at least two samples in a row, spanning
the rule's ``debounce_s``, are beyond ``act``; it is fine again when as many are beyond ``clear``. Times in Unix s.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from itertools import groupby
from statistics import median
from typing import NamedTuple

from cloud_ingest.city import Rule
from cloud_ingest.quality import Probe, Reading, Snapshot, observe, sort_key, state

MIN_SAMPLES = 2


class Sample(NamedTuple):
    """An area's value at a time."""

    at: int
    value: float


class Episode(NamedTuple):
    """One dry time: the samples that made the area dry and fine again (None: still dry), and when it began."""

    opened: Sample
    dry_since: int
    closed: Sample | None


@dataclass(frozen=True)
class Watch:
    """Where an area stands. ``run_*`` describe the samples in a row that speak for a change; ``changed`` is the sample
    that made the last change seen, ``dry_since`` the first of the run that led to a dry area."""

    dry: bool
    run_since: int | None = None
    run_samples: int = 0
    changed: Sample | None = None
    dry_since: int | None = None


def step(rule: Rule, watch: Watch, sample: Sample) -> Watch:
    """The watch after one more ``sample``, later than those before."""
    speaks_for_change = _recovered(rule, sample.value) if watch.dry else _dry(rule, sample.value)
    if not speaks_for_change:
        return replace(watch, run_since=None, run_samples=0)
    since = sample.at if watch.run_since is None else watch.run_since
    samples = watch.run_samples + 1
    if samples < MIN_SAMPLES or sample.at - since < rule.debounce_s:
        return replace(watch, run_since=since, run_samples=samples)
    return Watch(not watch.dry, changed=sample, dry_since=None if watch.dry else since)


def follow(rule: Rule, watch: Watch, samples: Iterable[Sample]) -> Watch:
    """The watch after all ``samples``, oldest first."""
    for sample in samples:
        watch = step(rule, watch, sample)
    return watch


def episodes(rule: Rule, samples: Iterable[Sample]) -> list[Episode]:
    """All dry times in ``samples``, oldest first; the area was fine before."""
    watch = Watch(False)
    found: list[Episode] = []
    for sample in samples:
        was_dry, watch = watch.dry, step(rule, watch, sample)
        if watch.dry and not was_dry:
            assert watch.dry_since is not None
            found.append(Episode(sample, watch.dry_since, None))
        elif was_dry and not watch.dry:
            found[-1] = found[-1]._replace(closed=sample)
    return found


def area_samples(probes: Mapping[str, Probe], readings: Mapping[str, Sequence[Reading]]) -> Iterator[Sample]:
    """The area's value each time a probe that is well adds to it; ``readings`` by probe, in order of ``sort_key``."""
    snapshots = dict.fromkeys(probes, Snapshot())
    streams = ([(sort_key(reading), name, reading) for reading in readings[name]] for name in probes)
    for at, group in groupby(merge(*streams), key=lambda item: item[2].at):
        news = False
        for _, name, reading in group:
            snapshots[name] = observe(snapshots[name], reading, probes[name])
            news |= not reading.temperature
        if not news:
            continue
        value = area_value(probes, snapshots, at)
        if value is not None and any(
            s.at == at and state(s, probes[name], at) == "ok" for name, s in snapshots.items()
        ):
            yield Sample(at, value)


def area_value(probes: Mapping[str, Probe], snapshots: Mapping[str, Snapshot], now: float) -> float | None:
    """The median of the probes that are well at ``now``; None when there is none."""
    values = [
        snapshot.value
        for name, snapshot in snapshots.items()
        if snapshot.value is not None and state(snapshot, probes[name], now) == "ok"
    ]
    return median(values) if values else None


def urgency(rule: Rule, value: float) -> float:
    """How far ``value`` is past the threshold, as a share of it; negative when it is not."""
    beyond = rule.act - value if rule.dry_is_low else value - rule.act
    return beyond / rule.act if rule.act else beyond


def _dry(rule: Rule, value: float) -> bool:
    return value < rule.act if rule.dry_is_low else value > rule.act


def _recovered(rule: Rule, value: float) -> bool:
    return value > rule.clear if rule.dry_is_low else value < rule.clear
