# SPDX-License-Identifier: EUPL-1.2
"""What the pages read, and what the public must never see."""

import json
import re

import pytest

from cloud_ingest.api import app
from decoders.senml import Reading
from tests.cloud_ingest.serving import served
from tests.cloud_ingest.world import (
    COUNTER,
    GATEWAY,
    HOUR,
    NODES,
    START,
    STRANGER,
    UP,
    batch,
    moisture_series,
    sample,
    small_city,
    uplink,
    with_stations,
)


@pytest.fixture
def city(tmp_path):
    with served(tmp_path) as found:
        yield found


def area(city, area_id):
    features = city.get("/api/areas")["features"]
    return next(feature["properties"] for feature in features if feature["id"] == area_id)


def tree(city, tree_id):
    features = city.get("/api/trees")["features"]
    return next(feature["properties"] for feature in features if feature["id"] == tree_id)


class TestAreas:
    def test_an_area_nobody_has_heard_of_is_grey(self, city):
        found = area(city, "RA-01")

        assert (found["state"], found["value"], found["sensors"]) == ("grey", None, {"silent": 2})
        assert found["reasons"] == [{"code": "no_ok_sensor", "sensors": {"silent": 2}}]
        assert city.get("/api/areas")["now"] is None

    def test_a_moist_area_is_green_by_the_median_of_its_sensors(self, city):
        city.feed(UP, moisture_series(NODES[0], [20.0]))
        city.feed(UP, moisture_series(NODES[1], [25.0], first_seq=2))

        found = area(city, "RA-01")

        assert (found["state"], found["value"], found["unit"], found["litres"]) == ("green", 22.5, "%", 0)
        assert found["reasons"] == []

    def test_a_dry_area_says_why_since_when_and_how_much(self, city):
        city.feed(UP, moisture_series(NODES[0], [20.0, 13.5, 13.0, 12.5]))

        found = area(city, "RA-01")

        assert (found["state"], found["litres"], found["litres_per_tree"], found["trees"]) == ("dry", 300, 100, 3)
        assert found["reasons"] == [
            {
                "code": "dry",
                "quantity": "soil_moisture",
                "unit": "%",
                "value": 12.5,
                "threshold": 14.0,
                "since": "2026-07-01T01:00:00Z",
            }
        ]

    @pytest.mark.parametrize("last", ["no_answer", "frozen", "silent", "stuck"])
    def test_an_area_is_never_green_without_a_sensor_that_is_well(self, city, last):
        readings = {
            "no_answer": [sample(START, 20.0), sample(START + HOUR, "no_answer")],
            "frozen": [sample(START, 20.0), sample(START + HOUR, 20.0, temperature=0.4)],
            "silent": [sample(START, 20.0)],
            "stuck": [sample(START + hour * HOUR, 20.0) for hour in range(50)],
        }[last]
        city.feed(UP, batch(*(uplink(i + 1, NODES[2], i, one) for i, one in enumerate(readings))))
        if last == "silent":
            city.feed(UP, batch(uplink(9, NODES[0], 1, sample(START + 4 * HOUR, 20.0))))

        assert area(city, "RA-02")["state"] == "grey"
        assert tree(city, "J-0004")["state"] == "grey"
        assert tree(city, "J-0004")["sensor"] == {"no_answer": "fault"}.get(last, last)


