# SPDX-License-Identifier: EUPL-1.2
"""Traffic: a Poisson process with rush hours and weekends, and vehicles that could be driven."""

from collections import Counter
from itertools import pairwise
from statistics import fmean, pvariance

import pytest

from simulators.clock import DAY_US, HOUR_US
from simulators.traffic import MOTOR, QUARTER_US, Road, Traffic
from simulators.vehicles import Direction, Kind
from simulators.weather import Weather

START = 1_783_296_000  # Monday, 2026-07-06 00:00 UTC: 02:00 in Jena
TOWARDS, AWAY = Direction.APPROACHING, Direction.RECEDING
MOTORISED = {one.kind for one in MOTOR}


def traffic(seed: int = 1, weather: Weather | None = None, **road: float) -> Traffic:
    return Traffic(seed, START, Road(**road), weather)  # type: ignore[arg-type]


def count(one: Traffic, from_h: float, to_h: float, *kinds: Kind) -> int:
    passages = one.passages(round(from_h * HOUR_US), round(to_h * HOUR_US))
    return sum(vehicle.kind in (kinds or MOTORISED) for vehicle in passages)


class TestArrivals:
    """Poisson: mean and variance of a count are the same, and follow the rate."""

    def test_counts_of_a_quarter_of_an_hour_have_the_mean_and_the_variance_of_the_rate(self):
        rate = traffic(bicycles_per_day=800).per_hour(15 * HOUR_US, "bicycle", TOWARDS) / 4

        counts = [
            sum(
                v.kind is Kind.BICYCLE and v.direction is TOWARDS
                for v in one.passages(15 * HOUR_US, 15 * HOUR_US + QUARTER_US)
            )
            for one in (traffic(seed, bicycles_per_day=800, motor_per_day=0) for seed in range(600))
        ]

        assert fmean(counts) == pytest.approx(rate, rel=0.06)  # its standard error is 1.6 %
        assert pvariance(counts) == pytest.approx(rate, rel=0.2)  # 5.9 %

    def test_gaps_between_them_are_exponential(self):
        """Of an exponential distribution 1 - 1/e = 63 % lie below the mean."""
        times = [
            v.time_us
            for v in traffic(bicycles_per_day=0, motor_per_day=0, pedestrians_per_day=30_000).passages(
                13 * HOUR_US, 14 * HOUR_US
            )
        ]

        gaps = [b - a for a, b in pairwise(times)]

        assert len(gaps) > 500
        assert sum(gap < fmean(gaps) for gap in gaps) / len(gaps) == pytest.approx(0.632, abs=0.06)

    def test_a_working_day_has_as_many_as_the_road_says(self):
        """Tuesday, from midnight to midnight in Jena."""
        assert count(traffic(motor_per_day=8_000), 22, 46) == pytest.approx(8_000, rel=0.05)

    def test_how_time_is_cut_changes_nobody(self):
        whole = traffic().passages(5 * HOUR_US, 9 * HOUR_US)

        parts = [
            v for quarter in range(20, 36) for v in traffic().passages(quarter * QUARTER_US, (quarter + 1) * QUARTER_US)
        ]

        assert parts == whole

    def test_the_same_seed_gives_the_same_passages_whatever_was_asked_before(self):
        one, other = traffic(5), traffic(5)
        for hour in range(30, 0, -3):
            other.passages(hour * HOUR_US, (hour + 1) * HOUR_US)

        assert one.passages(7 * HOUR_US, 8 * HOUR_US) == other.passages(7 * HOUR_US, 8 * HOUR_US)
        assert one.passages(7 * HOUR_US, 8 * HOUR_US) != traffic(6).passages(7 * HOUR_US, 8 * HOUR_US)


