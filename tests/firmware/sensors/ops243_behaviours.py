# SPDX-License-Identifier: EUPL-1.2
"""What the OPS243-A driver must do, as functions of its module, so that broken drivers can be tried too.

UM = OmniPreSense UM-003 "OPS243-A User Manual". Reports are those lines that it shows: speed, or magnitude and speed.
"""

from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from simulators.chips.ops243 import SETTINGS, Fault, Ops243Sim
from simulators.inprocess import Time
from simulators.inprocess_buses import Uart
from simulators.vehicles import Direction, Vehicle
from simulators.wires import SerialSettings, Wire
from tests.firmware.sensors.traffic_rig import RadarLine, S

Behaviour = Callable[[ModuleType], None]

UNITS = '{"Units":"km-per-hr"}'
APPROACHING, RECEDING = Direction.APPROACHING, Direction.RECEDING


class Radar(RadarLine):
    """The line with a simulated OPS243-A, powered now."""

    def __init__(
        self,
        driver: ModuleType,
        vehicles: Iterable[Vehicle] = (),
        fault: Fault | None = None,
        *,
        start_s: float = 5,
        **options: Any,
    ) -> None:
        super().__init__(driver, "Ops243", **options)
        self.power = Wire(0)
        self.sim = Ops243Sim(self.clock, self.port, self.power, vehicles, ghosts=0)
        self.sim.fault = fault
        self.power.drive(1)
        self.ready_ms = self.driver.start()
        self.run(start_s)