class TestTrees:
    def test_a_tree_shows_its_latest_values_with_their_age(self, city):
        city.feed(UP, moisture_series(NODES[0], [20.0, 19.0]))

        latest = tree(city, "J-0001")["latest"]

        assert latest["soil_moisture"] == {
            "value": 19.0, "unit": "%", "at": "2026-07-01T01:00:00Z", "age_s": 2, "fault": None,
        }  # fmt: skip

    def test_a_fault_is_named_and_has_no_value(self, city):
        city.feed(UP, moisture_series(NODES[0], [20.0, "bad_answer"]))

        found = tree(city, "J-0001")

        assert (found["sensor"], found["fault"]) == ("fault", "bad_answer")
        assert found["latest"]["soil_moisture"]["value"] is None

    def test_a_value_that_does_not_move_is_told_with_that_doubt(self, city):
        city.feed(UP, moisture_series(NODES[0], [20.0] * 50))

        found = tree(city, "J-0001")

        assert found["sensor"] == "stuck"
        assert (found["latest"]["soil_moisture"]["value"], found["latest"]["soil_moisture"]["suspect"]) == (
            20.0,
            ["stuck"],
        )
        assert "suspect" not in found["latest"]["soil_temperature"]
        assert city.get("/v1.1/Observations?$filter=resultQuality/suspect ne null&$count=true")["@iot.count"] == 50

    def test_a_tree_without_a_sensor_is_as_its_area_and_one_with_a_dead_sensor_is_grey(self, city):
        city.feed(UP, moisture_series(NODES[0], [20.0]))

        assert [tree(city, f"J-000{i}")["state"] for i in (1, 2, 3)] == ["green", "grey", "green"]
        assert tree(city, "J-0003")["sensor"] == "none"


