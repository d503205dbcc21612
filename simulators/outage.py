# SPDX-License-Identifier: EUPL-1.2
"""A month without a broker: the whole simulated city goes on, the gateway keeps all, and in the end all is public.

Nodes with the real firmware live in virtual time against the real gateway; the real broker is dead for ``days`` of it,
the gateway loses its power now and then, once more while the backlog drains. Then what is public over SensorThings is
held against what was on the air (``frame_ledger``, a LoRaWAN that is not ours) and against when the sensors had power.
"""

import random
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from simulators.city import City
from simulators.city_run import CityRun
from simulators.clock import DAY_US, HOUR_US
from simulators.firmware_build import REPOSITORY
from simulators.frame_ledger import FIELDS, Ledger
from simulators.metric import Metric
from simulators.ports import free_port
from simulators.public_readings import Public, observations
from simulators.town import GATEWAY_EUI, Town, TownError

RESULTS = REPOSITORY / ".bench" / "outage.json"
SAMPLE_S = 60  # a reading's time is that of its wake, at most so far from when its sensors got power
_DARK_US = 2 * HOUR_US  # how long a gateway without power stays so
_CUT_WITHIN_S = 0.5  # of real time: anywhere in the work of a gateway
_PATIENCE_S = 300.0
_DIAGNOSTICS = {name for name, *_ in FIELDS[6]}

Key = tuple[str, str, int]  # tree or station, quantity, Unix time


@dataclass(frozen=True)
class Plan:
    """``days`` without a broker, ``before_days`` with one; ``cuts`` of the gateway's power while there is none."""

    days: float = 30.0
    trees: int = 4
    air: int = 1
    traffic: int = 1
    before_days: float = 0.5
    cuts: int = 3
    interval_s: int = 3600
    seed: int = 1


class Verdict(NamedTuple):
    """Of the ``acknowledged`` readings: not public, there twice, at another time or with another value; of what is
    public: what no node has sent."""

    acknowledged: int
    lost: int
    doubled: int
    wrong_time: int
    wrong_value: int
    unsent: int

    @property
    def is_clean(self) -> bool:
        return not any(self[1:])


def judge(acknowledged: Mapping[Key, float], sent: Mapping[Key, float], public: Public) -> Verdict:
    """Hold what is public against the air. What was sent and not acknowledged may be public or not: a gateway that
    loses power between its commit and its answer has it."""
    found: dict[Key, list[float | None]] = {}
    for (thing, quantity, at, value), count in public.items():
        found.setdefault((thing, quantity, at), []).extend([value] * count)
    missing = [key for key in acknowledged if key not in found]
    strange = [key for key in found if key not in sent]
    moved: Counter[tuple[str, str, float | None]] = Counter(
        (thing, quantity, acknowledged[thing, quantity, at]) for thing, quantity, at in missing
    )
    moved &= Counter((thing, quantity, found[thing, quantity, at][0]) for thing, quantity, at in strange)
    wrong = sum(key in sent and not {None, sent[key]} & set(values) for key, values in found.items())
    return Verdict(
        len(acknowledged),
        len(missing) - moved.total(),
        sum(len(values) - 1 for values in found.values()),
        moved.total(),
        wrong,
        len(strange) - moved.total(),
    )


@dataclass
class Outage:
    """What happened. ``samples``: how often the sensors of a tree or an air station got power after the city knew the
    time; ``farthest_s``: of a public reading from the moment at which its sensors did."""

    plan: Plan
    verdict: Verdict
    public: Public
    backlog_rows: int = 0
    public_before: int = 0
    public_at_return: int = 0
    power_cuts: int = 0
    unheard_frames: int = 0
    samples: int = 0
    samples_public: int = 0
    farthest_s: float = 0.0
    drain_s: float = 0.0
    wall_s: float = 0.0
    complaints: int = 0

    def metrics(self) -> list[Metric]:
        """The rows of the bench."""
        told, verdict = self, self.verdict
        return [
            Metric("days", told.plan.days, "d", None, None),
            Metric("nodes", told.plan.trees + told.plan.air + told.plan.traffic, "1", None, None),
            Metric("power_cuts", told.power_cuts, "1", None, 1, at_least=True),
            Metric("readings", verdict.acknowledged, "1", None, None),
            Metric("lost", verdict.lost, "1", None, 0),
            Metric("doubled", verdict.doubled, "1", None, 0),
            Metric("wrong_time", verdict.wrong_time, "1", None, 0),
            Metric("wrong_value", verdict.wrong_value, "1", None, 0),
            Metric("unsent", verdict.unsent, "1", None, 0),
            Metric("farthest_from_its_sample", told.farthest_s, "s", None, SAMPLE_S),
            Metric("samples_taken", told.samples, "1", None, None),
            Metric("samples_public", told.samples_public, "1", None, None),
            Metric("frames_unheard", told.unheard_frames, "1", None, None),
            Metric("public_meanwhile", told.public_at_return - told.public_before, "1", None, 0),
            Metric("backlog_rows", told.backlog_rows, "1", None, None),
            Metric("drain", round(told.drain_s, 1), "s", None, None),
            Metric("wall", round(told.wall_s), "s", None, None),
            Metric("complaints", told.complaints, "1", None, 0),
        ]


