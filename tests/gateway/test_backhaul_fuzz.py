# SPDX-License-Identifier: EUPL-1.2
"""Many thousand datagrams and websocket messages, true, bent and forged: counted, and survived.

Seeded: the same every time. The service is the real one; datagrams are given to its endpoint with any source address.
The usual run takes 10,000 of each; a hundred thousand of each, some minutes:

    STADTFUNK_FUZZ=100000 .venv/bin/pytest tests/gateway/test_backhaul_fuzz.py
"""

import asyncio
import json
import os
import random
import time
from copy import deepcopy

from websockets.sync.client import connect

from gateway.metrics import FAILURES, REFUSALS
from gateway.ways_down import Protocol
from tests.gateway.nodes import Concentrator, Node, rxpk_of
from tests.gateway.radio_world import STATION, world
from tests.gateway.running import eventually, join
from tests.gateway.test_lns import JREQ, UPDF

COUNT = int(os.environ.get("STADTFUNK_FUZZ", "10000"))
BATCH = 500
JUNK = (None, True, -1, 0, 1 << 70, 0.5, float("inf"), "", "x", [], {}, [[]], "SF7BW125", 1e308)


def datagrams(dice, node):
    """Endlessly: (bytes, source host)."""
    genuine = [node.uplink(), node.join_request(), Node(77).join_request(), bytes(23), b"", b"\xe0" * 40]
    while True:
        eui = bytes.fromhex(dice.choice(["0016c001ff10b001", "0016c001ff10b002", f"{dice.getrandbits(64):016x}"]))
        kind = dice.choices((0, 2, 5, 1, 3, 4, 9), weights=(60, 15, 10, 1, 1, 1, 1))[0]
        head = b"\x02" + dice.randbytes(2) + bytes([kind]) + eui
        if kind == 0:
            rxpk = rxpk_of(dice.choice(genuine), tmst=dice.getrandbits(32))
            for _ in range(dice.randrange(3)):
                rxpk[dice.choice(list(rxpk))] = dice.choice(JUNK)
            body = json.dumps(
                {dice.choice(("rxpk", "rxpk", "stat", "x")): dice.choice(([rxpk], [rxpk], rxpk, JUNK[9]))}
            )
        else:
            body = dice.choice(("", "\0", '{"txpk_ack":{"error":"TOO_LATE"}}', '{"txpk_ack":{"error":5}}', "{", "[]"))
        data = bytearray(head + body.encode())
        if dice.random() < 0.2:
            for _ in range(dice.randrange(1, 4)):
                data[dice.randrange(len(data))] = dice.getrandbits(8)
        if dice.random() < 0.05:
            del data[dice.randrange(len(data)) :]
        yield bytes(data), dice.choice(("127.0.0.2", "127.0.0.3", "127.0.0.4"))


