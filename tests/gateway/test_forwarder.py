# SPDX-License-Identifier: EUPL-1.2
"""The outbox's way to the cloud, over a real broker that may lose everything."""

import asyncio
import json
import sqlite3
import time
from dataclasses import replace

import pytest

from decoders.records import ALARM, DIAGNOSTIC, READING, Event, Tombstone
from decoders.uplink import Watermark
from gateway import forwarder
from gateway.backlog import Backlog
from gateway.errors import ConfigError
from gateway.outbox import Limits
from gateway.reader import OutboxReader
from gateway.service import Gateway
from tests.gateway.certificates import issue_certificates
from tests.gateway.forwarder_bench import READINGS, Bench
from tests.gateway.nodes import Concentrator, Node
from tests.gateway.outbox_world import uplink
from tests.gateway.running import Broker, Cloud, StallingBroker, eventually, join, send


class TestOutbox:
    def test_it_drains_in_order_and_is_empty_when_the_cloud_has_everything(self, broker, bench):
        bench.append(57)
        with Cloud(broker.port) as cloud, bench.service():
            eventually(bench.empty)

        assert list(cloud.messages) == list(range(1, 58))
        assert cloud.messages[1].readings == READINGS

    def test_an_uplink_on_an_idle_gateway_is_published_within_100_ms(self, tmp_path, broker):
        bench = Bench(tmp_path, broker.port, resend_s=60.0)
        node = Node()
        with bench.filler.transaction() as ledger:
            ledger.put_device(node.device())
        with (
            Cloud(broker.port) as cloud,
            bench.service() as gateway,
            Concentrator(gateway.gwmp_port) as concentrator,
        ):
            concentrator.pull()
            join(concentrator, node)
            eventually(lambda: gateway.status()["broker_connected"])
            delays_s = [1.0]
            while min(delays_s) >= 0.1 and len(delays_s) < 100:  # a loaded machine may miss it, but not each time
                send(concentrator, node.uplink())
                began = time.perf_counter()
                eventually(lambda: len(delays_s) in cloud.messages)
                delays_s.append(time.perf_counter() - began)
            eventually(bench.empty)
        bench.close()

        assert min(delays_s) < 0.1
        assert len(cloud.batches) == len(cloud.messages)

    def test_nothing_is_deleted_on_puback_alone(self, broker, bench):
        bench.append(5)
        with Cloud(broker.port, committing=False) as cloud, bench.service():
            eventually(lambda: len(cloud.batches) >= 2)

        assert bench.held() == (1, 5)

    def test_a_silent_cloud_gets_one_batch_again_and_again_not_the_window(self, tmp_path, broker):
        bench = Bench(tmp_path, broker.port, resend_s=1.0)
        bench.append(95)
        with Cloud(broker.port, committing=False) as cloud, bench.service():
            eventually(lambda: len(cloud.batches) >= 12)
            cloud.committing = True
            cloud.commit()
            eventually(bench.empty)
        bench.close()

        assert cloud.batches[:10] == [(n, min(n + 9, 95)) for n in range(1, 100, 10)]
        assert cloud.batches[10:12] == [(1, 10), (1, 10)]

    def test_a_cloud_that_is_slow_is_sent_no_window_twice(self, tmp_path, broker):
        bench = Bench(tmp_path, broker.port, resend_s=0.1)
        bench.append(400)
        with Cloud(broker.port, committing=False) as cloud, bench.service():
            for seq in range(10, 401, 10):
                eventually(lambda seq=seq: seq in cloud.messages)
                time.sleep(0.12)  # always longer than resend_s
                cloud.publish_watermark(cloud.epoch, seq)
            eventually(bench.empty)
        bench.close()

        assert len(cloud.batches) - len(set(cloud.batches)) < 20

    def test_the_status_is_retained_and_changes_with_the_connection(self, broker, bench):
        with bench.service() as gateway:
            eventually(lambda: gateway.status()["broker_connected"])
            epoch = gateway.status()["epoch"]
            with Cloud(broker.port) as cloud:
                online = eventually(lambda: cloud.statuses)[0]
        with Cloud(broker.port) as cloud:  # a busy broker may take the last status after this subscription
            eventually(lambda: cloud.statuses and json.loads(cloud.statuses[-1]) == {"online": False})

        assert json.loads(online) == {"online": True, "epoch": epoch}

    def test_the_status_is_repeated_for_a_subscriber_whom_the_broker_showed_none(self, broker, bench, monkeypatch):
        monkeypatch.setattr(forwarder, "_STATUS_S", 0.1)
        with bench.service() as gateway, Cloud(broker.port) as cloud:
            eventually(lambda: len(cloud.statuses) >= 4)
            online = json.dumps({"online": True, "epoch": gateway.status()["epoch"]}).encode()

        assert set(cloud.statuses[:4]) == {online}

    def test_connected_is_who_knows_that_the_broker_has_the_status(self, tmp_path):
        broker = StallingBroker()
        broker.takes_status = False
        bench = Bench(tmp_path, broker.port)
        with bench.service() as gateway:
            eventually(lambda: broker.statuses)
            before = gateway.status()["broker_connected"]
            broker.takes_status = True
            broker.hang_up()
            eventually(lambda: gateway.status()["broker_connected"])
        bench.close()
        broker.close()

        assert before == 0


