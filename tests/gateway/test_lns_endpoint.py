# SPDX-License-Identifier: EUPL-1.2
"""Basics Stations on the running service, over real websockets: who may connect, and what happens to a connection."""

import json
import socket
import threading
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.sync.client import connect

from gateway.backhaul.admission import security
from gateway.config import load
from gateway.errors import ConfigError
from gateway.station_tokens import Tokens, issue
from simulators.basics_station import BasicsStation
from simulators.station_link import Rejected
from tests.gateway.certificates import issue_certificates
from tests.gateway.nodes import Concentrator, write_config
from tests.gateway.radio_world import STATION, world
from tests.gateway.running import eventually

EUI, OTHER = "0016c001ff10b001", "0016c001ff10b002"
VERSION = json.dumps({"msgtype": "version", "station": "2.0.6", "model": "test", "features": "prod", "protocol": 2})


@pytest.fixture
def made():
    with world() as made:
        yield made


def open_at(made, path, **options):
    address = f"ws://127.0.0.1:{made.gateway.lns_port}{path}"
    return connect(address, proxy=None, compression=None, open_timeout=60, **options)


class TestDiscovery:
    """Documentation "Querying the LNS Endpoint"."""

    def test_a_station_learns_its_own_uri(self, made):
        with open_at(made, "/router-info") as websocket:
            websocket.send('{"router": "16:c001:ff10:b001"}')
            answer = json.loads(websocket.recv(60))

        assert answer["uri"] == f"ws://127.0.0.1:{made.gateway.lns_port}/router-{EUI}"
        assert answer["router"] == "00-16-C0-01-FF-10-B0-01"

    @pytest.mark.parametrize("text", ["nonsense", "{}", '{"router": "x"}'])
    def test_who_has_no_eui_is_told_so(self, made, text):
        with open_at(made, "/router-info") as websocket:
            websocket.send(text)
            assert "error" in json.loads(websocket.recv(60))

        assert made.gateway.metrics.refused["malformed_message"] == 1

    @pytest.mark.parametrize("header", ["Authorization", "Host"])
    def test_a_header_that_comes_twice_counts_for_nothing_and_makes_no_noise(self, made, caplog, header):
        port = made.gateway.lns_port
        names = {"Host": "a", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        lines = [f"{name}: {value}" for name, value in names.items()]
        lines += ["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", f"{header}: b", f"{header}: c"]

        with socket.create_connection(("127.0.0.1", port), 60) as station:
            station.sendall("\r\n".join(("GET /router-info HTTP/1.1", *lines, "", "")).encode())
            assert b" 101 " in station.recv(4096)
            question = b'{"router": 7}'
            station.sendall(bytes([0x81, 0x80 | len(question), 0, 0, 0, 0]) + question)  # RFC 6455 "Base Framing"
            answer = json.loads(station.recv(4096)[2:])

        host = f"127.0.0.1:{port}" if header == "Host" else "a"
        assert answer["uri"] == f"ws://{host}/router-0000000000000007"
        assert [record for record in caplog.records if record.exc_info] == []

    def test_there_is_nothing_else(self, made):
        with pytest.raises(InvalidStatus), open_at(made, "/status"):
            pass


class TestConnection:
    def test_beyond_a_bound_a_connection_is_closed_at_once_and_later_ones_are_served(self, monkeypatch):
        monkeypatch.setattr("gateway.backhaul.lns_endpoint._MAX_CONNECTIONS", 3)
        monkeypatch.setattr("gateway.backhaul.lns_endpoint._HANDSHAKE_S", 3600.0)  # nobody is given up
        with world() as made:
            place = ("127.0.0.1", made.gateway.lns_port)
            held = [socket.create_connection(place, 60) for _ in range(3)]  # they never say who they are

            with socket.create_connection(place, 60) as one_more, suppress(ConnectionResetError):
                assert one_more.recv(1) == b""

            for one in held:
                one.close()

            def served():
                with suppress(ConnectionClosed, InvalidMessage, OSError), open_at(made, f"/router-{EUI}") as websocket:
                    websocket.send(VERSION)
                    return json.loads(websocket.recv(60))["msgtype"] == "router_config"

            eventually(served)

    def test_the_first_message_must_be_the_version(self, made):
        with open_at(made, f"/router-{EUI}") as websocket:
            websocket.send('{"msgtype": "updf"}')
            with pytest.raises(ConnectionClosed):
                websocket.recv(60)

    def test_what_is_malformed_is_counted_and_the_connection_stays(self, made):
        with open_at(made, f"/router-{EUI}") as websocket:
            websocket.send(VERSION)
            assert json.loads(websocket.recv(60))["msgtype"] == "router_config"
            for text in (
                "nonsense",
                '{"msgtype":"updf"}',
                '{"msgtype":"event"}',
                '{"msgtype":"dntxed","diid":5,"Freq":1}',
            ):
                websocket.send(text)
            websocket.send('{"msgtype":"timesync","txtime":5}')

            assert json.loads(websocket.recv(60))["txtime"] == 5
        assert made.gateway.metrics.refused["malformed_message"] == 2

    def test_a_station_that_comes_back_takes_the_place_of_its_dead_connection(self, made):
        station = made.concentrator(STATION)
        made.join(made.nodes[0])
        station.link.connect()  # without a word to the old connection

        made.send(made.nodes[0].uplink(confirmed=True))

        assert len(made.wait(30)) == 1
        assert made.gateway.status()["concentrators"] == 1

    def test_a_station_that_lost_its_connection_connects_again_and_goes_on(self, made):
        station = made.concentrator(STATION, lockstep=False, hold_s=60.0)
        made.join(made.nodes[0])
        station.link._connection.socket.close()
        made.send(made.nodes[0].uplink())  # lost with the connection
        made.wait(10)
        station.link._tried_at = 0.0
        made.send(made.nodes[0].uplink())  # lost while it connects
        made.wait(10)

        made.send(made.nodes[0].uplink(confirmed=True))

        assert len(made.wait(30)) == 1
        assert station.link.connections == 2

    def test_a_message_that_is_too_long_ends_the_connection_and_nothing_else(self, made):
        with open_at(made, f"/router-{EUI}") as websocket:
            websocket.send(VERSION)
            websocket.recv(60)
            websocket.send("x" * 100_000)
            with pytest.raises(ConnectionClosed):
                websocket.recv(60)
        made.concentrator(STATION)
        made.join(made.nodes[0])

    def test_nobody_speaks_gwmp_in_the_name_of_a_station(self, made):
        station = made.concentrator(STATION)
        made.join(made.nodes[0])
        with Concentrator(made.gateway.gwmp_port, station._eui) as spoof:
            spoof.push(made.nodes[0].uplink())
            eventually(lambda: made.gateway.metrics.refused["unknown_concentrator"])

        assert made.gateway.metrics.counters["uplinks"] == 0

    def test_a_frame_that_cannot_be_stored_is_tried_again_until_it_can(self, made, monkeypatch):
        monkeypatch.setattr("gateway.backhaul.lns_endpoint._STORE_AGAIN_S", 0.01)
        made.concentrator(STATION)
        made.join(made.nodes[0])
        (pages,) = made.store.connection.execute("PRAGMA page_count").fetchone()
        made.store.connection.execute(f"PRAGMA max_page_count = {pages}")
        station_thread_needs_room(made)

        assert made.gateway.metrics.refused["store_full"] > 0
        assert made.gateway.metrics.refused["not_stored"] == 0
        assert made.gateway.metrics.counters["uplinks"] == 60


def station_thread_needs_room(made):
    """Send until nothing fits, then make room; the station waits meanwhile."""

    def make_room():
        eventually(lambda: made.gateway.metrics.refused["store_full"])
        made.store.connection.execute("PRAGMA max_page_count = 1000000")

    helper = threading.Thread(target=make_room)
    helper.start()
    for _ in range(60):
        made.send(made.nodes[0].uplink())
        made.wait(2)
    helper.join()


class TestToken:
    """One token for each station, in its tc.key."""

    @pytest.fixture
    def folder(self, tmp_path):
        self.token, self.other = issue(tmp_path / "tokens", EUI), issue(tmp_path / "tokens", OTHER)
        return tmp_path

    def settings(self, folder):
        return {"basics_station": {"enabled": True, "port": 0, "tokens_file": str(folder / "tokens")}}

    def test_a_station_with_its_token_is_served(self, folder):
        with world(**self.settings(folder)) as made:
            made.concentrator(STATION, token=self.token)
            made.join(made.nodes[0])

    @pytest.mark.parametrize("which", ["", "wrong", "other"])
    def test_no_other_token_will_do(self, folder, which):
        token = self.other if which == "other" else which
        with world(**self.settings(folder)) as made:
            with pytest.raises(Rejected):
                made.concentrator(STATION, token=token)
            with (
                pytest.raises(InvalidStatus),
                open_at(made, f"/router-{EUI}", additional_headers={"Authorization": token} if token else {}),
            ):
                pass

            assert made.gateway.metrics.refused["unauthorized_concentrator"] >= 2
            assert made.gateway.status()["concentrators"] == 0

    def test_a_station_with_a_token_does_not_speak_gwmp(self, folder):
        with world(**self.settings(folder)) as made, Concentrator(made.gateway.gwmp_port, EUI) as spoof:
            spoof.push(made.nodes[0].join_request())
            eventually(lambda: made.gateway.metrics.refused["unknown_concentrator"])

            assert made.gateway.metrics.counters["joins"] == 0

    def test_a_new_token_holds_at_once_and_the_old_one_no_longer(self, folder):
        tokens = Tokens(folder / "tokens")
        assert tokens.owner(f"Bearer {self.token}") == EUI

        new = issue(folder / "tokens", EUI)

        assert tokens.owner(f"Bearer {new}") == EUI
        assert tokens.owner(new) == EUI
        assert tokens.owner(f"Bearer {self.token}") == ""

    def test_the_file_holds_no_token_and_is_its_owner_s(self, folder):
        path = folder / "tokens"

        assert self.token not in path.read_text()
        assert path.stat().st_mode & 0o077 == 0

    def test_a_damaged_file_is_an_error_at_the_start_and_changes_nothing_later(self, folder):
        tokens = Tokens(folder / "tokens")
        (folder / "tokens").write_text("nonsense\n")

        assert tokens.owner(self.token) == EUI
        with pytest.raises(ConfigError, match="line 1"):
            Tokens(folder / "tokens")


class TestCertificate:
    """wss, with the station's certificate as its proof."""

    @pytest.fixture
    def folder(self, tmp_path):
        issue_certificates(tmp_path, ("broker", "00-16-C0-01-FF-10-B0-01", OTHER))
        return tmp_path

    def settings(self, folder):
        return {
            "basics_station": {
                "enabled": True, "port": 0, "host": "localhost", "cert_file": str(folder / "broker.pem"),
                "key_file": str(folder / "broker.key"), "client_ca_file": str(folder / "ca.pem"),
            }
        }  # fmt: skip

    def station(self, made, folder, name):
        certificate = (str(folder / f"{name}.pem"), str(folder / f"{name}.key")) if name else None
        return BasicsStation(
            made.clock, made.air, EUI, ("localhost", made.gateway.lns_port), epoch_unix_s=1_780_000_000, lockstep=True,
            ca_file=str(folder / "ca.pem"), certificate=certificate,
        )  # fmt: skip

    def test_a_station_with_its_certificate_is_served(self, folder):
        with world(**self.settings(folder)) as made:
            station = self.station(made, folder, "00-16-C0-01-FF-10-B0-01")
            made.join(made.nodes[0])
            station.close()

    def test_another_station_s_certificate_will_not_do(self, folder):
        with world(**self.settings(folder)) as made, pytest.raises(Rejected):
            self.station(made, folder, OTHER)

    def test_without_a_certificate_there_is_no_connection(self, folder):
        # With TLS 1.3 the client may be through before the server has looked, and hears of it afterwards.
        with world(**self.settings(folder)) as made, pytest.raises((Rejected, OSError, ConnectionClosed)):
            self.station(made, folder, None)


class TestConfiguration:
    @pytest.mark.parametrize(
        ("settings", "problem"),
        [
            ({"cert_file": "a.pem"}, "cert_file and key_file in .basics_station. belong together"),
            ({"client_ca_file": "a.pem"}, "client_ca_file in .basics_station. needs cert_file"),
        ],
    )
    def test_halves_of_a_whole_are_errors(self, tmp_path, settings, problem):
        with pytest.raises(ConfigError, match=problem):
            load(write_config(tmp_path, basics_station=settings))

    @pytest.mark.parametrize("settings", [{"tokens_file": "none"}, {"cert_file": "none", "key_file": "none"}])
    def test_files_that_are_not_there_are_one_clear_line(self, tmp_path, settings):
        with pytest.raises(ConfigError, match=r"basics_station"):
            security(load(write_config(tmp_path, basics_station=settings)).basics_station)
