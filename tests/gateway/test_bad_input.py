# SPDX-License-Identifier: EUPL-1.2
"""What the street may do to the gateway, over real sockets, with a real database: counted, survived, nothing lost."""

import socket
import sqlite3

import pytest

from tests.gateway.nodes import Concentrator, Node, uplinks_in
from tests.gateway.running import eventually, join, send

ONE, TWO = "0016c001ff10b001", "0016c001ff10b002"
DAY_MS = 86_400_000


def stored(store):
    return [message.key.f_cnt for message in uplinks_in(store)]


def transmit_times(concentrator, node, **fields):
    """(tmst of a confirmed uplink's end, tmst of its answer)."""
    token = concentrator.push(node.uplink(confirmed=True), **fields)
    kind, _, body = concentrator.receive()
    assert kind == 3
    assert concentrator.receive() == (1, token, None)
    return fields["tmst_us"], body["txpk"]["tmst"]


class TestAddresses:
    def test_nobody_speaks_in_the_name_of_a_concentrator_from_another_address(self, store, service, concentrator, node):
        join(concentrator, node)
        stolen = node.uplink()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
            thief.bind(("127.0.0.2", 0))
            head = b"\x02\x00\x01"
            for body in (b"\x02" + bytes.fromhex(ONE), b"\x00" + bytes.fromhex(ONE) + b'{"rxpk":[]}'):
                thief.sendto(head + body, ("127.0.0.1", service.gwmp_port))
            eventually(lambda: service.metrics.refused["spoofed_source"] == 2)

            send(concentrator, stolen)
            concentrator.push(node.uplink(confirmed=True))
            answers = [concentrator.receive()[0] for _ in range(2)]

            thief.settimeout(0.2)
            with pytest.raises(TimeoutError):  # neither a PULL_ACK nor a downlink
                thief.recv(1000)
        assert answers == [3, 1]
        assert stored(store) == [0, 1]

    def test_a_neighbour_s_node_with_the_dev_addr_of_ours_is_refused_and_ours_is_heard(
        self, store, service, concentrator, node
    ):
        """DevAddr has 25 bits of its own at most: networks share them. TS001-1.0.4 "Device Address (DevAddr)"."""
        join(concentrator, node)
        neighbour = Node(9)
        neighbour.dev_addr, neighbour.nwk_s_key, neighbour.app_s_key = node.dev_addr, bytes(16), bytes(16)

        send(concentrator, neighbour.uplink(f_cnt=40_000), node.uplink(), neighbour.uplink(f_cnt=1), node.uplink())

        assert service.metrics.refused["mic_mismatch"] == 2
        assert stored(store) == [0, 1]

    def test_a_join_request_with_a_wrong_eui_gets_no_answer(self, service, concentrator, node):
        stranger = Node(9)
        request = bytearray(node.join_request())
        request[1] ^= 1  # JoinEUI

        send(concentrator, stranger.join_request(), bytes(request))

        assert service.metrics.refused["unknown_dev_eui"] == 1
        assert service.metrics.refused["unknown_join_eui"] == 1


class TestConcentratorClocks:
    """The counter says when to send, whatever the concentrator thinks the time is. All times are the answer's tmst."""

    @pytest.mark.parametrize("wrong_by_ms", [-400 * DAY_MS, -DAY_MS, DAY_MS, 400 * DAY_MS])
    def test_a_wrong_first_time_costs_no_answer(self, concentrator, node, wrong_by_ms):
        join(concentrator, node, tmms=1_455_000_000_500 + wrong_by_ms)

        times = [
            transmit_times(concentrator, node, tmst_us=20_000_000 * n, tmms=1_455_000_000_500 + 20_000 * n)
            for n in range(1, 4)
        ]

        assert times == [(20_000_000, 21_000_000), (40_000_000, 41_000_000), (60_000_000, 61_000_000)]

    @pytest.mark.parametrize("gps", [True, False], ids=["with GPS", "without"])
    def test_the_turn_of_32_bits_lies_between_an_uplink_and_its_answer(self, concentrator, node, gps):
        times = [{"tmms": 1_455_000_000_500 + 20_000 * n} if gps else {"tmms": None, "time": None} for n in range(2)]
        join(concentrator, node, tmst_us=4_274_967_040, **times[0])

        answered = transmit_times(concentrator, node, tmst_us=4_294_967_040, **times[1])

        assert answered == (4_294_967_040, 999_744)

    def test_a_concentrator_that_begins_anew_is_answered_by_its_new_counter(self, concentrator, node):
        join(concentrator, node)
        first = transmit_times(concentrator, node, tmst_us=3_000_000_000, tmms=1_455_000_100_500)

        again = transmit_times(concentrator, node, tmst_us=2_000_000, tmms=1_455_000_200_500)

        assert (first, again) == ((3_000_000_000, 3_001_000_000), (2_000_000, 3_000_000))

    def test_a_counter_that_jumps_about_costs_no_reading(self, store, concentrator, node):
        join(concentrator, node)

        for tmst_us in (4_000_000_000, 5, 2_147_483_648, 5, 4_294_967_295, 0):
            send(concentrator, node.uplink(), tmst_us=tmst_us)

        assert stored(store) == [0, 1, 2, 3, 4, 5]


class TestDatabase:
    def test_while_it_is_locked_nothing_is_acknowledged_and_afterwards_everything_is(
        self, store, service, concentrator, node
    ):
        join(concentrator, node)
        store.connection.execute("PRAGMA busy_timeout = 100")
        frames = [node.uplink() for _ in range(5)]
        other_process = sqlite3.connect(store.path, isolation_level=None)
        other_process.execute("BEGIN IMMEDIATE")
        for frame in frames:
            concentrator.push(frame)
        eventually(lambda: service.metrics.refused["store_failed"] == 5)
        other_process.execute("ROLLBACK")
        other_process.close()

        with pytest.raises(TimeoutError):
            concentrator.receive(0.2)
        send(concentrator, *frames)  # as a forwarder that repeats what nobody has acknowledged

        assert stored(store) == [0, 1, 2, 3, 4]

    def test_a_copy_through_another_concentrator_saves_what_could_not_be_stored(
        self, store, service, concentrator, node
    ):
        join(concentrator, node)
        store.connection.execute("PRAGMA busy_timeout = 100")
        frame = node.uplink()
        other_process = sqlite3.connect(store.path, isolation_level=None)
        other_process.execute("BEGIN IMMEDIATE")
        concentrator.push(frame)
        eventually(lambda: service.metrics.refused["store_failed"] == 1)
        other_process.execute("ROLLBACK")
        other_process.close()

        with Concentrator(service.gwmp_port, TWO) as other:
            send(other, frame)

        assert stored(store) == [0]
