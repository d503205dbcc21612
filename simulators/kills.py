# SPDX-License-Identifier: EUPL-1.2
"""SIGKILL for gateway, broker and ingest in random order while uplinks flow; then the ledger is held against the store.

The ledger is kept by a process that is never killed. Whoever was killed is started again at once, as systemd would.
"""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

from simulators.load_town import LoadTown, Verdict

PARTS = ("gateway", "broker", "ingest")
_MOST_ALIVE_S = 0.4  # between two kills, at most; the start of a part, during which others run, comes on top
_PAUSE_MS = 20  # between two rounds of uplinks: what is lost is found among few as well as among many
_BOTH = 0.2  # how often a second part is killed at the same moment


class Killed(NamedTuple):
    """A run: what was killed how often, whether anything was lost, and how long it took."""

    kills: Counter[str]
    verdict: Verdict
    wall_s: float


def run(
    folder: Path, kills: int, *, seed: int = 1, nodes: int = 12, progress: Callable[[int], None] = lambda _done: None
) -> Killed:
    """Kill ``kills`` times; raises TownError when a part cannot start or nothing arrives any more."""
    began, dice, done = time.monotonic(), Random(seed), Counter[str]()
    town = LoadTown(folder, nodes=nodes)
    try:
        town.start_services()
        town.start_load(pause_ms=_PAUSE_MS)
        _after_more(town, 1)
        while done.total() < kills:
            time.sleep(dice.uniform(0.0, _MOST_ALIVE_S))
            victims = dice.sample(PARTS, 2 if dice.random() < _BOTH else 1)[: kills - done.total()]
            for part in victims:
                town.kill(part)
                done[part] += 1
            for part in victims:
                getattr(town, f"start_{part}")()
            progress(done.total())
        _after_more(town, 1)
        town.end_load()
        town.drain()
        return Killed(done, town.judge(), time.monotonic() - began)
    finally:
        town.stop()


def _after_more(town: LoadTown, count: int) -> None:
    goal = town.acknowledged() + count
    while town.acknowledged() < goal and town.alive("nodes"):
        time.sleep(0.05)