class Script(RadarLine):
    """The line with somebody who hears everything, answers with its units and says what a test wants."""

    def __init__(self, driver: ModuleType, *, answer: str = UNITS, **options: Any) -> None:
        super().__init__(driver, "Ops243", **options)
        self.port.device = self
        self.heard = ""
        self.answer = answer
        self.driver.start()

    def byte_received(self, byte: int, settings: SerialSettings) -> None:
        assert settings == SETTINGS
        self.heard += chr(byte)
        if self.heard.endswith("U?") and self.answer:
            self.say(self.answer)

    def say(self, line: str) -> None:
        self.port.answer(line.encode("latin-1") + b"\r\n", SETTINGS)

    def reports(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.say(line)
            self.run(0.1, 100_000)

    def configured(self) -> "Script":
        self.reports(["0.0"] * 30)
        assert self.read() == [0, 0, 0, 0, 0, 0]
        return self


NOTHING = ["0.0"] * 15


def coming(kmh: float, reports: int = 20, first: float = 50.0) -> list[str]:
    """Nearer and nearer: the magnitude grows."""
    return [f"{first * (1 + n / 2):.1f},{kmh:.1f}" for n in range(reports)]


def going(kmh: float, reports: int = 20) -> list[str]:
    return [line.replace(",", ",-") for line in reversed(coming(kmh, reports))]


def counted(driver: ModuleType, *reports: list[str], **options: Any) -> Any:
    line = Script(driver, **options).configured()
    line.reports([report for part in reports for report in part] + NOTHING)
    return line.read()


def cars(count: int, direction: Direction, kmh: float, begin_us: int = 20 * S) -> list[Vehicle]:
    return [Vehicle(begin_us + n * 15 * S, kmh, direction) for n in range(count)]


# UM "Data Output"


def counts_who_drives_past(driver: ModuleType) -> None:
    road = sorted([*cars(5, APPROACHING, 44.0), *cars(4, RECEDING, 60.0, 27 * S)])
    radar = Radar(driver, road)

    radar.run(120)

    assert radar.read() == [0, 5, 0, 0, 0, 4]
    assert radar.read() == [0, 0, 0, 0, 0, 0]
    assert radar.sim.refusals == []


def a_passage_counts_when_it_is_over(driver: ModuleType) -> None:
    line = Script(driver).configured()
    line.reports(coming(40.0))
    assert line.read() == [0, 0, 0, 0, 0, 0]

    line.reports(NOTHING)
    assert line.read() == [0, 1, 0, 0, 0, 0]


def sign_and_speed_make_direction_and_class(driver: ModuleType) -> None:
    for reports, expected in (
        (coming(29.9), [1, 0, 0, 0, 0, 0]),
        (coming(30.0), [0, 1, 0, 0, 0, 0]),
        (coming(50.0), [0, 1, 0, 0, 0, 0]),
        (coming(50.1), [0, 0, 1, 0, 0, 0]),
        (going(29.9), [0, 0, 0, 1, 0, 0]),
        (going(44.0), [0, 0, 0, 0, 1, 0]),
        (going(70.0), [0, 0, 0, 0, 0, 1]),
    ):
        assert counted(driver, reports) == expected


def reports_without_magnitude_and_as_json_count_too(driver: ModuleType) -> None:
    assert counted(driver, ["40.5"] * 10) == [0, 1, 0, 0, 0, 0]
    assert counted(driver, ["-40.5"] * 10) == [0, 0, 0, 0, 1, 0]
    assert counted(driver, ['{"speed":40.5, "direction":"inbound", "time":105, "tick":135}'] * 10) == [0, 1, 0, 0, 0, 0]
    assert counted(driver, ['{"magnitude":120, "speed":"55", "direction":"outbound"}'] * 10) == [0, 0, 0, 0, 0, 1]


def lines_end_with_either_or_both(driver: ModuleType) -> None:
    for end in ("\r", "\n", "\n\r"):
        line = Script(driver).configured()
        line.port.answer(end.join([*coming(40.0), *NOTHING, ""]).encode(), SETTINGS)
        line.run(1)

        assert line.read() == [0, 1, 0, 0, 0, 0]


def classes_and_direction_are_settings(driver: ModuleType) -> None:
    reports = coming(40.0), NOTHING, coming(60.0), NOTHING, going(100.0)

    assert counted(driver, *reports, slow_below_kmh=50, fast_above_kmh=90) == [1, 1, 0, 0, 0, 1]
    turned = [[line.replace(",", ",-").replace("--", "") for line in part] for part in reports]
    assert counted(driver, *turned, swapped=True) == [0, 1, 1, 0, 0, 1]


def the_speed_is_the_highest_but_no_outlier(driver: ModuleType) -> None:
    slower = [f"{50 + 5 * n}.0,{46.0 - 0.4 * n:.1f}" for n in range(16)]  # the angle grows
    assert counted(driver, slower, slow_below_kmh=45) == [0, 1, 0, 0, 0, 0]

    outlier = coming(44.0)
    outlier[8] = outlier[8].replace("44.0", "51.5")
    assert counted(driver, outlier) == [0, 1, 0, 0, 0, 0]


# Who is somebody else


def single_reports_are_nobody(driver: ModuleType) -> None:
    assert counted(driver, ["90.0,44.0"] * 3) == [0, 0, 0, 0, 0, 0]
    assert counted(driver, ["90.0,44.0"] * 4) == [0, 1, 0, 0, 0, 0]
    assert counted(driver, ["90.0,44.0", *NOTHING] * 6) == [0, 0, 0, 0, 0, 0]


def reports_missing_in_between_do_not_part(driver: ModuleType) -> None:
    gaps = coming(40.0)
    gaps[6:6] = ["0.0"] * 9
    gaps[3:3] = ["0.0"] * 2

    assert counted(driver, gaps) == [0, 1, 0, 0, 0, 0]


def a_pause_parts(driver: ModuleType) -> None:
    assert counted(driver, coming(40.0), ["0.0"] * 12, coming(41.0)) == [0, 2, 0, 0, 0, 0]


def another_speed_parts(driver: ModuleType) -> None:
    assert counted(driver, coming(45.0, 10), coming(60.0, 10, 320.0)) == [0, 1, 1, 0, 0, 0]
    assert counted(driver, coming(45.0, 10), coming(52.0, 10, 320.0)) == [0, 0, 1, 0, 0, 0]


def a_magnitude_that_begins_anew_parts(driver: ModuleType) -> None:
    assert counted(driver, coming(45.0), coming(46.0)) == [0, 2, 0, 0, 0, 0]
    assert counted(driver, going(45.0), going(46.0)) == [0, 0, 0, 0, 2, 0]


def fading_does_not_part(driver: ModuleType) -> None:
    for clean in (coming(45.0), going(45.0)):
        faded = list(clean)
        for n in (5, 9, 13):
            magnitude, _, speed = faded[n].partition(",")
            faded[n] = f"{float(magnitude) / 3:.1f},{speed}"

        assert sum(counted(driver, faded)) == 1


def one_wild_report_does_not_part(driver: ModuleType) -> None:
    wild = coming(45.0)
    wild[7] = "300.0,80.0"
    wild[12] = "2.0,45.0"

    assert counted(driver, wild) == [0, 1, 0, 0, 0, 0]


def two_who_meet_are_two(driver: ModuleType) -> None:
    both = [line for pair in zip(coming(40.0), going(50.0), strict=True) for line in pair]

    assert counted(driver, both) == [0, 1, 0, 0, 1, 0]


# UM "API Commands"


def configures_what_counting_needs(driver: ModuleType) -> None:
    radar = Radar(driver, least_kmh=10)

    assert radar.sim.units == "UK"
    assert radar.sim.switches == {"OM", "BZ"}
    assert (radar.sim.samples_per_s, radar.sim.only, radar.sim.least, radar.sim.most) == (20_000, "R|", 10.0, 0.0)
    assert radar.sim.refusals == []


def one_direction_is_enough(driver: ModuleType) -> None:
    road = sorted([*cars(3, APPROACHING, 44.0), *cars(3, RECEDING, 60.0, 27 * S)])
    for only, expected in (("+", [0, 3, 0, 0, 0, 0]), ("-", [0, 0, 0, 0, 0, 3])):
        radar = Radar(driver, road, only=only)
        radar.run(80)

        assert radar.read() == expected
        assert radar.sim.only == "R" + only


def stop_saves_power_and_start_ends_that(driver: ModuleType) -> None:
    radar = Radar(driver)
    radar.driver.stop()
    radar.run(1)
    before = radar.sim.charge_uc()
    radar.run(100)
    assert radar.sim.charge_uc() - before < 65_000 * 100
    assert radar.sim.refusals == []

    radar.driver.start()
    radar.run(10)
    radar.read()
    radar.run(10)
    assert radar.read() == [0, 0, 0, 0, 0, 0]


def other_units_are_not_taken(driver: ModuleType) -> None:
    line = Script(driver, answer='{"Units":"m-per-sec"}')
    line.reports(coming(40.0) + NOTHING)

    assert line.read() != [0, 1, 0, 0, 0, 0]
    assert isinstance(line.read(), str)


def it_is_configured_until_it_answers(driver: ModuleType) -> None:
    line = Script(driver, answer="")
    line.reports(["0.0"] * 25)
    line.answer = UNITS
    line.reports(["0.0"] * 30)
    line.read()
    assert 2 <= line.heard.count("PA") <= 4
    heard = line.heard
    line.reports(coming(40.0) + NOTHING)

    assert line.read() == [0, 1, 0, 0, 0, 0]
    assert line.heard == heard


# Faults


def asks_for_three_seconds(driver: ModuleType) -> None:
    radar = Radar(driver, start_s=0)
    assert radar.ready_ms == 3_000
    assert radar.read() == "not_ready"

    radar.run(3)
    assert radar.read() == [0, 0, 0, 0, 0, 0]


def an_absent_radar_is_no_answer_soon_and_for_ever(driver: ModuleType) -> None:
    for fault in (Fault.ABSENT, Fault.SILENT):
        radar = Radar(driver, cars(5, APPROACHING, 45.0), fault)

        assert radar.read() == "no_answer"
        for _ in range(3):
            radar.run(20)
            assert radar.read() == "no_answer"


def a_radar_that_does_not_hear_is_no_answer_though_it_reports(driver: ModuleType) -> None:
    radar = Radar(driver, cars(5, APPROACHING, 45.0), Fault.DEAF)

    radar.run(60)

    assert radar.read() == "no_answer"


def silence_is_a_fault_not_a_zero(driver: ModuleType) -> None:
    line = Script(driver).configured()
    line.reports(coming(40.0) + NOTHING)
    line.run(2.6)
    line.reports(["0.0"] * 50)
    assert line.read() == "no_answer"

    line.reports(coming(40.0) + NOTHING)
    assert line.read() == [0, 1, 0, 0, 0, 0]
    line.run(1.5)
    line.reports(["0.0"] * 20)
    assert line.read() == [0, 0, 0, 0, 0, 0]


def a_radar_comes_back_by_itself(driver: ModuleType) -> None:
    radar = Radar(driver, cars(30, APPROACHING, 45.0))
    radar.power.drive(0)
    radar.run(30)
    assert radar.read() == "no_answer"

    radar.power.drive(1)
    radar.run(30)
    radar.read()
    radar.run(150)
    assert radar.read() == [0, 10, 0, 0, 0, 0]
    assert radar.sim.units == "UK"


def garbage_is_a_bad_answer(driver: ModuleType) -> None:
    radar = Radar(driver)
    radar.sim.fault = Fault.GARBAGE
    radar.run(20)

    assert radar.read() == "bad_answer"


def a_line_now_and_then_that_means_nothing_is_nothing(driver: ModuleType) -> None:
    wrong = coming(40.0)
    wrong[4:4] = ["4.4.4", "x", ",,", "-", "12,", '{"Clock":"54"}', "9" * 200, "1234567890.0", "\xff\xfe"]

    assert counted(driver, ["0.0"] * 60, wrong) == [0, 1, 0, 0, 0, 0]


def many_lines_that_mean_nothing_are_a_bad_answer(driver: ModuleType) -> None:
    assert counted(driver, ["0.0", "x"] * 30) == "bad_answer"


def a_speed_that_never_changes_is_stuck(driver: ModuleType) -> None:
    assert counted(driver, ["90.0,44.0"] * 80) == "stuck"
    assert counted(driver, ["90.0,44.0"] * 50, NOTHING, ["90.0,44.0"] * 50) == [0, 2, 0, 0, 0, 0]

    radar = Radar(driver, cars(3, APPROACHING, 45.0), start_s=10)
    radar.run(1.2)
    radar.sim.fault = Fault.STUCK
    radar.run(30)
    assert radar.read() == "stuck"


def nothing_is_lost_while_the_radio_joins(driver: ModuleType) -> None:
    radar = Radar(driver, cars(8, APPROACHING, 45.0))

    radar.run(140, every_us=7 * S)

    assert radar.read() == [0, 8, 0, 0, 0, 0]
    assert radar.port.lost == 0


def a_full_buffer_is_a_bad_answer(driver: ModuleType) -> None:
    line = Script(driver).configured()
    for n in range(500):
        line.say(f"{n}.0,40.0")
    line.clock.run_until(line.clock.now_us + 4 * S)
    assert line.port.lost > 0
    line.driver.poll()
    line.reports(["0.0"] * 20)

    assert line.read() == "bad_answer"


def a_poll_ends_on_a_line_that_babbles(driver: ModuleType) -> None:
    class Babbling(Uart):
        def readinto(self, buffer: bytearray | memoryview) -> int:
            self._call()
            assert self._clock.now_us < 71 * S // 10
            buffer[:] = b"0" * len(buffer)
            return len(buffer)

    line = RadarLine(driver, "Ops243")
    line.driver = driver.Ops243(Babbling(line.clock, line.port), Time(line.clock))
    line.driver.start()
    line.driver.poll()


# Privacy: "Never a single vehicle's record"


def nothing_of_a_vehicle_is_left_when_it_has_gone(driver: ModuleType) -> None:
    line = Script(driver).configured()
    line.reports(coming(41.0) + NOTHING)

    assert line.driver._last == b""
    for passage in (line.driver._inbound, line.driver._outbound):
        assert not any((passage._hits, passage._speed, passage._top, passage._magnitude, passage._best))


def numbers_are_tenths(driver: ModuleType) -> None:
    for text, tenths in (
        (b"12.34", 123),
        (b"-0.5", -5),
        (b"40", 400),
        (b" 7.0 ", 70),
        (b"", None),
        (b"-", None),
        (b"1.x", None),
        (b"1-2", None),
        (b".5", None),
        (b"123456789.0", None),
    ):
        assert driver.number(text) == tenths


BEHAVIOURS: list[Behaviour] = [
    a_passage_counts_when_it_is_over,
    sign_and_speed_make_direction_and_class,
    reports_without_magnitude_and_as_json_count_too,
    classes_and_direction_are_settings,
    the_speed_is_the_highest_but_no_outlier,
    single_reports_are_nobody,
    reports_missing_in_between_do_not_part,
    a_pause_parts,
    another_speed_parts,
    a_magnitude_that_begins_anew_parts,
    fading_does_not_part,
    one_wild_report_does_not_part,
    two_who_meet_are_two,
    configures_what_counting_needs,
    stop_saves_power_and_start_ends_that,
    other_units_are_not_taken,
    it_is_configured_until_it_answers,
    asks_for_three_seconds,
    an_absent_radar_is_no_answer_soon_and_for_ever,
    a_radar_that_does_not_hear_is_no_answer_though_it_reports,
    silence_is_a_fault_not_a_zero,
    garbage_is_a_bad_answer,
    a_line_now_and_then_that_means_nothing_is_nothing,
    many_lines_that_mean_nothing_are_a_bad_answer,
    a_poll_ends_on_a_line_that_babbles,
    nothing_of_a_vehicle_is_left_when_it_has_gone,
    numbers_are_tenths,
    # The slow ones last: most broken drivers are found out before.
    counts_who_drives_past,
    a_speed_that_never_changes_is_stuck,
    lines_end_with_either_or_both,
    a_full_buffer_is_a_bad_answer,
    nothing_is_lost_while_the_radio_joins,
    one_direction_is_enough,
    a_radar_comes_back_by_itself,
]
