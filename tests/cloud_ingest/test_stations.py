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
