# SPDX-License-Identifier: EUPL-1.2
"""Doubts about instruments of air and traffic: a flat line (QARTOD, EPA-454/R-99-005), humid air, impossible dust."""

from collections.abc import Iterable

import pytest

from cloud_ingest.station_quality import Sample, Sensor, Suspicion, observe
from simulators.air_quality import AirQuality, AirTruth
from simulators.clock import HOUR_US
from simulators.traffic import Road, Traffic
from simulators.vehicles import Direction, Kind
from simulators.weather import Weather

QUARTER, HOUR, DAY = 900, 3600, 86400
START = 1_783_296_000  # Monday, 2026-07-06 00:00 UTC
YEAR_H = 365 * 24
WEATHER = Weather(1, START)
DUST_SENSOR = Sensor(QUARTER, ("pm1", "pm10", "pm2_5", "pm4"), counts=False)
CO2_SENSOR = Sensor(QUARTER, ("co2",), counts=False)
CLIMATE_SENSOR = Sensor(QUARTER, ("air_pressure", "air_temperature", "relative_humidity"), counts=False)
RADAR = Sensor(QUARTER, ("approaching", "receding", "bicycle"), counts=True)


def judged(sensor: Sensor, samples: Iterable[Sample]) -> list[dict[str, int]]:
    """The reasons after each sample, with their beginnings."""
    suspicion, found = Suspicion(), []
    for sample in samples:
        suspicion = observe(suspicion, sample, sensor)
        found.append(dict(suspicion.since))
    return found


def every(interval_s: int, values: Iterable[float], humidity: float | None = None) -> list[Sample]:
    return [Sample(n * interval_s, (value,), humidity) for n, value in enumerate(values)]


def hourly(sensor: Sensor) -> Sensor:
    return Sensor(HOUR, sensor.quantities, sensor.counts)


class TestStuck:
    """EPA-454/R-99-005, Table 8-4: does not vary for 12 consecutive hours."""

    def test_air_that_stands_still_for_12_hours_is_doubted_since_its_beginning(self):
        found = judged(CO2_SENSOR, every(QUARTER, [430.0] * 49))

        assert found[47] == {}
        assert found[48] == {"stuck": 0}

    def test_a_node_that_samples_by_the_hour_is_given_24_readings(self):
        found = judged(hourly(CO2_SENSOR), every(HOUR, [430.0] * 25))

        assert found[23] == {}
        assert found[24] == {"stuck": 0}

    def test_the_smallest_change_of_one_quantity_ends_it(self):
        samples = [Sample(n * QUARTER, (1.0, 9.0, 4.0, 7.0 + 0.1 * (n == 60)), None) for n in range(62)]

        found = judged(DUST_SENSOR, samples)

        assert found[59] == {"stuck": 0}
        assert found[60] == {}

    def test_a_quantity_that_moves_keeps_the_others_of_its_instrument_from_doubt(self):
        samples = [Sample(n * QUARTER, (1003.2, 21.5 + n / 10, 55.0), None) for n in range(96)]

        assert not any(judged(CLIMATE_SENSOR, samples))

    def test_equal_values_across_a_long_silence_are_no_flat_line(self):
        assert judged(CO2_SENSOR, [Sample(0, (430.0,), None), Sample(2 * DAY, (430.0,), None)])[1] == {}

    def test_readings_lost_on_the_way_do_not_hide_it(self):
        kept = [sample for n, sample in enumerate(every(QUARTER, [430.0] * 49)) if n % 3 == 0]

        assert judged(CO2_SENSOR, kept)[-1] == {"stuck": 0}


