# SPDX-License-Identifier: EUPL-1.2
"""Simulated tubes, loops and PIR detectors: when a contact closes, for how long, and how it bounces."""

from itertools import pairwise

import pytest

from simulators.chips.pulse_source import Fault, LoopSim, PirSim, TubesSim
from simulators.clock import Clock
from simulators.vehicles import Direction, Kind, Stop, Vehicle
from simulators.wires import Wire

S = 1_000_000
APPROACHING, RECEDING = Direction.APPROACHING, Direction.RECEDING


class Recorder:
    """A wire and the times of its edges, by level."""

    def __init__(self, clock: Clock, idle: int) -> None:
        self.wire = Wire(idle)
        self.edges: list[tuple[int, int]] = []
        self.wire.watch(lambda level: self.edges.append((clock.now_us, level)))

    def times(self, level: int) -> list[int]:
        return [time_us for time_us, to in self.edges if to == level]


class TestTubes:
    def test_each_axle_closes_first_one_then_the_other_tube(self) -> None:
        for direction, first in ((APPROACHING, 0), (RECEDING, 1)):
            clock = Clock()
            tubes = [Recorder(clock, 1), Recorder(clock, 1)]
            TubesSim(clock, tubes[0].wire, tubes[1].wire, [Vehicle(5 * S, 36.0, direction)], bounces=0)

            clock.run_until(10 * S)

            # 10 m/s: 1 m takes 100 ms, the wheelbase of 2.6 m takes 260
            a, b = tubes[0].times(0), tubes[1].times(0)
            assert a == [5_000_000, 5_260_000]
            assert b == [time_us + (100_000 if first == 0 else -100_000) for time_us in a]
            assert all(10_000 <= open_us - at_us <= 25_000 for at_us, open_us in zip(a, tubes[0].times(1), strict=True))

    def test_contacts_bounce_for_four_milliseconds(self) -> None:
        clock = Clock()
        tube, other = Recorder(clock, 1), Recorder(clock, 1)
        TubesSim(
            clock, tube.wire, other.wire, [Vehicle(5 * S, 36.0, APPROACHING, axles_mm=(0,))] * 1, seed=4, bounces=3
        )

        clock.run_until(10 * S)

        closing = [time_us for time_us, _ in tube.edges if time_us < 5_005_000]
        assert tube.wire.level == 1
        assert closing[-1] - closing[0] <= 4_000
        assert 2 < len(tube.edges) <= 14

    def test_light_axles_make_no_pulse(self) -> None:
        clock = Clock()
        tube, other = Recorder(clock, 1), Recorder(clock, 1)
        many = [Vehicle((5 + n) * S, 36.0, APPROACHING) for n in range(100)]
        TubesSim(clock, tube.wire, other.wire, many, bounces=0, miss=0.2)

        clock.run_until(120 * S)

        assert 130 < len(tube.times(0)) < 190


class TestLoop:
    def test_it_is_closed_while_somebody_is_over_it(self) -> None:
        clock = Clock()
        loop = Recorder(clock, 1)
        LoopSim(clock, loop.wire, [Vehicle(5 * S, 36.0, APPROACHING, length_mm=4_000)], bounces=0)

        clock.run_until(10 * S)

        assert loop.edges == [(5_000_000, 0), (5_600_000, 1)]  # 2 m of loop and 4 of car at 10 m/s

    def test_each_detector_sees_its_own_kind(self) -> None:
        for bicycles, kind, expected in (
            (False, Kind.CAR, 1),
            (False, Kind.BICYCLE, 0),
            (True, Kind.BICYCLE, 1),
            (True, Kind.BUS, 0),
        ):
            clock = Clock()
            sim = LoopSim(clock, Wire(1), [Vehicle(5 * S, 20.0, APPROACHING, kind)], bicycles=bicycles)
            clock.run_until(10 * S)

            assert sim.contact.closings == expected

    def test_faults(self) -> None:
        clock = Clock()
        loop = Recorder(clock, 1)
        sim = LoopSim(clock, loop.wire, [Vehicle(5 * S, 20.0, APPROACHING)], bounces=0)
        sim.fault(Fault.ABSENT)
        clock.run_until(10 * S)
        assert loop.edges == []

        sim.fault(Fault.STUCK)
        clock.run_until(20 * S)
        assert loop.edges == [(10 * S, 0)]
        sim.fault(Fault.CHATTERING)
        clock.run_until(30 * S)
        assert len(loop.times(0)) in range(1_990, 2_010)
        sim.fault(None)
        clock.run_until(40 * S)
        assert loop.edges[-1][0] <= 30 * S
        assert loop.wire.level == 1


class TestPir:
    def test_it_is_high_for_three_seconds_and_then_blocked(self) -> None:
        clock = Clock()
        pir, power = Recorder(clock, 0), Wire(0)
        walkers = [Vehicle(n * S, 5.0, APPROACHING, Kind.PEDESTRIAN) for n in (100, 104, 120, 122, 140)]
        sim = PirSim(clock, pir.wire, power, walkers)
        clock.at(S, lambda: power.drive(1))

        clock.run_until(200 * S)

        # the second comes in the 2.5 s after the first; the fourth holds the third's high
        late = [(time_us, level) for time_us, level in pir.edges if time_us > 70 * S]
        assert late == [(100 * S, 1), (103 * S, 0), (120 * S, 1), (125 * S, 0), (140 * S, 1), (143 * S, 0)]
        assert sim.powered_us() == 199 * S
        assert sim.charge_uc() == pytest.approx(199 * 65)

    def test_it_fires_at_random_while_it_warms_up(self) -> None:
        for seed in range(5):
            clock = Clock()
            pir = Recorder(clock, 0)
            PirSim(clock, pir.wire, Wire(1), seed=seed)
            clock.run_until(100 * S)

            assert 1 <= len(pir.times(1)) <= 3
            assert pir.edges[-1][0] <= 60 * S


class TestVehicles:
    """simulators/vehicles.py: where a vehicle is."""

    def test_its_front_axle_is_on_the_line_at_its_time(self) -> None:
        for direction in Direction:
            for at_mm in (-50_000, -1_000, 0, 1_000, 50_000):
                for stop in (None, Stop(at_mm, 5 * S)):
                    vehicle = Vehicle(100 * S, 50.0, direction, stop=stop)

                    assert abs(vehicle.place(100 * S)[0]) < 1

    def test_it_moves_steadily_and_as_fast_as_it_says(self) -> None:
        vehicle = Vehicle(100 * S, 36.0, APPROACHING)

        assert vehicle.place(95 * S) == (50_000.0, 36.0)
        assert vehicle.place(101 * S) == (-10_000.0, 36.0)
        assert vehicle.axle_times_us() == (100_000_000, 100_260_000)

    def test_a_stop_is_braked_for_waited_out_and_left(self) -> None:
        vehicle = Vehicle(100 * S, 36.0, APPROACHING, stop=Stop(40_000, 10 * S))
        places = [vehicle.place(round(n * S / 10)) for n in range(600, 1_100)]

        assert sum(kmh == 0 for _, kmh in places) in range(98, 103)
        assert all(abs(mm - 40_000) < 1 for mm, kmh in places if kmh == 0)
        assert all(-1 <= before - after <= 1_001 for (before, _), (after, _) in pairwise(places))
        assert all(abs(before - after) <= 0.91 for (_, before), (_, after) in pairwise(places))  # 2.5 m/s2
