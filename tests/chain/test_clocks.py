# SPDX-License-Identifier: EUPL-1.2
"""Gateways whose clock is wrong, by Debian's libfaketime: 1970, 30 days ahead, an hour behind; or set as they run."""

import os
from pathlib import Path
from typing import Any

import pytest

from simulators.load_town import LoadTown
from simulators.public_readings import get
from tests.chain.load import settled, standing, tapped
from tests.chain.public import until
from tests.chain.wire import in_the_order_sent

FAKETIME = Path(f"/usr/lib/{os.uname().machine}-linux-gnu/faketime/libfaketimeMT.so.1")
CLOCKS = {"1970": "@1970-01-01 00:01:00", "30 days ahead": "+30d", "an hour behind": "-1h"}
RIGHT = "+0"

pytestmark = pytest.mark.skipif(not FAKETIME.exists(), reason="needs Debian's libfaketime: ./setup.sh brokers")


class TownWithWrongClock(LoadTown):
    """Only the gateway's clock is wrong. ``set_clock`` may be called while it runs."""

    def __init__(self, folder: Path, clock: str) -> None:
        super().__init__(folder)
        self._clock = folder / "clock"
        self.set_clock(clock)

    def set_clock(self, clock: str) -> None:
        other = self._clock.with_suffix(".new")
        other.write_text(f"{clock}\n")
        other.replace(self._clock)

    def _start(self, part: str, command: list[str]) -> None:
        faked = [f"LD_PRELOAD={FAKETIME}", f"FAKETIME_TIMESTAMP_FILE={self._clock.resolve()}", "FAKETIME_NO_CACHE=1"]
        faked += ["FAKETIME_DONT_FAKE_MONOTONIC=1"]
        super()._start(part, ["env", *faked, *command] if part == "gateway" else command)

    def gateway_status(self) -> dict[str, Any]:
        return get(f"http://127.0.0.1:{self.page_port}/status")


class TestWrongFromTheStart:
    def test_all_arrives_once_and_in_its_order_whatever_the_clock_was_at_each_start(self, tmp_path):
        town = TownWithWrongClock(tmp_path / "town", RIGHT)
        with tapped(town) as wire:
            town.start_load(pause_ms=5)
            for clock in CLOCKS.values():
                town.kill("gateway")
                town.set_clock(clock)
                goal = town.acknowledged() + 60
                town.start_gateway()
                until(lambda goal=goal: town.acknowledged() >= goal, "uplinks under this clock")
            verdict = settled(town)

        assert verdict.acknowledged >= 180
        assert verdict.is_clean, verdict
        assert wire.orders()
        assert all(in_the_order_sent(keys) for keys in wire.orders().values())


class TestSetWhileItRuns:
    def test_a_backlog_outlives_every_step_and_a_restart(self, tmp_path):
        """Nothing ages: there is no clock by which it could."""
        town = TownWithWrongClock(tmp_path / "town", RIGHT)
        with tapped(town) as wire:
            town.kill("broker")
            town.start_load(pause_ms=20)
            for clock in (*CLOCKS.values(), RIGHT):
                goal = town.acknowledged() + 36
                town.set_clock(clock)
                until(lambda goal=goal: town.acknowledged() >= goal, "uplinks under the new clock")
            town.kill("gateway")
            town.start_gateway()
            town.end_load()
            town.start_broker()
            verdict = settled(town)

        assert verdict.acknowledged >= 144
        assert verdict.is_clean, verdict
        assert all(in_the_order_sent(keys) for keys in wire.orders().values())

    def test_what_nobody_could_date_is_dated_once_the_clock_is_set(self, tmp_path):
        town = TownWithWrongClock(tmp_path / "town", CLOCKS["1970"])
        with standing(town):
            town.start_load(uplinks=10, knows_time=False)
            assert town.wait("nodes", 240) == 0
            waiting = town.gateway_status()["waiting_for_time"]
            town.set_clock(RIGHT)
            until(lambda: town.gateway_status()["waiting_for_time"] == 0, "all dated")
            verdict = settled(town)

        assert waiting == 120
        assert verdict.acknowledged == 120
        assert verdict.is_clean, verdict
