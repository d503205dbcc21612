# SPDX-License-Identifier: EUPL-1.2
"""From what a radar sees ten times a second to how many vehicles drove by, per direction and speed class (M).

A target is one line of one radar frame; a track is the targets that one vehicle leaves behind it. A track counts once,
when it has crossed a line across the road (``line_m`` from the radar): so a vehicle that is lost and found again on
the same side of the line is not counted twice. Nothing of a track outlives it but the number that it raised.

Integers only: mm, 1/16 km/h, frames of 100 ms.
"""

from array import array

if False:  # types only
    from firmware.hal import Value, Values

VEHICLE_COUNTS = (
    "vehicle_count_approaching_slow",
    "vehicle_count_approaching_medium",
    "vehicle_count_approaching_fast",
    "vehicle_count_receding_slow",
    "vehicle_count_receding_medium",
    "vehicle_count_receding_fast",
)
SLOW_BELOW_KMH = 30
FAST_ABOVE_KMH = 50

_TRACKS = 12
_TARGETS = 16
_HITS = 4  # frames that saw a vehicle before it is one
_TRAVEL_MM = 4_000  # least way it was seen to go
_GATE_MM = 3_000  # how far from where it should be a vehicle may be seen
_GATE_PER_MISS_MM = 400
_GATE_KMH16 = 12 * 16
_MM_PER_KMH = 300  # what a difference of 1 km/h, or of 1 degree, is worth when targets are dealt out
_MM_PER_DEGREE = 150
_TENTATIVE_MISSES = 2
_MISSES = 15  # frames that a vehicle may be hidden
_STANDING_KMH16 = 14 * 16  # lost slower than this, it has stopped, and is waited for
_STANDING_FRAMES = 1_800
_RESTART_MM = 6_000
_NEAR_MM = 4_000  # nothing is seen nearer
# Of two that cross the line so close together and as fast, if one was missed in a third of the frames, it is the other
# end of the other: a truck gives two echoes, the farther one weak
_LENGTH_MM = 14_000
_SAME_KMH16 = 20
_FORGOTTEN = 100


class SpeedCounts:
    """Vehicles per direction and speed class; ``take`` gives what was counted since the last ``take``."""

    def __init__(self, slow_below_kmh: int = SLOW_BELOW_KMH, fast_above_kmh: int = FAST_ABOVE_KMH) -> None:
        self._slow_below = slow_below_kmh
        self._fast_above = fast_above_kmh
        self._counts = array("i", (0,) * 6)

    def add(self, receding: int, speed: int, per_kmh: int) -> None:
        """One vehicle at ``speed / per_kmh`` km/h."""
        group = 0 if speed < self._slow_below * per_kmh else 2 if speed > self._fast_above * per_kmh else 1
        self._counts[3 * receding + group] += 1

    def take(self, fault: "str | None") -> "Values":
        """The six counts, or the fault for each of them if the interval had one; begins the next interval."""
        values: "Values" = {}
        for n in range(6):
            value: "Value" = self._counts[n] if fault is None else fault
            values[VEHICLE_COUNTS[n]] = value
            self._counts[n] = 0
        return values


