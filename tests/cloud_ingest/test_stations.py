# SPDX-License-Identifier: EUPL-1.2
"""Stations of air quality and traffic: their own things, values and charts, and no business of the watering crew."""

import pytest

from cloud_ingest import instruments
from decoders.senml import Reading
from tests.cloud_ingest.serving import served
from tests.cloud_ingest.world import COUNTER, HOUR, NODES, SNIFFER, START, UP, batch, sample, small_city, uplink
from tests.cloud_ingest.world import with_stations as changes

AIR = {"pm2_5": ("ug/m3", 8.4), "air_temperature": ("Cel", 21.5), "air_pressure": ("hPa", 1003.2)}


@pytest.fixture
def city(tmp_path):
    with served(tmp_path, small_city(**changes())) as found:
        yield found


def air(at, **faults):
    """One sample of the air node; a keyword names a quantity's fault."""
    return [
        Reading(name, unit, at, None if name in faults else value, faults.get(name))
        for name, (unit, value) in AIR.items()
    ]


def station(city, station_id):
    return next(one["properties"] for one in city.get("/api/stations")["features"] if one["id"] == station_id)


class TestStations:
    def test_a_station_nobody_has_heard_of_is_silent(self, city):
        found = station(city, "L-01")

        assert (found["kind"], found["sensor"], found["latest"]) == ("air", "silent", {})

    def test_tells_its_latest_values_in_the_order_of_its_kind(self, city):
        city.feed(UP, batch(uplink(1, SNIFFER, 1, air(START))))

        found = station(city, "L-01")

        assert found["sensor"] == "ok"
        assert list(found["latest"]) == ["pm2_5", "air_temperature", "air_pressure"]
        assert found["latest"]["pm2_5"]["value"] == 8.4
        assert found["latest"]["pm2_5"]["unit"] == "ug/m3"

    def test_says_of_how_long_its_counts_are_and_which_speeds_are_slow_and_fast(self, tmp_path):
        told = changes()
        told["stations"][0]["speeds_kmh"] = [20, 30]
        with served(tmp_path, small_city(**told)) as found:
            counter, sniffer = station(found, "V-01"), station(found, "L-01")

        assert (counter["interval_s"], counter["speeds_kmh"]) == (HOUR, [20, 30])
        assert sniffer["interval_s"] == HOUR
        assert "speeds_kmh" not in sniffer

    def test_a_sensor_that_fails_does_not_silence_the_others(self, city):
        city.feed(UP, batch(uplink(1, SNIFFER, 1, air(START, pm2_5="no_answer"))))

        found = station(city, "L-01")

        assert found["sensor"] == "ok"
        assert found["latest"]["pm2_5"]["fault"] == "no_answer"
        assert found["latest"]["air_temperature"]["value"] == 21.5

    def test_a_station_of_which_everything_fails_is_faulty(self, city):
        city.feed(UP, batch(uplink(1, SNIFFER, 1, air(START, **dict.fromkeys(AIR, "no_answer")))))

        assert station(city, "L-01")["sensor"] == "fault"

    def test_after_three_intervals_it_is_silent(self, city):
        city.feed(UP, batch(uplink(1, SNIFFER, 1, air(START))))
        city.feed(UP, batch(uplink(2, NODES[0], 1, sample(START + 3 * HOUR + 60, 20.0))))

        assert station(city, "L-01")["sensor"] == "silent"

    def test_a_weekly_report_of_the_node_is_no_sign_of_life_of_its_sensors(self, city):
        city.feed(UP, batch(uplink(1, SNIFFER, 1, air(START))))
        late = START + 4 * HOUR
        city.feed(UP, batch(uplink(2, SNIFFER, 2, [Reading("battery_voltage", "V", late, 3.3, None)])))

        assert station(city, "L-01")["sensor"] == "silent"

    def test_a_value_that_cannot_be_is_a_fault(self, city):
        city.feed(UP, batch(uplink(1, SNIFFER, 1, [Reading("pm2_5", "ug/m3", START, 1200.0, None)])))

        assert station(city, "L-01")["latest"]["pm2_5"]["fault"] == "out_of_range"

    def test_has_a_series_of_every_quantity(self, city):
        for n in range(5):
            city.feed(UP, batch(uplink(n + 1, SNIFFER, n, air(START + n * HOUR))))

        found = city.get("/api/stations/L-01/series?quantity=air_pressure")

        assert (found["station"], found["unit"], found["act"]) == ("L-01", "hPa", None)
        assert found["at"] == [START + n * HOUR for n in range(5)]

    def test_a_tree_is_no_station_and_a_station_no_tree(self, city):
        city.get("/api/stations/J-0001/series?quantity=pm2_5", 404)
        city.get("/api/trees/L-01/series?quantity=pm2_5", 404)


