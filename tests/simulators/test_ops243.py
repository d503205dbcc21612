# SPDX-License-Identifier: EUPL-1.2
"""The simulated OPS243-A against OmniPreSense's UM-003 "OPS243-A User Manual", never against our driver."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.chips.ops243 import SETTINGS, Fault, Ops243Sim
from simulators.clock import Clock
from simulators.vehicles import Direction, Vehicle
from simulators.wires import SerialPort, Wire

S = 1_000_000
COMING = Vehicle(12 * S, 50.0, Direction.APPROACHING, lane_mm=2_000)
GOING = Vehicle(4 * S, 50.0, Direction.RECEDING, lane_mm=2_000)


class Bench:
    """A radar with power and what it has said."""

    def __init__(self, vehicles: Iterable[Vehicle] = (), **options: int) -> None:
        self.clock = Clock()
        self.port = SerialPort(self.clock)
        self.port.settings = SETTINGS
        self.port.rxbuf = 1 << 24
        self.power = Wire(0)
        self.sim = Ops243Sim(self.clock, self.port, self.power, vehicles, **{"ghosts": 0, **options})
        self.power.drive(1)
        self.run(1)

    def run(self, seconds: float) -> list[str]:
        """The lines of the next ``seconds``."""
        self.port.received.clear()
        self.clock.run_until(self.clock.now_us + round(seconds * S))
        return self.port.received.decode("latin-1").split()

    def ask(self, commands: str) -> list[str]:
        self.port.transmit(commands.encode())
        return self.run(0.05)


class TestReports:
    """ "Data Output"."""

    def test_the_factory_reports_metres_per_second_of_what_moves_and_nothing_else(self) -> None:
        speeds = [float(line) for line in Bench([COMING]).run(12)]

        assert len(speeds) > 20
        assert 13.0 < max(speeds) < 14.3  # 50 km/h are 13.9 m/s
        assert min(speeds) > 0
        assert Bench().run(5) == []

    def test_what_goes_is_negative(self) -> None:
        assert {float(line) < 0 for line in Bench([GOING]).run(12)} == {True}

    def test_a_report_comes_for_each_buffer(self) -> None:
        bench = Bench()
        bench.ask("BZ")

        assert len(bench.run(10)) in (61, 62)  # 102.4 ms and 60 ms of processing
        bench.ask("S2")
        assert len(bench.run(10)) in range(88, 92)  # 51.2 and 60
        bench.ask("S<")
        assert len(bench.run(10)) in range(115, 119)  # 25.6 and 60
        assert set(bench.run(1)) == {"0.0"}

    @pytest.mark.parametrize(
        ("command", "name", "fastest"),
        [("UK", "km-per-hr", 50), ("US", "mph", 31), ("UF", "ft-per-sec", 45.6), ("UC", "cm-per-sec", 1389)],
    )
    def test_units(self, command: str, name: str, fastest: float) -> None:
        bench = Bench([COMING])

        assert bench.ask(command) == [f'{{"Units":"{name}"}}']
        assert bench.ask("U?") == [f'{{"Units":"{name}"}}']
        assert max(map(float, bench.run(12))) == pytest.approx(fastest, rel=0.03)

    def test_magnitude_comes_first_and_grows_with_nearness(self) -> None:
        bench = Bench([COMING])
        bench.ask("OM")

        pairs = [line.split(",") for line in bench.run(11)]
        magnitudes = [float(magnitude) for magnitude, _ in pairs]

        assert sum(magnitudes[-5:]) > 5 * sum(magnitudes[:5])
        bench.ask("Om")
        assert not any("," in line for line in bench.run(5))

    def test_json_names_the_direction(self) -> None:
        for vehicle, direction in ((COMING, "inbound"), (GOING, "outbound")):
            bench = Bench([vehicle])
            bench.ask("OJ")

            lines = [line for line in bench.run(12) if "direction" in line]
            assert lines
            assert all(f'"direction":"{direction}"' in line for line in lines)

    def test_ten_thousand_samples_do_not_measure_more_than_112_km_h(self) -> None:
        fast = Vehicle(12 * S, 140.0, Direction.APPROACHING, lane_mm=1_000)
        slow, quick = Bench([fast]), Bench([fast])
        quick.ask("S2")

        assert slow.run(12) == []
        assert quick.run(12) != []


class TestFilters:
    """ "Reported Speed/Range/Direction Filter"."""

    def test_direction(self) -> None:
        for command, coming, going in (("R+", True, False), ("R-", False, True), ("R|", True, True)):
            for vehicle, expected in ((COMING, coming), (GOING, going)):
                bench = Bench([vehicle])
                bench.ask(command)
                assert bool(bench.run(12)) == expected

    def test_least_and_most_speed_end_with_a_return(self) -> None:
        for commands, expected in (
            ("UKR>60\n", False),
            ("UKR>40\r", True),
            ("UKR<40\n", False),
            ("UKR<40\nR<0\n", True),
        ):
            bench = Bench([COMING])
            bench.ask(commands)
            assert bool(bench.run(12)) == expected


class TestCounter:
    """ "Simple Counter": begins after 2 reports in a row, ends after 4 without."""

    def test_it_counts_who_passes_and_is_reset(self) -> None:
        bench = Bench([Vehicle(20 * S + n * 20 * S, 50.0, Direction.APPROACHING, lane_mm=2_000) for n in range(3)])
        bench.run(80)

        (answer,) = bench.ask("N?")
        assert answer.startswith('{"DetectedObjectCount":')
        assert 3 <= bench.sim.count <= 6
        assert bench.ask("N!") == ['{"DetectedObjectCount":0}']


class TestPowerAndFaults:
    def test_idle_reports_nothing_and_draws_less(self) -> None:
        bench = Bench()
        bench.ask("BZ")
        before = bench.sim.charge_uc()
        assert bench.run(10)
        active = bench.sim.charge_uc() - before

        bench.ask("PI")
        before = bench.sim.charge_uc()
        assert bench.run(10) == []
        assert bench.sim.charge_uc() - before == pytest.approx(10 * 60_000)
        assert active == pytest.approx(10 * 100_000)
        bench.ask("PA")
        assert bench.run(10)

    def test_nothing_is_kept_without_power(self) -> None:
        bench = Bench()
        bench.ask("UKBZR>9\n")
        bench.power.drive(0)
        bench.run(1)
        bench.power.drive(1)
        bench.run(1)

        assert (bench.sim.units, bench.sim.switches, bench.sim.least) == ("UM", set(), 0.0)
        assert bench.sim.powered_us() == 2_050_000

    def test_what_is_no_command_is_refused(self) -> None:
        bench = Bench()
        bench.ask("QQR>x\n")
        bench.port.settings = SETTINGS._replace(baud=9_600)
        bench.ask("U")

        assert bench.sim.refusals == ["command QQ", "command R>x", "wrong framing"]

    def test_before_it_has_started_it_hears_nothing(self) -> None:
        bench = Bench()
        bench.power.drive(0)
        bench.power.drive(1)
        bench.ask("UK")

        assert bench.sim.refusals == ["character before the radar was ready"]

    def test_each_fault_is_what_it_says(self) -> None:
        for fault, lines, hears in (
            (Fault.ABSENT, False, False),
            (Fault.SILENT, False, False),
            (Fault.DEAF, True, False),
            (Fault.GARBAGE, True, True),
        ):
            bench = Bench([COMING])
            bench.ask("BZ")
            bench.sim.fault = fault
            assert bool(bench.run(8)) == lines
            bench.ask("UK")
            assert (bench.sim.units == "UK") == hears

        bench = Bench([COMING])
        bench.sim.fault = Fault.SWAPPED_DIRECTION
        assert {float(line) < 0 for line in bench.run(12)} == {True}

        bench = Bench([COMING])
        bench.run(9)
        bench.sim.fault = Fault.STUCK
        assert len(set(bench.run(30))) == 1

    @given(st.binary(max_size=40))
    def test_any_characters_leave_it_alive(self, data: bytes) -> None:
        bench = Bench()
        bench.port.transmit(data.replace(b"I", b"").replace(b"P", b""))
        bench.run(0.1)
        bench.ask("\n\n")

        assert bench.ask("UK")[-1:] == ['{"Units":"km-per-hr"}'] or bench.sim.refusals
