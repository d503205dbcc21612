# SPDX-License-Identifier: EUPL-1.2
"""Ports for services that are started beside others: by the demo, benches and tests."""

import secrets
import socket
from collections import deque

_held: deque[socket.socket] = deque()
_MOST_HELD = 256


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of 127.0.0.1 that is free now, that the system gives to nobody who asks for any port, and that is given
    here to nobody else, in no process, until this one ends or has asked for 256 more."""
    while True:
        port = 10_000 + secrets.randbelow(22_000)
        hold = socket.socket()
        try:
            hold.bind(("127.0.0.1", port))
            if kind != hold.type:
                with socket.socket(socket.AF_INET, kind) as other:
                    other.bind(("127.0.0.1", port))
        except OSError:
            hold.close()
            continue
        # Bound, it is in the way of whoever binds as above, but of no server: those set this option, too. socket(7)
        hold.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _held.append(hold)
        if len(_held) > _MOST_HELD:
            _held.popleft().close()
        return port
