# SPDX-License-Identifier: EUPL-1.2
"""The operator's page: for those who know the token alone, and the same as the commands print."""

import base64
import json
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cloud_ingest import cli, operator_token, streams
from cloud_ingest.api import app
from cloud_ingest.errors import ConfigError
from cloud_ingest.ingest import Ingest
from cloud_ingest.store import SqliteStore
from decoders import topics
from decoders.records import ALARM, READING, Dropped, Event, Record, Tombstone
from decoders.senml import Reading
from decoders.uplink import Batch, encode_batch
from tests.cloud_ingest.serving import Served, served
from tests.cloud_ingest.world import (
    COUNTER,
    GATEWAY,
    HOUR,
    NODES,
    OTHER_GATEWAY,
    SNIFFER,
    START,
    STRANGER,
    UP,
    batch,
    moisture_series,
    opened,
    registry_json,
    sample,
    small_city,
    uplink,
    with_stations,
)

MIGRATIONS = Path(cli.__file__).with_name("migrations")
LOST = Tombstone(1, READING, 40, 49, START, START + 60.0, 0, (Dropped(NODES[0], 1, 90, 99, 10),))


def alarms(*records: Record) -> bytes:
    return encode_batch(Batch(GATEWAY, 1, ALARM, 1, 1, None, records))


@pytest.fixture
def city(tmp_path):
    with served(tmp_path, small_city(**with_stations())) as found:
        yield found


@pytest.fixture
def token(city, tmp_path):
    return (tmp_path / "operator.token").read_text().strip()


@pytest.fixture
def data(city, token):
    def asked() -> dict[str, Any]:
        response = city.ask("/operator/data", Authorization=f"Bearer {token}")
        assert response.status_code == 200
        return dict(response.json())

    return asked


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode()


class TestToken:
    """RFC 7617 "The 'Basic' HTTP Authentication Scheme", RFC 6750 "Bearer Token Usage"."""

    @pytest.mark.parametrize("path", ["/operator", "/operator/data"])
    def test_without_it_there_is_nothing_but_the_question_for_it(self, city, token, path):
        for headers in ({}, {"Authorization": basic("")}, {"Authorization": basic(token[:-1])}, {"Authorization": "x"}):
            response = city.ask(path, **headers)
            assert response.status_code == 401
            assert response.headers["www-authenticate"].startswith("Basic ")
            assert GATEWAY not in response.text

    @pytest.mark.parametrize("header", [basic, lambda token: f"Bearer {token}"])
    def test_as_a_password_or_as_a_bearer_token_it_opens_both(self, city, token, header, tmp_path, monkeypatch):
        (tmp_path / "operator.html").write_text("<h1>operation</h1>")
        monkeypatch.setattr(app, "WEB", tmp_path)

        assert city.ask("/operator", Authorization=header(token)).text == "<h1>operation</h1>"
        response = city.ask("/operator/data", Authorization=header(token))
        assert response.status_code == 200
        assert response.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in response.headers

    def test_it_is_made_once_for_its_owner_alone(self, tmp_path):
        file = tmp_path / "operator.token"

        first = operator_token.load(file)

        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert len(first) == 32
        assert operator_token.load(file) == first

    @pytest.mark.parametrize(
        ("content", "mode", "problem"),
        [
            ("short", 0o600, "16 characters or more"),
            ("0123456789abcdef", 0o644, "chmod 600"),
            ("ä" * 20, 0o600, "must hold"),
        ],
    )
    def test_a_file_that_is_no_secret_is_one_clear_line(self, tmp_path, content, mode, problem):
        file = tmp_path / "operator.token"
        file.write_text(content)
        file.chmod(mode)

        with pytest.raises(ConfigError, match=problem):
            operator_token.load(file)

    def test_the_description_for_the_public_does_not_name_it(self, city):
        assert "operator" not in city.ask("/openapi.json").text


