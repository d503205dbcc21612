# SPDX-License-Identifier: EUPL-1.2
"""The simulated LD2451 against Hi-Link's "HLK-LD2451 Serial communication protocol" V1.03, never against our driver."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.chips.ld2451 import SETTINGS, Fault, Ld2451Sim
from simulators.clock import Clock
from simulators.vehicles import Direction, Kind, Vehicle
from simulators.wires import SerialPort, Wire

S = 1_000_000
ENABLE = "fdfcfbfa 0400 ff00 0100 04030201"
END = "fdfcfbfa 0200 fe00 04030201"
EMPTY = bytes.fromhex("f4f3f2f1 0000 f8f7f6f5")


class Bench:
    """A module with power, and the bytes it has sent."""

    def __init__(self, vehicles: Iterable[Vehicle] = (), **options: int | float | bool) -> None:
        self.clock = Clock()
        self.port = SerialPort(self.clock)
        self.port.rxbuf = 1 << 24
        self.power = Wire(0)
        options = {"dropout": 0.0, "ghosts": 0, **options}
        self.sim = Ld2451Sim(self.clock, self.port, self.power, vehicles, **options)  # type: ignore[arg-type]
        self.power.drive(1)

    def run(self, seconds: float) -> bytes:
        """What arrived in the next ``seconds``."""
        self.port.received.clear()
        self.clock.run_until(self.clock.now_us + round(seconds * S))
        return bytes(self.port.received)

    def ask(self, *commands: str) -> str:
        """Send and wait; the answers in hexadecimal."""
        for command in commands:
            self.port.transmit(bytes.fromhex(command))
            answer = self.run(0.05)
        return answer.hex()

    def both(self) -> "Bench":
        """Let it report both directions, as a tool would set it."""
        self.run(1)
        self.ask(ENABLE, "fdfcfbfa 0600 0200 64020501 04030201", END)
        return self

    def targets(self, seconds: float) -> list[list[tuple[int, int, int, int, int]]]:
        """Each report's targets: degrees, metres, direction, km/h, SNR."""
        reports = []
        for frame in self.run(seconds).split(bytes.fromhex("f4f3f2f1"))[1:]:
            length = int.from_bytes(frame[:2], "little")
            body, end = frame[2 : 2 + length], frame[2 + length :]
            assert end == bytes.fromhex("f8f7f6f5")
            assert not length or length == 2 + 5 * body[0]
            blocks = [body[n : n + 5] for n in range(2, length, 5)]
            reports.append([(b[0] - 0x80, b[1], b[2], b[3], b[4]) for b in blocks])
        return reports