@dataclass
class _Rails:
    """When the sensors of each tree and air station got power, in Unix seconds of the city."""

    at: dict[str, list[float]] = field(default_factory=dict)

    def watch(self, name: str, run: CityRun, index: int) -> None:
        times = self.at.setdefault(name, [])

        def changed(level: int) -> None:
            if level:
                times.append(run.city.start_unix_s + run.clock.now_us / 1e6)

        run.nodes[index].sensor_power.watch(changed)

    def compare(self, public: Public) -> tuple[int, int, float]:
        """How many there were since the first public reading, how many have a reading, and the farthest distance."""
        taken = shown = 0
        farthest = 0.0
        for name, times in self.at.items():
            readings = {at for thing, quantity, at, _ in public if thing == name and quantity not in _DIAGNOSTICS}
            if not readings or not times:
                continue
            near = [_nearest(times, at) for at in readings]
            farthest = max(farthest, *(abs(times[n] - at) for n, at in zip(near, readings, strict=True)))
            first = min(near)
            taken += len(times) - first
            shown += len(set(near))
        return taken, shown, farthest


def _nearest(times: list[float], at: float) -> int:
    """The index of what is nearest to ``at`` in ``times``, which rise."""
    after = bisect_left(times, at)
    return min((n for n in (after - 1, after) if 0 <= n < len(times)), key=lambda n: abs(times[n] - at))


def names(city: City) -> dict[str, str]:
    """DevEUI -> the tree or station as the public knows it."""
    return {node["dev_eui"]: node.get("tree") or node["station"] for node in city.registry()["nodes"]}


def run(folder: Path, plan: Plan, progress: Callable[[float], None] = lambda _done: None) -> Outage:
    """Live through it in ``folder``; ``progress`` is told the share. Raises TownError for a part that cannot run."""
    began = time.monotonic()
    town = Town(folder, http_port=free_port(), nodes=plan.trees, air=plan.air, traffic=plan.traffic, seed=plan.seed)
    frames = folder / "frames.jsonl"
    try:
        town.start_services()
        with (
            frames.open("w", encoding="utf-8") as file,
            CityRun(
                town.city, GATEWAY_EUI, ("127.0.0.1", town.gwmp_port), interval_s=plan.interval_s, frames=file
            ) as city,
        ):
            rails = _Rails()
            for index, device in enumerate(town.city.devices()):
                if device.profile != "traffic":
                    rails.watch(device.name, city, index)
            outage = Outage(plan, Verdict(0, 0, 0, 0, 0, 0), Counter())
            _live(town, city, outage, progress)
            outage.complaints = city.progress()["complaints"]
        ledger = Ledger(frames, town.city.devices())
        outage.public = observations(town.url)
    finally:
        town.stop()
    things = names(town.city)
    sent, acknowledged = (
        {(things[dev_eui], name, at): round(value, 3) for (dev_eui, name, at), value in readings.items()}
        for readings in (
            ledger.readings(town.city.start_unix_s, acknowledged=False),
            ledger.readings(town.city.start_unix_s),
        )
    )
    outage.verdict = judge(acknowledged, sent, outage.public)
    outage.unheard_frames = sum(not uplink.delivered for uplink in ledger.uplinks)
    outage.samples, outage.samples_public, outage.farthest_s = rails.compare(outage.public)
    outage.wall_s = time.monotonic() - began
    return outage


def _live(town: Town, city: CityRun, outage: Outage, progress: Callable[[float], None]) -> None:
    plan = outage.plan
    begin_us, end_us = round(plan.before_days * DAY_US), round((plan.before_days + plan.days) * DAY_US)
    dice = random.Random(f"outage {plan.seed}")

    def until(time_us: int) -> None:
        while city.clock.now_us < time_us:
            city.run_until(min(time_us, city.clock.now_us + HOUR_US))
            progress(city.clock.now_us / end_us)

    until(begin_us)
    _drain(town)
    outage.public_before = _stored(town)
    town.kill("broker")
    for cut in range(plan.cuts):
        until(begin_us + (cut + 1) * (end_us - begin_us) // (plan.cuts + 1))
        surprise = threading.Timer(dice.uniform(0, _CUT_WITHIN_S), town.kill, ["gateway"])
        surprise.start()
        while surprise.is_alive() and city.clock.now_us < end_us:
            until(city.clock.now_us + HOUR_US)
        surprise.join()
        until(min(city.clock.now_us + _DARK_US, end_us))
        town.start_gateway()
        outage.power_cuts += 1
    until(end_us)
    outage.public_at_return, outage.backlog_rows = _stored(town), _held(town)
    returned = time.monotonic()
    town.start_broker()
    _drain(town, least=outage.backlog_rows // 2)
    town.kill("gateway")
    town.start_gateway()
    outage.power_cuts += 1
    _drain(town)
    outage.drain_s = time.monotonic() - returned


def _held(town: Town) -> int:
    return _asked(town, "gateway", f"http://127.0.0.1:{town.page_port}/status", "outbox_held")


def _stored(town: Town) -> int:
    return _asked(town, "ingest", f"{town.url}/api/status", "readings")


def _asked(town: Town, part: str, url: str, name: str) -> int:
    """A number that ``part`` tells; a machine that is busy is asked again. Raises TownError."""
    deadline = time.monotonic() + _PATIENCE_S
    while (status := town.get(url)) is None:
        if not town.alive(part) or time.monotonic() > deadline:
            raise TownError(part, f"does not answer: {town.last_line(part)}")
        time.sleep(0.05)
    return int(status[name])


def _drain(town: Town, least: int = 0) -> None:
    """Wait until the gateway holds so many rows or fewer; raises TownError when it gets no nearer to that."""
    before, since = _held(town), time.monotonic()
    while (held := _held(town)) > least:
        if held < before:
            before, since = held, time.monotonic()
        if time.monotonic() - since > _PATIENCE_S:
            raise TownError("gateway", f"still holds {held} rows, no less than {_PATIENCE_S:.0f} s ago")
        time.sleep(0.05)
