# SPDX-License-Identifier: EUPL-1.2
"""Waiting for what a town shows."""

import time

from simulators.town import Town


def until(ready, what: str, timeout_s: float = 600.0) -> None:
    """Look again and again; AssertionError when it takes too long."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        assert time.monotonic() < deadline, f"{what} did not happen in {timeout_s:.0f} s"
        time.sleep(0.05)


def drained(town: Town) -> bool:
    """Nothing is left in the gateway's outbox."""
    status = town.get(f"http://127.0.0.1:{town.page_port}/status")
    return status is not None and status["outbox_held"] == 0