class TestReports:
    """ "Target data report", ten a second."""

    def test_an_empty_report_is_header_length_and_end(self) -> None:
        bench = Bench()
        bench.run(1)

        assert bench.run(1) == EMPTY * 10

    def test_nothing_comes_before_the_module_has_started(self) -> None:
        assert Bench().run(0.59) == b""

    def test_a_target_has_angle_distance_direction_speed_and_snr(self) -> None:
        bench = Bench([Vehicle(10 * S, 50.0, Direction.APPROACHING, lane_mm=3_000)])
        bench.run(6.8)

        ((target,),) = bench.targets(0.1)  # 3.2 s before the line: 44 m
        degrees, metres, direction, kmh, snr = target

        assert degrees in range(9)  # atan(3 / 44) is 4
        assert metres in range(42, 48)
        assert direction == 1
        assert kmh in (48, 49, 50, 51)
        assert snr in range(10, 45)

    def test_a_car_comes_nearer_and_louder_and_leaves_the_beam(self) -> None:
        bench = Bench([Vehicle(12 * S, 50.0, Direction.APPROACHING, lane_mm=3_000)])

        seen = [report[0] for report in bench.targets(14) if report]

        assert 60 <= seen[0][1] <= 100
        assert seen[-1][1] in range(8, 14)  # 20 degrees off at 8 m
        assert seen[-1][4] > seen[0][4] + 15
        assert all(later[1] <= earlier[1] + 3 for earlier, later in pairwise(seen))

    def test_the_factory_reports_what_approaches_only(self) -> None:
        going = Vehicle(10 * S, 50.0, Direction.RECEDING)

        assert not any(Bench([going]).targets(20))
        assert {target[2] for report in Bench([going]).both().targets(20) for target in report} == {0}

    def test_at_most_five_targets_a_report(self) -> None:
        crowd = [Vehicle(10 * S + n * 400_000, 40.0 + 3 * n, Direction.APPROACHING) for n in range(9)]

        assert max(len(report) for report in Bench(crowd).targets(12)) == 5

    def test_two_echoes_in_one_cell_are_one(self) -> None:
        abreast = [Vehicle(10 * S, 50.0, Direction.APPROACHING, lane_mm=lane) for lane in (2_000, 5_500)]
        apart = [Vehicle(10 * S, 50.0, Direction.APPROACHING), Vehicle(10 * S, 60.0, Direction.APPROACHING)]

        assert sum(len(report) == 2 for report in Bench(abreast).targets(10)) < 30  # noise parts them now and then
        assert sum(len(report) == 2 for report in Bench(apart).targets(10)) > 30

    def test_who_stands_or_creeps_is_not_seen(self) -> None:
        assert not any(Bench([Vehicle(30 * S, 4.0, Direction.APPROACHING)]).targets(30))

    def test_a_bicycle_is_seldom_seen_from_afar_and_a_truck_is(self) -> None:
        far = []
        for kind in (Kind.BICYCLE, Kind.TRUCK):
            reports = Bench([Vehicle(20 * S, 25.0, Direction.APPROACHING, kind)]).targets(20)
            far.append(sum(report[0][1] > 70 for report in reports if report))

        assert far[0] < far[1] / 2

    def test_a_car_behind_a_truck_is_seldom_seen(self) -> None:
        truck = Vehicle(10 * S, 40.0, Direction.APPROACHING, Kind.TRUCK, 9_000, lane_mm=500)
        car = Vehicle(11_800_000, 40.0, Direction.APPROACHING, lane_mm=500)
        alone, hidden = Bench([car]).targets(10), Bench([truck, car]).targets(10)

        def seen(reports: list[list[tuple[int, int, int, int, int]]], more: int) -> int:
            return sum(len(report) > more for report in reports)

        assert seen(hidden, 1) < seen(alone, 0) / 2

    def test_losses_and_ghosts_come_as_often_as_asked(self) -> None:
        car = Vehicle(12 * S, 40.0, Direction.APPROACHING, Kind.TRUCK, 6_000)
        full = sum(map(bool, Bench([car]).targets(12)))
        half = sum(map(bool, Bench([car], dropout=0.5).targets(12)))
        ghosts = sum(map(bool, Bench(ghosts=100).targets(200)))

        assert full * 0.3 < half < full * 0.7
        assert 140 < ghosts < 260

    def test_some_modules_are_silent_when_nothing_moves(self) -> None:
        assert Bench(sends_empty=False).run(10) == b""

    def test_the_same_seed_sends_the_same_bytes(self) -> None:
        car = Vehicle(10 * S, 50.0, Direction.APPROACHING)

        assert Bench([car], seed=5).run(12) == Bench([car], seed=5).run(12) != Bench([car], seed=6).run(12)


