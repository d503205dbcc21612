# SPDX-License-Identifier: EUPL-1.2
"""The running service over real UDP: acknowledgements, downlinks, counting, and whatever else may arrive."""

import json
import logging
import random
import time
import urllib.error
import urllib.request

import pytest

from tests.gateway.nodes import Concentrator, Node, tree_payload, uplinks_in
from tests.gateway.running import GatewayThread, eventually, join, send


class TestAcknowledgement:
    """Accepted means on the disk."""

    def test_the_join_accept_comes_before_the_push_ack(self, concentrator, node):
        join(concentrator, node)

        assert node.accept.dev_addr == 0x01000000

    def test_device_time_comes_before_the_push_ack(self, concentrator, node):
        join(concentrator, node)
        concentrator.push(node.uplink(f_opts=b"\x0d"), tmst_us=9_000_000)

        kinds = [concentrator.receive() for _ in range(2)]

        assert [kind for kind, _, _ in kinds] == [3, 1]
        assert kinds[0][2]["txpk"]["tmst"] == 10_000_000

    def test_an_acknowledged_uplink_is_in_the_database(self, store, concentrator, node):
        join(concentrator, node)

        send(concentrator, node.uplink(), node.uplink())

        assert [message.key.f_cnt for message in uplinks_in(store)] == [0, 1]

    def test_a_refused_frame_is_acknowledged_too(self, service, concentrator):
        send(concentrator, bytes(23), b"", Node(9).uplink())

        assert service.metrics.refused["unknown_dev_eui"] == 1
        assert service.metrics.refused["malformed_frame"] == 1
        assert service.metrics.refused["unknown_dev_addr"] == 1

    def test_what_cannot_be_stored_is_not_acknowledged(self, store, service, concentrator, node):
        join(concentrator, node)
        (pages,) = store.connection.execute("PRAGMA page_count").fetchone()
        store.connection.execute(f"PRAGMA max_page_count = {pages}")
        frames = [node.uplink() for _ in range(60)]
        acknowledged = 0
        concentrator.push(frames[acknowledged])
        while concentrator.acknowledged(lambda: service.metrics.refused["store_full"]):
            acknowledged += 1
            concentrator.push(frames[acknowledged])
        store.connection.execute("PRAGMA max_page_count = 1000000")

        send(concentrator, frames[acknowledged])

        assert service.metrics.refused["store_full"] == 1
        assert [message.key.f_cnt for message in uplinks_in(store)] == list(range(acknowledged + 1))

    def test_a_bug_is_counted_and_costs_no_other_frame(self, store, service, concentrator, node, monkeypatch, caplog):
        join(concentrator, node)
        frames = [node.uplink(tree_payload(moisture_percent_100=n)) for n in (1, 666, 3)]
        decrypt = type(service._network_server)._keep

        def keep(self, opened, *rest):
            if opened.f_cnt == 1:
                raise ZeroDivisionError
            return decrypt(self, opened, *rest)

        monkeypatch.setattr(type(service._network_server), "_keep", keep)
        concentrator.push(*frames)
        eventually(lambda: service.metrics.refused["internal_error"])

        with pytest.raises(TimeoutError):
            concentrator.receive(0.3)

        assert service.metrics.refused["internal_error"] == 1
        eventually(lambda: [message.key.f_cnt for message in uplinks_in(store)] == [0, 2])
        assert "ZeroDivisionError" in caplog.text