def acknowledged_30(gateway):
    backlog = gateway._forwarder._backlog
    return backlog._sent[READING] >= 30 and not backlog.deliveries[READING]._in_flight


def lost_with_the_broker(broker, bench, is_taken) -> set[int]:
    """The broker takes 30 uplinks and loses its disk; returns which of 60 never reached the cloud's store."""
    bench.config = replace(bench.config, store=replace(bench.config.store, horizon_mb=0))
    with bench.service() as gateway:
        bench.append(30)
        eventually(lambda: is_taken(gateway))
        broker.kill()
        broker.wipe()
        bench.append(30)
        broker.start()
        with Cloud(broker.port) as cloud:
            eventually(bench.empty)
    return set(range(1, 61)) - {message.key.f_cnt for message in cloud.messages.values()}


class TestFaults:
    def test_a_broker_that_loses_everything_costs_nothing(self, broker, bench):
        assert lost_with_the_broker(broker, bench, acknowledged_30) == set()

    def test_whoever_forgets_at_the_puback_loses_what_the_broker_loses(self, broker, bench, monkeypatch):
        """A mutant: were it not found out, the test before would prove nothing."""
        right = Backlog.acknowledged

        def acknowledged(self, message_id):
            right(self, message_id)
            seqs = tuple(row - base for row, base in zip(self._sent, self.numbering.bases, strict=True))
            self._watermark = Watermark(self.numbering.epoch, seqs)

        monkeypatch.setattr(Backlog, "acknowledged", acknowledged)

        assert lost_with_the_broker(broker, bench, lambda _gateway: bench.empty()) >= set(range(1, 31))

    def test_without_a_broker_the_gateway_starts_and_keeps_its_outbox(self, tmp_path, broker):
        bench = Bench(tmp_path, broker.port)
        broker.kill()
        with bench.service() as gateway:
            bench.append(3)
            eventually(lambda: gateway.metrics.counters["broker_failures"] >= 2)
            broker.start()
            with Cloud(broker.port):
                eventually(bench.empty)
        bench.close()

    def test_a_read_error_interrupts_forwarding_and_does_not_end_it(self, broker, bench, monkeypatch, caplog):
        read, failures = OutboxReader.records, iter([sqlite3.OperationalError("disk I/O error")])

        def records(self, lane, first, most):
            for failure in failures:
                raise failure
            return read(self, lane, first, most)

        monkeypatch.setattr(OutboxReader, "records", records)
        bench.append(3)
        with Cloud(broker.port), bench.service():
            eventually(bench.empty)

        assert "disk I/O error" in caplog.text

    def test_a_broker_that_acknowledges_nothing_is_left_and_tried_again(self, tmp_path):
        broker = StallingBroker()
        bench = Bench(tmp_path, broker.port, resend_s=0.05, window_batches=3)
        bench.append(50)
        with bench.service():
            eventually(lambda: broker.connections >= 2)
            broker.well = True
            eventually(lambda: broker.batches_acknowledged >= 3)
        bench.close()
        broker.close()

    def test_a_broker_that_hangs_up_once_it_has_granted_the_subscription_is_tried_again(self, tmp_path):
        broker = StallingBroker()
        broker.hangs_up = True
        bench = Bench(tmp_path, broker.port)
        with bench.service() as gateway:
            eventually(lambda: broker.connections >= 10)
            broker.hangs_up = False
            eventually(lambda: gateway.status()["broker_connected"])
        bench.close()
        broker.close()


