# SPDX-License-Identifier: EUPL-1.2
"""OGC SensorThings API 1.1 (18-088), reading."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from cloud_ingest.api import sensorthings
from cloud_ingest.api.rows import Columns
from tests.cloud_ingest.serving import served
from tests.cloud_ingest.world import NODES, START, UP, batch, moisture_series, sample, uplink

ROOT = "http://city.example/v1.1"
COUNTING = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c {}) SELECT count(*) FROM c"


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    with served(tmp_path_factory.mktemp("sta")) as found:
        found.feed(UP, moisture_series(NODES[0], [20.0, 19.5, 19, "no_answer"]))
        found.feed(UP, moisture_series(NODES[2], [16.0], first_seq=5))
        yield found


class TestServiceRoot:
    def test_it_lists_exactly_the_eight_entity_sets(self, city):
        root = city.get("/v1.1")

        assert [entry["name"] for entry in root["value"]] == [
            "Things", "Locations", "HistoricalLocations", "Datastreams",
            "Sensors", "ObservedProperties", "Observations", "FeaturesOfInterest",
        ]  # fmt: skip
        assert all(entry["url"] == f"{ROOT}/{entry['name']}" for entry in root["value"])
        assert root["serverSettings"]["conformance"]

    def test_every_set_can_be_read(self, city):
        for entry in city.get("/v1.1")["value"]:
            assert "value" in city.get(entry["url"])


class TestEntities:
    def test_a_thing_has_what_the_standard_and_sensinact_demand(self, city):
        thing = city.get("/v1.1/Things(1)")

        assert thing["@iot.id"] == 1
        assert thing["@iot.selfLink"] == f"{ROOT}/Things(1)"
        assert thing["Datastreams@iot.navigationLink"] == f"{ROOT}/Things(1)/Datastreams"
        assert thing["properties"]["referenceArea"] == "RA-01"

    def test_a_datastream(self, city):
        stream = city.get("/v1.1/Datastreams(1)")

        assert stream["name"] == "J-0001 soil_moisture"
        assert stream["unitOfMeasurement"]["symbol"] == "%"
        assert stream["observationType"].endswith("OM_Measurement")
        assert stream["phenomenonTime"] == "2026-07-01T00:00:00Z/2026-07-01T03:00:00Z"

    def test_an_observation_is_of_an_instant_and_a_whole_number_stays_whole(self, city):
        [observation] = city.get("/v1.1/Datastreams(1)/Observations?$top=1")["value"]

        assert observation["phenomenonTime"] == "2026-07-01T00:00:00Z"
        assert observation["resultTime"] == "2026-07-01T00:00:02Z"
        assert observation["result"] == 20
        assert isinstance(observation["result"], int)
        assert isinstance(observation["@iot.id"], int)
        assert observation["@iot.id"] < 2**53

    def test_a_fault_is_there_but_is_no_value(self, city):
        [fault] = city.get("/v1.1/Datastreams(1)/Observations?$top=1&$orderby=phenomenonTime desc")["value"]

        assert fault["result"] is None
        assert fault["resultQuality"] == {"flag": "no_answer"}

    def test_every_link_leads_to_what_it_says(self, city):
        for name in ("Things", "Datastreams", "Sensors", "ObservedProperties", "Observations", "FeaturesOfInterest"):
            for entity in city.get(f"/v1.1/{name}?$top=2")["value"]:
                assert city.get(entity["@iot.selfLink"]) == entity
                for key, link in entity.items():
                    if key.endswith("@iot.navigationLink"):
                        assert city.get(link)


class TestPaths:
    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("Things(1)/name", {"name": "J-0001"}),
            ("Things(1)/Datastreams(2)/ObservedProperty/name", {"name": "soil_temperature"}),
            ("Things(1)/Locations(1)/location", {"location": {"type": "Point", "coordinates": [11.581, 50.92]}}),
            ("Things(2)/Datastreams", {"value": []}),
            ("Things(1)/HistoricalLocations", {"value": []}),
            ("Sensors(1)/Datastreams/$ref?$top=1&$orderby=id desc", None),
        ],
    )
    def test_they_lead_to_entities_and_properties(self, city, path, body):
        found = city.get(f"/v1.1/{path}")

        if body is None:
            assert found["value"] == [{"@iot.selfLink": f"{ROOT}/Datastreams(4)"}]
        else:
            assert found == body

    def test_a_raw_value(self, city):
        response = city.ask("/v1.1/Things(1)/name/$value")

        assert response.text == "J-0001"
        assert response.headers["content-type"].startswith("text/plain")

    def test_a_property_without_a_value_has_no_content(self, city):
        last = city.get("/v1.1/Datastreams(1)/Observations?$top=1&$orderby=phenomenonTime desc&$select=id")["value"][0]

        assert city.ask(f"{last['@iot.selfLink']}/result").status_code == 204

    @pytest.mark.parametrize(
        "path",
        ["Trees", "Things(99)", "Things(x)", "Things(1)/Datastreams(3)", "Things(1)/colour", "Things/name",
         "Things(99)/Datastreams", "Observations(1)", "Things(1)/name/x", "Things(1)/$ref", "Things(-1)"],
    )  # fmt: skip
    def test_what_is_not_there_is_404(self, city, path):
        assert city.get(f"/v1.1/{path}", 404)["code"] == 404


class TestOptions:
    def test_the_page_after_is_linked_only_while_there_is_more(self, city):
        seen, link = [], f"{ROOT}/Observations?$top=4&$count=true"
        while link:
            page = city.get(link)
            assert page["@iot.count"] == 10
            seen += [entity["@iot.id"] for entity in page["value"]]
            link = page.get("@iot.nextLink")

        assert len(seen) == len(set(seen)) == 10

    def test_pages_in_another_order_continue_too(self, city):
        seen, link = [], f"{ROOT}/Datastreams(1)/Observations?$top=1&$orderby=phenomenonTime desc&$filter=result gt 19"
        while link:
            page = city.get(link)
            seen += [entity["result"] for entity in page["value"]]
            link = page.get("@iot.nextLink")

        assert seen == [19.5, 20]

    def test_the_newest_value_of_every_stream_in_one_request(self, city):
        things = city.get(
            "/v1.1/Things?$expand=Datastreams($expand="
            "Observations($top=1;$orderby=phenomenonTime desc;$filter=result ne null))"
        )["value"]

        newest = {
            stream["name"]: [(one["phenomenonTime"], one["result"]) for one in stream["Observations"]]
            for thing in things
            for stream in thing["Datastreams"]
        }
        assert newest == {
            "J-0001 soil_moisture": [("2026-07-01T02:00:00Z", 19)],
            "J-0001 soil_temperature": [("2026-07-01T03:00:00Z", 20)],
            "J-0004 soil_moisture": [("2026-07-01T00:00:00Z", 16)],
            "J-0004 soil_temperature": [("2026-07-01T00:00:00Z", 20)],
        }

    def test_an_expanded_page_links_to_its_next_one(self, city):
        stream = city.get("/v1.1/Datastreams(1)?$expand=Observations($top=3;$count=true;$select=result)")

        assert [one["result"] for one in stream["Observations"]] == [20, 19.5, 19]
        assert stream["Observations@iot.count"] == 4
        rest = city.get(stream["Observations@iot.nextLink"])
        assert [one["result"] for one in rest["value"]] == [None]

    def test_an_entity_is_there_once_however_often_a_condition_holds(self, city):
        page = city.get("/v1.1/Things?$filter=Datastreams/id gt 0&$count=true&$select=name")

        assert page == {"@iot.count": 2, "value": [{"name": "J-0001"}, {"name": "J-0004"}]}

    def test_not_takes_what_the_comparison_does_not_and_so_no_value_too(self, city):
        counts = [
            city.get(f"/v1.1/Datastreams(1)/Observations?$count=true&$top=0&$filter={text}")["@iot.count"]
            for text in ("result gt 19.2", "not (result gt 19.2)", "not not (result gt 19.2)")
        ]

        assert counts == [2, 2, 2]  # 20, 19.5 | 19, no_answer | 20, 19.5

    def test_the_question_of_hamburgs_clients(self, city):
        body = city.get(
            "/v1.1/Things?$filter=Datastreams/properties/quantity eq 'soil_moisture' and "
            "Datastreams/properties/ucum eq '%25'&$count=true&$expand=Datastreams($filter=properties/quantity eq "
            "'soil_moisture';$expand=Observations($top=10;$orderby=phenomenonTime desc))"
        )

        assert body["@iot.count"] == 2
        assert [len(thing["Datastreams"]) for thing in body["value"]] == [1, 1]

    def test_the_question_of_sensinact(self, city):
        things = city.get(
            "/v1.1/Things?$expand=Locations,Datastreams($expand=Sensor,ObservedProperty,"
            "Observations($orderby=phenomenonTime desc;$top=1))"
        )["value"]

        assert len(things) == 4
        for thing in things:
            assert thing["properties"]
            assert thing["Locations"][0]["location"]["type"] == "Point"
            assert all(stream["Sensor"]["name"] == "Truebner SMT100" for stream in thing["Datastreams"])
            assert all("/" not in stream["Observations"][0]["phenomenonTime"] for stream in thing["Datastreams"])

    @pytest.mark.parametrize(
        "query",
        ["$filter=colour eq 1", "$orderby=Datastreams/name", "$expand=Colours", "$select=colour", "$top=x", "x=1",
         "$filter=name eq 'a", "$orderby=" + ",".join(["id"] * 2001),
         "$expand=Datastreams($apply=x)", "$orderby=properties", "$resultFormat=csv"],
    )  # fmt: skip
    def test_what_is_not_understood_is_400_with_a_sentence(self, city, query):
        body = city.get(f"/v1.1/Things?{query}", 400)

        assert (body["code"], body["type"]) == (400, "error")
        assert len(body["message"]) > 10


class TestSizeOfAnswers:
    """One anonymous request costs a bounded amount of work, whatever it asks for."""

    def test_expand_is_bounded_in_depth(self, city):
        deep = "$expand=Datastreams"
        for _ in range(3):
            deep = f"$expand=Datastreams($expand=Sensor({deep}))"

        assert city.get(f"/v1.1/Things?{deep}", 400)["message"] == "$expand is nested more than 6 deep"

    @pytest.mark.parametrize(
        "query",
        [
            "Things?$top=1000&$expand=Datastreams($expand=Observations($top=1000))",
            "Datastreams?$expand=Sensor($expand=Datastreams($expand=Sensor($expand=Datastreams($expand=Sensor))))",
        ],
    )
    def test_an_answer_of_too_many_entities_is_refused_before_it_is_made(self, tmp_path, monkeypatch, query):
        monkeypatch.setattr(sensorthings, "MAX_ENTITIES", 60)
        read = []
        original = Columns.read
        monkeypatch.setattr(Columns, "read", lambda *args: read.append(1) or original(*args))
        with served(tmp_path) as city:
            for number, node in enumerate(NODES):
                city.feed(UP, moisture_series(node, [20.0] * 100, first_seq=number * 100 + 1))

            message = city.get(f"/v1.1/{query}", 400)["message"]

        assert message == "the answer would have more than 60 entities; expand less or set a smaller $top"
        assert len(read) < 3 * 60

    @pytest.mark.parametrize(
        "query",
        [
            "Observations?$filter=Datastream/Observations/result gt 1",
            "Datastreams?$filter=Observations/result gt Thing/Datastreams/Observations/result",
            "Things?$filter=Datastreams/Sensor/Datastreams/id gt 1 and Locations/id gt 1",
        ],
    )
    def test_a_filter_over_all_combinations_is_refused(self, city, query):
        message = city.get(f"/v1.1/{query}", 400)["message"]

        assert message.endswith("a filter over so many combinations is not offered; use fewer to-many ways")

    def test_slow_questions_of_the_public_do_not_keep_the_crew_waiting(self, tmp_path, monkeypatch):
        asked, released = threading.Event(), threading.Event()
        get = sensorthings.SensorThings.get

        async def slow(service, *question):
            while not released.is_set():
                await service._db.rows(COUNTING.format("LIMIT 100000"))
                asked.set()
            return await get(service, *question)

        with served(tmp_path, query_timeout_s=60) as city, ThreadPoolExecutor(8) as others:
            monkeypatch.setattr(sensorthings.SensorThings, "get", slow)
            slow_ones = [others.submit(city.ask, "/v1.1/Things") for _ in range(8)]
            try:
                assert asked.wait(60)

                crew = city.ask("/api/crew")

                assert crew.status_code == 200
                assert not any(answer.done() for answer in slow_ones)
            finally:
                released.set()
            assert {answer.result().status_code for answer in slow_ones} == {200}

    def test_endless_questions_end_with_503_for_everybody(self, tmp_path, monkeypatch):
        async def endless(service, *_):
            await service._db.rows(COUNTING.format(""))

        monkeypatch.setattr(sensorthings.SensorThings, "get", endless)
        with served(tmp_path, query_timeout_s=1) as city, ThreadPoolExecutor(8) as others:
            answers = others.map(city.ask, ["/v1.1/Things"] * 8)

            assert {answer.status_code for answer in answers} == {503}

    def test_pages_for_many_parents_are_read_in_pieces(self, city, monkeypatch):
        whole = city.get("/v1.1/Things?$expand=Datastreams($expand=Observations($top=2;$count=true))")
        monkeypatch.setattr(sensorthings, "MAX_ENTITIES", 18)

        assert city.get("/v1.1/Things?$expand=Datastreams($expand=Observations($top=2;$count=true))") == whole

    def test_a_long_answer_arrives_compressed_and_may_be_kept_by_what_was_asked(self, city):
        response = city.ask("/v1.1/Datastreams", **{"Accept-Encoding": "gzip"})

        assert response.headers["content-encoding"] == "gzip"
        assert response.headers["vary"] == "Accept-Encoding"
        assert len(response.json()["value"]) == 4


def test_a_question_that_takes_too_long_is_503_and_the_next_one_is_answered(tmp_path):
    with served(tmp_path, query_timeout_s=0) as city:
        assert city.get("/v1.1/Things", 503)["code"] == 503
    with served(tmp_path) as city:
        city.feed(UP, batch(uplink(9, NODES[0], 9, sample(START, 20.0))))
        assert len(city.get("/v1.1/Observations")["value"]) == 2
