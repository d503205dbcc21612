# SPDX-License-Identifier: EUPL-1.2
"""The plain way: one service on a persistent MQTT session, at a broker that knows nothing of streams."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud_ingest.brokers import Mosquitto, wait_for
from tests.cloud_ingest.processes import POISON, Gateway, Site, uplinks
from tests.cloud_ingest.world import NODES, START, UP, batch, sample, uplink


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    found = Mosquitto(tmp_path)
    found.start()
    yield found
    found.stop()


@pytest.fixture
def site(tmp_path: Path, broker: Mosquitto) -> Iterator[Site]:
    found = Site(tmp_path)
    found.config.write_text(found.config.read_text().replace(f"port = {found.mqtt_port}", f"port = {broker.port}"))
    found.mqtt_port = broker.port
    yield found
    found.stop()


class TestMosquitto:
    def test_one_that_loses_all_it_has_loses_nothing_of_ours(self, site: Site, broker: Mosquitto) -> None:
        service = site.service()
        gateway = Gateway(site.mqtt_port, uplinks(200))
        try:
            wait_for(lambda: gateway.send(10) or gateway.watermark >= 40, "a watermark")
            service.kill()
            service.wait()
            for _ in range(5):
                gateway.send(10)
            broker.stop()
            broker.start()
            site.service()
            wait_for(lambda: gateway.send(20) or gateway.done, "everything durable")
        finally:
            gateway.stop()

        assert site.rows("SELECT count(*) FROM uplinks") == [(200,)]
        assert site.rows("SELECT count(*) FROM observations") == [(400,)]

    def test_a_message_that_ends_the_service_is_a_dead_letter_after_three_tries(self, site: Site) -> None:
        service = site.service()  # so that the broker has its session
        service.kill()
        service.wait()
        poison = batch(uplink(1, NODES[0], 0, sample(START, 20.0)))
        site.publish(UP, poison)
        site.publish(UP, batch(uplink(2, NODES[0], 1, sample(START + 60, 19.0)), oldest_seq=1))
        command = [sys.executable, "-c", POISON.format(command="run", marker=poison, config=str(site.config))]

        died = site.start_until(command, "SELECT 1 FROM dead_letters")

        assert died == 4
        assert site.rows("SELECT reason FROM dead_letters") == [("gave_up",)]
        wait_for(lambda: site.rows("SELECT f_cnt FROM uplinks") == [(1,)], "what came behind it")
        assert site.rows("SELECT seq FROM watermarks") == [(2,)]