class TestManyConcentrators:
    def test_an_uplink_heard_by_three_is_stored_once_and_answered_by_the_first(self, store, service, node):
        euis = [f"0016c001ff10b00{n}" for n in range(3)]
        concentrators = [Concentrator(service.gwmp_port, eui) for eui in euis]
        for concentrator in concentrators:
            concentrator.pull()
        join(concentrators[0], node)
        uplink = node.uplink(f_opts=b"\x0d")

        answers = []
        for concentrator in concentrators:
            concentrator.push(uplink)
            answers.append(concentrator.receive()[0])

        assert answers == [3, 1, 1]
        assert len(uplinks_in(store)) == 1
        assert service.metrics.refused["duplicate"] == 2
        assert service.status()["concentrators"] == 3

    def test_a_downlink_without_a_way_is_counted_and_the_uplink_is_stored(self, service, node):
        with Concentrator(service.gwmp_port) as silent:
            token = silent.push(node.join_request())

            assert silent.receive() == (1, token, None)

        assert service.metrics.counters["downlinks_without_way"] == 1

    def test_invented_concentrators_close_no_way_that_carries_real_frames(self, service, concentrator, node, caplog):
        caplog.set_level(logging.INFO)
        join(concentrator, node)
        with Concentrator(service.gwmp_port) as stranger:
            for n in range(600):
                stranger.eui = f"{n:016x}"
                stranger.pull()

        concentrator.push(node.uplink(confirmed=True))

        assert [concentrator.receive()[0] for _ in range(2)] == [3, 1]
        assert service.status()["concentrators"] == 256
        lines = [record for record in caplog.records if record.name == "gateway.backhaul.gwmp_endpoint"]
        assert [line.levelname for line in lines[-2:]] == ["INFO", "WARNING"]
        assert len(lines) <= 22

    def test_among_strangers_the_oldest_goes_and_any_new_one_gets_its_way(self, service, node):
        with Concentrator(service.gwmp_port) as concentrator:
            for n in range(300):
                concentrator.eui = f"{n:016x}"
                concentrator.pull()
            join(concentrator, node)

        assert service.metrics.counters["downlinks_without_way"] == 0

    def test_a_downlink_that_was_not_sent_is_counted(self, service, concentrator):
        head = b"\x02\x00\x01\x05" + bytes.fromhex(concentrator.eui)
        concentrator.send_raw(head + b'{"txpk_ack":{"error":"TOO_LATE"}}')
        concentrator.send_raw(head)
        concentrator.pull()

        assert service.metrics.counters["downlinks_failed"] == 1


class TestTime:
    @pytest.mark.parametrize(
        ("clocks", "received_at"),
        [
            ({}, 1_770_964_782.5),
            ({"tmms": None, "time": "2026-02-13T08:00:00Z"}, 1_770_969_600.0),
            ({"tmms": None, "time": None}, 1_800_000_000.25),
        ],
    )
    def test_the_concentrator_s_gps_time_comes_first_then_its_utc_then_our_clock(
        self, store, node, clocks, received_at
    ):
        with (
            GatewayThread(store.config, store, clock=lambda: 1_800_000_000.25) as service,
            Concentrator(service.gwmp_port) as concentrator,
        ):
            concentrator.pull()
            join(concentrator, node)
            send(concentrator, node.uplink(), **{"tmms": 1_455_000_000_500} | clocks)

        assert uplinks_in(store)[0].received_at == pytest.approx(received_at, abs=0.001)

    def test_a_concentrator_that_knew_the_time_once_serves_when_our_clock_is_not_set(self, store, node):
        with (
            GatewayThread(store.config, store, clock=lambda: 60.0) as service,
            Concentrator(service.gwmp_port) as concentrator,
        ):
            concentrator.pull()
            join(concentrator, node)
            began_s = time.monotonic()
            send(concentrator, node.uplink(), tmms=1_455_000_000_500)
            send(concentrator, node.uplink(tree_payload(gps_s=0)), tmms=None, time=None)
            passed_s = time.monotonic() - began_s

        first, second = uplinks_in(store)
        assert first.received_at == 1_770_964_782.5
        assert 1_770_964_782.5 < second.received_at < 1_770_964_782.6 + passed_s