class TestTheRest:
    def test_no_alert_and_no_stop_of_the_crew_comes_from_a_station(self, city):
        for n in range(6):
            city.feed(
                UP, batch(uplink(n + 1, SNIFFER, n, [Reading("soil_moisture", "%", START + n * HOUR, 1.0, None)]))
            )

        crew = city.get("/api/crew")

        assert crew["areas"] == []
        assert {one["tree"] for one in crew["sensors"]} == {"J-0001", "J-0002", "J-0004"}
        assert len(city.get("/api/trees")["features"]) == 4

    def test_sensorthings_has_a_thing_for_it_with_its_own_words(self, city):
        city.feed(UP, batch(uplink(1, SNIFFER, 1, air(START))))

        [thing] = city.get("/v1.1/Things?$filter=name eq 'L-01'&$expand=Locations,Datastreams($expand=Sensor)")["value"]

        assert thing["description"] == "Air quality, Fisher lane"
        assert thing["properties"]["kind"] == "air"
        assert thing["Locations"][0]["description"] == "Where the air station L-01 stands"
        streams = {one["properties"]["quantity"]: one for one in thing["Datastreams"]}
        assert streams["pm2_5"]["unitOfMeasurement"]["symbol"] == "µg/m³"
        assert streams["pm2_5"]["Sensor"]["name"] == "Sensirion SPS30"
        assert streams["air_pressure"]["Sensor"]["name"] == "Bosch BME280"

    def test_a_counter_is_a_thing_of_the_street(self, city):
        city.feed(UP, batch(uplink(1, COUNTER, 1, [Reading("vehicle_count_approaching_fast", "1", START, 9, None)])))

        [thing] = city.get("/v1.1/Things?$filter=name eq 'V-01'&$expand=Datastreams($expand=Sensor,Observations)")[
            "value"
        ]

        [stream] = thing["Datastreams"]
        assert stream["Sensor"]["name"] == "Hi-Link HLK-LD2451"
        assert stream["Observations"][0]["result"] == 9


class TestInstruments:
    @pytest.mark.parametrize(
        ("quantity", "carried", "name"),
        [
            ("soil_moisture", (), "Truebner SMT100"),
            ("soil_moisture_2", (), "Truebner SMT100"),
            ("surface_temperature", (), "DS18B20"),
            ("soil_water_tension", (), "Irrometer Watermark 200SS"),
            ("air_temperature", ("SCD41", "BME280"), "Sensirion SCD41"),
            ("pm10", ("SDS011",), "Nova SDS011"),
            ("pm1", ("SDS011",), "Unnamed instrument"),
            ("people_count", ("pulses",), "Pulse counter"),
            ("battery_voltage", ("SPS30",), "Battery monitor"),
        ],
    )
    def test_each_quantity_has_the_first_that_measures_it(self, quantity, carried, name):
        assert instruments.of(quantity, carried).name == name


