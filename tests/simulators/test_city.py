# SPDX-License-Identifier: EUPL-1.2
"""The small Jena: what the city's side and the gateway get to know, and when which area dries out."""

import json
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_ingest.registry import parse
from simulators.city import small_jena
from simulators.clock import DAY_US, HOUR_US

SEEDS = range(1, 7)


def inside(ring: list[list[float]], lon: float, lat: float) -> bool:
    """Ray casting, the schoolbook way."""
    hits = 0
    for (x1, y1), (x2, y2) in pairwise(ring):
        if (y1 > lat) != (y2 > lat) and lon < x1 + (lat - y1) * (x2 - x1) / (y2 - y1):
            hits += 1
    return hits % 2 == 1


class TestRegistry:
    def test_names_four_areas_twelve_trees_and_as_many_nodes(self):
        registry = small_jena(1).registry()

        assert list(registry) == ["name", "center", "zoom", "reference_areas", "trees", "nodes"]
        assert [area["id"] for area in registry["reference_areas"]] == ["RA-01", "RA-02", "RA-03", "RA-04"]
        assert [len([t for t in registry["trees"] if t["area"] == f"RA-0{n}"]) for n in (1, 2, 3, 4)] == [3, 3, 3, 3]
        assert registry["nodes"][0] == {"dev_eui": "024a454e41000001", "tree": "J-0001", "interval_s": 3600}

    def test_is_plain_json(self):
        registry = small_jena(1).registry()

        assert json.loads(json.dumps(registry)) == registry

    def test_every_tree_stands_inside_its_areas_polygon_and_in_no_other(self):
        registry = small_jena(1).registry()

        for tree in registry["trees"]:
            around = [a["id"] for a in registry["reference_areas"] if inside(a["polygon"], tree["lon"], tree["lat"])]
            assert around == [tree["area"]]

    def test_polygons_are_closed_and_counter_clockwise(self):
        """RFC 7946 3.1.6 "Polygon"."""
        for area in small_jena(1).registry()["reference_areas"]:
            ring = area["polygon"]
            doubled_area = sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairwise(ring))
            assert ring[0] == ring[-1]
            assert len(ring) >= 5
            assert doubled_area > 0

    def test_everything_lies_in_jena(self):
        for tree in small_jena(1).registry()["trees"]:
            assert 11.55 < tree["lon"] < 11.63
            assert 50.90 < tree["lat"] < 50.95
            assert 2022 <= tree["planted"] <= 2025

    def test_rules_are_rew_0_4_and_0_5_of_each_areas_own_soil(self):
        areas = small_jena(1).registry()["reference_areas"]

        # KA5: Sl3 9..27 %, Ls3 17..33 %, Slu 12..33 %, Ut3 12..37 %
        assert [(area["rule"]["act"], area["rule"]["clear"]) for area in areas] == [
            (16.2, 18.0),
            (23.4, 25.0),
            (20.4, 22.5),
            (22.0, 24.5),
        ]

    def test_litres_follow_the_deficit_in_steps_of_25(self):
        # Sl3: 0.5 * 18 % of 0.5 m of soil = 45 l, through an efficiency of 0.7: 64 l
        assert [area["litres_per_tree"] for area in small_jena(1).registry()["reference_areas"]] == [75, 50, 75, 100]


class TestDevices:
    def test_dev_euis_are_locally_administered_unicast_and_unique(self):
        devices = small_jena(1, 40).devices()

        assert all(int(device.dev_eui[:2], 16) & 0b11 == 0b10 for device in devices)
        assert len({device.dev_eui for device in devices}) == 40
        assert all(len(device.app_key) == 32 for device in devices)

    def test_keys_come_from_the_seed(self):
        assert small_jena(1).devices() == small_jena(1).devices()
        assert not {d.app_key for d in small_jena(1).devices()} & {d.app_key for d in small_jena(2).devices()}

    def test_the_file_has_the_gateways_header_and_one_line_a_node(self):
        lines = small_jena(1, 3).devices_csv().splitlines()

        assert lines[0] == "dev_eui,join_eui,app_key,profile,name"
        assert lines[1].startswith("024a454e41000001,024a454e41000000,")
        assert lines[1].endswith(",tree,J-0001")
        assert len(lines) == 4


