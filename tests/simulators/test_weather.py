# SPDX-License-Identifier: EUPL-1.2
"""The synthetic weather: FAO-56's worked examples, that it is a year in Jena, and the same in every run."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.weather import (
    DAY_US,
    HOUR_US,
    Sun,
    Weather,
    hargreaves_mm,
    pressure_at_hpa,
    vapour_pressure_kpa,
)

START = 1_783_296_000  # 2026-07-06 00:00 UTC
TIMES = st.integers(0, 60 * DAY_US)


class TestFao56Examples:
    def test_example_8_extraterrestrial_radiation_at_20_degrees_south_on_3_september(self):
        assert Sun.of(-20.0, 246).extraterrestrial_mj == pytest.approx(32.2, abs=0.05)

    def test_example_9_daylight_hours_of_that_day(self):
        assert 24 / 3.141593 * Sun.of(-20.0, 246).sunset_rad == pytest.approx(11.7, abs=0.05)

    def test_example_20_hargreaves_for_lyon_in_july(self):
        assert hargreaves_mm(14.8, 26.6, 40.55) == pytest.approx(5.0, abs=0.05)

    def test_example_2_pressure_at_1800_m(self):
        assert pressure_at_hpa(1800, 1013) == pytest.approx(818, abs=0.5)

    @pytest.mark.parametrize(("celsius", "kpa"), [(24.5, 3.075), (15.0, 1.705)])
    def test_example_3_saturation_vapour_pressure(self, celsius, kpa):
        assert vapour_pressure_kpa(celsius) == pytest.approx(kpa, abs=0.001)


class TestSun:
    def test_by_solar_noon_half_of_the_day_has_come_down(self):
        sun = Sun.of(50.927, 187)

        assert sun.share_until(12.0) == pytest.approx(0.5)
        assert (sun.share_until(0.0), sun.share_until(24.0)) == (0.0, pytest.approx(1.0))

    def test_a_july_day_in_jena_lasts_about_16_hours_and_a_quarter(self):
        assert 24 / 3.141593 * Sun.of(50.927, 187).sunset_rad == pytest.approx(16.2, abs=0.2)

    def test_the_sun_is_highest_at_about_11_14_utc_and_13_14_on_jenas_clocks(self):
        weather = Weather(1, START)
        minutes = range(24 * 60)

        highest = max(minutes, key=lambda minute: weather.sunshine(minute * HOUR_US // 60))

        assert abs(highest - (11 * 60 + 14)) <= 2

    def test_there_is_no_sunshine_at_midnight(self):
        assert Weather(1, START).sunshine(23 * HOUR_US) == 0.0


class TestJuly:
    def test_the_first_days_are_dry_and_a_quarter_to_a_half_of_the_later_ones_are_not(self):
        weather = Weather(1, START, dry_days=5)

        rain = [weather.day(n).rain_mm for n in range(365)]

        assert rain[:5] == [0.0] * 5
        assert 0.25 < sum(mm > 0 for mm in rain) / 360 < 0.5

    def test_temperatures_and_evaporation_are_those_of_a_warm_july(self):
        days = [Weather(1, START).day(n) for n in range(5)]

        assert all(8 < day.minimum < 19 and 23 < day.maximum < 34 for day in days)
        assert all(3.5 < day.et0_mm < 8 for day in days)

    @given(TIMES)
    def test_air_stays_between_the_extremes_of_the_days_around(self, now_us):
        weather = Weather(3, START)
        number = now_us // DAY_US
        days = [weather.day(n) for n in (number - 1, number, number + 1)]

        celsius = weather.air_celsius(now_us)

        assert min(day.minimum for day in days) - 1e-9 <= celsius <= max(day.maximum for day in days) + 1e-9

    def test_afternoons_are_warmer_than_nights(self):
        weather = Weather(1, START)

        for day in range(10):
            assert weather.air_celsius(day * DAY_US + 14 * HOUR_US) == pytest.approx(weather.day(day).maximum)
            assert weather.air_celsius(day * DAY_US + 4 * HOUR_US) == pytest.approx(weather.day(day).minimum)


class TestYear:
    YEAR = Weather(1, START, dry_days=0)

    def hours(self, first_day: int) -> list[int]:
        return [first_day * DAY_US + hour * HOUR_US for hour in range(30 * 24)]

    def test_january_is_cold_with_frost_and_july_is_not(self):
        january = [self.YEAR.day(n) for n in range(179, 210)]
        july = [self.YEAR.day(n) for n in range(20)]

        assert -3 < sum(day.minimum + day.maximum for day in january) / 62 < 4  # Jena's mean: 1.6 (1991-2020)
        assert 8 < sum(day.minimum < 0 for day in january) < 31
        assert min(day.minimum for day in july) > 8

    def test_a_year_of_evaporation_is_that_of_central_germany(self):
        total = sum(self.YEAR.day(n).et0_mm for n in range(365))

        assert 550 < total < 850

    def test_air_is_damp_before_sunrise_and_dry_in_the_afternoon(self):
        dry = Weather(1, START)
        for day in range(5):
            night = dry.relative_humidity(day * DAY_US + 4 * HOUR_US)
            afternoon = dry.relative_humidity(day * DAY_US + 14 * HOUR_US)
            assert night > 75
            assert afternoon < night - 20

    def test_while_it_rains_the_air_is_nearly_saturated(self):
        wet = next(self.YEAR.day(n) for n in range(1, 60) if self.YEAR.day(n).rain_mm > 5)

        assert self.YEAR.relative_humidity(wet.rain_start_us + HOUR_US // 4) >= 93

    def test_pressure_is_that_of_the_valley_and_wanders_within_days(self):
        hourly = [self.YEAR.pressure_hpa(time) for time in self.hours(0)]

        assert 955 < min(hourly) < max(hourly) < 1035
        assert 980 < sum(hourly) / len(hourly) < 1015
        assert max(abs(b - a) for a, b in pairwise(hourly)) < 3

    def test_fog_comes_in_winter_nights_more_than_in_summer_and_never_at_a_summer_noon(self):
        winter = sum(self.YEAR.is_foggy(time) for time in self.hours(150))
        summer = sum(self.YEAR.is_foggy(time) for time in self.hours(0))

        assert winter > summer
        assert not any(self.YEAR.is_foggy(day * DAY_US + 11 * HOUR_US) for day in range(60))

    @given(st.integers(0, 400 * DAY_US))
    def test_everything_is_possible_and_does_not_jump(self, now_us):
        for value, low, high, in_a_minute in (
            (self.YEAR.air_celsius, -25, 40, 0.2),
            (self.YEAR.pressure_hpa, 940, 1040, 0.1),
            (self.YEAR.wind_m_s, 0, 20, 0.2),
        ):
            assert low < value(now_us) < high
            assert abs(value(now_us + 60_000_000) - value(now_us)) < in_a_minute
        assert 0 < self.YEAR.relative_humidity(now_us) <= 100


class TestStart:
    def test_a_simulation_that_starts_at_noon_is_two_hours_from_the_warmest_one(self):
        weather = Weather(1, START + 12 * 3600)

        assert weather.air_celsius(2 * HOUR_US) == pytest.approx(weather.day(0).maximum)
        assert weather.et0_mm(-12 * HOUR_US, 12 * HOUR_US) == pytest.approx(weather.day(0).et0_mm)


class TestSums:
    def test_a_day_sums_up_to_its_evapotranspiration_and_its_rain(self):
        weather = Weather(1, START)
        wet = next(n for n in range(100) if weather.day(n).rain_mm and n)

        assert weather.et0_mm(0, DAY_US) == pytest.approx(weather.day(0).et0_mm)
        start = weather.day(wet).rain_start_us
        assert weather.rain_mm(start, start + weather.day(wet).rain_us) >= weather.day(wet).rain_mm - 1e-9

    @given(st.lists(TIMES, min_size=3, max_size=3).map(sorted))
    def test_neither_rain_nor_evaporation_depends_on_how_time_is_cut(self, times):
        weather = Weather(2, START)
        first, middle, last = times

        for amount in (weather.rain_mm, weather.et0_mm):
            assert amount(first, middle) + amount(middle, last) == pytest.approx(amount(first, last), abs=1e-9)
            assert amount(first, last) >= 0

    def test_rain_that_lasts_past_midnight_falls_on_both_days(self):
        weather = Weather(1, START)
        ends = {n: weather.day(n).rain_start_us + weather.day(n).rain_us - (n + 1) * DAY_US for n in range(300)}
        late = next(n for n, over_us in ends.items() if over_us > HOUR_US and weather.day(n).rain_mm > 1)
        midnight = (late + 1) * DAY_US

        before, after = (
            weather.rain_mm(midnight - DAY_US // 2, midnight),
            weather.rain_mm(midnight, midnight + 6 * HOUR_US),
        )

        assert min(before, after) > 0
        assert before + after == pytest.approx(weather.day(late).rain_mm)

    def test_at_night_nothing_evaporates(self):
        assert Weather(1, START).et0_mm(21 * HOUR_US, 26 * HOUR_US) == pytest.approx(0.0, abs=1e-12)


class TestRepeatability:
    def test_the_same_seed_gives_the_same_weather_whatever_was_asked_before(self):
        forward, backward = Weather(5, START), Weather(5, START)
        times = [n * 7 * HOUR_US for n in range(100)]

        ahead = [forward.air_celsius(time) for time in times]
        behind = [backward.air_celsius(time) for time in reversed(times)]

        assert ahead == behind[::-1]

    def test_another_seed_gives_other_weather(self):
        assert Weather(5, START).day(0) != Weather(6, START).day(0)
