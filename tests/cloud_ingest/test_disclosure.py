# SPDX-License-Identifier: EUPL-1.2
"""No small count is ever told: not by any answer, filter, order or chart; and the store still has it."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud_ingest.config import Config, DisclosureSettings
from decoders.senml import Reading
from tests.cloud_ingest.serving import served
from tests.cloud_ingest.world import COUNTER, HOUR, START, UP, batch, observations, small_city, uplink
from tests.cloud_ingest.world import with_stations as changes

BICYCLES = [0, 1, 2, 3, 40]


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    """One bicycle counter: five hours with 0, 1, 2, 3 and 40; a temperature of 2 that is no count."""
    with served(tmp_path_factory.mktemp("city"), small_city(**changes())) as found:
        for n, count in enumerate(BICYCLES):
            readings = [
                Reading("bicycle_count", "1", START + n * HOUR, count, None),
                Reading("node_temperature", "Cel", START + n * HOUR, 2.0, None),
            ]
            found.feed(UP, batch(uplink(n + 1, COUNTER, n, readings)))
        yield found


def bicycles(city, options=""):
    stream = city.get("/v1.1/Datastreams?$filter=properties/quantity eq 'bicycle_count'")["value"][0]["@iot.id"]
    return city.get(f"/v1.1/Datastreams({stream})/Observations?{options}")["value"]


class TestSmallCounts:
    def test_sensorthings_tells_zero_and_three_and_more(self, city):
        assert [one["result"] for one in bicycles(city)] == [0, None, None, 3, 40]

    def test_what_is_not_told_says_so(self, city):
        assert [one.get("resultQuality") for one in bicycles(city)] == [
            None,
            {"flag": "suppressed"},
            {"flag": "suppressed"},
            None,
            None,
        ]

    @pytest.mark.parametrize("small", ["1", "2", "1.5"])
    @pytest.mark.parametrize("operator", ["eq", "ne", "lt", "le", "gt", "ge"])
    def test_no_filter_tells_which_of_the_small_ones_it_is(self, city, operator, small):
        """For every question the hours with 1 and with 2 are answered alike."""
        for question in (
            f"result {operator} {small}",
            f"not (result {operator} {small})",
            f"{small} {operator} result",
        ):
            hours = {one["phenomenonTime"] for one in bicycles(city, f"$filter={question}")}
            assert ("2026-07-01T01:00:00Z" in hours) == ("2026-07-01T02:00:00Z" in hours)

    def test_no_order_tells_it(self, city):
        up = [one["phenomenonTime"][11:13] for one in bicycles(city, "$orderby=result asc")]
        down = [one["phenomenonTime"][11:13] for one in bicycles(city, "$orderby=result desc,phenomenonTime asc")]

        assert up == ["01", "02", "00", "03", "04"]
        assert down == ["04", "03", "00", "01", "02"]

    def test_no_way_round_over_other_entities_tells_it(self, city):
        found = city.get("/v1.1/Datastreams?$filter=Observations/result gt 0 and Observations/result lt 3")["value"]

        assert {one["properties"]["quantity"] for one in found} == {"node_temperature"}

    def test_a_single_value_is_not_there(self, city):
        one = bicycles(city)[1]["@iot.id"]

        assert city.ask(f"/v1.1/Observations({one})/result").status_code == 204
        assert city.ask(f"/v1.1/Observations({one})/result/$value").status_code == 204

    def test_the_pages_get_no_small_count_either(self, city):
        found = city.get("/api/stations/V-01/series?quantity=bicycle_count")

        assert found["value"] == [0, 3, 40]
        assert found["faults"] == [[START + HOUR, "suppressed"], [START + 2 * HOUR, "suppressed"]]

    def test_what_is_no_count_is_told(self, city):
        found = city.get("/api/stations/V-01/series?quantity=node_temperature")

        assert found["value"] == [2.0] * 5

    def test_the_store_keeps_what_was_counted(self, city):
        stored = [row[3] for row in observations(city.store) if row[1] == "bicycle_count"]

        assert stored == BICYCLES


class TestTheLatest:
    def test_a_small_newest_count_is_null_and_no_fault_and_the_station_is_well(self, tmp_path):
        with served(tmp_path, small_city(**changes())) as city:
            city.feed(UP, batch(uplink(1, COUNTER, 1, [Reading("vehicle_count", "1", START, 2, None)])))

            [found] = [one["properties"] for one in city.get("/api/stations")["features"] if one["id"] == "V-01"]

        assert found["sensor"] == "ok"
        latest = found["latest"]["vehicle_count"]
        assert (latest["value"], latest["fault"], latest["suppressed"]) == (None, None, True)

    @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(counts=st.dictionaries(st.integers(0, 10_000), st.integers(0, 6), min_size=1, max_size=8))
    def test_whatever_was_counted_no_answer_has_a_count_of_1_or_2(self, city, counts):
        readings = [Reading("people_count", "1", START + at, count, None) for at, count in counts.items()]
        city.feed(UP, batch(uplink(100 + len(observations(city.store)), COUNTER, 9_000 + min(counts), readings)))

        things = city.get("/v1.1/Things?$filter=name eq 'V-01'&$expand=Datastreams($expand=Observations($top=1000))")

        for stream in things["value"][0]["Datastreams"]:
            if stream["properties"]["quantity"] == "people_count":
                assert not {one["result"] for one in stream["Observations"]} & {1, 2}


class TestSetting:
    def test_three_is_the_default(self):
        assert Config().disclosure == DisclosureSettings(min_count=3)