class Tracker:
    """``target`` for each target of a frame, then ``frame``; ``counts`` has the sums."""

    def __init__(self, counts: SpeedCounts, line_m: int = 30, height_m: int = 3) -> None:
        self.counts = counts
        self._height_m = height_m
        self._line_mm = line_m * 1000
        self._targets = 0
        self._target_mm = array("i", (0,) * _TARGETS)
        self._target_kmh16 = array("i", (0,) * _TARGETS)
        self._target_degrees = array("i", (0,) * _TARGETS)
        self._target_sign = array("i", (0,) * _TARGETS)
        self._sign = array("i", (0,) * _TRACKS)  # -1 approaching, 1 receding, 0 free
        self._mm = array("i", (0,) * _TRACKS)  # where it is thought to be now
        self._first_mm = array("i", (0,) * _TRACKS)
        self._seen_mm = array("i", (0,) * _TRACKS)  # where it was seen last
        self._kmh16 = array("i", (0,) * _TRACKS)
        self._degrees = array("i", (0,) * _TRACKS)
        self._sum_kmh16 = array("i", (0,) * _TRACKS)
        self._hits = array("i", (0,) * _TRACKS)
        self._misses = array("i", (0,) * _TRACKS)  # in a row
        self._lost = array("i", (0,) * _TRACKS)  # before it was seen again, all in all
        self._counted = array("i", (0,) * _TRACKS)
        self._columns = (
            self._sign,
            self._mm,
            self._first_mm,
            self._seen_mm,
            self._kmh16,
            self._degrees,
            self._sum_kmh16,
            self._hits,
            self._misses,
            self._lost,
            self._counted,
        )
        self._now = 0  # frames
        self._count_frame = array("i", (0, 0))  # when the last one was counted, and how fast it was
        self._count_kmh16 = array("i", (-2 * _SAME_KMH16,) * 2)
        self._count_weak = [False, False]

    def clear(self) -> None:
        """The view was lost: forget every track, counted or not."""
        self._targets = 0
        for n in range(_TRACKS):
            self._end(n)

    def target(self, distance_m: int, kmh: int, receding: int, degrees: int) -> None:
        """One target of the coming frame; more than fit are left out."""
        n = self._targets
        if n < _TARGETS:
            self._target_mm[n] = distance_m * 1000
            self._target_kmh16[n] = kmh * 16
            self._target_degrees[n] = degrees
            self._target_sign[n] = 1 if receding else -1
            self._targets = n + 1

    def frame(self) -> None:
        """100 ms have passed; the targets given since the last frame are what was seen at their end."""
        self._now += 1
        for track in range(_TRACKS):
            if self._sign[track]:
                misses = self._misses[track]
                if misses == 0 or (misses <= _MISSES and self._kmh16[track] >= _STANDING_KMH16):
                    # 1/16 km/h for 100 ms are 1.736 mm
                    self._mm[track] += self._sign[track] * self._kmh16[track] * 125 // 72
                self._misses[track] = misses + 1
        while self._deal_one():
            pass
        for target in range(self._targets):
            if self._target_sign[target]:
                self._begin(target)
            self._target_mm[target] = self._target_kmh16[target] = self._target_degrees[target] = 0
        self._targets = 0
        for track in range(_TRACKS):
            if self._sign[track]:
                self._judge(track)
        for receding in (0, 1):
            if self._now - self._count_frame[receding] > _FORGOTTEN:
                self._count_frame[receding] = 0
                self._count_kmh16[receding] = -2 * _SAME_KMH16
                self._count_weak[receding] = False

    def _deal_one(self) -> bool:
        """Give the one target that fits best to its track; False when none fits any more."""
        best = 1 << 29
        best_track = best_target = 0
        for target in range(self._targets):
            sign = self._target_sign[target]
            if not sign:
                continue
            mm, kmh16, degrees = self._target_mm[target], self._target_kmh16[target], self._target_degrees[target]
            for track in range(_TRACKS):
                misses = self._misses[track]
                if self._sign[track] != sign or not misses:
                    continue
                off_mm = abs(mm - self._mm[track])
                off_kmh16 = abs(kmh16 - self._kmh16[track])
                if misses > _MISSES:  # stood, and perhaps moves again
                    if off_mm > _RESTART_MM or kmh16 > 2 * _STANDING_KMH16:
                        continue
                elif off_mm > _GATE_MM + _GATE_PER_MISS_MM * misses or off_kmh16 > _GATE_KMH16:
                    continue
                cost = off_mm + off_kmh16 * _MM_PER_KMH // 16 + abs(degrees - self._degrees[track]) * _MM_PER_DEGREE
                if cost < best:
                    best, best_track, best_target = cost, track, target
        if best == 1 << 29:
            return False
        self._update(best_track, best_target)
        return True

    def _update(self, track: int, target: int) -> None:
        mm, kmh16, degrees = self._target_mm[target], self._target_kmh16[target], self._target_degrees[target]
        self._target_sign[target] = 0
        if self._misses[track] > _MISSES:
            self._mm[track], self._kmh16[track] = mm, kmh16
        else:
            self._lost[track] += self._misses[track] - 1
        self._mm[track] += (mm - self._mm[track]) // 2
        self._kmh16[track] += (kmh16 - self._kmh16[track]) // 4
        self._degrees[track] += (degrees - self._degrees[track]) // 2
        self._seen_mm[track] = mm
        self._sum_kmh16[track] += along_the_road(kmh16, degrees, mm // 1000, self._height_m)
        self._hits[track] += 1
        self._misses[track] = 0

    def _begin(self, target: int) -> None:
        track = self._free()
        self._sign[track] = self._target_sign[target]
        self._mm[track] = self._first_mm[track] = self._seen_mm[track] = self._target_mm[target]
        self._kmh16[track] = self._target_kmh16[target]
        self._degrees[track] = self._target_degrees[target]
        self._sum_kmh16[track] = along_the_road(
            self._target_kmh16[target], self._target_degrees[target], self._target_mm[target] // 1000, self._height_m
        )
        self._hits[track] = 1

    def _free(self) -> int:
        """A free track; if there is none, the one that was not seen for longest."""
        longest = 0
        for track in range(_TRACKS):
            if not self._sign[track]:
                return track
            if self._misses[track] > self._misses[longest]:
                longest = track
        self._end(longest)
        return longest

    def _judge(self, track: int) -> None:
        """Count the track if it has crossed the line; end it if it is over."""
        sign, hits, misses = self._sign[track], self._hits[track], self._misses[track]
        mm, first_mm = self._mm[track], self._first_mm[track]
        if (
            not self._counted[track]
            and hits >= _HITS
            and sign * (mm - self._line_mm) >= 0 > sign * (first_mm - self._line_mm)
            and sign * (self._seen_mm[track] - first_mm) >= _TRAVEL_MM
        ):
            self._counted[track] = 1
            self._count(1 if sign > 0 else 0, self._sum_kmh16[track], hits, self._lost[track])
        if hits < _HITS:
            over = misses > _TENTATIVE_MISSES
        elif self._kmh16[track] < _STANDING_KMH16:
            over = misses > _STANDING_FRAMES
        else:
            over = misses > _MISSES
        if over or mm < _NEAR_MM:
            self._end(track)

    def _end(self, track: int) -> None:
        """Nothing is left of it."""
        for column in self._columns:
            column[track] = 0

    def _count(self, receding: int, sum_kmh16: int, hits: int, lost: int) -> None:
        kmh16 = sum_kmh16 // hits
        passed_mm = (self._now - self._count_frame[receding]) * kmh16 * 125 // 72
        weak = 2 * lost >= hits
        other_end = (
            passed_mm <= _LENGTH_MM
            and abs(kmh16 - self._count_kmh16[receding]) <= _SAME_KMH16
            and (weak or self._count_weak[receding])
        )
        if not other_end:
            self.counts.add(receding, sum_kmh16, 16 * hits)
            self._count_frame[receding] = self._now
            self._count_kmh16[receding] = kmh16
            self._count_weak[receding] = weak
        elif not weak:
            self._count_weak[receding] = False


def along_the_road(kmh16: int, degrees: int, distance_m: int, height_m: int) -> int:
    """What a vehicle drives that is seen ``degrees`` to the side and from above: the radar sees the cosines of it.

    1 - cos(x) is x * x / 6565 for x in degrees, and height * height / 2 / distance / distance; to 1 % of the speed.
    """
    kmh16 = kmh16 * 6565 // (6565 - min(degrees * degrees, 1600))
    twice = 2 * max(distance_m, 2 * height_m, 1) ** 2
    return kmh16 * (twice + height_m * height_m) // twice