class TestAnythingMayArrive:
    def test_random_datagrams_are_counted_and_the_next_uplink_is_stored(self, store, service, concentrator, node):
        join(concentrator, node)
        dice = random.Random(20261122)
        valid = b"\x02\x00\x01\x00" + bytes.fromhex(concentrator.eui) + b'{"rxpk":[{"tmst":1,"datr":"SF7BW125"}]}'
        for n in range(600):
            if n % 3 == 0:
                datagram = dice.randbytes(dice.randrange(0, 64))
            elif n % 3 == 1:
                datagram = valid[: dice.randrange(len(valid))] + dice.randbytes(8)
            else:
                datagram = b"\x02\x00\x01" + bytes([dice.choice((1, 3, 4, 6, 255))]) + dice.randbytes(20)
            concentrator.send_raw(datagram)
            if n % 50 == 49:  # the kernel may keep no more than a hundred or two
                eventually(lambda n=n: service.metrics.counters["datagrams"] >= n + 3)

        send(concentrator, node.uplink())

        assert service.metrics.refused["malformed_datagram"] >= 590
        assert [message.key.f_cnt for message in uplinks_in(store)] == [0]

    def test_random_frames_are_counted_and_the_next_uplink_is_stored(self, store, service, concentrator, node):
        join(concentrator, node)
        dice = random.Random(7)
        known = node.uplink()
        frames = [dice.randbytes(dice.randrange(0, 60)) for _ in range(100)]
        frames += [known[:5] + dice.randbytes(20) for _ in range(100)]
        before = sum(service.metrics.refused.values())
        for at in range(0, 200, 20):
            send(concentrator, *frames[at : at + 20])

        send(concentrator, known)

        assert sum(service.metrics.refused.values()) == before + 200
        assert service.metrics.refused["mic_mismatch"] >= 80  # the others broke the header
        assert [message.key.f_cnt for message in uplinks_in(store)] == [0]

    def test_more_than_can_wait_is_not_acknowledged(self, service, concentrator, monkeypatch):
        monkeypatch.setattr("gateway.backhaul.gwmp_endpoint._MAX_WAITING", 0)

        concentrator.push(b"\x00")
        eventually(lambda: service.metrics.refused["overload"])

        with pytest.raises(TimeoutError):
            concentrator.receive(0.2)
        assert service.metrics.refused["overload"] == 1


class TestLog:
    def test_an_accepted_uplink_is_one_line_and_a_refused_one_none(self, concentrator, node, caplog):
        caplog.set_level(logging.INFO)
        join(concentrator, node)
        send(concentrator, node.uplink())
        send(concentrator, node.uplink()[:-1] + b"\x00", Node(5).uplink())

        lines = [record.getMessage() for record in caplog.records if record.name == "gateway.uplinks"]

        assert "uplink dev_eui=70b3d57ed1000001 f_cnt=0 f_port=2 dr=3 rssi_dbm=-97" in lines
        assert sum(line.startswith("uplink") for line in lines) == 1
        assert "join dev_eui=70b3d57ed1000001 dev_addr=01000000 dr=3 rssi_dbm=-97" in lines
        for secret in (node.app_key, node.nwk_s_key, node.app_s_key):
            assert secret.hex() not in caplog.text


class TestPage:
    def get(self, service, path, method="GET"):
        request = urllib.request.Request(f"http://127.0.0.1:{service.page_port}{path}", method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.headers["Content-Type"], response.read().decode()

    def test_status_is_json(self, service, concentrator, node):
        join(concentrator, node)
        send(concentrator, node.uplink())

        kind, text = self.get(service, "/status")

        document = json.loads(text)
        assert kind == "application/json; charset=utf-8"
        assert document["gateway_eui"] == "0016c001ff10a001"
        assert (document["outbox_held"], document["devices"], document["sessions"]) == (1, 2, 1)
        assert (document["counters"]["uplinks"], document["counters"]["joins"]) == (1, 1)
        assert document["broker_connected"] is False

    def test_metrics_are_prometheus_text(self, service, concentrator, node):
        send(concentrator, Node(9).join_request())

        kind, text = self.get(service, "/metrics")

        assert kind.startswith("text/plain")
        assert 'stadtfunk_gateway_refused_total{reason="unknown_dev_eui"} 1\n' in text
        assert "# TYPE stadtfunk_gateway_uplinks_total counter\nstadtfunk_gateway_uplinks_total 0\n" in text
        assert "# TYPE stadtfunk_gateway_outbox_held gauge\nstadtfunk_gateway_outbox_held 0\n" in text

    @pytest.mark.parametrize(
        ("path", "method", "status"),
        [("/", "GET", 401), ("/frames", "GET", 401), ("/../etc/passwd", "GET", 404), ("/status", "POST", 405)],
    )
    def test_there_is_nothing_else_without_the_token(self, service, path, method, status):
        with pytest.raises(urllib.error.HTTPError) as error:
            self.get(service, path, method)

        assert error.value.code == status

    def test_no_key_and_no_device_is_shown(self, service, concentrator, node):
        join(concentrator, node)
        send(concentrator, node.uplink())

        text = self.get(service, "/status")[1] + self.get(service, "/metrics")[1]

        assert node.dev_eui not in text
        assert node.app_key.hex() not in text


def test_a_frame_of_a_wrong_kind_is_refused_by_reason(service, concentrator):
    send(concentrator, bytes([0x60]) + bytes(20))  # a downlink

    assert service.metrics.refused["unexpected_m_type"] == 1