class TestNodes:
    def test_fewer_nodes_stand_at_the_first_trees_and_the_first_four_cover_every_area(self):
        registry = small_jena(1, 4).registry()

        assert len(registry["trees"]) == 12
        assert [node["tree"] for node in registry["nodes"]] == ["J-0001", "J-0002", "J-0003", "J-0004"]
        assert {tree["area"] for tree in registry["trees"][:4]} == {"RA-01", "RA-02", "RA-03", "RA-04"}

    def test_more_than_twelve_nodes_bring_more_trees_to_the_same_areas(self):
        small, large = small_jena(1).registry(), small_jena(1, 100).registry()

        assert len(large["trees"]) == len(large["nodes"]) == 100
        assert large["trees"][:12] == small["trees"]
        assert len({tree["id"] for tree in large["trees"]}) == 100
        assert [len([t for t in large["trees"] if t["area"] == f"RA-0{n}"]) for n in (1, 2, 3, 4)] == [25] * 4
        assert large == small_jena(1, 100).registry()

    @pytest.mark.parametrize("nodes", [0, -1])
    def test_a_city_without_nodes_is_refused(self, nodes):
        with pytest.raises(ValueError, match="nodes must be"):
            small_jena(1, nodes)


class TestStations:
    CITY = small_jena(1, 4, air=2, traffic=2)

    def test_come_after_the_trees_with_their_own_devices(self):
        devices = self.CITY.devices()

        assert [(device.profile, device.name) for device in devices[3:]] == [
            ("tree", "J-0004"),
            ("air", "L-01"),
            ("traffic", "V-01"),
            ("air", "L-02"),
            ("traffic", "V-02"),
        ]
        assert [device.dev_eui for device in devices[4:]] == [f"024a454e4180000{n}" for n in range(4)]

    def test_are_in_the_registry_with_what_they_carry(self):
        registry = self.CITY.registry(900)

        assert [(one["id"], one["kind"]) for one in registry["stations"]][:2] == [("L-01", "air"), ("V-01", "traffic")]
        assert registry["nodes"][4] == {
            "dev_eui": "024a454e41800000",
            "station": "L-01",
            "interval_s": 900,
            "instruments": ["SPS30", "SCD41", "BME280"],
        }

    def test_the_clouds_registry_takes_it(self):
        city = parse(json.dumps(self.CITY.registry()))

        assert list(city.stations) == ["L-01", "V-01", "L-02", "V-02"]
        assert len(city.nodes) == 8

    def test_a_station_more_changes_no_other_device(self):
        fewer = small_jena(1, 4, air=1, traffic=2).devices()

        assert [device for device in self.CITY.devices() if device.name != "L-02"] == fewer

    def test_stand_within_two_kilometres_of_the_gateway(self):
        assert all(10 < math.hypot(*self.CITY.position(n)) < 2000 for n in range(4, 8))

    def test_the_roadside_has_more_dust_than_the_residential_street(self):
        roadside, street = (self.CITY.surroundings(one) for one in self.CITY.stations if one.kind == "air")
        rush = [day * DAY_US + hour * HOUR_US for day in range(5) for hour in (5, 6, 15, 16)]

        assert sum(roadside.air(t).nox_index for t in rush) > 3 * sum(street.air(t).nox_index for t in rush)

    @pytest.mark.parametrize("counts", [(3, 0), (0, 3), (-1, 0)])
    def test_more_than_there_are_is_refused(self, counts):
        with pytest.raises(ValueError, match="must be 0 to 2"):
            small_jena(1, 4, *counts)


