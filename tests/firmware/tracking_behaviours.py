# SPDX-License-Identifier: EUPL-1.2
"""What the tracker must do, as functions of its module, so that broken trackers can be tried too.

A target is (metres, km/h, receding, degrees), as a radar gives it: whole numbers, ten times a second. The line that
counts is 30 m away.
"""

from collections.abc import Callable
from itertools import zip_longest
from types import ModuleType
from typing import Any

from simulators.vehicles import Direction, Stop, Vehicle

Behaviour = Callable[[ModuleType], None]
Target = tuple[int, int, int, int]
Frames = list[list[Target]]


def drive(
    kmh: float, begin_m: float, end_m: float, *, degrees: int = 2, lost: tuple[int, ...] = (), shown: int | None = None
) -> Frames:
    """A vehicle from ``begin_m`` to ``end_m`` without a change of speed; ``lost``: frames in which it is not seen."""
    step = kmh / 36 * (1 if end_m > begin_m else -1)
    count = int((end_m - begin_m) / step)
    receding = int(end_m > begin_m)
    seen = shown if shown is not None else round(kmh)
    return [[] if n in lost else [(round(begin_m + n * step), seen, receding, degrees)] for n in range(count)]


def wait(seconds: float) -> Frames:
    return [[]] * round(seconds * 10)


def together(*scenes: Frames) -> Frames:
    """Several things at the same time."""
    return [[target for part in parts for target in part] for parts in zip_longest(*scenes, fillvalue=[])]


class Road:
    """A tracker and what it has counted: approaching slow, medium, fast, receding slow, medium, fast."""

    def __init__(self, tracking: ModuleType, *limits: int, **options: int) -> None:
        self.counts: Any = tracking.SpeedCounts(*limits)
        self.tracker: Any = tracking.Tracker(self.counts, **options)

    def watch(self, frames: Frames) -> list[Any]:
        for frame in frames:
            for target in frame:
                self.tracker.target(*target)
            self.tracker.frame()
        return list(self.counts.take(None).values())


def seen(tracking: ModuleType, *scenes: Frames, **options: int) -> list[Any]:
    return Road(tracking, **options).watch([frame for scene in scenes for frame in scene])


# One vehicle, one count


def a_vehicle_counts_once_in_its_direction_and_class(tracking: ModuleType) -> None:
    assert seen(tracking, drive(48, 90, 8)) == [0, 1, 0, 0, 0, 0]
    assert seen(tracking, drive(60, 9, 95)) == [0, 0, 0, 0, 0, 1]
    assert seen(tracking, drive(20, 60, 8)) == [1, 0, 0, 0, 0, 0]
    assert seen(tracking, drive(25, 10, 80)) == [0, 0, 0, 1, 0, 0]
    assert seen(tracking, drive(120, 99, 8)) == [0, 0, 1, 0, 0, 0]


def the_limits_belong_to_the_middle_class(tracking: ModuleType) -> None:
    for kmh, expected in ((29, [1, 0, 0]), (30, [0, 1, 0]), (50, [0, 1, 0]), (51, [0, 0, 1])):
        assert seen(tracking, drive(kmh, 90, 20, degrees=0), height_m=0)[:3] == expected


def the_limits_can_be_set(tracking: ModuleType) -> None:
    road = Road(tracking, 50, 100)

    counted = road.watch(drive(45, 90, 10) + wait(3) + drive(70, 90, 10) + wait(3) + drive(110, 90, 10))

    assert counted == [1, 1, 1, 0, 0, 0]


def it_counts_at_the_line(tracking: ModuleType) -> None:
    assert sum(seen(tracking, drive(48, 90, 33))) == 0
    assert sum(seen(tracking, drive(48, 90, 27))) == 1
    assert sum(seen(tracking, drive(48, 10, 28))) == 0
    assert sum(seen(tracking, drive(48, 10, 34))) == 1
    assert sum(seen(tracking, drive(48, 90, 33), line_m=50)) == 1
    assert sum(seen(tracking, drive(48, 90, 53), line_m=50)) == 0


def who_turns_off_before_the_line_or_in_behind_it_does_not_count(tracking: ModuleType) -> None:
    assert sum(seen(tracking, drive(40, 95, 55), wait(5))) == 0
    assert sum(seen(tracking, drive(40, 28, 6), wait(5))) == 0
    assert sum(seen(tracking, drive(40, 33, 90), wait(5))) == 0


