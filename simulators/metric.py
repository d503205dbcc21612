# SPDX-License-Identifier: EUPL-1.2
"""What a bench has found: rows, and the file that keeps them for whoever compares."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Metric(NamedTuple):
    """One row. ``goal`` None: only told; otherwise ``value`` must be at most (``at_least``: at least) that."""

    metric: str
    value: float
    unit: str
    baseline: float | None
    goal: float | None
    at_least: bool = False

    @property
    def holds(self) -> bool | None:
        if self.goal is None:
            return None
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    def as_json(self) -> dict[str, Any]:
        return {
            "metric": self.metric,
            "value": self.value,
            "unit": self.unit,
            "baseline": self.baseline,
            "goal": self.goal,
            "holds": self.holds,
        }


def write(metrics: Sequence[Metric], path: Path) -> None:
    """Into a file of its own, in place of what was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([metric.as_json() for metric in metrics], indent=1) + "\n")
