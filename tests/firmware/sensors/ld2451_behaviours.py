# SPDX-License-Identifier: EUPL-1.2
"""What the LD2451 driver must do, as functions of its module, so that broken drivers can be tried too.

SP = Hi-Link "HLK-LD2451 Serial communication protocol" V1.03; its frames stand in ``ld2451_rig``.
"""

from collections.abc import Callable
from types import ModuleType

from simulators.chips.ld2451 import Fault
from simulators.inprocess import Time
from simulators.inprocess_buses import Uart
from simulators.vehicles import Direction
from tests.firmware.sensors.ld2451_rig import EMPTY, EXAMPLE, Radar, Script, ack, cars, passing, report
from tests.firmware.sensors.traffic_rig import RadarLine, S

Behaviour = Callable[[ModuleType], None]


# SP "Report frame format"


def counts_who_drives_past(driver: ModuleType) -> None:
    road = [*cars(6, Direction.APPROACHING, 45.0), *cars(4, Direction.RECEDING, 60.0, 27 * S)]
    radar = Radar(driver, sorted(road, key=lambda vehicle: vehicle.time_us), dropout=0.05)

    radar.run(120)

    assert radar.read() == [0, 6, 0, 0, 0, 4]
    assert radar.sim.refusals == []
    assert radar.read() == [0, 0, 0, 0, 0, 0]


def an_empty_road_is_zero(driver: ModuleType) -> None:
    radar = Radar(driver)

    radar.run(60)

    assert radar.read() == [0, 0, 0, 0, 0, 0]


def reads_the_fields_of_a_report(driver: ModuleType) -> None:
    line = Script(driver).configured()
    line.reports(passing(40, 1) + passing(60, 0) + passing(20, 1))

    assert line.read() == [1, 1, 0, 0, 0, 1]


def takes_the_published_report_apart(driver: ModuleType) -> None:
    line = Script(driver).configured()
    taken: list[tuple[int, int, int, int]] = []
    tracker = line.driver._tracker
    tracker.target = lambda *target: taken.append(target)

    line.reports([EXAMPLE])

    # SP: 10 degrees, 40 m, 60 km/h; 10 degrees, 30 m, 60 km/h; -10 degrees, 95 m, 60 km/h; direction by its table
    assert taken == [(40, 60, 1, 10), (30, 60, 0, 10), (95, 60, 1, -10)]


def the_direction_can_be_swapped(driver: ModuleType) -> None:
    for fault, swapped in ((None, False), (Fault.SWAPPED_DIRECTION, True)):
        radar = Radar(driver, cars(2, Direction.APPROACHING, 45.0), fault, swapped=swapped)

        radar.run(60)

        assert radar.read() == [0, 2, 0, 0, 0, 0]


def a_radar_that_means_the_other_direction_is_noticed_and_from_then_on_understood(driver: ModuleType) -> None:
    for direction, counts in ((Direction.APPROACHING, [0, 10, 0, 0, 0, 0]), (Direction.RECEDING, [0, 0, 0, 0, 10, 0])):
        for fault, swapped in ((Fault.SWAPPED_DIRECTION, False), (None, True)):
            radar = Radar(driver, cars(12, direction, 45.0), fault, dropout=0.05, swapped=swapped)

            radar.run(33)
            assert radar.read() == "bad_answer"
            radar.run(150)
            assert radar.read() == counts


def a_contradiction_of_some_metres_turns_nobody_round(driver: ModuleType) -> None:
    line = Script(driver).configured()
    line.reports(passing(40, 1) + [EMPTY] * 20)
    assert line.read() == [0, 1, 0, 0, 0, 0]
    wrong = [report((metres, 40, 0, 2)) for metres in range(79, 50, -1)]

    line.reports(wrong + [EMPTY] * 20 + passing(40, 1) + [EMPTY] * 20)

    assert line.read() == [0, 1, 0, 0, 0, 0]


def three_contradictions_of_a_radar_that_nobody_knows_turn_it_round_two_do_not(driver: ModuleType) -> None:
    for metres, fault in ((7, [0] * 6), (20, "bad_answer")):
        line = Script(driver).configured()
        line.reports([report((79 - n, 40, 0, 2)) for n in range(metres)] + [EMPTY] * 20)
        assert line.read() == fault
        line.reports(passing(40, 1) + [EMPTY] * 20)
        assert line.read() == [0, 1, 0, 0, 0, 0]

    line = Script(driver).configured()
    line.reports([report((79 - n, 40, 0, 2)) for n in range(27)] + [EMPTY] * 20)
    assert line.read() == "bad_answer"
    line.reports(passing(40, 1) + [EMPTY] * 20)
    assert line.read() == "bad_answer"  # it is turned back
    line.reports(passing(40, 1) + [EMPTY] * 20)
    assert line.read() == [0, 1, 0, 0, 0, 0]


