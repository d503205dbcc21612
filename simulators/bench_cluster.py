# SPDX-License-Identifier: EUPL-1.2
"""How long the city's data stands still when a node of the broker's cluster fails, and where that time goes.

The real gateway and ingest, the cluster as it is shipped, uplinks all the time. All parts have one machine's clock, so
what their logs say can be compared. A killed node comes back, and is in step again, before the next one is killed.
"""

import os
import random
import re
import sqlite3
import statistics
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from simulators.cluster_town import HOSTS, ClusterTown
from simulators.firmware_build import REPOSITORY
from simulators.load_town import Verdict
from simulators.metric import Metric
from simulators.town import TownError

RESULTS = REPOSITORY / ".bench" / "cluster.json"
GOAL_S = 10.0
STREAM, META, GATEWAY, INGEST, PLAIN = "stream", "meta", "gateway", "ingest", "plain"
ROLES = (STREAM, META, GATEWAY, INGEST, PLAIN)
_PAUSE_MS = 50  # between two rounds of uplinks
_LOOK_S = 0.01
_WATCH_S = 11.0  # after a kill: no first election begins later
_SETTLE_S = 10.0  # after a node's return: its groups may be in step later than it says
_FLOWS_S = 6.0  # without a pause of a second: it flows again, and the gateway's connection is a steady one
_STANDS_STILL_S = 1.0
_PATIENCE_S = 180.0
# What a publish, a connection or the ingest cannot do without. A new leader says so himself.
_ELECTED = re.compile(
    r"Self is new JetStream cluster metadata leader"
    r"|new stream leader for '[^']*MQTT_(msgs|sess|rmsgs|out|qos2in)'"
    r"|new consumer leader for '[^']* > stadtfunk-ingest'"
)
_STAMP = re.compile(r"(?:\[\d+\] )?(\d{4})[-/](\d\d)[-/](\d\d) (\d\d:\d\d:\d\d)[.,](\d{3,6})")


class Kill(NamedTuple):
    """What one SIGKILL did; all but ``roles`` in seconds. ``stall``: the longest time without a commit in the store.
    The others are when something happened after the kill, None if it did not: the gateway's connection ended, the last
    election that was needed was over, the gateway was connected with its status acknowledged, commits went on."""

    roles: frozenset[str]
    stall: float
    noticed: float | None = None
    elected: float | None = None
    connected: float | None = None
    committed: float | None = None

    @property
    def stands_still(self) -> bool:
        return self.stall >= _STANDS_STILL_S


class Outcome(NamedTuple):
    """All kills, what the ledger says in the end, and the machine's highest load average of a minute."""

    kills: list[Kill]
    verdict: Verdict
    load: float


class Commits(threading.Thread):
    """Notes when the store grows, as Unix times in ``at``."""

    def __init__(self, store: Path) -> None:
        super().__init__(name="commits", daemon=True)
        self.at: list[float] = []
        self._store = store
        self._stopping = threading.Event()

    def run(self) -> None:
        before = None
        with closing(sqlite3.connect(f"file:{self._store}?mode=ro", uri=True)) as database:
            while not self._stopping.wait(_LOOK_S):
                found = database.execute("SELECT value FROM counters WHERE name = 'uplinks' AND reason = 'applied'")
                if (count := found.fetchone()) != before:
                    before = count
                    self.at.append(time.time())

    def stop(self) -> None:
        self._stopping.set()
        self.join()

    def flow(self) -> bool:
        return flows(self.at[-1000:], time.time())


def flows(commits: Sequence[float], now: float) -> bool:
    """Whether they have followed each other for a while."""
    recent = [*commits, now]
    first = bisect_left(recent, now - _FLOWS_S)
    return first > 0 and all(after - before < _STANDS_STILL_S for before, after in pairwise(recent[first - 1 :]))


def longest_stall(commits: Sequence[float], since: float) -> tuple[float, float]:
    """The longest time between two commits, from the last one before ``since`` on; and when it ended."""
    times = commits[max(bisect_left(commits, since) - 1, 0) :]
    return max((after - before, after) for before, after in pairwise(times))


def run(
    folder: Path,
    kills: int,
    *,
    hang: bool = False,
    seed: int = 1,
    progress: Callable[[Kill], None] = lambda _kill: None,
) -> Outcome:
    """Kill ``kills`` times, somebody of each role in turn; raises TownError when it does not go on.

    ``hang``: the node falls silent first, and is killed when all goes on without it."""
    dice, done, load = random.Random(seed), list[Kill](), 0.0
    town = ClusterTown(folder)
    try:
        town.start_services()
        town.start_load(pause_ms=_PAUSE_MS)
        _until(lambda: town.acknowledged() > 0, "first uplinks")
        commits = Commits(folder / "stadtfunk.db")
        commits.start()
        for number in range(kills):
            _until(commits.flow, "commits")
            done.append(_kill(town, commits, ROLES[number % len(ROLES)], hang, dice))
            load = max(load, os.getloadavg()[0])
            progress(done[-1])
        commits.stop()
        town.end_load()
        town.drain()
        return Outcome(done, town.judge(), load)
    finally:
        town.stop()


