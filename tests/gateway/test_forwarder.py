# SPDX-License-Identifier: EUPL-1.2
"""The outbox's way to the cloud, over a real broker that may lose everything."""

import asyncio
import json
import sqlite3
import time

import pytest

from decoders.uplink import Reading, UplinkKey
from gateway.config import load
from gateway.errors import ConfigError
from gateway.service import Gateway
from gateway.store import OutboxReader, open_store
from tests.gateway.certificates import issue_certificates
from tests.gateway.nodes import Concentrator, Node, write_config
from tests.gateway.running import Broker, Cloud, GatewayThread, eventually, join, send

READINGS = (Reading("soil_moisture", "%", 1_770_964_782, 23.45, None),)


class Bench:
    """A database, and a configuration that points to a broker."""

    def __init__(self, folder, port, **mqtt):
        settings = {"port": port, "resend_s": 0.3, "reconnect_max_s": 0.2, "batch_messages": 10} | mqtt
        self.config = load(write_config(folder, mqtt=settings))
        self.store = open_store(self.config.gateway.database, self.config.gateway.key_file)
        self._reader = self.store.reader()

    def append(self, count):
        with self.store.transaction() as ledger:
            for _ in range(count):
                ledger.append(UplinkKey("70b3d57ed1000001", 0, 0), 1_770_964_782.5, "tree", READINGS)

    def service(self):
        return GatewayThread(self.config, self.store)

    def held(self):
        return self._reader.held()

    def empty(self):
        held = self.held()
        return held.oldest > held.last

    def close(self):
        self._reader.close()
        self.store.close()


@pytest.fixture
def broker(tmp_path):
    with Broker(tmp_path) as broker:
        yield broker


@pytest.fixture
def bench(tmp_path, broker):
    bench = Bench(tmp_path, broker.port)
    yield bench
    bench.close()


class TestOutbox:
    def test_it_drains_in_order_and_is_empty_when_the_cloud_has_everything(self, broker, bench):
        bench.append(57)
        with Cloud(broker.port) as cloud, bench.service():
            eventually(bench.empty)

        assert list(cloud.messages) == list(range(1, 58))
        assert cloud.messages[1].readings == READINGS
        assert cloud.epoch == bench.held().epoch

    def test_an_uplink_on_an_idle_gateway_is_published_within_100_ms(self, broker, bench):
        node = Node()
        with bench.store.transaction() as ledger:
            ledger.put_device(node.device())
        with (
            Cloud(broker.port) as cloud,
            bench.service() as gateway,
            Concentrator(gateway.gwmp_port) as concentrator,
        ):
            concentrator.pull()
            join(concentrator, node)
            eventually(lambda: gateway.status()["broker_connected"])
            delays_s = []
            for n in range(1, 6):
                send(concentrator, node.uplink())
                began = time.perf_counter()
                eventually(lambda n=n: n in cloud.messages)
                delays_s.append(time.perf_counter() - began)
            eventually(bench.empty)

        assert sorted(delays_s)[2] < 0.1
        assert len(cloud.batches) == 5

    def test_nothing_is_deleted_on_puback_alone(self, broker, bench):
        bench.append(5)
        with Cloud(broker.port, committing=False) as cloud, bench.service():
            eventually(lambda: len(cloud.batches) >= 2)

        assert bench.held()[1:] == (1, 5)

    def test_a_silent_cloud_gets_one_batch_again_and_again_not_the_window(self, broker, bench):
        bench.append(95)
        with Cloud(broker.port, committing=False) as cloud, bench.service():
            eventually(lambda: len(cloud.batches) >= 12)
            cloud.committing = True
            cloud.commit()
            eventually(bench.empty)

        assert cloud.batches[:10] == [(n, min(n + 9, 95)) for n in range(1, 100, 10)]
        assert cloud.batches[10:12] == [(1, 10), (1, 10)]

    def test_the_status_is_retained_and_changes_with_the_connection(self, broker, bench):
        with bench.service() as gateway:
            eventually(lambda: gateway.status()["broker_connected"])
            with Cloud(broker.port) as cloud:
                online = eventually(lambda: cloud.statuses)[0]
        with Cloud(broker.port) as cloud:
            offline = eventually(lambda: cloud.statuses)[0]

        assert json.loads(online) == {"online": True, "epoch": bench.held().epoch}
        assert json.loads(offline) == {"online": False}