def followers_count_each(tracking: ModuleType) -> None:
    behind = wait(1.5) + drive(48, 90, 8)

    assert seen(tracking, together(drive(48, 90, 8), behind, wait(1.5) + behind)) == [0, 3, 0, 0, 0, 0]
    assert seen(tracking, drive(48, 90, 15), drive(48, 38, 8)) == [0, 2, 0, 0, 0, 0]
    assert seen(tracking, drive(20, 60, 42), drive(60, 41, 8)) == [0, 0, 1, 0, 0, 0]


def six_at_the_same_time_count_each(tracking: ModuleType) -> None:
    abreast = [drive(40, 90, 8, degrees=6 * k - 15) for k in range(6)]

    assert seen(tracking, together(*abreast), wait(3)) == [0, 6, 0, 0, 0, 0]


# What a radar leaves out and adds


def lost_frames_change_nothing(tracking: ModuleType) -> None:
    assert seen(tracking, drive(48, 90, 8, lost=(20,))) == [0, 1, 0, 0, 0, 0]
    assert seen(tracking, drive(48, 90, 8, lost=tuple(range(0, 60, 2)))) == [0, 1, 0, 0, 0, 0]
    assert seen(tracking, drive(48, 9, 90, lost=tuple(range(8, 60, 3)))) == [0, 0, 0, 0, 1, 0]


def who_is_hidden_at_the_line_counts_once(tracking: ModuleType) -> None:
    for hidden in (range(38, 51), range(30, 44), range(42, 54)):
        assert seen(tracking, drive(48, 90, 8, lost=tuple(hidden)), wait(5)) == [0, 1, 0, 0, 0, 0]
    assert seen(tracking, drive(48, 90, 8, lost=tuple(range(42, 100))), wait(5)) == [0, 1, 0, 0, 0, 0]


def a_ghost_does_not_count(tracking: ModuleType) -> None:
    for metres in (29, 30, 31, 60):
        for receding in (0, 1):
            ghost = [(metres, 40, receding, 0)]
            assert sum(seen(tracking, [ghost], wait(3))) == 0
            assert sum(seen(tracking, [ghost, [], ghost], wait(3))) == 0


def three_frames_are_no_vehicle_and_four_are(tracking: ModuleType) -> None:
    assert sum(seen(tracking, drive(70, 35, 8)[:3], wait(3))) == 0
    assert sum(seen(tracking, drive(70, 35, 8)[:4], wait(3))) == 1


def what_shows_in_every_fourth_frame_only_is_no_vehicle(tracking: ModuleType) -> None:
    lost = tuple(n for n in range(60) if n % 4)

    assert sum(seen(tracking, drive(36, 60, 8, lost=lost), wait(3))) == 0


def ghosts_around_a_vehicle_do_not_disturb_it(tracking: ModuleType) -> None:
    ghosts: Frames = [[((n * 37) % 90 + 5, (n * 13) % 70 + 5, n % 2, 0)] if n % 3 == 0 else [] for n in range(60)]

    assert seen(tracking, together(drive(48, 90, 8), ghosts), wait(3)) == [0, 1, 0, 0, 0, 0]


def what_moves_on_the_spot_does_not_count(tracking: ModuleType) -> None:
    branches: Frames = [[(30 + (n * 7) % 3 - 1, 6, 0, 1)] for n in range(300)]

    assert sum(seen(tracking, branches)) == 0


def a_truck_with_a_second_echo_counts_once(tracking: ModuleType) -> None:
    for begin, end, other in ((90, 8, 102), (8, 90, 20)):
        step = 1 if end > begin else -1
        weak = drive(45, other, end + step * 12, lost=tuple(n for n in range(200) if n % 5 not in (0, 2)))

        assert sum(seen(tracking, together(drive(45, begin, end), weak), wait(3))) == 1


def a_car_close_behind_another_counts_if_it_is_seen_as_well(tracking: ModuleType) -> None:
    assert seen(tracking, together(drive(30, 60, 8), drive(30, 67, 8)), wait(2)) == [0, 2, 0, 0, 0, 0]


def a_car_close_behind_another_counts_if_it_has_another_speed(tracking: ModuleType) -> None:
    weak = tuple(n for n in range(200) if n % 5 not in (0, 2))

    assert seen(tracking, together(drive(30, 60, 8), drive(36, 70, 8, lost=weak)), wait(2)) == [0, 2, 0, 0, 0, 0]


# Several at once


def two_side_by_side_are_two(tracking: ModuleType) -> None:
    assert seen(tracking, together(drive(48, 90, 8, degrees=2), drive(52, 96, 8, degrees=7))) == [0, 1, 1, 0, 0, 0]
    assert seen(tracking, together(drive(40, 90, 8, degrees=2), drive(40, 90, 8, degrees=9))) == [0, 2, 0, 0, 0, 0]


