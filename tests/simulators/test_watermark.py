# SPDX-License-Identifier: EUPL-1.2
"""The simulated Watermark by itself: what it shows, and what current it refuses."""

import pytest

from simulators.chips.watermark import Fault, Watermark200ssSim, kpa_from_ohm, ohm_from_kpa
from simulators.clock import Clock
from simulators.wires import Wire


class Bench:
    """Two pins and a clock."""

    def __init__(self, ohm: float | None = 10_000.0) -> None:
        self.clock = Clock(1_000_000)
        self.feed, self.far = Wire(0), Wire(0)
        self.sim = Watermark200ssSim(self.clock, self.feed, self.far, lambda _: (40.0, 24.0))
        self.sim.ohm = ohm

    def flow(self, wire: Wire, us: int) -> int:
        """Current from ``wire`` for so long; what the input shows at its end, uV."""
        wire.drive(1)
        self.clock.run_until(self.clock.now_us + us)
        shown = self.sim.read_uv()
        wire.drive(0)
        return shown

    def rest(self, ms: int) -> None:
        self.clock.run_until(self.clock.now_us + ms * 1000)


class TestDivider:
    """10 kOhm in series, 3.3 V: what Ohm's law says of the node between."""

    @pytest.mark.parametrize(
        ("ohm", "there_uv", "back_uv"), [(10_000.0, 1_650_000, 1_650_000), (5_000.0, 1_100_000, 2_200_000)]
    )
    def test_both_directions_show_their_share_of_the_supply(self, ohm: float, there_uv: int, back_uv: int) -> None:
        bench = Bench(ohm)

        assert (bench.flow(bench.feed, 100), bench.flow(bench.far, 100)) == (there_uv, back_uv)

    def test_without_a_current_it_shows_nothing(self) -> None:
        assert Bench().sim.read_uv() == 0

    def test_a_cut_cable_shows_the_supply_and_a_bridged_one_ground(self) -> None:
        bench = Bench()
        bench.sim.fault = Fault.OPEN
        assert bench.flow(bench.feed, 100) == 3_300_000
        bench.sim.fault = Fault.SHORT
        assert bench.flow(bench.feed, 100) < 10_000


class TestCurve:
    @pytest.mark.parametrize("kpa", [3.0, 10.0, 30.0, 47.0, 60.0, 120.0, 200.0])
    @pytest.mark.parametrize("celsius", [2.0, 24.0, 35.0])
    def test_the_ohms_of_a_tension_have_that_tension(self, kpa: float, celsius: float) -> None:
        # where two branches of the published curve do not meet, a tension lies in the gap
        assert kpa_from_ohm(ohm_from_kpa(kpa, celsius), celsius) == pytest.approx(kpa, abs=4.5)

    def test_the_published_check_values(self) -> None:
        assert [round(kpa_from_ohm(ohm, 24.0), 1) for ohm in (1_000, 2_500, 6_000, 8_000)] == [10.4, 17.7, 35.8, 47.1]


class TestRefusals:
    def test_alternating_current_with_pauses_is_what_it_wants(self) -> None:
        bench = Bench()
        for _ in range(3):
            bench.flow(bench.feed, 100)
            bench.flow(bench.far, 100)
            bench.rest(100)

        assert bench.sim.refusals == []
        assert bench.sim.readings == 3
        assert bench.sim.powered_us() == 600
        assert bench.sim.charge_uc() == pytest.approx(600 * 3.3 / 20_000, rel=1e-6)

    def test_one_direction_alone_is_direct_current(self) -> None:
        bench = Bench()
        bench.flow(bench.feed, 100)
        bench.rest(100)

        assert bench.sim.refusals == ["direct current: 100 us more in one direction"]

    def test_a_direction_longer_than_the_other_is_direct_current(self) -> None:
        bench = Bench()
        bench.flow(bench.feed, 100)
        bench.flow(bench.far, 140)
        bench.rest(100)

        assert bench.sim.refusals == ["direct current: 40 us more in one direction"]

    def test_more_than_200_us_at_a_time_is_direct_current_however_balanced(self) -> None:
        bench = Bench()
        bench.flow(bench.feed, 250)
        bench.flow(bench.far, 250)
        bench.rest(100)

        assert bench.sim.refusals == ["direct current for more than 200 us"]

    def test_a_pin_left_high_is_direct_current(self) -> None:
        bench = Bench()
        bench.far.drive(1)
        bench.rest(10)

        assert bench.sim.refusals == ["direct current for more than 200 us"]

    def test_haste_is_refused(self) -> None:
        bench = Bench()
        for _ in range(2):
            bench.flow(bench.feed, 100)
            bench.flow(bench.far, 100)
            bench.rest(50)

        assert bench.sim.refusals == ["read again after 50 ms"]