def another_vehicle_and_several_at_once_contradict_nothing(driver: ModuleType) -> None:
    followers = [report((metres, 40, 1, 2)) for n in range(8) for metres in (20 + 6 * n, 21 + 6 * n)]
    crowd = [report((20, 40, 1, 2)), *(report((20 + n, 40, 1, 2), (21 + n, 40, 1, 2)) for n in range(30))]
    turning = [report((20 + n, 40, 1 - n % 2, 2)) for n in range(30)]
    faster = [report((20 + n, 30 + 4 * n, 1, 2)) for n in range(30)]
    for frames in (followers, crowd, turning, faster):
        line = Script(driver).configured()

        line.reports(frames + [EMPTY] * 20)

        assert line.read() != "bad_answer"
        assert bytes(line.driver._alone) == bytes(5)  # nothing is left of it


def classes_line_and_height_are_settings(driver: ModuleType) -> None:
    line = Script(driver, slow_below_kmh=50, fast_above_kmh=90).configured()
    line.reports(passing(40, 1) + passing(60, 1) + [EMPTY] * 20 + passing(100, 1))
    assert line.read() == [1, 1, 1, 0, 0, 0]

    line = Script(driver, line_m=70, height_m=0).configured()
    line.reports(passing(40, 1)[:15])
    assert line.read() == [0, 1, 0, 0, 0, 0]
    assert line.driver._tracker._height_m == 0


# SP "Sending command and ACK"


def configures_the_radar_for_both_directions(driver: ModuleType) -> None:
    radar = Radar(driver, snr=6)

    assert radar.sim.detection == (100, 2, 5, 1)
    assert radar.sim.sensitivity == (1, 6)
    assert radar.sim.refusals == []


def sends_each_command_once_when_all_is_well(driver: ModuleType) -> None:
    line = Script(driver)
    line.reports([EMPTY] * 100)

    assert [command.hex() for command in line.commands] == ["ff000100", "020064020501", "030001040000", "fe00"]


def waits_until_the_radar_listens(driver: ModuleType) -> None:
    line = Script(driver)

    line.run(0.9)
    assert line.commands == []
    line.run(0.5)
    assert line.commands


def repeats_a_command_that_is_not_answered(driver: ModuleType) -> None:
    line = Script(driver, answers=False)
    line.reports([EMPTY] * 14)
    line.answers = True
    line.reports([EMPTY] * 30)

    assert line.commands[:2] == [b"\xff\x00\x01\x00"] * 2
    assert line.commands[-1] == b"\xfe\x00"
    line.read()
    line.reports(passing(40, 1))
    assert line.read() == [0, 1, 0, 0, 0, 0]


def another_commands_ack_does_not_count(driver: ModuleType) -> None:
    line = Script(driver, answers=False)
    line.run(1.1)
    line.say(ack(0x02) + ack(0xFE) + bytes.fromhex("fdfcfbfa 0400 ff00 0000 04030201") + ack(0xFF)[:-1] + b"\x02")
    line.run(0.5)

    assert set(line.commands) == {b"\xff\x00\x01\x00"}


def a_radar_that_refuses_is_a_bad_answer(driver: ModuleType) -> None:
    line = Script(driver, status=1)
    line.reports([EMPTY] * 30)

    assert line.read() == "bad_answer"
    line.reports([EMPTY] * 200)
    assert line.read() == "bad_answer"
    line.status = 0
    line.reports([EMPTY] * 130)
    line.read()
    line.reports(passing(40, 0))
    assert line.read() == [0, 0, 0, 0, 1, 0]


def a_radar_that_does_not_hear_is_no_answer_though_it_reports(driver: ModuleType) -> None:
    radar = Radar(driver, cars(5, Direction.APPROACHING, 45.0), Fault.DEAF)

    radar.run(60)
    assert radar.read() == "no_answer"
    radar.run(60)
    assert radar.read() == "no_answer"


def who_passes_before_the_configuration_does_not_count(driver: ModuleType) -> None:
    line = Script(driver)
    line.reports([frame for frame in passing(90, 1) if frame[9] <= 42][:9])
    line.reports([EMPTY] * 50)

    assert line.read() == [0, 0, 0, 0, 0, 0]


# Faults


def asks_for_three_seconds(driver: ModuleType) -> None:
    radar = Radar(driver, start_s=0)
    assert radar.ready_ms == 3_000
    assert radar.read() == "not_ready"

    radar.run(3)
    assert radar.read() == [0, 0, 0, 0, 0, 0]


def an_absent_radar_is_no_answer_soon_and_for_ever(driver: ModuleType) -> None:
    for fault in (Fault.ABSENT, Fault.SILENT):
        radar = Radar(driver, cars(5, Direction.APPROACHING, 45.0), fault)

        assert radar.read() == "no_answer"
        for _ in range(3):
            radar.run(20)
            assert radar.read() == "no_answer"


