# SPDX-License-Identifier: EUPL-1.2
"""Listening sockets that keep only so many connections which are accepted but have not opened: no TLS, nothing said.

Of too many the oldest is ended: whoever means it has opened within a moment, and a crowd that says nothing only pushes
out itself. asyncio knows no such bound, and the websocket server counts a connection only from its TLS on.
"""

import asyncio
import errno
import socket
from contextlib import suppress
from typing import Any

_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)  # as ::1 on a machine without IPv6


class Listening(socket.socket):
    """``most`` connections may be half open."""

    def __init__(self, family: int, most: int) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self._most = most
        self._half_open: dict[int, socket.socket] = {}  # by file descriptor, the oldest first

    def accept(self) -> tuple[socket.socket, Any]:
        """As of every socket; besides, the oldest that is one too many is ended."""
        connection, address = super().accept()
        self._half_open.pop(connection.fileno(), None)  # of one that has ended
        self._half_open[connection.fileno()] = connection
        if len(self._half_open) > self._most:
            self._half_open = {fd: one for fd, one in self._half_open.items() if one.fileno() == fd}
        while len(self._half_open) > self._most:
            oldest = self._half_open.pop(next(iter(self._half_open)))
            with suppress(OSError):
                oldest.shutdown(socket.SHUT_RDWR)
        return connection, address

    def opened(self, fd: int) -> None:
        """The connection with this file descriptor is half open no longer."""
        self._half_open.pop(fd, None)


async def listening(host: str, port: int, most: int) -> list[Listening]:
    """One for each address of the host, bound to the same port (0: a free one); raises OSError."""
    infos = await asyncio.get_running_loop().getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    made: list[Listening] = []
    try:
        for family, _, _, _, address in dict.fromkeys(infos):
            bound = _bound(family, (address[0], made[0].getsockname()[1] if made else port, *address[2:]), most)
            if bound is not None:
                made.append(bound)
        if not made:
            raise OSError(errno.EADDRNOTAVAIL, "no address of it is here")
    except OSError:
        for one in made:
            one.close()
        raise
    return made


def _bound(family: int, address: tuple[Any, ...], most: int) -> Listening | None:
    try:
        made = Listening(family, most)
    except OSError as error:
        if error.errno in _NOT_HERE:
            return None
        raise
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
    except OSError as error:
        made.close()
        if error.errno in _NOT_HERE and family == socket.AF_INET6:
            return None
        raise
    return made
