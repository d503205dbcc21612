# SPDX-License-Identifier: EUPL-1.2
"""Downlinks on the running service, in real time and over real UDP: deadlines, errors, second tries.

``lead_ms`` is long and the Join-Accept's window far, so that a loaded machine has time.
"""

import base64
import json
import threading
import urllib.request
from contextlib import contextmanager

import pytest

from decoders.downlink import DownlinkCommand, encode_command
from gateway import transmitter
from tests.gateway.nodes import Concentrator, new_store
from tests.gateway.running import GatewayThread, eventually

ONE, TWO = "0016c001ff10b001", "0016c001ff10b002"


def serve(tmp_path, node, **downlinks):
    config, store = new_store(tmp_path, [node], downlinks={"virtual_time": False} | downlinks)
    return GatewayThread(config, store), store


def tx_ack(concentrator, token, error=None):
    """TX_ACK; PROTOCOL.md 5.5. It comes from whatever socket sends it."""
    body = b"" if error is None else json.dumps({"txpk_ack": {"error": error}}).encode()
    concentrator.send_raw(b"\x02" + token.to_bytes(2, "big") + b"\x05" + bytes.fromhex(concentrator.eui) + body)


def join_confirmed(concentrator, node):
    """Join, and say that the Join-Accept goes out."""
    push = concentrator.push(node.join_request())
    _, token, body = concentrator.receive()
    node.joined(base64.b64decode(body["txpk"]["data"]))
    tx_ack(concentrator, token)
    assert concentrator.receive() == (1, push, None)


@contextmanager
def standing_still(service):
    """The service does nothing meanwhile, and so gets all that is sent at once."""
    stands, goes_on = threading.Event(), threading.Event()
    service._loop.call_soon_threadsafe(lambda: stands.set() or goes_on.wait(60))
    assert stands.wait(60)
    try:
        yield
    finally:
        goes_on.set()


class TestRealTime:
    """PUSH_ACK means stored, and does not wait for the downlink."""

    def test_the_best_of_two_concentrators_sends_a_moment_before_it_is_due(self, tmp_path, node):
        thread, store = serve(tmp_path, node, lead_ms=900)
        with (
            thread as service,
            Concentrator(service.gwmp_port, ONE) as far,
            Concentrator(service.gwmp_port, TWO) as near,
        ):
            for concentrator in (far, near):
                concentrator.pull()
            request = node.join_request()
            with standing_still(service):
                first = far.push(request, lsnr=-3.0)
                second = near.push(request, lsnr=9.0)

            assert far.receive() == (1, first, None)
            (kind, token, body), ack = sorted((near.receive() for _ in range(2)), reverse=True)
            tx_ack(near, token)
            eventually(lambda: service.metrics.counters["downlinks_sent"] == 1)

            assert ack == (1, second, None)
            assert (kind, body["txpk"]["tmst"]) == (3, 10_000_000)
            assert service.metrics.counters["downlinks"] == 1
        store.close()

    def test_stopping_does_not_wait_for_what_is_owed(self, tmp_path, node):
        thread, store = serve(tmp_path, node)
        with thread as service, Concentrator(service.gwmp_port) as concentrator:
            concentrator.pull()
            concentrator.push(node.join_request())
            eventually(lambda: service.metrics.counters["joins"] == 1)
        store.close()