class TestData:
    def test_of_an_empty_store(self, data):
        found = data()

        assert (found["now"], found["broker"], found["writer"]) == (None, "connected", None)
        assert (found["gateways"], found["gaps"], found["events"], found["dead_letters"]) == ([], [], [], [])
        assert [(node["site"], node["sensor"]) for node in found["nodes"]] == [
            ("J-0001", "silent"), ("J-0002", "silent"), ("J-0004", "silent"), ("V-01", "silent"), ("L-01", "silent"),
        ]  # fmt: skip

    def test_a_gateway_with_its_watermark_and_what_it_dropped_and_what_nobody_explains(self, city, data):
        city.feed(UP, batch(uplink(5, NODES[0], 0, sample(START, 20.0)), oldest_seq=4))
        city.feed(UP, alarms(LOST, Event("node_down", NODES[1], START + 30.0, "ntp", {"silent_s": 10800.0})))

        found = data()

        assert found["gateways"] == [
            {
                "gateway_eui": GATEWAY,
                "heard_at": "2026-07-01T00:00:02Z",
                "overdue": False,
                "epoch": 1,
                "seqs": [2, 3, None],
                "dropped": 10,
                "unexplained": 3,
                "last_event": "2026-07-01T00:00:30Z",
            }
        ]
        assert found["missing"] == 13
        assert [(gap["first_seq"], gap["last_seq"], gap["named"], gap["nodes"]) for gap in found["gaps"]] == [
            (1, 3, False, []),
            (40, 49, True, [{"dev_eui": NODES[0], "uplinks": 10}]),
        ]

    def test_a_gateway_is_overdue_after_three_intervals_of_the_nodes_and_stands_first(self, city, data):
        """All nodes send by the hour."""
        city.feed(UP, batch(uplink(1, NODES[0], 0, sample(START, 20.0))))
        for hours, overdue in ((3, []), (4, [GATEWAY])):
            late = uplink(hours, NODES[1], hours, sample(START + hours * HOUR, 20.0))
            city.feed(topics.up(OTHER_GATEWAY, READING), batch(late, gateway_eui=OTHER_GATEWAY))

            found = data()["gateways"]

            assert [one["gateway_eui"] for one in found if one["overdue"]] == overdue
            assert [one["gateway_eui"] for one in found] == [GATEWAY, OTHER_GATEWAY]
        assert found[0]["heard_at"] == "2026-07-01T00:00:02Z"

    def test_a_gateway_that_is_listed_and_was_never_heard_is_overdue(self, tmp_path):
        with served(tmp_path, gateways=(GATEWAY, OTHER_GATEWAY)) as found:
            found.feed(UP, batch(uplink(1, NODES[0], 0, sample(START, 20.0))))
            token = (tmp_path / "operator.token").read_text().strip()

            gateways = found.ask("/operator/data", Authorization=f"Bearer {token}").json()["gateways"]

        assert [(one["gateway_eui"], one["heard_at"], one["overdue"], one["epoch"]) for one in gateways] == [
            (OTHER_GATEWAY, None, True, None),
            (GATEWAY, "2026-07-01T00:00:02Z", False, 1),
        ]

    def test_heard_is_when_we_heard_it_and_not_when_it_heard_its_node(self, tmp_path):
        """A month's backlog comes today, and again."""
        with closing(SqliteStore(tmp_path / "store.db")) as store:
            store.register(small_city())
            now = START + 30 * 24 * HOUR
            ingest = Ingest(store, small_city(), clock=lambda: now)
            message = batch(uplink(1, NODES[0], 0, sample(START, 20.0)))
            ingest.apply(UP, message)
            assert streams.heard(store) == {GATEWAY: START + 30 * 24 * HOUR}

            now += 60
            ingest.apply(UP, message)

            assert streams.heard(store) == {GATEWAY: START + 30 * 24 * HOUR + 60}

    def test_a_store_of_before_does_not_know_when_until_the_next_batch(self, tmp_path):
        path = tmp_path / "old.db"
        old = sqlite3.connect(path)
        for file in sorted(MIGRATIONS.glob("000[1-5]_*.sql")):
            old.executescript(file.read_text())
        old.executescript(f"INSERT INTO epochs VALUES ('{GATEWAY}', 1, 1, 1); PRAGMA user_version = 5;")
        old.close()

        store, ingest = opened(path)
        with closing(store):
            assert streams.heard(store) == {}
            ingest.apply(UP, batch(uplink(1, NODES[0], 0, sample(START, 20.0))))

            assert streams.heard(store) == {GATEWAY: START + 2}

    def test_events_come_newest_first_with_the_place_of_the_node(self, city, data):
        events = [Event("node_down", NODES[1], START + n * 60.0, "saved", {"silent_s": 9.0}) for n in range(3)]
        city.feed(UP, alarms(*events, Event("disk_short", None, START + 600.0, "ntp", {})))

        found = data()["events"]

        assert [event["kind"] for event in found] == ["disk_short"] + ["node_down"] * 3
        assert found[1] == {
            "at": "2026-07-01T00:02:00Z",
            "time_quality": "saved",
            "gateway_eui": GATEWAY,
            "kind": "node_down",
            "dev_eui": NODES[1],
            "site": "J-0002",
            "detail": {"silent_s": 9.0},
        }

    def test_letters_by_their_reason(self, city, data):
        city.feed(UP, b"rubbish")
        city.feed(UP, b"rubbish")
        city.feed(UP, batch(uplink(1, STRANGER, 0, sample(START, 20.0))))

        assert data()["dead_letters"] == [
            {"reason": "malformed_batch", "letters": 1, "times": 2},
            {"reason": "unknown_dev_eui", "letters": 1, "times": 1},
        ]

    def test_nodes_that_are_well_are_none_to_check_and_a_stuck_instrument_is_named(self, city, data):
        for hour in range(25):
            at = START + hour * HOUR
            air = [Reading("pm10", "ug/m3", at, 9.0, None), Reading("air_pressure", "hPa", at, 1000.0 + hour, None)]
            city.feed(UP, batch(uplink(hour + 1, SNIFFER, hour, air)))
        city.feed(UP, batch(uplink(90, COUNTER, 1, [Reading("vehicle_count", "1", START + 24 * HOUR, 3, None)])))
        city.feed(UP, moisture_series(NODES[0], [20.0 + n / 10 for n in range(25)], first_seq=100))

        found = data()["nodes"]

        assert [(node["site"], node["dev_eui"], node["sensor"]) for node in found] == [
            ("J-0002", NODES[1], "silent"),
            ("J-0004", NODES[2], "silent"),
            ("L-01", SNIFFER, "ok"),
        ]
        assert found[-1]["sensors"] == {"Sensirion SPS30": "stuck"}
        assert found[-1]["last"] == "2026-07-02T00:00:00Z"

    def test_it_says_what_the_commands_say(self, city, data, tmp_path):
        (tmp_path / "city.json").write_text(json.dumps(registry_json(**with_stations())))
        (tmp_path / "ingest.toml").write_text('[store]\npath = "store.db"\n')
        city.feed(UP, batch(uplink(5, NODES[0], 0, sample(START, 20.0)), oldest_seq=4))
        city.feed(UP, alarms(LOST))

        def printed(*words: str) -> Any:
            result = CliRunner().invoke(cli.ingest, [*words, "--json", "--config", str(tmp_path / "ingest.toml")])
            return json.loads(result.stdout)

        found = data()
        assert found["counters"] == printed("status")["counters"]
        assert found["gateways"][0]["seqs"] == printed("status")["watermarks"][0]["seqs"]
        assert found["missing"] == sum(gap["missing"] for gap in printed("gaps"))

    def test_asking_changes_nothing(self, city: Served, data):
        before = city.store.db.execute("SELECT total_changes()").fetchone()

        data()

        assert city.client.post("/operator/data").status_code == 405
        assert city.store.db.execute("SELECT total_changes()").fetchone() == before
