# SPDX-License-Identifier: EUPL-1.2
"""The city's registry."""

import copy
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_ingest import registry
from cloud_ingest.city import City, Rule
from cloud_ingest.errors import ConfigError
from cloud_ingest.instruments import INSTRUMENTS
from tests.cloud_ingest.world import NODES, registry_json

STATION = {"id": "L-01", "kind": "air", "name": {"de": "Markt", "en": "Market"}, "lon": 11.58, "lat": 50.92}
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def changed(way, value):
    """The registry with one place replaced; a value of ... takes the key away."""
    data = registry_json()
    place = data
    for step in way[:-1]:
        place = place[step]
    if value is ...:
        del place[way[-1]]
    else:
        place[way[-1]] = value
    return json.dumps(data)


def places(value, way=()):
    """Every place in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*way, key)
        yield from places(inner, (*way, key))


class TestCity:
    def test_areas_trees_and_nodes_are_what_the_file_says(self):
        city = registry.parse(json.dumps(registry_json()))

        assert [tree.id for tree in city.trees_of("RA-01")] == ["J-0001", "J-0002", "J-0003"]
        assert city.nodes[NODES[0]].site == "J-0001"
        assert city.areas["RA-01"].rule == Rule("soil_moisture", 14.0, 18.0, 7200)
        assert city.areas["RA-01"].center == pytest.approx((11.585, 50.925))

    @pytest.mark.parametrize(
        ("way", "value", "problem"),
        [
            (("colour",), 1, "unknown key 'colour'"),
            (("zoom",), ..., "'zoom' is missing"),
            (("zoom",), "13", "zoom: must be a number"),
            (("trees", 0, "lon"), 181, "trees[0]: lon: must be from -180 to 180"),
            (("trees", 0, "lon"), 111.581, "tree 'J-0001' is 6,421 km from 'center'; one of the two is wrong"),
            (("trees", 3, "lat"), 59.2, "tree 'J-0004' is 920 km from 'center'; one of the two is wrong"),
            (("center",), [50.927, 11.586], "a corner of area 'RA-01' is 5,63"),
            (
                ("stations",),
                [{**STATION, "lon": 50.92, "lat": 11.58}],
                "station 'L-01' is 5,637 km from 'center'; longitude and latitude are swapped",
            ),
            (("trees", 0, "area"), "RA-09", "tree 'J-0001' is in an area 'RA-09' that does not exist"),
            (("trees", 1, "id"), "J-0001", "trees: id 'J-0001' is used twice"),
            (("nodes", 0, "tree"), "J-0009", "at a tree or station 'J-0009' that does not exist"),
            (("nodes", 1, "tree"), "J-0001", "'J-0001' has two nodes"),
            (("nodes", 1, "dev_eui"), NODES[0], "dev_eui 70b3d57ed0000001 is used twice"),
            (("nodes", 0, "dev_eui"), "70B3D57ED0000001", "nodes[0]: dev_eui: must be 16 hex digits in lower case"),
            (("nodes", 0, "interval_s"), 0, "interval_s: must be a whole number"),
            (("nodes", 0, "since"), "2026-07-01", "since: must be a time with its zone"),
            (("nodes", 0, "since"), None, "since: must be a time with its zone"),
            (("nodes", 0, "station"), "J-0001", "nodes[0]: must have either 'tree' or 'station'"),
            (("nodes", 0, "tree"), ..., "nodes[0]: must have either 'tree' or 'station'"),
            (("nodes", 0, "instruments"), ["SMT99"], "instruments: must be a list of some of SMT100"),
            (("stations",), [{**STATION, "kind": "noise"}], "kind: must be one of air, traffic"),
            (("stations",), [{**STATION, "id": "J-0001"}], "id 'J-0001' is a tree's and a station's"),
            (("stations",), [STATION, STATION], "stations: id 'L-01' is used twice"),
            (("stations",), [{**STATION, "speeds_kmh": [30, 50]}], "stations[0]: speeds_kmh: is of a traffic station"),
            *(
                (
                    ("stations",),
                    [{**STATION, "kind": "traffic", "speeds_kmh": speeds}],
                    "must be two whole numbers of km/h",
                )
                for speeds in (30, [30], [50, 30], [0, 50], [30.0, 50], [30, 251], [True, 50], None)
            ),
            (("reference_areas", 0, "rule", "act"), 19.0, "'act' must be below 'clear'"),
            (("reference_areas", 0, "rule", "quantity"), "mood", "must be one of soil_moisture"),
            (("reference_areas", 0, "polygon"), [[1, 2], [1, 3], [2, 3], [4, 4]], "must be a closed ring"),
            (("reference_areas", 0, "name"), "Markt", "must be an object"),
        ],
    )
    def test_a_mistake_is_one_line_that_names_the_place(self, way, value, problem):
        with pytest.raises(ConfigError) as caught:
            registry.parse(changed(way, value))

        assert problem in str(caught.value)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ('{"name": 1\n "zoom": 2}', "line 2, column 2: not JSON: a comma or a closing bracket is missing"),
            ('{\n "name": 1,\n}', "not JSON: a key in double quotes is missing, or a comma is too many"),
            ('{"name": }', "line 1, column 10: not JSON: a value is expected here"),
            ('{"name": "Je', "line 1, column 10: not JSON: a text begins here and does not end"),
            ("{} {}", "line 1, column 4: not JSON: the file goes on after its end"),
        ],
    )
    def test_what_is_not_json_is_said_in_plain_words_with_its_place(self, text, problem):
        with pytest.raises(ConfigError) as caught:
            registry.parse(text, "city.json")

        assert str(caught.value).startswith("city.json: line ")
        assert problem in str(caught.value)

    def test_what_is_far_from_where_it_should_be_is_taken_and_doubted(self):
        """A hundredth of a degree of latitude is 1.11 km, of longitude at 51 degrees 0.70 km."""
        data = registry_json(stations=[STATION, {**STATION, "id": "L-02", "lat": 51.42}])
        data["trees"][1]["lon"] = 11.68

        assert registry.parse(json.dumps(registry_json(stations=[STATION]))).doubts() == []
        assert registry.parse(json.dumps(data)).doubts() == [
            "station 'L-02' is 55 km from 'center'; is that right?",
            "tree 'J-0002' is 7 km from its area 'RA-01'; is that right?",
        ]

    def test_a_node_that_moved_is_there_once_and_remembered_where_it_was(self):
        moved = {"dev_eui": NODES[0], "tree": "J-0003", "interval_s": 600, "since": "2026-07-02T02:00:00+02:00"}
        city = registry.parse(json.dumps(registry_json(nodes=[moved, *registry_json()["nodes"]])))

        assert city.nodes[NODES[0]].site == "J-0003"
        assert [(node.site, node.since) for node in city.places[NODES[0]]] == [("J-0001", 0), ("J-0003", 1782950400)]
        assert city.node_at("J-0001") is None

    def test_a_station_has_a_node_and_is_no_tree(self):
        nodes = [{"dev_eui": NODES[0], "station": "L-01", "interval_s": 900, "instruments": ["SPS30", "BME280"]}]

        city = registry.parse(json.dumps(registry_json(stations=[STATION], nodes=nodes)))

        assert city.stations["L-01"].kind == "air"
        assert city.nodes[NODES[0]].site == "L-01"
        assert city.nodes[NODES[0]].instruments == ("SPS30", "BME280")
        assert city.node_at("J-0001") is None

    def test_a_soil_probes_depth_is_none_of_a_stations_business(self):
        nodes = [{"dev_eui": NODES[0], "station": "L-01", "interval_s": 900, "depth_cm": 30}]

        with pytest.raises(ConfigError, match=r"nodes\[0\]: depth_cm: is of a tree's soil probe"):
            registry.parse(json.dumps(registry_json(stations=[STATION], nodes=nodes)))

    def test_the_example_in_the_readme_is_a_city_and_its_table_has_every_key(self):
        readme = Path(registry.__file__).with_name("README.md").read_text(encoding="utf-8")
        [example] = re.findall(r"`city.json`.*?```json\n(.*?)```", readme.split("## The registry")[1], re.DOTALL)

        city = registry.parse(example)

        assert (len(city.areas), len(city.trees), len(city.nodes)) == (1, 2, 2)
        ways = [
            ".".join("[]" if isinstance(step, int) else step for step in way).replace(".[]", "[]")
            for way in places(json.loads(example))
        ]
        table = readme.split("## The registry")[1].split("## ")[0]
        documented = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
        assert {way for way in ways if not way.endswith("[]")} == set(documented)
        assert set(INSTRUMENTS) == set(re.findall(r"`\"?([A-Z]+\d\w+|pulses)\"?", table)) | {
            "SMT100",
            "DS18B20",
            "200SS",
        }

    def test_a_key_written_twice_is_refused(self):
        with pytest.raises(ConfigError, match="twice"):
            registry.parse('{"name": 1, "name": 2}')

    @given(st.text(max_size=60))
    def test_any_text_gives_a_city_or_a_config_error(self, text):
        with pytest.raises(ConfigError):
            registry.parse(text)

    @given(st.sampled_from(list(places(registry_json()))), _JSON)
    def test_any_value_at_any_place_gives_a_city_or_a_config_error(self, way, value):
        try:
            city = registry.parse(changed(copy.deepcopy(way), value))
        except ConfigError:
            return
        assert isinstance(city, City)