def test_bent_and_forged_datagrams_are_counted_and_survived(service, node, caplog):
    dice = random.Random(20261122)
    endpoint, loop = service._endpoint, service._writer._loop
    with Concentrator(service.gwmp_port, "0016c001ff10cccc") as concentrator:
        concentrator.pull()
        join(concentrator, node)
        stream = datagrams(dice, Node(3))

        async def flood():
            for _ in range(BATCH):
                data, host = next(stream)
                endpoint.datagram_received(data, (host, dice.randrange(1, 10)))
            while endpoint._tasks:
                await asyncio.wait(endpoint._tasks)

        for _ in range(COUNT // BATCH):
            asyncio.run_coroutine_threadsafe(flood(), loop).result(60)
        token = concentrator.push(node.uplink())
        assert concentrator.receive(60) == (1, token, None)
        token = concentrator.push(node.uplink(confirmed=True))
        answers = [concentrator.receive() for _ in range(2)]

    assert [answer[0] for answer in answers] == [3, 1]
    assert answers[1][1] == token
    assert service.metrics.counters["datagrams"] >= COUNT
    refused = service.metrics.refused
    assert refused["internal_error"] == refused["store_failed"] == refused["overload"] == 0
    assert all(
        refused[reason] > 10
        for reason in ("malformed_datagram", "malformed_rxpk", "spoofed_source", "unknown_dev_eui", "malformed_frame")
    )
    assert service.metrics.counters["uplinks"] == 2
    assert service.status()["concentrators"] <= 256
    assert len(service._transmitter._downlinks._ways) <= 300
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_spoofed_source_neither_speaks_for_a_concentrator_nor_gets_its_downlinks(service, concentrator, node):
    join(concentrator, node)
    forged = b"\x02\x00\x01\x02" + bytes.fromhex(concentrator.eui)
    service._writer._loop.call_soon_threadsafe(service._endpoint.datagram_received, forged, ("10.9.9.9", 4711))
    eventually(lambda: service.metrics.refused["spoofed_source"] == 1)

    concentrator.push(node.uplink(confirmed=True))

    assert concentrator.receive()[0] == 3


def test_a_concentrator_may_move_once_it_has_been_silent(service, concentrator):
    endpoint = service._endpoint
    endpoint._concentrators[concentrator.eui].spoke_at = time.monotonic() - 121
    moved = b"\x02\x00\x01\x02" + bytes.fromhex(concentrator.eui)
    service._writer._loop.call_soon_threadsafe(endpoint.datagram_received, moved, ("10.9.9.9", 4711))
    eventually(lambda: endpoint._concentrators[concentrator.eui].way_down == ("10.9.9.9", 4711))

    assert service.metrics.refused["spoofed_source"] == 0


def messages(dice):
    """Endlessly: texts that a station might send, bent."""
    bases = [UPDF, JREQ, {"msgtype": "dntxed", "diid": 1, "Freq": 868_100_000}, {"msgtype": "event"}]
    while True:
        fields = json.loads(json.dumps(dice.choice(bases)))
        for _ in range(dice.randrange(3)):
            fields[dice.choice(list(fields))] = deepcopy(dice.choice(JUNK))
        if "upinfo" in fields and isinstance(fields["upinfo"], dict) and dice.random() < 0.3:
            fields["upinfo"][dice.choice(("xtime", "rctx", "gpstime", "snr", "rxtime"))] = deepcopy(dice.choice(JUNK))
        text = json.dumps(fields)
        yield text[: dice.randrange(len(text))] if dice.random() < 0.1 else text


def test_messages_of_a_station_gone_mad_are_counted_and_survived():
    dice = random.Random(20261122)
    with world() as made:
        uri = f"ws://127.0.0.1:{made.gateway.lns_port}/router-0016c001ff10bbbb"
        stream = messages(dice)
        with connect(uri, proxy=None, compression=None) as websocket:
            websocket.send('{"msgtype":"version","station":"?","model":"?","features":""}')
            websocket.recv(30)
            for _ in range(COUNT):
                websocket.send(next(stream))
            websocket.send('{"msgtype":"timesync","txtime":7}')
            while json.loads(websocket.recv(60)).get("txtime") != 7:
                pass
        metrics = made.gateway.metrics
        made.concentrator(STATION)
        made.join(made.nodes[0])

        assert metrics.counters["messages"] >= COUNT
        assert metrics.refused["internal_error"] == metrics.refused["not_stored"] == 0
        assert metrics.refused["malformed_message"] > COUNT // 10
        assert metrics.refused["unknown_dev_addr"] > COUNT // 20


def test_every_reason_of_the_scheduler_and_of_gwmp_has_its_name():
    """TX_ACK errors by PROTOCOL.md 5.5, in lower case."""
    errors = "too_late too_early collision_packet collision_beacon tx_freq tx_power gps_unlocked"

    assert set(errors.split()) <= set(FAILURES)
    assert {"overlap", "duty_cycle", "blocked", "too_long", "no_way", "not_confirmed", "connection_lost"} <= set(
        FAILURES
    )
    assert {"spoofed_source", "unknown_concentrator", "malformed_message"} <= set(REFUSALS)
    assert {protocol.value for protocol in Protocol} == {"gwmp", "basics_station"}