class TestSeries:
    def test_values_and_faults_of_a_span(self, city):
        city.feed(UP, moisture_series(NODES[0], [20.0, "no_answer", 18.5, 18.0]))

        found = city.get(
            "/api/trees/J-0001/series?quantity=soil_moisture&from=2026-07-01T00:00:00Z&to=2026-07-01T02:00:00Z"
        )

        assert (found["at"], found["value"]) == ([START, START + 2 * HOUR], [20.0, 18.5])
        assert found["faults"] == [[START + HOUR, "no_answer"]]
        assert (found["act"], found["clear"], found["unit"], found["readings"]) == (14.0, 18.0, "%", 2)

    def test_many_readings_become_at_most_500_real_ones_that_keep_the_extremes(self, city):
        values = [20.0 + (i % 7) / 10 for i in range(1200)]
        values[600] = 55.5
        city.feed(UP, moisture_series(NODES[0], values, step_s=60))

        found = city.get("/api/trees/J-0001/series?quantity=soil_moisture")

        assert found["readings"] == 1200
        assert 0 < len(found["at"]) <= 500
        assert found["at"] == sorted(set(found["at"]))
        assert [START + 600 * 60, 55.5] in [list(pair) for pair in zip(found["at"], found["value"], strict=True)]
        assert all(values[(at - START) // 60] == value for at, value in zip(found["at"], found["value"], strict=True))

    @pytest.mark.parametrize(
        ("query", "status"),
        [
            ("J-0001/series?quantity=mood", 400),
            ("J-0009/series?quantity=soil_moisture", 404),
            ("J-0001/series?quantity=soil_moisture&from=yesterday", 400),
            ("J-0001/series?quantity=soil_moisture&from=2026-07-02T00:00:00Z&to=2026-07-01T00:00:00Z", 400),
            ("J-0001/series", 400),
            ("J-0001/series?quantity=soil_moisture&from=0001-01-01T00:00:00%2B14:00", 400),
            ("J-0001/series?quantity=soil_moisture&to=9999-12-31T23:59:59-14:00", 400),
            ("J-0001/series?quantity=soil_moisture&to=0001-01-01T00:00:00Z", 400),
        ],
    )
    def test_what_is_not_understood_is_said_in_one_sentence(self, city, query, status):
        detail = city.get(f"/api/trees/{query}", status)["detail"]

        assert isinstance(detail, str)
        assert 10 < len(detail) < 150


class TestCrew:
    def test_the_list_is_quiet_when_nothing_is_dry(self, city):
        city.feed(UP, moisture_series(NODES[0], [20.0]))

        assert city.get("/api/crew")["areas"] == []

    def test_areas_come_most_urgent_first_with_cause_and_litres(self, city):
        city.feed(UP, moisture_series(NODES[0], [13.5, 13.0, 12.5]))
        city.feed(UP, moisture_series(NODES[2], [10.0, 9.0, 7.0], first_seq=4))

        found = city.get("/api/crew")

        assert [(stop["id"], stop["urgency"], stop["litres"]) for stop in found["areas"]] == [
            ("RA-02", 0.5, 100),
            ("RA-01", 0.107, 300),
        ]
        assert found["litres"] == 400
        assert found["areas"][1]["why"] == {
            "quantity": "soil_moisture",
            "unit": "%",
            "value": 12.5,
            "threshold": 14.0,
            "direction": "below",
            "since": "2026-07-01T00:00:00Z",
        }
        assert [one["sensor"] for one in found["areas"][1]["trees"]] == ["ok", "silent", "none"]
        assert found["areas"][1]["center"] == [11.585, 50.925]

    def test_sensors_to_look_at_are_listed_but_not_frozen_ones(self, city):
        city.feed(UP, moisture_series(NODES[0], [20.0, "no_answer"]))
        city.feed(UP, batch(uplink(3, NODES[2], 1, sample(START + HOUR, 20.0, temperature=-1.0))))

        found = [(one["tree"], one["sensor"], one["fault"], one["last"]) for one in city.get("/api/crew")["sensors"]]

        assert found == [("J-0001", "fault", "no_answer", "2026-07-01T01:00:00Z"), ("J-0002", "silent", None, None)]

    def test_it_tells_nothing_that_the_public_map_does_not(self, city):
        """So it is open like the map. Its own are an order and when the alert opened."""
        city.feed(UP, moisture_series(NODES[0], [13.5, 13.0, 12.5]))
        city.feed(UP, moisture_series(NODES[2], [10.0, 9.0, 7.0], first_seq=4))
        areas = {one["id"]: one["properties"] for one in city.get("/api/areas")["features"]}
        trees = {one["id"]: one for one in city.get("/api/trees")["features"]}

        crew = city.get("/api/crew")

        assert len(crew["areas"]) == 2
        for stop in crew["areas"]:
            public = areas[stop["id"]]
            for name in stop.keys() - {"urgency", "opened", "sensor_lost", "why", "trees"}:
                assert stop[name] == public[name]
            reason = {"direction": public["direction"], **public["reasons"][0]}
            assert stop["why"].items() <= reason.items()
            for tree in stop["trees"]:
                open_tree = trees[tree["id"]]
                lon, lat = open_tree["geometry"]["coordinates"]
                assert tree.items() <= {**open_tree["properties"], "lon": lon, "lat": lat}.items()
        for sensor in crew["sensors"]:
            assert sensor["sensor"] == trees[sensor["tree"]]["properties"]["sensor"]

    def test_a_dry_area_stays_on_the_list_when_its_sensor_dies(self, city):
        city.feed(UP, moisture_series(NODES[2], [13.5, 13.0, 12.5, "no_answer"]))
        city.feed(UP, moisture_series(NODES[2], [13.5, 13.0, 12.5, "no_answer", "no_answer"]))
        assert city.get("/api/crew")["areas"] == []  # it failed before anyone knew

    def test_a_dry_area_whose_sensor_dies_after_the_alert_stays_and_says_so(self, city):
        city.feed(UP, moisture_series(NODES[2], [13.5, 13.0, 12.5]))
        city.feed(UP, moisture_series(NODES[2], [13.5, 13.0, 12.5, "no_answer"]))

        [stop] = city.get("/api/crew")["areas"]

        assert (stop["state"], stop["sensor_lost"], stop["why"]["value"]) == ("grey", True, 12.5)
        assert [reason["code"] for reason in area(city, "RA-02")["reasons"]] == ["sensor_lost", "no_ok_sensor"]


class TestPrivacy:
    """Keys, DevEUIs, RSSI or gateway positions never stand on public pages."""

    def test_no_public_answer_names_a_device(self, city):
        city.feed(UP, moisture_series(NODES[0], [13.5, 13.0, 12.5, "no_answer"]))
        city.feed(UP, batch(uplink(5, STRANGER, 0, sample(START, 20.0))))
        city.feed(UP, b"rubbish")
        paths = ["/api/areas", "/api/trees", "/api/crew", "/api/status", "/metrics", "/health", "/openapi.json", "/"]
        paths += ["/api/trees/J-0001/series?quantity=soil_moisture", "/v1.1", "/v1.1/nothing", "/api/trees/x/series"]
        for entry in city.get("/v1.1")["value"]:
            paths += [entry["url"], f"{entry['url']}(1)", f"{entry['url']}?$expand=Datastreams/Thing&$count=true"]

        text = "".join(city.ask(path).text.lower() for path in paths)

        assert "j-0001" in text
        for secret in (*NODES, STRANGER, GATEWAY, "dev_eui", "deveui", "rssi", "gateway_eui"):
            assert secret not in text.replace("unknown_dev_eui", "")

    def test_no_filter_can_ask_for_one(self, city):
        city.feed(UP, moisture_series(NODES[0], [20.0]))

        assert city.get(f"/v1.1/Datastreams?$filter=dev_eui eq '{NODES[0]}'", 400)


class TestHttp:
    def test_every_answer_carries_the_security_headers(self, city):
        for path in ("/", "/api/areas", "/v1.1", "/nothing", "/health"):
            headers = city.ask(path).headers
            assert "default-src 'self'" in headers["content-security-policy"]
            assert "worker-src 'self' blob:" in headers["content-security-policy"]
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"

    def test_open_data_may_be_read_by_any_page(self, city):
        assert city.ask("/api/areas").headers["access-control-allow-origin"] == "*"
        assert city.ask("/v1.1/Things").headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-origin" not in city.ask("/health").headers

    def test_what_has_not_changed_is_not_sent_again(self, city):
        first = city.ask("/api/areas")
        again = city.ask("/api/areas", **{"If-None-Match": first.headers["etag"]})
        city.feed(UP, moisture_series(NODES[0], [20.0]))
        changed = city.ask("/api/areas", **{"If-None-Match": first.headers["etag"]})

        assert (first.status_code, again.status_code, changed.status_code) == (200, 304, 200)
        assert first.headers["cache-control"] == "public, max-age=5"

    def test_a_caller_that_has_anything_or_a_strong_copy_is_told_it_is_the_same(self, city):
        tag = city.ask("/api/areas").headers["etag"]

        for known in ("*", tag, tag.removeprefix("W/"), f'"x", {tag}'):
            assert city.ask("/api/areas", **{"If-None-Match": known}).status_code == 304
        assert city.ask("/api/areas", **{"If-None-Match": '"x"'}).status_code == 200

    def test_no_cache_may_share_links_that_follow_the_callers_host(self, city, tmp_path):
        assert city.ask("/v1.1/Things").headers["cache-control"] == "public, max-age=5"

        (tmp_path / "other").mkdir()
        with served(tmp_path / "other", public_url="") as other:
            response = other.ask("/v1.1/Things?$top=1", Host="evil.example")

        assert "http://evil.example/" in response.json()["@iot.nextLink"]
        assert response.headers["cache-control"] == "private, max-age=5"

    def test_long_answers_are_compressed(self, city):
        assert city.ask("/api/trees", **{"Accept-Encoding": "gzip"}).headers["content-encoding"] == "gzip"

    def test_head_is_get_without_the_body(self, city):
        response = city.client.head("/api/areas")

        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["etag"] == city.ask("/api/areas").headers["etag"]

    def test_it_only_reads(self, city):
        assert city.client.post("/v1.1/Things", json={}).status_code == 405
        assert city.client.delete("/v1.1/Things(1)").status_code == 405

    def test_health_is_503_when_nothing_can_be_stored(self, city):
        assert city.get("/health")["status"] == "ok"
        city.part.problem = "the store refuses to write: database or disk is full"
        assert city.get("/health", 503) == {"status": "failed", "writer": city.part.problem, "broker": "connected"}

    def test_metrics_are_prometheus_text(self, city):
        city.feed(UP, moisture_series(NODES[0], [20.0, "no_answer"]))
        city.feed(UP, b"rubbish")

        lines = city.ask("/metrics").text.splitlines()

        assert 'stadtfunk_ingest_total{what="readings",outcome="values"} 3' in lines
        assert 'stadtfunk_ingest_total{what="rejected",outcome="malformed_batch"} 1' in lines
        assert "stadtfunk_dead_letters 1" in lines
        assert all(re.fullmatch(r'# (HELP|TYPE) .+|\w+(\{(\w+="[^"]*",?)+\})? [\d.e+]+', line) for line in lines)

    def test_status_counts(self, city):
        city.feed(UP, moisture_series(NODES[0], [20.0, "no_answer"]))
        city.feed(UP, moisture_series(NODES[0], [20.0, "no_answer"]))

        found = city.get("/api/status")

        assert (found["readings"], found["faults"], found["uplinks"]) == (3, 1, 2)
        assert found["duplicates"] == {"uplinks": 2, "readings": 0}
        assert found["nodes"] == {"registered": 3, "seen": 1}
        assert (found["now"], found["broker"]) == ("2026-07-01T01:00:02Z", "connected")

    def test_the_description_names_every_endpoint(self, city):
        paths = city.get("/openapi.json")["paths"]

        assert {"/api/areas", "/api/trees", "/api/trees/{tree_id}/series", "/api/crew", "/api/status"} <= set(paths)


class TestPages:
    @pytest.mark.parametrize("path", ["a" * 5000, "assets/" + "a" * 300, "a/" * 3000])
    def test_a_path_that_no_file_system_takes_is_404(self, city, path):
        assert city.get(f"/{path}", 404) == {"detail": "there is nothing here"}

    def test_pages_that_are_not_built_say_how_to_build_them(self, city, tmp_path, monkeypatch):
        monkeypatch.setattr(app, "WEB", tmp_path / "dist")

        for path in ("/", "/crew"):
            response = city.ask(path)
            assert response.status_code == 503
            assert "make setup" in response.text

    def test_built_pages_are_served_and_nothing_above_them(self, city, tmp_path, monkeypatch):
        dist = tmp_path / "dist"
        (dist / "assets").mkdir(parents=True)
        (dist / "index.html").write_text("<h1>map</h1>")
        (dist / "crew.html").write_text("<h1>crew</h1>")
        (dist / "assets" / "map-1a2b.js").write_text("1")
        (tmp_path / "secret.txt").write_text("secret")
        monkeypatch.setattr(app, "WEB", dist)

        assert city.ask("/").text == "<h1>map</h1>"
        assert city.ask("/crew").text == "<h1>crew</h1>"
        assert "max-age=31536000" in city.ask("/assets/map-1a2b.js").headers["cache-control"]
        for path in ("/../secret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt", "/assets/%00", "/assets"):
            assert city.ask(path).status_code == 404


def test_every_example_in_the_readme_has_the_keys_of_the_real_answer(tmp_path):
    readme = app.WEB.parent.parent.joinpath("README.md").read_text(encoding="utf-8")
    examples = dict(re.findall(r"### `GET (/api/[^`?]+)[^`]*`\s+```json\n(.*?)```", readme, re.DOTALL))
    changes = with_stations()
    changes["nodes"].append({"dev_eui": STRANGER, "tree": "J-0003", "interval_s": HOUR})
    with served(tmp_path, small_city(**changes)) as city:
        city.feed(UP, moisture_series(NODES[0], [13.5, 13.0, 12.5]))
        counts = (("vehicle_count_approaching_medium", 84), ("bicycle_count", 1))
        readings = [Reading(name, "1", START + 2 * HOUR, count, None) for name, count in counts]
        city.feed(UP, batch(uplink(9, COUNTER, 1, readings)))
        for path, text in examples.items():
            query = "?quantity=soil_moisture" if "{id}" in path else ""
            answer = city.get(path.replace("{id}", "J-0001") + query)
            assert shape(answer) >= shape(json.loads(text)) - {
                ".dead_letters.unknown_dev_eui",
                ".features[].properties.sensors.silent",
            }

    assert len(examples) == 6


def shape(value, way=""):
    """The set of paths in a JSON value."""
    if isinstance(value, dict):
        return {f"{way}.{key}" for key in value}.union(*(shape(inner, f"{way}.{key}") for key, inner in value.items()))
    if isinstance(value, list):
        return set().union(*(shape(inner, f"{way}[]") for inner in value))
    return set()