class TestDoubts:
    """What moves, is dry and does not contradict itself is believed; the rest is told with the reason to doubt it."""

    @staticmethod
    def moving(hour: int, dust: tuple[float, float] = (8.4, 9.9), humidity: float = 60.0) -> list[Reading]:
        at = START + hour * HOUR
        return [
            Reading("pm2_5", "ug/m3", at, dust[0], None),
            Reading("pm10", "ug/m3", at, dust[1], None),
            Reading("air_temperature", "Cel", at, 10.0 + hour % 20, None),
            Reading("relative_humidity", "%", at, humidity, None),
        ]

    @pytest.fixture
    def stuck(self, city):
        """The dust sensor stands still for a day, the other one does not."""
        for hour in range(25):
            city.feed(UP, batch(uplink(hour + 1, SNIFFER, hour, self.moving(hour))))
        return city

    def test_an_instrument_that_stands_still_is_named_and_does_not_silence_the_other(self, stuck):
        found = station(stuck, "L-01")

        assert found["sensor"] == "ok"
        assert found["sensors"] == {"Sensirion SPS30": "stuck", "Bosch BME280": "ok"}
        assert found["latest"]["pm2_5"]["suspect"] == ["stuck"]
        assert found["latest"]["pm2_5"]["value"] == 8.4
        assert "suspect" not in found["latest"]["air_temperature"]

    def test_a_station_of_which_everything_stands_still_is_stuck(self, city):
        for hour in range(25):
            at = START + hour * HOUR
            city.feed(UP, batch(uplink(hour + 1, SNIFFER, hour, air(at))))

        assert station(city, "L-01")["sensor"] == "stuck"

    def test_sensorthings_says_why_with_the_result_and_with_its_datastream(self, stuck):
        streams = {
            one["properties"]["quantity"]: one
            for one in stuck.get("/v1.1/Things?$filter=name eq 'L-01'&$expand=Datastreams($expand=Observations)")[
                "value"
            ][0]["Datastreams"]
        }

        assert streams["pm10"]["properties"] == {"quantity": "pm10", "ucum": "ug/m3", "suspect": ["stuck"]}
        assert streams["air_temperature"]["properties"] == {"quantity": "air_temperature", "ucum": "Cel"}
        assert [one["resultQuality"] for one in streams["pm10"]["Observations"]] == [{"suspect": ["stuck"]}] * 25
        assert {one["result"] for one in streams["pm10"]["Observations"]} == {9.9}
        assert not any("resultQuality" in one for one in streams["air_temperature"]["Observations"])

    def test_the_series_says_from_when_to_when(self, stuck):
        found = stuck.get("/api/stations/L-01/series?quantity=pm10")

        assert found["suspect"] == [[START, START + 24 * HOUR, "stuck"]]
        assert len(found["value"]) == 25
        assert stuck.get("/api/stations/L-01/series?quantity=air_temperature")["suspect"] == []

    def test_a_late_reading_takes_the_doubt_back(self, stuck):
        doubted = "/v1.1/Observations?$filter=resultQuality/suspect ne null&$count=true"
        assert stuck.get(doubted)["@iot.count"] == 50

        late = [reading._replace(at=reading.at + 900) for reading in self.moving(12, (30.0, 40.0))]
        stuck.feed(UP, batch(uplink(99, SNIFFER, 99, late)))

        assert station(stuck, "L-01")["sensors"]["Sensirion SPS30"] == "ok"
        assert stuck.get(doubted)["@iot.count"] == 0

    def test_dust_in_humid_air_is_told_as_such_and_the_instrument_is_well(self, city):
        city.feed(UP, batch(uplink(1, SNIFFER, 1, self.moving(0, humidity=97.0))))

        found = station(city, "L-01")

        assert found["latest"]["pm2_5"]["suspect"] == ["humid"]
        assert found["sensors"]["Sensirion SPS30"] == "ok"

    def test_there_may_be_several_reasons(self, city):
        city.feed(UP, batch(uplink(1, SNIFFER, 1, self.moving(0, (12.0, 7.0), humidity=97.0))))

        assert station(city, "L-01")["latest"]["pm10"]["suspect"] == ["contradictory", "humid"]

    def test_a_count_too_small_to_be_told_may_be_doubted_all_the_same(self, city):
        for hour in range(25):
            count = Reading("bicycle_count", "1", START + hour * HOUR, 2, None)
            city.feed(UP, batch(uplink(hour + 1, COUNTER, hour, [count])))

        [newest] = city.get("/v1.1/Observations?$top=1&$orderby=phenomenonTime desc")["value"]

        assert (newest["result"], newest["resultQuality"]) == (None, {"flag": "suppressed", "suspect": ["stuck"]})
        assert station(city, "V-01")["latest"]["bicycle_count"]["suspect"] == ["stuck"]

    def test_a_fault_has_no_doubt_beside_it(self, stuck):
        at = START + 25 * HOUR
        stuck.feed(UP, batch(uplink(98, SNIFFER, 98, [Reading("pm10", "ug/m3", at, None, "no_answer")])))

        assert "suspect" not in station(stuck, "L-01")["latest"]["pm10"]