def silence_is_a_fault_not_a_zero(driver: ModuleType) -> None:
    radar = Radar(driver, cars(5, Direction.APPROACHING, 45.0))
    radar.run(30)
    assert isinstance(radar.read(), list)

    radar.sim.fault = Fault.SILENT
    radar.run(2.5)
    assert radar.read() == "no_answer"
    radar.run(2.5)
    assert radar.read() == "no_answer"


def two_seconds_of_silence_flag_the_interval_and_no_other(driver: ModuleType) -> None:
    line = Script(driver).configured()
    line.reports(passing(40, 1))
    line.run(2.6)
    line.reports([EMPTY] * 100)
    assert line.read() == "no_answer"

    line.reports(passing(40, 1) + [EMPTY] * 50)
    assert line.read() == [0, 1, 0, 0, 0, 0]
    line.run(1.5)
    line.reports([EMPTY] * 100)
    assert line.read() == [0, 0, 0, 0, 0, 0]


def a_radar_comes_back_by_itself(driver: ModuleType) -> None:
    radar = Radar(driver, cars(40, Direction.APPROACHING, 45.0))
    radar.power.drive(0)
    radar.run(60)
    assert radar.read() == "no_answer"

    radar.power.drive(1)
    radar.run(30)
    radar.read()
    radar.run(150)
    assert radar.read() == [0, 10, 0, 0, 0, 0]


def a_radar_that_says_nothing_when_it_sees_nothing_is_asked(driver: ModuleType) -> None:
    radar = Radar(driver, cars(3, Direction.APPROACHING, 45.0, 60 * S), sends_empty=False)
    radar.run(120)
    assert radar.read() == [0, 3, 0, 0, 0, 0]
    radar.run(60)
    assert radar.read() == [0, 0, 0, 0, 0, 0]
    assert radar.sim.refusals == []

    radar.sim.fault = Fault.SILENT
    radar.run(30)
    assert radar.read() == "no_answer"
    for _ in range(5):
        radar.run(4)
        assert radar.read() == "no_answer"


def it_is_asked_seldom_and_nothing_is_written_to_its_memory(driver: ModuleType) -> None:
    line = Script(driver)
    line.run(64)

    assert [command[0] for command in line.commands[:4]] == [0xFF, 2, 3, 0xFE]
    assert {command[0] for command in line.commands[4:]} == {0xFF, 0xFE}
    assert 8 <= len(line.commands[4:]) <= 14


def garbage_is_a_bad_answer(driver: ModuleType) -> None:
    radar = Radar(driver)
    radar.sim.fault = Fault.GARBAGE
    radar.run(3)
    assert radar.read() == "bad_answer"

    radar.sim.fault = None
    radar.run(5)
    radar.read()
    radar.run(20)
    assert radar.read() == [0, 0, 0, 0, 0, 0]


def a_noisy_line_is_a_bad_answer(driver: ModuleType) -> None:
    radar = Radar(driver, cars(8, Direction.APPROACHING, 45.0))
    radar.sim.fault = Fault.NOISY

    radar.run(100)

    assert radar.read() == "bad_answer"


def a_wrong_byte_now_and_then_is_nothing(driver: ModuleType) -> None:
    line = Script(driver).configured()
    frames = passing(40, 1) + passing(60, 0)
    frames[10] = frames[10][:9] + b"\x00" + frames[10][10:-1]
    frames[30] = b"\xf4\xf3" + frames[30]
    frames[90] = frames[90][:5]
    line.reports(frames + [EMPTY] * 30)

    assert line.read() == [0, 1, 0, 0, 0, 1]


def finds_the_next_report_behind_anything(driver: ModuleType) -> None:
    target = report((50, 40, 1, 0))
    for junk in (
        b"\x00" * 50,
        b"\xf4",
        b"\xf4\xf3\xf2",
        b"\xf4\xf3\xf2\xf1",
        b"\xf4\xf3\xf2\xf1\xff\xff",
        b"\xf4\xf3\xf2\xf1\x07\x01" + target[6:],
        target[:-1] + b"\x00",
        target[:-5],
        EMPTY[:-1],
        b"\xf4\xf3\xf2\xf1\x07\x00\x02\x01" + target[8:],  # two targets promised
        target[:10] + b"\x02" + target[11:],  # neither approach nor away
        b"\xfd\xfc\xfb\xfa",
        b"\xf4\xf3\xf2\xf1\x01\x00\x00\xf8\xf7\xf6\xf5",
    ):
        line = Script(driver).configured()
        taken: list[tuple[int, ...]] = []
        line.driver._tracker.target = lambda *target, taken=taken: taken.append(target)

        line.say(junk + target + EMPTY + target + EMPTY * 10)
        line.run(0.3)

        assert taken[-1] == (50, 40, 0, 0)
        assert len(taken) == 2 if not junk.startswith(target[:-5]) else len(taken) in (1, 2)


