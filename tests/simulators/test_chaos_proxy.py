# SPDX-License-Identifier: EUPL-1.2
"""The bad network: each fault as it says, between two plain sockets."""

import socket
import threading
from collections.abc import Iterator

import pytest

from simulators.chaos_proxy import ChaosProxy, Weather
from simulators.mqtt_frames import Frames
from tests.gateway.running import eventually

# OASIS MQTT 3.1.1 "PUBLISH", topic a/b, QoS 1, packet id 10, payload hi; and its "PUBACK"
PUBLISH = bytes.fromhex("32 09 00 03 61 2f 62 00 0a 68 69".replace(" ", ""))
PUBACK = bytes.fromhex("4002000a")


class Broker:
    """The far end: takes connections and answers each PUBLISH with PUBACK."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.took: list[bytes] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        frames = Frames()
        with client:
            try:
                while data := client.recv(4096):
                    for frame in frames.feed(data):
                        self.took.append(frame)
                        client.sendall(PUBACK)
            except OSError:
                pass

    def close(self) -> None:
        self._server.close()


@pytest.fixture
def broker() -> Iterator[Broker]:
    made = Broker()
    yield made
    made.close()


def connect(proxy: ChaosProxy) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", proxy.port))
    client.settimeout(60)
    return client


class TestFaults:
    def test_in_calm_weather_all_passes_unchanged(self, broker):
        seen = []

        def tap(is_up, frame):
            seen.append((is_up, frame))

        with ChaosProxy(broker.port, tap=tap) as proxy, connect(proxy) as client:
            client.sendall(PUBLISH)
            answer = client.recv(100)

        assert (broker.took, answer) == ([PUBLISH], PUBACK)
        assert seen == [(True, PUBLISH), (False, PUBACK)]
        assert not proxy.done

    def test_reset_before_puback_lets_the_broker_have_it_and_the_sender_never_know(self, broker):
        with ChaosProxy(broker.port, weather=Weather(reset_before_puback=1.0)) as proxy, connect(proxy) as client:
            client.sendall(PUBLISH)
            with pytest.raises(ConnectionResetError):
                client.recv(100)

        assert broker.took == [PUBLISH]

    def test_cut_gives_the_broker_no_whole_message(self, broker):
        with ChaosProxy(broker.port, weather=Weather(cut=1.0)) as proxy, connect(proxy) as client:
            client.sendall(PUBLISH)
            with pytest.raises(ConnectionResetError):
                client.recv(100)

        assert broker.took == []

    def test_duplicates_are_exact_and_the_publish_says_so(self, broker):
        weather = Weather(duplicate_puback=1.0, duplicate_publish=1.0)
        with ChaosProxy(broker.port, weather=weather) as proxy, connect(proxy) as client:
            client.sendall(PUBLISH)
            answers = b""
            while len(answers) < 16:
                answers += client.recv(100)

        assert broker.took == [PUBLISH, b"\x3a" + PUBLISH[1:]]
        assert answers == 4 * PUBACK

    def test_a_half_open_connection_swallows_all_and_tells_nobody(self, broker):
        weather = Weather(half_open=1.0, half_open_s=0.05)
        with ChaosProxy(broker.port, weather=weather) as proxy, connect(proxy) as client:
            client.sendall(PUBLISH)
            eventually(lambda: proxy.done["half_open"])
            client.settimeout(0.3)
            with pytest.raises(TimeoutError):
                client.recv(100)

        assert broker.took == []
        assert proxy.done["half_open"] == 1

    def test_nothing_gets_through_a_partition_until_it_heals(self, broker):
        with ChaosProxy(broker.port) as proxy, connect(proxy) as client:
            client.sendall(PUBLISH)
            client.recv(100)
            proxy.partition()
            client.sendall(PUBLISH)
            client.settimeout(0.3)
            with pytest.raises(TimeoutError):
                client.recv(100)
            took = len(broker.took)
            proxy.heal()
            client.settimeout(60)
            answer = client.recv(100)

        assert took == 1
        assert answer == PUBACK

    def test_a_seed_does_the_same_again(self, broker):
        def storm(seed: int) -> list[bytes]:
            passed: list[bytes] = []

            def tap(is_up: bool, frame: bytes) -> None:
                if is_up:
                    passed.append(frame)

            weather = Weather(cut=0.2, duplicate_publish=0.3)
            with ChaosProxy(broker.port, seed=seed, weather=weather, tap=tap) as proxy, connect(proxy) as client:
                for number in range(1, 21):
                    client.sendall(PUBLISH)
                    eventually(lambda: passed.count(PUBLISH) == number or proxy.done["cut"])  # noqa: B023
                    if proxy.done["cut"]:
                        break
            return passed

        assert storm(1) == storm(1)
        assert [len(storm(seed)) for seed in range(8)] != 8 * [len(storm(1))]