def whose_target_is_whose_does_not_follow_from_their_order(tracking: ModuleType) -> None:
    scene = together(drive(29, 80, 8, degrees=0), drive(35, 87, 8, degrees=8))
    scene = [frame[:: 1 - 2 * (n % 2)] for n, frame in enumerate(scene)]

    assert seen(tracking, scene, wait(3), height_m=0) == [1, 1, 0, 0, 0, 0]


def who_overtakes_and_who_is_overtaken_count_in_their_classes(tracking: ModuleType) -> None:
    slow, fast = drive(28, 75, 8), wait(1.5) + drive(56, 95, 8)
    assert seen(tracking, together(slow, fast), wait(2)) == [1, 0, 1, 0, 0, 0]

    slow, fast = drive(28, 8, 90), wait(0.8) + drive(56, 8, 95)
    assert seen(tracking, together(slow, fast), wait(2)) == [0, 0, 0, 1, 0, 1]


def two_who_meet_are_two(tracking: ModuleType) -> None:
    assert seen(tracking, together(drive(48, 90, 8), drive(48, 8, 90)), wait(2)) == [0, 1, 0, 0, 1, 0]
    assert seen(tracking, together(drive(48, 70, 8), drive(48, 10, 70)), wait(2)) == [0, 1, 0, 0, 1, 0]


def one_echo_is_not_two_tracks(tracking: ModuleType) -> None:
    merged = drive(40, 90, 50)
    parted = together(drive(40, 50, 8, degrees=2), drive(45, 49, 8, degrees=8))

    assert seen(tracking, merged, parted, wait(2)) == [0, 2, 0, 0, 0, 0]


# Stop and go


def brake(begin_m: float, stop_m: int, rest_s: int, end_m: float) -> Frames:
    """From 40 km/h to a stop and on again, at 2.5 m/s2; slower than 5 km/h it is not seen."""
    direction = Direction.RECEDING if end_m > begin_m else Direction.APPROACHING
    vehicle = Vehicle(0, 40.0, direction, stop=Stop(stop_m * 1_000, rest_s * 1_000_000))
    frames: Frames = []
    for now_us in range(-(rest_s + 30) * 1_000_000, (rest_s + 30) * 1_000_000, 100_000):
        mm, kmh = vehicle.place(now_us)
        if min(begin_m, end_m) * 1_000 <= mm <= max(begin_m, end_m) * 1_000:
            frames.append([(round(mm / 1_000), round(kmh), int(end_m > begin_m), 3)] if kmh >= 5 else [])
    return frames


def who_stops_and_goes_on_counts_once(tracking: ModuleType) -> None:
    for stop_m in (60, 40, 33, 31, 30, 29, 27, 20):
        for rest_s in (1, 20, 90):
            assert sum(seen(tracking, brake(90, stop_m, rest_s, 8), wait(3))) == 1
    for stop_m in (20, 27, 30, 33, 60):
        assert sum(seen(tracking, brake(8, stop_m, 30, 90), wait(3))) == 1


def who_waits_does_not_hide_who_drives_past(tracking: ModuleType) -> None:
    waiting = brake(90, 33, 60, 8)

    assert sum(seen(tracking, together(waiting, wait(15) + drive(48, 90, 8)), wait(3))) == 2


def who_waits_three_minutes_is_forgotten(tracking: ModuleType) -> None:
    road = Road(tracking)

    road.watch([frame for frame in brake(90, 60, 1, 40) if frame][:-30])
    road.watch(wait(190))

    assert all(not sign for sign in road.tracker._sign)


# Bounds


def more_targets_than_fit_are_left_out(tracking: ModuleType) -> None:
    crowd: Frames = [[(5 + 4 * k, 20 + 3 * k, k % 2, 0) for k in range(24)] for _ in range(30)]

    counted = Road(tracking).watch(crowd + wait(200) + drive(48, 90, 8))

    assert counted[1] == 1


def a_full_table_takes_who_is_new_in_place_of_who_was_not_seen_for_longest(tracking: ModuleType) -> None:
    road = Road(tracking)
    for k in range(12):  # each crosses the line and stops behind it
        for frame in drive(12, 38, 25, degrees=4 * k - 24):
            for target in frame:
                road.tracker.target(*target)
            road.tracker.frame()
    pair = together(drive(48, 95, 8, degrees=-9), wait(0.6) + drive(48, 95, 8, degrees=-9))

    assert road.watch(wait(2) + pair) == [12, 2, 0, 0, 0, 0]