class TestFaults:
    def test_a_broker_that_loses_everything_costs_nothing(self, broker, bench):
        with Cloud(broker.port, committing=False) as cloud, bench.service():
            bench.append(30)
            eventually(lambda: 30 in cloud.messages)
            broker.kill()
            broker.wipe()
            cloud.messages.clear()  # whatever it had, it had not committed it
            cloud.committing = True
            bench.append(30)
            broker.start()
            eventually(bench.empty, 10)

        assert sorted(cloud.messages) == list(range(1, 61))

    def test_without_a_broker_the_gateway_starts_and_keeps_its_outbox(self, tmp_path, broker):
        bench = Bench(tmp_path, broker.port)
        broker.kill()
        with bench.service() as gateway:
            bench.append(3)
            eventually(lambda: gateway.metrics.counters["broker_failures"] >= 2)
            broker.start()
            with Cloud(broker.port):
                eventually(bench.empty, 10)
        bench.close()

    def test_a_read_error_interrupts_forwarding_and_does_not_end_it(self, broker, bench, monkeypatch, caplog):
        read, failures = OutboxReader.messages, iter([sqlite3.OperationalError("disk I/O error")])

        def messages(self, first, most):
            for failure in failures:
                raise failure
            return read(self, first, most)

        monkeypatch.setattr(OutboxReader, "messages", messages)
        bench.append(3)
        with Cloud(broker.port), bench.service():
            eventually(bench.empty)

        assert "disk I/O error" in caplog.text

    def test_a_watermark_of_an_unknown_epoch_deletes_nothing(self, broker, bench):
        bench.append(5)
        with Cloud(broker.port, committing=False) as cloud, bench.service() as gateway:
            eventually(lambda: 5 in cloud.messages)
            cloud.publish_watermark(cloud.epoch ^ 1, 3)
            eventually(lambda: gateway.metrics.counters["watermarks_unknown_epoch"])

        assert bench.held()[1:] == (1, 5)

    def test_what_is_no_watermark_is_counted_and_the_next_one_works(self, broker, bench):
        bench.append(1)
        with Cloud(broker.port, committing=False) as cloud, bench.service() as gateway:
            eventually(lambda: 1 in cloud.messages)
            for n, payload in enumerate(("{}", "[1,2]", "\x00" * 50, '{"epoch":1,"seq":-1}', "x" * 5000), 1):
                cloud.publish_raw(payload)
                eventually(lambda n=n: gateway.metrics.counters["watermarks_malformed"] == n)
            held = bench.held()
            cloud.commit()
            eventually(bench.empty)

        assert held[1:] == (1, 1)

    def test_a_watermark_that_goes_back_is_followed_as_far_as_rows_are_held(self, broker, bench):
        bench.append(30)
        with Cloud(broker.port, committing=False) as cloud, bench.service() as gateway:
            eventually(lambda: 30 in cloud.messages)
            cloud.publish_watermark(cloud.epoch, 20)
            eventually(lambda: bench.held().oldest == 21)
            cloud.publish_watermark(cloud.epoch, 5)
            eventually(lambda: gateway.metrics.counters["watermarks_backwards"] == 1)
            held = bench.held()
            cloud.publish_watermark(cloud.epoch, 30)
            eventually(bench.empty)

        assert held[1:] == (21, 30)

    def test_a_watermark_above_all_numbers_begins_a_new_epoch(self, broker, bench):
        bench.append(5)
        old = bench.held().epoch
        with Cloud(broker.port, committing=False) as cloud, bench.service() as gateway:
            eventually(lambda: 5 in cloud.messages)
            cloud.publish_watermark(old, 1000)
            eventually(lambda: gateway.metrics.counters["watermarks_ahead"] == 1)
            eventually(lambda: cloud.epoch != old)
            held = bench.held()
            cloud.commit()
            eventually(bench.empty)

        assert held[1:] == (1, 5)
        assert held.epoch == cloud.epoch != old

    def test_a_cloud_that_starts_again_from_nothing_gets_what_is_held(self, broker, bench):
        bench.append(10)
        with Cloud(broker.port) as cloud, bench.service():
            eventually(bench.empty)
        bench.append(10)
        broker.kill()
        broker.wipe()
        broker.start()
        with Cloud(broker.port) as fresh, bench.service():
            eventually(bench.empty)

        assert sorted(cloud.messages) == list(range(1, 11))
        assert sorted(fresh.messages) == list(range(11, 21))


class TestAccess:
    @pytest.mark.parametrize(
        ("mqtt", "says"),
        [
            ({"ca_file": "ca.pem"}, "ca_file, cert_file or key_file cannot be used"),
            ({"username": "gateway", "password_file": "password"}, "password_file cannot be read"),
        ],
    )
    def test_files_that_do_not_exist_are_one_line(self, tmp_path, mqtt, says):
        bench = Bench(tmp_path, 1883, **mqtt)

        async def start():
            Gateway(bench.config, bench.store)

        with pytest.raises(ConfigError, match=says):
            asyncio.run(start())
        bench.close()

    def test_mutual_tls_with_a_password_of_its_own(self, tmp_path):
        issue_certificates(tmp_path)
        (tmp_path / "password").write_text("correct horse\n")
        files = {"ca_file": "ca.pem", "cert_file": "client.pem", "key_file": "client.key"}
        with Broker(tmp_path, secured=True) as broker:
            bench = Bench(
                tmp_path, broker.port, host="localhost", username="gateway", password_file="password", **files
            )  # fmt: skip
            bench.append(5)
            with (
                bench.service() as gateway,
                Cloud(broker.port, tls=tmp_path / "ca.pem", password="correct horse") as cloud,
            ):
                eventually(bench.empty)
                assert gateway.status()["broker_connected"]
            bench.close()

        assert sorted(cloud.messages) == [1, 2, 3, 4, 5]

    @pytest.mark.parametrize("change", [{"password": "wrong"}, {"ca": "other"}])
    def test_a_wrong_password_or_authority_keeps_the_outbox_and_tries_again(self, tmp_path, change):
        issue_certificates(tmp_path)
        if "ca" in change:
            (tmp_path / "other").mkdir()
            issue_certificates(tmp_path / "other")
        (tmp_path / "password").write_text(change.get("password", "correct horse"))
        files = {"cert_file": "client.pem", "key_file": "client.key"}
        with Broker(tmp_path, secured=True) as broker:
            ca_file = f"{change.get('ca', '.')}/ca.pem"
            bench = Bench(
                tmp_path, broker.port, host="localhost", username="gateway", password_file="password",
                ca_file=ca_file, **files,
            )  # fmt: skip
            bench.append(5)
            with bench.service() as gateway:
                eventually(lambda: gateway.metrics.counters["broker_failures"] >= 3)
            held = bench.held()
            bench.close()

        assert held[1:] == (1, 5)
