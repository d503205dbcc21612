# SPDX-License-Identifier: EUPL-1.2
"""The ports of a town's services: many towns may begin at the same moment, in many processes."""

import socket
import subprocess
import sys
from collections import deque

import pytest

from simulators import ports
from simulators.ports import free_port


def bind(port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> None:
    """As who looks for a free port."""
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", port))


class TestFreePort:
    def test_none_is_given_twice_whether_it_is_used_or_not(self) -> None:
        given = [free_port(kind) for _ in range(100) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]

        assert len(set(given)) == 200

    def test_no_other_process_gets_it_before_it_is_used(self) -> None:
        port = free_port()

        looks = f"import socket; socket.socket().bind(('127.0.0.1', {port}))"
        done = subprocess.run([sys.executable, "-c", looks], capture_output=True, text=True, check=False)

        assert "Address already in use" in done.stderr

    def test_a_server_may_listen_there_again_and_again(self) -> None:
        port = free_port()

        for _ in range(2):
            with socket.create_server(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port), 60):
                pass

    def test_without_a_server_nobody_is_connected(self) -> None:
        with socket.socket() as client, pytest.raises(ConnectionRefusedError):
            client.connect(("127.0.0.1", free_port()))

    def test_one_for_datagrams_is_free_for_those(self) -> None:
        bind(free_port(socket.SOCK_DGRAM), socket.SOCK_DGRAM)

    def test_those_asked_for_long_ago_are_not_held_for_ever(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ports, "_held", deque())
        monkeypatch.setattr(ports, "_MOST_HELD", 1)
        first, second = free_port(), free_port()

        bind(first)
        with pytest.raises(OSError, match="in use"):
            bind(second)