def nothing_is_left_of_a_track_but_its_count(tracking: ModuleType) -> None:
    road = Road(tracking)

    road.watch(drive(48, 8, 90) + wait(2))
    road.watch(drive(48, 90, 5) + wait(0.3))

    assert all(not sign for sign in road.tracker._sign)


def clear_forgets_everybody(tracking: ModuleType) -> None:
    road = Road(tracking)
    frames = drive(48, 90, 8)

    road.watch(frames[:40])
    road.tracker.clear()
    counted = road.watch(frames[46:])

    assert sum(counted) == 0


def targets_are_used_once(tracking: ModuleType) -> None:
    road = Road(tracking)

    road.watch(drive(48, 60, 40))
    counted = road.watch(wait(0.5))

    assert sum(counted) == 0
    assert sum(road.watch(drive(48, 36, 20))) == 1


# The radar sees the cosine of a speed


def speeds_are_those_along_the_road(tracking: ModuleType) -> None:
    assert tracking.along_the_road(160, 0, 80, 0) == 160
    assert tracking.along_the_road(160, 20, 80, 0) in (170, 171)  # 1 / cos 20 = 1.064
    assert tracking.along_the_road(160, -20, 80, 0) in (170, 171)
    assert tracking.along_the_road(160, 10, 80, 0) in (162, 163)  # 1.0154
    assert tracking.along_the_road(160, 0, 10, 3) in (167, 168)  # 1.048
    assert tracking.along_the_road(160, 90, 1, 3) in range(160, 260)
    assert tracking.along_the_road(160, 0, 0, 0) == 160


def a_vehicle_seen_from_the_side_is_in_its_class(tracking: ModuleType) -> None:
    assert seen(tracking, drive(52, 60, 15, degrees=17, shown=50))[:3] == [0, 0, 1]
    assert seen(tracking, drive(49, 60, 15, degrees=2, shown=49))[:3] == [0, 1, 0]


# Counts


def taking_begins_anew_and_a_fault_takes_the_place_of_numbers(tracking: ModuleType) -> None:
    counts = tracking.SpeedCounts()
    counts.add(1, 40, 1)

    assert counts.take(None) == {
        "vehicle_count_approaching_slow": 0,
        "vehicle_count_approaching_medium": 0,
        "vehicle_count_approaching_fast": 0,
        "vehicle_count_receding_slow": 0,
        "vehicle_count_receding_medium": 1,
        "vehicle_count_receding_fast": 0,
    }
    counts.add(0, 400, 10)
    assert set(counts.take("no_answer").values()) == {"no_answer"}
    assert set(counts.take(None).values()) == {0}


BEHAVIOURS: list[Behaviour] = [
    taking_begins_anew_and_a_fault_takes_the_place_of_numbers,
    speeds_are_those_along_the_road,
    a_vehicle_counts_once_in_its_direction_and_class,
    the_limits_belong_to_the_middle_class,
    the_limits_can_be_set,
    it_counts_at_the_line,
    who_turns_off_before_the_line_or_in_behind_it_does_not_count,
    followers_count_each,
    six_at_the_same_time_count_each,
    what_shows_in_every_fourth_frame_only_is_no_vehicle,
    whose_target_is_whose_does_not_follow_from_their_order,
    lost_frames_change_nothing,
    who_is_hidden_at_the_line_counts_once,
    a_ghost_does_not_count,
    three_frames_are_no_vehicle_and_four_are,
    ghosts_around_a_vehicle_do_not_disturb_it,
    what_moves_on_the_spot_does_not_count,
    a_truck_with_a_second_echo_counts_once,
    a_car_close_behind_another_counts_if_it_is_seen_as_well,
    a_car_close_behind_another_counts_if_it_has_another_speed,
    two_side_by_side_are_two,
    who_overtakes_and_who_is_overtaken_count_in_their_classes,
    two_who_meet_are_two,
    one_echo_is_not_two_tracks,
    nothing_is_left_of_a_track_but_its_count,
    clear_forgets_everybody,
    targets_are_used_once,
    a_vehicle_seen_from_the_side_is_in_its_class,
    who_waits_does_not_hide_who_drives_past,
    more_targets_than_fit_are_left_out,
    a_full_table_takes_who_is_new_in_place_of_who_was_not_seen_for_longest,
    who_waits_three_minutes_is_forgotten,
    who_stops_and_goes_on_counts_once,
]
