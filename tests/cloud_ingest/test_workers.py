# SPDX-License-Identifier: EUPL-1.2
"""Several processes on one durable consumer and one store: any may be killed, nothing is lost or doubled."""

import random
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt import publish

from decoders.uplink import Watermark
from tests.cloud_ingest.brokers import Nats, wait_for
from tests.cloud_ingest.processes import POISON, Gateway, Site, uplinks
from tests.cloud_ingest.world import NODES, START, UP, batch, opened, sample, uplink


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path, jetstream=True)
    found.broker()
    yield found
    found.stop()


class TestExactlyOnce:
    def test_workers_and_service_killed_in_turn_lose_and_double_nothing(self, site: Site) -> None:
        chance = random.Random(11)
        messages = uplinks(600)
        running = [site.service(), site.worker(), site.worker()]
        gateway = Gateway(site.mqtt_port, messages)
        try:
            for victim in (1, 0, 2, 1):
                target = gateway.watermark + 1
                for _ in range(10):
                    gateway.send(10)
                    time.sleep(chance.random() / 50)
                running[victim].kill()
                running[victim].wait()
                known = site.rows("SELECT coalesce(max(seq), 0) FROM watermarks")[0][0]
                assert known >= gateway.watermark, "a published watermark was not durable"
                running[victim] = site.worker() if victim else site.service()
                wait_for(lambda target=target: gateway.send(10) or gateway.watermark >= target, "a new watermark")
            wait_for(lambda: gateway.send(60) or gateway.done, "everything durable")
            assert gateway.is_monotonic
        finally:
            gateway.stop()

        stored = site.soil_moistures()
        assert stored == [(node, step, 20.0 + step % 50 / 10) for node in NODES[:2] for step in range(300)]
        assert site.rows("SELECT count(*) FROM uplinks") == [(600,)]

    def test_a_broker_that_comes_back_without_memory_is_set_up_and_told_the_watermark_again(self, site: Site) -> None:
        site.service()
        gateway = Gateway(site.mqtt_port, uplinks(4))
        wait_for(lambda: gateway.send(4) or gateway.done, "everything durable")
        gateway.stop()
        site.nats.stop()
        site.nats.wipe()

        site.broker()
        wait_for(lambda: site.retained() == [Watermark(1, (None, 4, None))], "the watermark")
        gateway = Gateway(site.mqtt_port, uplinks(8))
        try:
            wait_for(lambda: gateway.watermark == 4, "the watermark")
            wait_for(lambda: gateway.send(4) or gateway.done, "what comes later")
        finally:
            gateway.stop()
        assert site.rows("SELECT count(*) FROM uplinks") == [(8,)]

    def test_a_server_that_hangs_is_left_for_the_next(self, site: Site, tmp_path: Path) -> None:
        (tmp_path / "next").mkdir()
        other = Nats(tmp_path / "next")
        text = site.config.read_text()
        site.config.write_text(text.replace(f'"{site.nats.server}"', f'"{site.nats.server}", "{other.server}"'))
        other.start()
        try:
            worker = site.worker()
            site.nats.hang()

            connected = f"stream connected server={other.server}"
            wait_for(lambda: connected in site.log(worker), "the other one")

            publish.single(UP, batch(*uplinks(4)), qos=1, hostname="127.0.0.1", port=other.mqtt_port)
            wait_for(lambda: site.rows("SELECT count(*) FROM uplinks") == [(4,)], "the readings")
        finally:
            other.stop()

    def test_a_store_restored_from_yesterdays_backup_ends_with_everything_once(self, site: Site) -> None:
        gateway = Gateway(site.mqtt_port, uplinks(90))
        store, backup = site.folder / "stadtfunk.db", site.folder / "backup.db"

        def stored_until(seq: int) -> None:
            service = site.service()
            wait_for(lambda: gateway.send(10, seq) or gateway.watermark == seq, "readings")
            service.terminate()
            service.wait()

        try:
            stored_until(30)
            with sqlite3.connect(store) as source, sqlite3.connect(backup) as target:
                source.backup(target)
            stored_until(60)
            assert gateway.is_monotonic
            for file in site.folder.glob("stadtfunk.db*"):
                file.unlink()
            backup.rename(store)

            site.service()
            wait_for(lambda: not gateway.is_monotonic, "a watermark that went back")
            wait_for(lambda: gateway.send(10) or gateway.done, "everything durable")
        finally:
            gateway.stop()

        assert site.rows("SELECT count(*) FROM uplinks") == [(90,)]
        assert site.rows("SELECT count(*) FROM observations") == [(180,)]

    def test_workers_store_while_the_service_is_down(self, site: Site) -> None:
        service = site.service()
        site.worker()
        service.kill()
        service.wait()
        site.publish(UP, batch(*uplinks(4)))
        wait_for(lambda: site.rows("SELECT count(*) FROM uplinks") == [(4,)], "the readings")

        site.service()

        wait_for(
            lambda: site.retained() == [Watermark(1, (None, 4, None))], "the watermark that the service tells later"
        )


class TestPoison:
    def test_a_message_that_ends_its_worker_is_a_dead_letter_after_three_tries_and_nothing_waits_behind(
        self, site: Site
    ) -> None:
        opened(site.folder / "stadtfunk.db")[0].close()
        assert site.run("broker-setup").stdout == "stream $MQTT_msgs is set up now\n"
        poison = batch(uplink(1, NODES[0], 0, sample(START, 20.0)))
        site.publish(UP, poison)
        site.publish(UP, batch(uplink(2, NODES[0], 1, sample(START + 60, 19.0)), oldest_seq=1))
        command = [sys.executable, "-c", POISON.format(command="worker", marker=poison, config=str(site.config))]

        died = site.start_until(command, "SELECT 1 FROM dead_letters")

        assert site.rows("SELECT reason FROM dead_letters") == [("gave_up",)]
        assert died == 4  # once among others, where it hung; three times alone
        wait_for(lambda: site.rows("SELECT f_cnt FROM uplinks") == [(1,)], "what came behind it")
        assert site.rows("SELECT seq FROM watermarks") == [(2,)]  # its gateway need not send it for ever
        assert site.run("dead-letters", "replay", "--reason", "gave_up").stdout == "1 applied, 0 still cannot be\n"
        assert site.rows("SELECT f_cnt FROM uplinks ORDER BY 1") == [(0,), (1,)]
