# SPDX-License-Identifier: EUPL-1.2
"""Connections that are begun and go no further, over real sockets: they hold up no station, no page and no uplink."""

import asyncio
import re
import resource
import socket
import ssl
import urllib.request
from contextlib import ExitStack

import pytest

from gateway.backhaul.half_open import listening
from simulators.basics_station import BasicsStation
from tests.gateway.certificates import issue_certificates
from tests.gateway.nodes import Concentrator, Node, new_store
from tests.gateway.radio_world import world
from tests.gateway.running import GatewayProcess, eventually, join, send

EUI = "0016c001ff10b001"


def silent(stack, port, host="127.0.0.1"):
    """A connection on which nothing is said."""
    connection = stack.enter_context(socket.create_connection((host, port), 60))
    connection.settimeout(30)
    return connection


def is_open(connection):
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False
    finally:
        connection.settimeout(30)


class TestListening:
    """The oldest of too many that have not opened gives way: who means it is through in a moment."""

    @pytest.fixture
    def place(self):
        (place,) = asyncio.run(listening("127.0.0.1", 0, most=2))
        place.listen(10)
        yield place
        place.close()

    def accept(self, stack, place, number):
        clients = []
        for _ in range(number):
            clients.append(silent(stack, place.getsockname()[1]))
            stack.enter_context(place.accept()[0])
        return clients

    def test_of_more_than_may_be_half_open_the_oldest_are_ended(self, place):
        with ExitStack() as stack:
            clients = self.accept(stack, place, 4)

            assert [is_open(client) for client in clients] == [False, False, True, True]

    def test_one_that_has_opened_is_not_counted_and_not_ended(self, place):
        with ExitStack() as stack:
            first = silent(stack, place.getsockname()[1])
            opened = stack.enter_context(place.accept()[0])
            place.opened(opened.fileno())
            clients = self.accept(stack, place, 3)

            assert [is_open(client) for client in (first, *clients)] == [True, False, True, True]

    def test_one_that_has_ended_is_not_counted(self, place):
        with ExitStack() as stack:
            (first,) = self.accept(stack, place, 1)
            for _ in range(5):
                client = silent(stack, place.getsockname()[1])
                place.accept()[0].close()
                client.close()
            (last,) = self.accept(stack, place, 1)

            assert is_open(first)
            assert is_open(last)

    def test_every_address_of_a_name_has_the_same_port(self):
        places = asyncio.run(listening("localhost", 0, most=2))

        ports = {place.getsockname()[1] for place in places}
        for place in places:
            place.close()

        assert len(ports) == 1


class TestStations:
    """wss: TLS before anything is known of the other side."""

    @pytest.fixture
    def made(self, tmp_path, monkeypatch):
        monkeypatch.setattr("gateway.backhaul.lns_endpoint._MOST_HALF_OPEN", 8)
        issue_certificates(tmp_path, ("broker", EUI))
        section = {
            "enabled": True, "port": 0, "cert_file": str(tmp_path / "broker.pem"),
            "key_file": str(tmp_path / "broker.key"), "client_ca_file": str(tmp_path / "ca.pem"),
        }  # fmt: skip
        with world(basics_station=section) as made:
            made.folder = tmp_path
            yield made

    def station(self, made):
        certificate = (str(made.folder / f"{EUI}.pem"), str(made.folder / f"{EUI}.key"))
        return BasicsStation(
            made.clock, made.air, EUI, ("localhost", made.gateway.lns_port), epoch_unix_s=1_780_000_000, lockstep=True,
            ca_file=str(made.folder / "ca.pem"), certificate=certificate,
        )  # fmt: skip

    def test_a_crowd_that_never_says_hello_ends_itself_and_keeps_no_station_out(self, made):
        with ExitStack() as stack:
            crowd = [silent(stack, made.gateway.lns_port) for _ in range(20)]
            assert crowd[0].recv(1) == b""  # before its time is up

            station = self.station(made)
            made.join(made.nodes[0])
            crowd += [silent(stack, made.gateway.lns_port) for _ in range(20)]
            assert crowd[20].recv(1) == b""
            made.send(made.nodes[0].uplink(confirmed=True))

            assert len(made.wait(30)) == 1
            assert station.link.connections == 1
            station.close()

    def test_a_handshake_that_is_left_half_way_is_ended_by_its_time(self, tmp_path, monkeypatch):
        monkeypatch.setattr("gateway.backhaul.lns_endpoint._HANDSHAKE_S", 0.2)
        issue_certificates(tmp_path, ("broker",))
        section = {
            "enabled": True, "port": 0, "cert_file": str(tmp_path / "broker.pem"),
            "key_file": str(tmp_path / "broker.key"),
        }  # fmt: skip
        hello, answer = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = ssl.create_default_context().wrap_bio(answer, hello, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()

        first = hello.read()

        with world(basics_station=section) as made, ExitStack() as stack:

            def left_half_way():
                half = silent(stack, made.gateway.lns_port)
                half.sendall(first)
                return b"".join(iter(lambda: half.recv(65_536), b""))  # within 30 s, asyncio's own limit is 60

            heard = eventually(left_half_way)  # a busy machine may say hello when its time is up already

        assert heard[0] == 0x16  # RFC 8446 "Record Protocol": handshake


class TestFileHandles:
    """All that a process may have are in use."""

    def test_there_is_one_line_and_no_traceback_and_frames_are_taken_all_the_while(self, tmp_path):
        node = Node()
        _, store = new_store(tmp_path, [node], basics_station={"enabled": True, "port": 0})
        store.close()
        with GatewayProcess(tmp_path / "gateway.toml") as service, ExitStack() as stack:
            uri = next(found for line in service.log if (found := re.search(r"uri=ws://127.0.0.1:(\d+)", line)))
            concentrator = stack.enter_context(Concentrator(service.gwmp_port))
            concentrator.pull()
            join(concentrator, node)
            limit = resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, (48, limit[1]))
            with ExitStack() as crowd:
                for _ in range(60):
                    silent(crowd, int(uri[1]))
                    silent(crowd, service.page_port)
                eventually(lambda: "no connection can be accepted" in "".join(service.log))
                for _ in range(5):
                    send(concentrator, node.uplink())
            resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, limit)
            eventually(lambda: answers(service.page_port))
            status = service.end()

        log = "".join(service.log)
        assert status == 0
        assert log.count("no connection can be accepted") == 1, log
        assert "Traceback" not in log


def answers(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=60) as answer:
            return answer.status == 200
    except OSError:
        return False