class TestErrors:
    """PROTOCOL.md 5.5 "TX_ACK packet": every error leads to another window or concentrator."""

    @pytest.fixture(autouse=True)
    def patience(self, monkeypatch):
        """The service waits for a TX_ACK however late a loaded machine lets it come; so each test sends them all."""
        monkeypatch.setattr(transmitter, "_SILENT_S", 60.0)
        monkeypatch.setattr(transmitter, "_CONFIRMING_S", 60.0)

    @pytest.mark.parametrize(
        "error",
        [
            "TOO_LATE",
            "TOO_EARLY",
            "COLLISION_PACKET",
            "COLLISION_BEACON",
            "TX_FREQ",
            "TX_POWER",
            "GPS_UNLOCKED",
            "COFFEE",
        ],
    )
    def test_rx2_follows_before_the_push_ack(self, service, node, error):
        with Concentrator(service.gwmp_port) as concentrator:
            concentrator.pull()
            push = concentrator.push(node.join_request())
            _, token, rx1 = concentrator.receive()
            tx_ack(concentrator, token, error)
            _, token, rx2 = concentrator.receive()
            tx_ack(concentrator, token)

            assert concentrator.receive() == (1, push, None)
        assert (rx1["txpk"]["tmst"], rx1["txpk"]["freq"], rx1["txpk"]["datr"]) == (10_000_000, 868.3, "SF9BW125")
        assert (rx2["txpk"]["tmst"], rx2["txpk"]["freq"], rx2["txpk"]["datr"]) == (11_000_000, 869.525, "SF12BW125")
        assert rx1["txpk"]["data"] == rx2["txpk"]["data"]
        reason = "other" if error == "COFFEE" else error.lower()
        assert service.metrics.failed_attempts[reason] == 1
        assert service.metrics.counters["downlinks_sent"] == 1

    def test_an_ack_from_the_socket_for_uplinks_counts_too(self, service, node):
        """Some forwarders answer from there (TheThingsNetwork/lorawan-stack #698)."""
        with Concentrator(service.gwmp_port) as down, Concentrator(service.gwmp_port) as up:
            down.pull()
            push = up.push(node.join_request())
            _, token, _ = down.receive()
            tx_ack(up, token, "TOO_LATE")
            _, token, _ = down.receive()
            tx_ack(up, token)

            assert up.receive() == (1, push, None)
        assert service.metrics.counters["downlinks_sent"] == 1

    def test_an_error_under_a_token_that_was_never_used_is_counted_and_no_more(self, service, node):
        with Concentrator(service.gwmp_port) as concentrator:
            concentrator.pull()
            tx_ack(concentrator, 0xBEEF, "TOO_LATE")
            join_confirmed(concentrator, node)

        assert service.metrics.counters["downlinks_failed"] == 1
        assert sum(service.metrics.failed_attempts.values()) == 0

    def test_a_downlink_that_nobody_could_send_waits_for_the_next_uplink(self, service, node):
        command = DownlinkCommand("one", node.dev_eui, 21, b"\x05", False, 4e9)
        with Concentrator(service.gwmp_port) as concentrator:
            concentrator.pull()
            join_confirmed(concentrator, node)
            put = service._applications.command
            service._writer._loop.call_soon_threadsafe(put, encode_command(command).encode())
            eventually(lambda: service.metrics.counters["commands"] == 1)
            push = concentrator.push(node.uplink())
            for _ in range(2):
                _, token, _ = concentrator.receive()
                tx_ack(concentrator, token, "COLLISION_PACKET")
            assert concentrator.receive() == (1, push, None)
            eventually(lambda: service._reader.counts()["downlinks_waiting"] == 1)

            push = concentrator.push(node.uplink())
            _, token, body = concentrator.receive()
            tx_ack(concentrator, token)
            assert concentrator.receive() == (1, push, None)

        frame = node.open_downlink(base64.b64decode(body["txpk"]["data"]), 1)
        assert frame.decrypt(node.nwk_s_key, node.app_s_key, 1) == b"\x05"
        eventually(lambda: service._reader.counts()["downlinks_waiting"] == 0)

    def test_what_every_concentrator_refuses_is_dropped_with_its_reason(self, service, node):
        with Concentrator(service.gwmp_port) as concentrator:
            concentrator.pull()
            push = concentrator.push(node.join_request())
            for _ in range(2):
                _, token, _ = concentrator.receive()
                tx_ack(concentrator, token, "TX_FREQ")

            assert concentrator.receive() == (1, push, None)
        assert service.metrics.downlinks_dropped["tx_freq"] == 1


class TestStat:
    """PROTOCOL.md 4 "JSON stat object"."""

    def test_a_concentrator_s_own_counts_are_shown(self, tmp_path, node):
        config, store = new_store(tmp_path, [node])
        stat = {"time": "2014-01-12 08:59:28 GMT", "rxnb": 2, "rxok": 1, "rxfw": 1, "ackr": 99.5, "dwnb": 4, "txnb": 3}
        with GatewayThread(config, store) as service, Concentrator(service.gwmp_port) as concentrator:
            concentrator.send_raw(
                b"\x02\x00\x07\x00" + bytes.fromhex(concentrator.eui) + json.dumps({"stat": stat}).encode()
            )
            assert concentrator.receive() == (1, 7, None)

            (shown,) = service.status()["concentrator_list"]
            with urllib.request.urlopen(f"http://127.0.0.1:{service.page_port}/metrics", timeout=60) as page:
                metrics = page.read().decode()

        assert shown["eui"] == ONE
        assert (shown["rxnb"], shown["rxok"], shown["ackr"], shown["txnb"]) == (2, 1, 99.5, 3)
        assert f'stadtfunk_gateway_concentrator_rxok{{eui="{ONE}"}} 1' in metrics
        store.close()