def _kill(town: ClusterTown, commits: Commits, role: str, hang: bool, dice: random.Random) -> Kill:
    roles = _roles(town)
    everyone = range(len(HOSTS))
    victim = dice.choice([number for number in everyone if role in roles[number]] or everyone)
    time.sleep(dice.uniform(0.0, 1.0))  # anywhere between two heartbeats
    killed_at = time.time()
    if hang:
        town.hang(victim)
    else:
        town.kill(f"node-{victim}")
    _until(lambda: time.time() - killed_at > _WATCH_S and commits.flow(), "commits after a kill")
    kill = dissect(
        roles[victim], killed_at, commits.at, (town.folder / "gateway.log").read_text("utf-8", "replace"),
        [(town.folder / f"node-{number}.log").read_text("utf-8", "replace") for number in everyone],
    )  # fmt: skip
    if hang:
        town.kill(f"node-{victim}")
    town.start_node(victim)
    _until(lambda: all(town.is_healthy(number) for number in everyone), "the node's return")
    time.sleep(_SETTLE_S)
    return kill


def dissect(
    roles: frozenset[str], killed_at: float, commits: Sequence[float], gateway: str, nodes: Iterable[str]
) -> Kill:
    """What the logs of the gateway and of the nodes say of a kill."""
    stall, ended_at = longest_stall(commits, killed_at)
    if stall < _STANDS_STILL_S:
        return Kill(roles, stall)
    until = ended_at + _STANDS_STILL_S  # a log may be behind
    heard = [(at, text) for at, text in stamped(gateway) if killed_at <= at <= until]
    lost = [at for at, text in heard if "broker lost" in text]
    connected = [at for at, text in heard if "broker connected" in text]
    elected = [
        at for log in nodes for at, text in stamped(log) if killed_at <= at <= ended_at and _ELECTED.search(text)
    ]
    noticed, last, stood = min(lost, default=None), max(elected, default=None), max(connected, default=None)
    after = (None if at is None else at - killed_at for at in (noticed, last, stood, ended_at))
    return Kill(roles, stall, *after)


def stamped(log: str) -> Iterator[tuple[float, str]]:
    """Lines with their times, as ours and as nats-server writes them."""
    for line in log.splitlines():
        if found := _STAMP.match(line):
            year, month, day, clock, fraction = found.groups()
            yield datetime.fromisoformat(f"{year}-{month}-{day}T{clock}.{fraction:0<6}").timestamp(), line


def _roles(town: ClusterTown) -> list[frozenset[str]]:
    leaders = None
    ends_at = time.monotonic() + _PATIENCE_S
    while (leaders := town.leaders()) is None:
        if time.monotonic() > ends_at:
            raise TownError("cluster", "has no leaders")
        time.sleep(_LOOK_S)
    gateway = _last_host(town.folder / "gateway.log", r"broker connected host=(\S+)")
    ingest = _last_host(town.folder / "ingest.log", r"stream connected server=tls://([^:]+)")
    holds = {
        STREAM: HOSTS[leaders.stream], META: HOSTS[leaders.meta], GATEWAY: gateway, INGEST: ingest,
    }  # fmt: skip
    return [frozenset(role for role, at in holds.items() if at == host) or frozenset({PLAIN}) for host in HOSTS]


def _last_host(log: Path, pattern: str) -> str:
    found = re.findall(pattern, log.read_text("utf-8", "replace"))
    return str(found[-1]) if found else ""


def _until(condition: Callable[[], object], what: str) -> None:
    ends_at = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > ends_at:
            raise TownError("cluster", f"waited in vain for {what}")
        time.sleep(0.05)


def metrics(outcome: Outcome) -> list[Metric]:
    """The rows of the bench; of parts, those of the kills after which something stood still."""
    kills, verdict, load = outcome
    still = [kill for kill in kills if kill.stands_still]
    rows = [
        Metric("kills", len(kills), "1", None, None),
        Metric("kills_with_a_stall", len(still), "1", None, None),
        *_spread("stall", [kill.stall for kill in still], GOAL_S),
    ]
    for role in ROLES:
        stalls = [kill.stall for kill in kills if role in kill.roles]
        rows.append(Metric(f"kills_{role}", len(stalls), "1", None, None))
        rows += _spread(f"stall_{role}", stalls, GOAL_S)
    for part in ("noticed", "elected", "connected", "committed"):
        rows += _spread(part, [at for kill in still if (at := getattr(kill, part)) is not None], None)
    rest = [k.committed - k.elected for k in still if k.committed is not None and k.elected is not None]
    rows += _spread("committed_after_elected", rest, None)
    rows += [Metric(name, getattr(verdict, name), "1", None, 0) for name in ("lost", "doubled", "gaps")]
    return [*rows, Metric("load_average", round(load, 1), "1", None, None)]


def _spread(name: str, values: Sequence[float], goal: float | None) -> Iterator[Metric]:
    if values:
        yield Metric(f"{name}_p50", round(statistics.median(values), 2), "s", None, None)
        yield Metric(f"{name}_max", round(max(values), 2), "s", None, goal)