class TestCourse:
    def rate(self, day: int, hour: float, what: str = "motor", direction: Direction = TOWARDS) -> float:
        """``hour``: on Jena's clocks, two ahead of UTC in July."""
        return traffic().per_hour(round(day * DAY_US + (hour - 2) * HOUR_US), what, direction)

    def test_a_working_day_has_a_morning_and_an_evening_peak_and_a_quiet_night(self):
        assert self.rate(0, 7.5) > 1.3 * self.rate(0, 10.5)
        assert self.rate(0, 16.5, direction=AWAY) > 1.3 * self.rate(0, 10.5, direction=AWAY)
        assert self.rate(0, 3) < 0.1 * self.rate(0, 7.5)

    def test_a_sunday_has_no_morning_peak_and_less_of_everything(self):
        assert self.rate(6, 7.5) < 0.25 * self.rate(0, 7.5)
        assert sum(self.rate(6, h) for h in range(24)) < 0.65 * sum(self.rate(0, h) for h in range(24))

    def test_most_come_in_the_morning_and_leave_in_the_evening(self):
        assert self.rate(0, 7.5) > 1.3 * self.rate(0, 7.5, direction=AWAY)
        assert self.rate(0, 16.5) < 0.8 * self.rate(0, 16.5, direction=AWAY)

    def test_in_winter_the_clocks_and_the_rush_hour_are_an_hour_later_in_utc(self):
        january = Traffic(1, 1_768_176_000, Road())  # Monday, 2026-01-12 00:00 UTC
        rates = {hour: january.per_hour(hour * HOUR_US + HOUR_US // 2, "motor", TOWARDS) for hour in range(12)}

        assert max(rates, key=lambda hour: rates[hour]) == 6  # 07:30 in Jena

    def test_rain_halves_the_bicycles_and_leaves_the_cars(self):
        weather = Weather(1, START, dry_days=0)
        wet = next(weather.day(n) for n in range(1, 60) if weather.day(n).rain_mm > 1)
        dry, rainy = traffic(), traffic(weather=weather)
        at = wet.rain_start_us + HOUR_US // 4

        assert rainy.per_hour(at, "bicycle", AWAY) <= 0.5 * dry.per_hour(at, "bicycle", AWAY)
        assert rainy.per_hour(at, "motor", AWAY) == dry.per_hour(at, "motor", AWAY)


class TestVehicles:
    PASSAGES = traffic(pedestrians_per_day=300).passages(0, 2 * DAY_US)

    def test_classes_come_in_their_shares(self):
        kinds = Counter(v.kind for v in self.PASSAGES)
        motorised = sum(kinds[kind] for kind in MOTORISED)

        assert kinds[Kind.CAR] / motorised == pytest.approx(0.86, abs=0.02)
        assert kinds[Kind.TRUCK] / motorised == pytest.approx(0.025, abs=0.01)
        assert set(kinds) == set(Kind)

    def test_axles_lie_within_the_vehicle_and_trucks_have_three(self):
        assert all(0 <= mm < v.length_mm for v in self.PASSAGES for mm in v.axles_mm)
        assert {len(v.axles_mm) for v in self.PASSAGES if v.kind is Kind.TRUCK} == {3}
        assert {len(v.axles_mm) for v in self.PASSAGES if v.kind is Kind.CAR} == {2}

    def test_speeds_are_those_of_a_street_in_town(self):
        cars = [v.speed_kmh for v in self.PASSAGES if v.kind is Kind.CAR]

        assert 38 < fmean(cars) < 45
        assert all(7 <= v.speed_kmh <= 38 for v in self.PASSAGES if v.kind is Kind.BICYCLE)
        assert 0.05 < sum(kmh > 50 for kmh in cars) / len(cars) < 0.25

    def test_in_a_lane_nobody_drives_into_the_one_ahead(self):
        for direction in Direction:
            lane = [v for v in self.PASSAGES if v.direction is direction and v.kind in MOTORISED]
            for ahead, behind in pairwise(lane):
                tail_us = ahead.time_us + ahead.length_mm / ahead.mm_per_us
                assert behind.time_us - tail_us > 500_000 or behind.time_us // HOUR_US != ahead.time_us // HOUR_US

    def test_a_street_at_its_capacity_is_slower(self):
        free, full = traffic(motor_per_day=1_000), traffic(motor_per_day=20_000)

        def mean(one: Traffic) -> float:
            return fmean(v.speed_kmh for v in one.passages(14 * HOUR_US, 15 * HOUR_US) if v.kind is Kind.CAR)

        assert mean(full) < 0.8 * mean(free)
