# SPDX-License-Identifier: EUPL-1.2
"""The real process beside a real broker: nothing acknowledged is lost or doubled, whenever it is killed."""

import json
import random
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import frost_sta_client as fsc
import pytest

from cloud_ingest.service import listen
from decoders import topics
from decoders.uplink import Watermark, decode_watermark
from tests.cloud_ingest.brokers import wait_for
from tests.cloud_ingest.processes import Gateway, Site, uplinks
from tests.cloud_ingest.serving import served
from tests.cloud_ingest.world import (
    HOUR,
    NODES,
    OTHER_GATEWAY,
    START,
    STRANGER,
    UP,
    batch,
    moisture_series,
    opened,
    registry_json,
    sample,
    uplink,
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    yield found
    found.stop()


class TestExactlyOnce:
    def test_a_service_killed_again_and_again_loses_and_doubles_nothing(self, site: Site) -> None:
        chance = random.Random(7)
        messages = uplinks(600)
        site.broker()
        process = site.service()
        gateway = Gateway(site.mqtt_port, messages)
        try:
            for _ in range(4):
                target = gateway.watermark + 1
                for _ in range(10):
                    gateway.send(10)
                    time.sleep(chance.random() / 50)
                wait_for(lambda target=target: gateway.send(10) or gateway.watermark >= target, "a new watermark")
                gateway.send(10)
                time.sleep(chance.random() / 20)
                process.kill()
                process.wait()
                known = site.rows("SELECT seq FROM watermarks")[0][0]
                assert known >= gateway.watermark, "a published watermark was not durable"
                process = site.service()
            wait_for(lambda: gateway.send(60) or gateway.done, "everything durable")
        finally:
            gateway.stop()

        stored = site.soil_moistures()
        assert stored == [(node, step, 20.0 + step % 50 / 10) for node in NODES[:2] for step in range(300)]
        assert site.rows("SELECT count(*) FROM uplinks") == [(600,)]
        assert site.get("/api/status")["readings"] == 1200

    def test_the_broker_keeps_a_message_until_it_is_committed(self, site: Site) -> None:
        site.broker()
        process = site.service()
        gateway = Gateway(site.mqtt_port, [])
        with sqlite3.connect(site.folder / "stadtfunk.db", isolation_level=None, timeout=60) as lock:
            lock.execute("BEGIN IMMEDIATE")  # the service cannot commit now
            gateway.publish(UP, moisture_series(NODES[0], [20.0, 19.0]))  # sent once, and never again
            time.sleep(0.5)
            process.kill()
            process.wait()
            lock.execute("ROLLBACK")
        lock.close()
        assert site.rows("SELECT count(*) FROM observations") == [(0,)]

        site.service()

        try:
            wait_for(lambda: gateway.watermark == 2, "what the broker kept")
        finally:
            gateway.stop()
        assert site.rows("SELECT count(*) FROM observations") == [(4,)]

    def test_a_broker_that_comes_back_without_memory_is_told_the_watermark_again(self, site: Site) -> None:
        broker = site.broker()
        site.service()
        gateway = Gateway(site.mqtt_port, uplinks(4))
        wait_for(lambda: gateway.send(4) or gateway.done, "everything durable")
        gateway.stop()
        broker.stop()
        broker.wipe()

        site.broker()

        wait_for(lambda: site.retained() == [Watermark(1, (None, 4, None))], "the watermark")

    def test_the_retained_watermark_is_the_current_epochs_at_a_broker_without_memory_too(self, site: Site) -> None:
        broker = site.broker()
        site.service()
        for seq, epoch in ((1, 900), (2, 7)):
            site.publish(UP, batch(uplink(seq, NODES[0], seq, sample(START + seq, 20.0)), epoch=epoch, oldest_seq=seq))
        wait_for(lambda: site.rows("SELECT 1 FROM watermarks WHERE epoch = 7"), "both epochs")
        wait_for(lambda: site.retained() == [Watermark(7, (None, 2, None))], "the current epoch's watermark")
        site.publish(UP, batch(uplink(2, NODES[0], 3, sample(START + 3, 20.0)), epoch=900))
        wait_for(lambda: site.rows("SELECT 1 FROM watermarks WHERE epoch = 900 AND seq = 2"), "the late one")
        site.publish(
            topics.up(OTHER_GATEWAY), batch(uplink(1, NODES[1], 1, sample(START, 20.0)), gateway_eui=OTHER_GATEWAY)
        )
        wait_for(lambda: len(site.rows("SELECT 1 FROM watermarks")) == 3, "what comes after it")
        assert wait_for(site.retained, "a watermark") == [Watermark(7, (None, 2, None))]
        broker.stop()
        broker.wipe()

        site.broker()
        wait_for(lambda: site.get("/health")["broker"] == "connected", "the broker")

        assert wait_for(site.retained, "a watermark") == [Watermark(7, (None, 2, None))]

    def test_rubbish_on_the_broker_stops_nothing(self, site: Site) -> None:
        site.broker()
        site.service()
        gateway = Gateway(site.mqtt_port, uplinks(2))
        try:
            gateway.publish(UP, b"rubbish")
            gateway.publish("stadtfunk/1/nobody/up", b"rubbish")
            gateway.publish(UP, batch(uplink(9, STRANGER, 0, sample(START, 20.0)), epoch=1, oldest_seq=1))
            wait_for(lambda: gateway.send(2) or gateway.done, "everything durable")
        finally:
            gateway.stop()

        wanted = {"malformed_batch": 1, "unknown_dev_eui": 1, "unknown_topic": 1}
        wait_for(lambda: site.get("/api/status")["dead_letters"] == wanted, "the dead letters")
        assert site.get("/health")["status"] == "ok"


class TestProcess:
    def test_a_busy_port_is_one_clear_line_and_status_1(self, site: Site) -> None:
        with socket.create_server(("127.0.0.1", site.http_port)):
            result = site.run("run")

        assert result.returncode == 1
        assert result.stderr.splitlines() == [
            f"Error: http: 127.0.0.1:{site.http_port}: cannot listen (Address already in use); choose another http.port"
        ]

    def test_a_second_service_on_one_store_is_one_clear_line_and_status_1(self, site: Site) -> None:
        first = site.service()
        text = site.config.read_text()
        site.config.write_text(text.replace(f"port = {site.http_port}", "port = 0"))

        result = site.run("run")

        assert result.returncode == 1
        assert result.stderr.splitlines() == [
            f"Error: {site.folder}/stadtfunk.db: another 'stadtfunk ingest run' is using it; one service each store"
        ]
        first.kill()  # not even then does the lock stay
        first.wait()
        site.config.write_text(text)
        site.service()

    @pytest.mark.parametrize("words", [("run",), ("dead-letters", "replay")])
    def test_a_locked_store_is_one_clear_line_and_status_1(self, site: Site, words: tuple[str, ...]) -> None:
        opened(site.folder / "stadtfunk.db")[0].close()
        with sqlite3.connect(site.folder / "stadtfunk.db", isolation_level=None) as lock:
            lock.execute("BEGIN IMMEDIATE")
            result = site.run(*words)
        lock.close()

        assert result.returncode == 1
        assert result.stderr.splitlines() == [
            f"Error: {site.folder}/stadtfunk.db: cannot be written (database is locked)"
        ]

    def test_a_store_deleted_under_the_service_ends_it_with_one_clear_line(self, site: Site) -> None:
        site.broker()
        process = site.service()
        site.publish(UP, batch(uplink(1, NODES[0], 0, sample(START, 20.0))))
        wait_for(lambda: site.retained() == [Watermark(1, (None, 1, None))], "the first watermark")
        for file in ("stadtfunk.db", "stadtfunk.db-wal", "stadtfunk.db-shm"):
            (site.folder / file).unlink()

        site.publish(UP, batch(uplink(2, NODES[0], 1, sample(START + HOUR, 19.0))))

        assert process.wait(60) == 1
        log = site.log(process)
        assert log.splitlines()[-1] == (
            f"Error: {site.folder}/stadtfunk.db: was deleted or replaced under the running service; nothing more is "
            "acknowledged; put it back (or start anew) and start the service again"
        )
        assert "Traceback" not in log
        assert wait_for(site.retained, "a watermark") == [Watermark(1, (None, 1, None))]

    def test_answers_do_not_wait_for_nagle(self) -> None:
        with listen("127.0.0.1", 0) as listener:
            assert listener.proto == socket.IPPROTO_TCP  # what asyncio looks at before it sets TCP_NODELAY

    def test_it_serves_without_a_broker_and_ends_cleanly_by_sigterm(self, site: Site) -> None:
        process = site.service()

        assert site.get("/health") == {"status": "ok", "writer": "running", "broker": "disconnected"}
        process.send_signal(signal.SIGTERM)

        assert process.wait(60) == 0
        log = (site.folder / "0.log").read_text()
        assert f"Stadtfunk: http://127.0.0.1:{site.http_port}/" in log
        assert "Traceback" not in log

    def test_a_dead_letter_is_replayed_while_the_service_runs(self, site: Site) -> None:
        site.broker()
        process = site.service()
        gateway = Gateway(site.mqtt_port, [])
        series = [uplink(i + 1, STRANGER, i, sample(START + i * HOUR, 10.0)) for i in range(4)]
        gateway.publish(UP, batch(*series))
        wait_for(lambda: site.get("/api/status")["dead_letters"], "the dead letters")
        gateway.stop()
        process.terminate()
        process.wait()
        nodes = [registry_json()["nodes"][0], {"dev_eui": STRANGER, "tree": "J-0004", "interval_s": HOUR}]
        (site.folder / "city.json").write_text(json.dumps(registry_json(nodes=nodes)))
        site.service()

        result = site.run("dead-letters", "replay")

        assert (result.returncode, result.stdout) == (0, "4 applied, 0 still cannot be\n")
        [stop] = wait_for(lambda: site.get("/api/crew")["areas"], "the alert that follows")
        assert stop["id"] == "RA-02"


@pytest.mark.filterwarnings("ignore:furl.pathstr")  # inside frost-sta-client
class TestIndependentClient:
    def test_frost_client_reads_things_and_observations(self, tmp_path: Path) -> None:
        with served(tmp_path, public_url="") as city:
            city.feed(UP, moisture_series(NODES[0], [20.0 + i % 30 for i in range(250)]))
            service = fsc.SensorThingsService(f"{city.client.base_url}/v1.1")

            things = list(service.things().query().expand("Datastreams").list())
            stream = service.datastreams().find(1)
            observations = list(stream.get_observations().query().top(100).orderby("phenomenonTime", "ASC").list())
            newest = next(iter(stream.get_observations().query().top(1).orderby("phenomenonTime").list()))
            dry = list(service.observations().query().filter("result lt 21 and Datastream/id eq 1").list())
            location = next(iter(things[0].get_locations().query().list()))

        assert [thing.name for thing in things] == ["J-0001", "J-0002", "J-0003", "J-0004"]
        assert things[0].properties["species"] == "Tilia cordata"
        assert len(things[0].datastreams.entities) == 2
        assert stream.unit_of_measurement.symbol == "%"
        assert [one.result for one in observations] == [20.0 + i % 30 for i in range(250)]
        assert observations[0].phenomenon_time == "2026-07-01T00:00:00Z"
        assert newest.phenomenon_time == "2026-07-11T09:00:00Z"
        assert {one.result for one in dry} == {20}
        assert location.location["coordinates"] == [11.581, 50.92]


def test_a_watermark_is_what_the_topic_says() -> None:
    assert decode_watermark(b'{"epoch": 1, "seqs": [null, 600, null]}') == Watermark(1, (None, 600, None))