class TestFlat:
    """One quantity alone, for three days."""

    @staticmethod
    def alone(sensor: Sensor, samples: Iterable[Sample]) -> list[dict[str, int]]:
        suspicion, found = Suspicion(), []
        for sample in samples:
            suspicion = observe(suspicion, sample, sensor)
            found.append(dict(suspicion.flat))
        return found

    def test_is_doubted_after_three_days(self):
        samples = [Sample(n * QUARTER, (1003.2 + n % 3, 21.5 + n % 7, 100.0), None) for n in range(289)]

        found = self.alone(CLIMATE_SENSOR, samples)

        assert found[287] == {}
        assert found[288] == {"relative_humidity": 0}

    def test_a_nox_index_rests_in_clean_air(self):
        sensor = Sensor(QUARTER, ("nox_index", "voc_index"), counts=False)
        samples = [Sample(n * QUARTER, (1.0, 100.0 + n % 5), None) for n in range(400)]

        assert not any(self.alone(sensor, samples))

    def test_a_class_of_vehicles_may_never_come(self):
        samples = [Sample(n * QUARTER, (0.0, 5.0 + n % 3, 1.0), None) for n in range(400)]

        assert not any(self.alone(RADAR, samples))


class TestCounts:
    """Zero is the truth of a night and of a closed road; three days of it are to be looked at."""

    def test_two_days_without_anybody_are_normal(self):
        samples = [Sample(n * QUARTER, (0.0, 0.0, 0.0), None) for n in range(3 * 96)]

        assert not any(judged(RADAR, samples))

    def test_the_third_full_day_is_doubted(self):
        samples = [Sample(n * QUARTER, (0.0, 0.0, 0.0), None) for n in range(3 * 96 + 1)]

        assert judged(RADAR, samples)[-1] == {"stuck": 0}

    def test_one_bicycle_ends_it(self):
        samples = [Sample(n * QUARTER, (0.0, 0.0, float(n == 200)), None) for n in range(400)]

        assert not any(judged(RADAR, samples))

    def test_the_same_traffic_for_12_hours_is_doubted(self):
        samples = [Sample(n * QUARTER, (12.0, 9.0, 1.0), None) for n in range(49)]

        assert judged(RADAR, samples)[-1] == {"stuck": 0}


class TestHumid:
    """Crilley et al. (2018), equation 1: at 90 % the mass seen is 3.2 times the dry one."""

    @pytest.mark.parametrize(("humidity", "expected"), [(None, {}), (90.0, {}), (90.1, {"humid": 0})])
    def test_dust_above_90_percent(self, humidity, expected):
        assert judged(DUST_SENSOR, [Sample(0, (1.0, 9.0, 4.0, 7.0), humidity)]) == [expected]

    def test_carbon_dioxide_is_what_it_is_in_fog(self):
        assert judged(CO2_SENSOR, every(QUARTER, [430.0], humidity=100.0)) == [{}]

    def test_it_lasts_from_the_first_humid_sample_and_no_longer_than_the_humidity(self):
        humidities = [85.0, 95.0, 99.0, 85.0, 95.0]
        samples = [
            Sample(n * QUARTER, (1.0, 9.0, 4.0, 7.0 + n / 10), humidity) for n, humidity in enumerate(humidities)
        ]

        found = judged(DUST_SENSOR, samples)

        assert found == [{}, {"humid": 900}, {"humid": 900}, {}, {"humid": 3600}]

    def test_a_long_silence_ends_it(self):
        samples = [Sample(at, (1.0, 9.0, 4.0, 7.0), 95.0) for at in (0, DAY)]

        assert judged(DUST_SENSOR, samples) == [{"humid": 0}, {"humid": DAY}]


class TestContradictory:
    """PM1 is part of PM2.5, that of PM4, that of PM10."""

    @pytest.mark.parametrize(
        ("pm1", "pm2_5", "pm4", "pm10", "expected"),
        [
            (1.0, 4.0, 7.0, 9.0, {}),
            (0.0, 0.0, 0.0, 0.0, {}),
            (4.1, 4.0, 4.0, 4.0, {}),  # rounding
            (4.2, 4.0, 4.0, 4.0, {"contradictory": 0}),
            (1.0, 4.0, 7.0, 6.5, {"contradictory": 0}),
            (1.0, None, 0.5, 9.0, {"contradictory": 0}),
            (None, 4.0, None, 9.0, {}),
        ],
    )
    def test_more_dust_of_one_size_than_of_all_up_to_a_larger_one(self, pm1, pm2_5, pm4, pm10, expected):
        assert judged(DUST_SENSOR, [Sample(0, (pm1, pm10, pm2_5, pm4), None)]) == [expected]