class TestPositions:
    def test_are_metres_east_and_north_of_the_gateway(self):
        """A tree 0.0034 degrees east and 0.00147 south: 1 degree is 111195 m north and 70094 m east at 50.93."""
        east, north = small_jena(1).position(0)

        assert east == pytest.approx(0.0034 * 70_094, rel=0.001)
        assert north == pytest.approx(-0.00147 * 111_195, rel=0.001)

    def test_every_node_is_within_two_kilometres(self):
        city = small_jena(1, 60)

        assert all(math.hypot(*city.position(n)) < 2000 for n in range(60))


class TestDryingOut:
    """When each area's soil, unwatered, falls below its own threshold."""

    @staticmethod
    def crossing_hour(seed: int, tree: int) -> float | None:
        city = small_jena(seed)
        act = {area["id"]: area["rule"]["act"] for area in city.registry()["reference_areas"]}
        limit = act[city.registry()["trees"][tree]["area"]]
        return next((q / 4 for q in range(7 * 96) if city.truth(tree, q * HOUR_US // 4).soil_moisture < limit), None)

    @pytest.mark.parametrize("seed", SEEDS)
    def test_the_driest_area_is_dry_in_the_morning_of_the_second_day(self, seed):
        hours = [self.crossing_hour(seed, tree) for tree in (0, 4, 8)]

        assert hours[0] == pytest.approx(30.0, abs=0.3)
        assert all(hour is not None and 30 <= hour <= 33 for hour in hours)

    @pytest.mark.parametrize("seed", SEEDS)
    def test_no_reading_before_that_morning_is_near_enough_to_the_threshold_for_the_sensors_noise(self, seed):
        city = small_jena(seed)

        assert min(city.truth(tree, 27 * HOUR_US).soil_moisture for tree in (0, 4, 8)) > 16.2 + 0.1

    @pytest.mark.parametrize("seed", SEEDS)
    def test_the_second_area_follows_after_a_good_three_days(self, seed):
        hours = [self.crossing_hour(seed, tree) for tree in (1, 5, 9)]

        assert all(hour is not None and 72 <= hour <= 90 for hour in hours)

    @pytest.mark.parametrize("seed", SEEDS)
    def test_the_others_stay_moist_through_the_first_week(self, seed):
        city = small_jena(seed)
        times = range(0, 7 * DAY_US, 3 * HOUR_US)

        # Thresholds of their soils: 20.4 % (Slu) and 22.0 % (Ut3).
        assert min(city.truth(tree, time).soil_moisture for tree in (2, 6, 10) for time in times) > 20.4 + 0.11
        assert min(city.truth(tree, time).soil_moisture for tree in (3, 7, 11) for time in times) > 22.0 + 0.11

    def test_a_watering_of_the_recommended_litres_brings_an_area_back_above_clear(self):
        city = small_jena(1)
        for tree in (0, 4, 8):
            city.water(tree, 75, 34 * HOUR_US)

        assert all(city.truth(tree, 35 * HOUR_US).soil_moisture > 18.0 + 3 for tree in (0, 4, 8))


class TestTruth:
    CITY = small_jena(1, 21)

    @given(st.integers(0, 20), st.integers(0, 20 * DAY_US))
    def test_is_physically_possible_everywhere_and_always(self, tree, now_us):
        truth = self.CITY.truth(tree, now_us)

        assert 5 < truth.soil_moisture < 50
        assert 10 < truth.soil_temperature < 32
        assert 5 < truth.surface_temperature < 60
        assert 0 <= truth.soil_water_tension < 1600

    def test_is_the_same_in_every_run(self):
        one, other = small_jena(9), small_jena(9)
        other.truth(3, 9 * DAY_US)

        assert [one.truth(3, n * DAY_US) for n in range(8)] == [other.truth(3, n * DAY_US) for n in range(8)]