class TestCommands:
    """ "Sending command and ACK"; frames as in the document."""

    def test_enable_answers_with_version_and_buffer_size_and_stops_the_reports(self) -> None:
        bench = Bench()
        bench.run(1)

        assert bench.ask(ENABLE).endswith("fdfcfbfa0800ff010000010040000" + "4030201")
        assert bench.run(1) == b""
        assert bench.ask(END) == "fdfcfbfa0400fe01000004030201"
        assert EMPTY in bench.run(1)

    def test_detection_parameters_are_kept_without_power(self) -> None:
        bench = Bench()
        bench.run(1)
        assert bench.ask(ENABLE, "fdfcfbfa 0600 0200 0a010502 04030201") == "fdfcfbfa04000201000004030201"
        bench.power.drive(0)
        bench.run(1)
        bench.power.drive(1)
        bench.run(1)

        assert bench.ask(ENABLE, "fdfcfbfa 0200 1200 04030201") == "fdfcfbfa0800120100000a01050204030201"

    def test_sensitivity_is_set_and_read(self) -> None:
        bench = Bench()
        bench.run(1)

        assert bench.ask(ENABLE, "fdfcfbfa 0600 0300 03060000 04030201") == "fdfcfbfa04000301000004030201"
        assert bench.ask("fdfcfbfa 0200 1300 04030201") == "fdfcfbfa0800130100000306000004030201"

    def test_triggers_are_frames_before_a_target_is_one(self) -> None:
        car = Vehicle(10 * S, 50.0, Direction.APPROACHING)
        bench = Bench([car])
        bench.run(1)
        bench.ask(ENABLE, "fdfcfbfa 0600 0300 0a040000 04030201", END)

        slow = sum(map(bool, bench.targets(10)))
        assert slow < sum(map(bool, Bench([car]).both().targets(10))) - 8

    @pytest.mark.parametrize(
        "command",
        [
            "0200 ab00",  # no such command
            "0400 ff00 0200",  # another value
            "0600 0200 05010502",  # 5 m
            "0600 0200 64030502",  # no such direction
            "0500 0200 640105",  # a value too few
            "0600 0300 00040000",
            "0600 0300 01090000",
            "0400 a100 0900",  # no such baud rate
        ],
    )
    def test_what_it_does_not_know_is_refused(self, command: str) -> None:
        bench = Bench()
        bench.run(1)
        bench.ask(ENABLE)

        answer = bytes.fromhex(bench.ask(f"fdfcfbfa {command} 04030201"))

        assert answer[8:10] == b"\x01\x00"
        assert len(bench.sim.refusals) == 1

    def test_outside_of_configuration_mode_nothing_is_obeyed(self) -> None:
        bench = Bench()
        bench.run(1)
        bench.ask("fdfcfbfa 0600 0200 64020501 04030201")

        assert bench.sim.detection.direction == 1
        assert bench.sim.refusals == ["command 0x0002 outside of configuration mode"]

    def test_a_wrong_frame_or_framing_is_refused(self) -> None:
        bench = Bench()
        bench.run(1)
        bench.ask("00", "fdfcfbfa 0200 fe00 04030202")
        bench.port.settings = SETTINGS._replace(baud=9_600)
        bench.ask("fd")

        assert [why.split(":")[0] for why in bench.sim.refusals] == [
            "no command",
            "no end of a command",
            "wrong framing",
        ]

    def test_a_new_baud_rate_counts_from_the_restart_on(self) -> None:
        bench = Bench()
        bench.run(1)
        bench.ask(ENABLE, "fdfcfbfa 0400 a100 0100 04030201", "fdfcfbfa 0200 a300 04030201")
        bench.run(1)

        assert bench.sim.settings.baud == 9_600
        assert EMPTY not in bench.run(1)

    @given(st.binary(max_size=60))
    def test_any_bytes_leave_it_alive(self, data: bytes) -> None:
        bench = Bench()
        bench.run(1)
        bench.port.transmit(data)
        bench.run(0.1)
        bench.port.transmit(bytes(300))  # whatever it waited for is over
        bench.run(0.1)

        assert bench.ask(ENABLE, END).endswith("fdfcfbfa0400fe01000004030201") or bench.sim.refusals


class TestFaultsAndPower:
    def test_each_fault_is_what_it_says(self) -> None:
        car = Vehicle(8 * S, 50.0, Direction.APPROACHING)
        for fault, sends in ((Fault.ABSENT, False), (Fault.SILENT, False), (Fault.DEAF, True), (Fault.GARBAGE, True)):
            bench = Bench([car])
            bench.sim.fault = fault
            bench.run(2)
            assert bool(bench.run(2)) == sends
            bench.port.transmit(bytes.fromhex(ENABLE))
            bench.run(0.2)
            assert (EMPTY[:4] in bench.run(1)) == (fault is Fault.DEAF)

        swapped = Bench([car])
        swapped.sim.fault = Fault.SWAPPED_DIRECTION
        assert {target[2] for report in swapped.targets(8) for target in report} == {0}

        stuck = Bench([car])
        stuck.run(6)
        stuck.sim.fault = Fault.STUCK
        assert len(set(map(str, stuck.targets(10)))) == 1

        refusing = Bench()
        refusing.run(1)
        refusing.sim.fault = Fault.REFUSING
        assert refusing.ask(ENABLE).endswith("fdfcfbfa0400ff01010004030201")

    def test_noise_spoils_one_byte_in_thirty(self) -> None:
        bench = Bench()
        bench.run(1)
        bench.sim.fault = Fault.NOISY

        sent = bench.run(60)

        assert 100 < sum(byte != EMPTY[n % 10] for n, byte in enumerate(sent)) < 320

    def test_charge_is_120_ma_running_and_60_before(self) -> None:
        bench = Bench()
        bench.run(10.6)

        assert bench.sim.powered_us() == 10_600_000
        assert bench.sim.charge_uc() == pytest.approx(10 * 120_000 + 0.6 * 60_000)
        bench.power.drive(0)
        bench.run(5)
        assert bench.sim.powered_us() == 10_600_000
        assert bench.run(1) == b""