def sent(truth: AirTruth, quantities: tuple[str, ...]) -> tuple[float, ...]:
    """As the air node's payload rounds it."""
    return tuple(round(getattr(truth, name), 0 if name == "co2" else 1) for name in quantities)


@pytest.fixture(scope="module")
def year_of_air():
    air = AirQuality(1, WEATHER)
    return [air.air(n * HOUR_US // 4) for n in range(YEAR_H * 4)]


@pytest.fixture(scope="module")
def year_of_traffic():
    """Of a quiet street: its hours, each as counts of both directions and of bicycles by the quarter."""
    traffic = Traffic(1, START, Road(motor_per_day=250, bicycles_per_day=40), WEATHER)
    quarters = [[0.0, 0.0, 0.0] for _ in range(YEAR_H * 4)]
    for hour in range(YEAR_H):
        for vehicle in traffic.passages(hour * HOUR_US, (hour + 1) * HOUR_US):
            lane = 2 if vehicle.kind is Kind.BICYCLE else 0 if vehicle.direction is Direction.APPROACHING else 1
            quarters[vehicle.time_us * 4 // HOUR_US][lane] += 1
    return quarters


class TestYear:
    """A year of the simulated city: what moves as air and traffic do is never taken for a flat line."""

    @pytest.mark.parametrize("sensor", [DUST_SENSOR, CO2_SENSOR, CLIMATE_SENSOR], ids=["dust", "co2", "climate"])
    @pytest.mark.parametrize("step", [1, 4], ids=["quarters", "hours"])
    def test_of_air_is_never_stuck_and_never_contradictory(self, year_of_air, sensor, step):
        sensor = sensor if step == 1 else hourly(sensor)
        samples = [
            Sample(n * QUARTER, sent(truth, sensor.quantities), round(truth.relative_humidity, 1))
            for n, truth in enumerate(year_of_air)
            if n % step == 0
        ]

        found = judged(sensor, samples)

        assert {reason for since in found for reason in since} <= {"humid"}
        assert not any(TestFlat.alone(sensor, samples))

    def test_of_dust_is_humid_in_all_fog(self, year_of_air):
        samples = [
            Sample(n * QUARTER, sent(truth, DUST_SENSOR.quantities), truth.relative_humidity)
            for n, truth in enumerate(year_of_air)
        ]
        foggy = [WEATHER.is_foggy(n * HOUR_US // 4) for n in range(len(samples))]

        found = judged(DUST_SENSOR, samples)

        assert sum(foggy) > 50
        assert all("humid" in since for since, fog in zip(found, foggy, strict=True) if fog)

    def test_of_a_quiet_street_is_never_stuck_by_the_quarter(self, year_of_traffic):
        samples = [Sample(n * QUARTER, tuple(counts), None) for n, counts in enumerate(year_of_traffic)]

        assert not any(judged(RADAR, samples))

    def test_of_a_quiet_street_is_never_stuck_by_the_hour(self, year_of_traffic):
        hours = [year_of_traffic[n : n + 4] for n in range(0, len(year_of_traffic), 4)]
        samples = [Sample(n * HOUR, tuple(map(sum, zip(*hour, strict=True))), None) for n, hour in enumerate(hours)]

        assert not any(judged(hourly(RADAR), samples))

    @pytest.mark.parametrize("began", [0, 100, 17_000, 35_000 - 49])
    def test_a_sensor_that_hangs_in_it_is_found_after_12_hours(self, year_of_air, began):
        values = [sent(truth, DUST_SENSOR.quantities) for truth in year_of_air[: began + 50]]
        values[began:] = [values[began]] * 50
        first = max(began - 100, 0)
        samples = [Sample(n * QUARTER, values[n], None) for n in range(first, began + 50)]

        found = judged(DUST_SENSOR, samples)

        assert found[began - first + 48] == {"stuck": began * QUARTER}
        assert not any("stuck" in since for since in found[: began - first + 48])