def a_report_that_never_changes_is_stuck(driver: ModuleType) -> None:
    radar = Radar(driver, cars(3, Direction.APPROACHING, 45.0), start_s=10)
    radar.run(2.5)
    radar.sim.fault = Fault.STUCK
    radar.run(30)
    assert radar.read() == "stuck"

    line = Script(driver).configured()
    line.reports([report((50, 20, 1, 0))] * 40 + [EMPTY] + [report((50, 20, 1, 0))] * 40)
    assert line.read() == [0, 0, 0, 0, 0, 0]


# The radio needs the processor


def nothing_is_lost_while_the_radio_joins(driver: ModuleType) -> None:
    road = sorted([*cars(8, Direction.APPROACHING, 45.0), *cars(8, Direction.RECEDING, 45.0, 24 * S)])
    radar = Radar(driver, road)

    radar.run(140, every_us=7 * S)

    assert radar.read() == [0, 8, 0, 0, 8, 0]
    assert radar.port.lost == 0


def a_full_buffer_is_a_bad_answer(driver: ModuleType) -> None:
    line = Script(driver).configured()
    crowd = report(*[(20 + 9 * k, 40, 1, k) for k in range(5)])
    line.say((crowd + report((30, 40, 1, 0))) * 90)
    line.clock.run_until(line.clock.now_us + S)
    assert line.port.lost > 0
    line.driver.poll()
    line.reports([EMPTY] * 20)

    assert line.read() == "bad_answer"


def a_poll_ends_on_a_line_that_babbles(driver: ModuleType) -> None:
    class Babbling(Uart):
        def any(self) -> int:
            return 100

        def readinto(self, buffer: bytearray | memoryview) -> int:
            self._call()
            assert self._clock.now_us < 71 * S // 10
            buffer[:] = bytes(len(buffer))
            return len(buffer)

    line = RadarLine(driver, "Ld2451")
    line.driver = driver.Ld2451(Babbling(line.clock, line.port), Time(line.clock))
    line.driver.start()
    line.driver.poll()


def starting_anew_begins_at_zero(driver: ModuleType) -> None:
    line = Script(driver).configured()
    line.reports(passing(40, 1))
    line.driver.stop()
    line.driver.start()
    line.reports([EMPTY] * 60)

    assert line.read() == [0, 0, 0, 0, 0, 0]


# Privacy: "Never a single vehicle's record"


def nothing_of_a_vehicle_is_left_when_it_has_gone(driver: ModuleType) -> None:
    line = Script(driver).configured()
    line.reports(passing(41, 1) + [EMPTY] * 30)

    assert line.driver._last == b""
    assert not any(line.driver._tracker._sign)
    assert not line.driver._tracker._targets


BEHAVIOURS: list[Behaviour] = [
    reads_the_fields_of_a_report,
    takes_the_published_report_apart,
    sends_each_command_once_when_all_is_well,
    waits_until_the_radar_listens,
    repeats_a_command_that_is_not_answered,
    another_commands_ack_does_not_count,
    configures_the_radar_for_both_directions,
    asks_for_three_seconds,
    classes_line_and_height_are_settings,
    finds_the_next_report_behind_anything,
    a_wrong_byte_now_and_then_is_nothing,
    a_radar_that_refuses_is_a_bad_answer,
    who_passes_before_the_configuration_does_not_count,
    two_seconds_of_silence_flag_the_interval_and_no_other,
    an_absent_radar_is_no_answer_soon_and_for_ever,
    silence_is_a_fault_not_a_zero,
    it_is_asked_seldom_and_nothing_is_written_to_its_memory,
    a_radar_that_says_nothing_when_it_sees_nothing_is_asked,
    garbage_is_a_bad_answer,
    a_report_that_never_changes_is_stuck,
    a_full_buffer_is_a_bad_answer,
    a_poll_ends_on_a_line_that_babbles,
    starting_anew_begins_at_zero,
    nothing_of_a_vehicle_is_left_when_it_has_gone,
    nothing_is_lost_while_the_radio_joins,
    a_radar_comes_back_by_itself,
    a_noisy_line_is_a_bad_answer,
    an_empty_road_is_zero,
    a_radar_that_does_not_hear_is_no_answer_though_it_reports,
    counts_who_drives_past,
    the_direction_can_be_swapped,
    a_contradiction_of_some_metres_turns_nobody_round,
    three_contradictions_of_a_radar_that_nobody_knows_turn_it_round_two_do_not,
    another_vehicle_and_several_at_once_contradict_nothing,
    a_radar_that_means_the_other_direction_is_noticed_and_from_then_on_understood,
]
