# SPDX-License-Identifier: EUPL-1.2
"""The air: growth of particles as published, courses of day and year as stations see them, and no impossible air."""

from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.air_quality import AirQuality, Place, growth
from simulators.clock import DAY_US, HOUR_US
from simulators.traffic import Road
from simulators.weather import Weather

START = 1_783_296_000  # Monday, 2026-07-06 00:00 UTC
JANUARY = 182  # days after it
DRY = Weather(1, START, dry_days=1000)
RAINY = Weather(1, START, dry_days=0)
AIR = AirQuality(1, DRY)


def mean_by_hour(first_day: int, hours: tuple[int, ...], air: AirQuality = AIR, days: int = 28) -> float:
    """Of dry PM2.5 at these hours (UTC) of working days."""
    times = [d * DAY_US + hour * HOUR_US for d in range(first_day, first_day + days) for hour in hours if d % 7 < 5]
    return fmean(air.dry(time).pm2_5 for time in times)


class TestGrowth:
    """Crilley et al. (2018), equation 1: C = 1 + (kappa / 1.65) / (-1 + 1 / aw); worked by hand for kappa = 0.40."""

    @pytest.mark.parametrize(("humidity", "factor"), [(0, 1.0), (50, 1.2424), (80, 1.9697), (85, 2.3737), (90, 3.1818)])
    def test_literal_values(self, humidity, factor):
        assert growth(humidity) == pytest.approx(factor, abs=0.0001)

    def test_dust_of_the_road_hardly_grows(self):
        assert growth(90, kappa=0.05) == pytest.approx(1.2727, abs=0.0001)

    def test_an_optical_sensor_sees_that_much_more_than_a_station_weighs(self):
        time = next(h * HOUR_US for h in range(24 * 30) if 88 < DRY.relative_humidity(h * HOUR_US) < 92)

        ratio = AIR.air(time).pm2_5 / AIR.dry(time).pm2_5

        assert 2.7 < ratio < 3.9  # 2.78 at 88 %, 3.79 at 92 %

    def test_in_fog_coarse_dust_is_seen_that_is_not_there(self):
        foggy = [h * HOUR_US for h in range(150 * 24, 190 * 24) if DRY.is_foggy(h * HOUR_US)]

        assert foggy
        assert all(AIR.air(time).pm10 > AIR.dry(time).pm10 + 100 for time in foggy)


class TestCourses:
    def test_mornings_with_rush_hour_and_a_shallow_layer_are_dustier_than_afternoons(self):
        assert mean_by_hour(0, (4, 5)) > 1.2 * mean_by_hour(0, (11, 12))

    def test_more_traffic_means_more_dust_and_more_nox(self):
        quiet = AirQuality(1, DRY, Place(Road(motor_per_day=200)))
        loud = AirQuality(1, DRY, Place(Road(motor_per_day=20_000)))

        assert mean_by_hour(0, (5,), loud) > mean_by_hour(0, (5,), quiet) + 5
        assert loud.air(6 * HOUR_US).nox_index > 5 * quiet.air(6 * HOUR_US).nox_index

    def test_on_winter_evenings_stoves_are_lit_and_in_summer_not(self):
        without = AirQuality(1, DRY, Place(stoves=0.0))

        assert mean_by_hour(JANUARY, (19, 20)) > mean_by_hour(JANUARY, (19, 20), without) + 5
        assert mean_by_hour(JANUARY, (19, 20)) > 1.4 * mean_by_hour(JANUARY, (12, 13))
        assert mean_by_hour(0, (19,)) == pytest.approx(mean_by_hour(0, (19,), without))

    def test_a_still_cold_night_holds_ten_times_more_than_a_summer_noon(self):
        assert min(AIR.ventilation(JANUARY * DAY_US + h * HOUR_US) for h in range(24 * 20)) < 400
        assert min(AIR.ventilation(day * DAY_US + 11 * HOUR_US) for day in range(20)) > 1_000

    def test_rain_washes_the_air(self):
        dry, rainy = AirQuality(1, DRY), AirQuality(1, RAINY)
        wet = next(RAINY.day(n) for n in range(1, 60) if RAINY.day(n).rain_mm > 10)
        after = wet.rain_start_us + wet.rain_us

        assert rainy.dry(after).pm10 < 0.6 * dry.dry(after).pm10

    def test_a_year_at_a_street_is_that_of_german_towns(self):
        """Umweltbundesamt, annual means 2022 to 2024 near traffic: PM2.5 8 to 12, PM10 14 to 20 ug/m3."""
        year = [AirQuality(1, RAINY).dry(hour * HOUR_US) for hour in range(0, 365 * 24, 7)]

        assert 8 < fmean(dust.pm2_5 for dust in year) < 13
        assert 13 < fmean(dust.pm10 for dust in year) < 21
        assert sum(dust.pm10 > 50 for dust in year) / len(year) < 0.1

    def test_carbon_dioxide_rises_in_still_summer_nights_and_falls_by_day(self):
        nights = fmean(AIR.air(day * DAY_US + 2 * HOUR_US).co2 for day in range(20))
        noons = fmean(AIR.air(day * DAY_US + 12 * HOUR_US).co2 for day in range(20))

        assert 440 < nights < 520
        assert 415 < noons < 432


class TestTruth:
    @given(st.integers(0, 400 * DAY_US))
    def test_is_physically_possible_always(self, now_us):
        truth, dry = AIR.air(now_us), AIR.dry(now_us)

        assert 0 < truth.pm1 < truth.pm2_5 < truth.pm4 < truth.pm10 < 700
        assert 0 < dry.pm1 < dry.pm2_5 < dry.pm4 < dry.pm10 < 150
        assert 400 < truth.co2 < 620
        assert 100 <= truth.voc_index <= 500
        assert 1 <= truth.nox_index <= 500

    def test_is_the_same_in_every_run_and_differs_with_the_seed(self):
        times = [n * 5 * HOUR_US for n in range(20)]

        assert [AIR.air(t) for t in times] == [AirQuality(1, Weather(1, START, dry_days=1000)).air(t) for t in times]
        assert AIR.dry(0) != AirQuality(2, DRY).dry(0)