class TestLanes:
    """decoders/README.md: lane 0 are alarms, 1 readings, 2 diagnostics; the lower goes first."""

    @pytest.fixture
    def bench(self, tmp_path, broker):
        """It sends nothing again because a machine is slow: what arrives is counted."""
        bench = Bench(tmp_path, broker.port, resend_s=60.0)
        yield bench
        bench.close()

    def test_an_alarm_overtakes_a_backlog(self, broker, bench):
        bench.append(4000)
        with Cloud(broker.port) as cloud, bench.service():
            eventually(lambda: len(cloud.arrivals) > 300)
            with bench.filler.transaction() as ledger:
                ledger.append_event("node_down", 1_770_964_800.0, dev_eui="70b3d57ed1000001")
            before = len(cloud.arrivals)
            eventually(lambda: cloud.records[ALARM])
            place = [lane for lane, _ in cloud.arrivals].index(ALARM)
            eventually(bench.empty)

        assert place - before <= 210  # what was on its way already: a window of 20 batches of 10, and one in the making
        assert len(cloud.messages) == 4000

    def test_diagnostics_wait_for_readings(self, broker, bench):
        with bench.filler.transaction() as ledger:
            for n in range(10):
                ledger.append_record(DIAGNOSTIC, uplink("70b3d57ed1000001", n))
        bench.append(100)
        with Cloud(broker.port) as cloud, bench.service():
            eventually(bench.empty)

        assert [lane for lane, _ in cloud.arrivals] == [READING] * 100 + [DIAGNOSTIC] * 10

    def test_what_a_full_gateway_dropped_reaches_the_cloud_by_name(self, broker, bench):
        bench.filler.ledger.limits = Limits(40_000, 0)
        bench.append(1000)
        with Cloud(broker.port) as cloud, bench.service():
            eventually(bench.empty)

        gone = [record for record in cloud.records[ALARM].values() if isinstance(record, Tombstone)]
        counters = {key.f_cnt for key in cloud.keys}
        assert counters == set(range(min(counters), 1001))
        assert sum(row.uplinks for stone in gone for row in stone.dropped) == min(counters) - 1

    def test_a_row_that_rotted_on_the_card_holds_up_nothing(self, broker, bench):
        bench.append(5)
        bench.store.connection.execute("UPDATE outbox_1 SET record = zeroblob(20) WHERE seq = 3")
        with Cloud(broker.port) as cloud, bench.service():
            eventually(bench.empty)

        assert cloud.messages[3] == Event("record_unreadable", None, 0.0, "unset", {"lane": 1.0, "row": 3.0})
        assert sorted(cloud.messages) == [1, 2, 3, 4, 5]


class TestAccess:
    @pytest.mark.parametrize(
        ("mqtt", "says"),
        [
            ({"ca_file": "no.pem"}, r"ca_file /.*/no\.pem cannot be read \(No such file or directory\)$"),
            (
                {"ca_file": "ca.pem", "cert_file": "no.pem", "key_file": "client.key"},
                r"cert_file /.*/no\.pem cannot be read \(No such file or directory\)$",
            ),
            (
                {"ca_file": "ca.pem", "cert_file": "client.pem", "key_file": "no.key"},
                r"key_file /.*/no\.key cannot be read \(No such file or directory\)$",
            ),
            ({"ca_file": "client.key"}, r"ca_file /.*/client\.key holds no certificate \("),
            (
                {"ca_file": "ca.pem", "cert_file": "client.pem", "key_file": "broker.key"},
                r"cert_file /.*/client\.pem and key_file /.*/broker\.key do not fit together \(",
            ),
            (
                {"username": "gateway", "password_file": "no.txt"},
                r"password_file /.*/no\.txt cannot be read \(No such file or directory\)$",
            ),
        ],
    )
    def test_a_file_that_cannot_be_used_is_named_in_one_line(self, tmp_path, mqtt, says):
        issue_certificates(tmp_path)
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

        assert held == (1, 5)
