# SPDX-License-Identifier: EUPL-1.2
"""The UDP shell of GWMP: datagrams in, acknowledgements and downlinks out.

PUSH_ACK means "on the disk": it is sent when every frame of the PUSH_DATA is stored or refused, and after the PULL_RESP
that answers it. A PUSH_DATA that could not be stored gets none.
"""

import asyncio
import logging
import math
import socket
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

from gateway.backhaul import gwmp
from gateway.errors import MalformedDatagram, PortTaken
from gateway.metrics import Metrics
from gateway.radio import Downlink

_log = logging.getLogger(__name__)

_MAX_CONCENTRATORS = 256
_MAX_WAITING = 1000
_PROOF_S = 86_400.0
_LINES_A_MINUTE = 20
_RECEIVE_BUFFER_BYTES = 4 << 20

Address = tuple[Any, ...]
Handle = Callable[[gwmp.PushData], Awaitable[list[Downlink] | None]]


@dataclass
class _Way:
    """Where one concentrator's downlinks go, and when a frame of ours last came from it (monotonic s; -inf: never)."""

    addr: Address
    proved_at: float = -math.inf


class GwmpEndpoint(asyncio.DatagramProtocol):
    """Calls ``handle`` for each PUSH_DATA; it returns the downlinks to send, or None: do not acknowledge."""

    def __init__(self, handle: Handle, metrics: Metrics) -> None:
        self._handle = handle
        self._metrics = metrics
        self._transport: asyncio.DatagramTransport | None = None
        self._ways_down: OrderedDict[str, _Way] = OrderedDict()
        self._lines_since = -math.inf
        self._lines = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._token = 0
        self._closing = False

    @property
    def concentrators(self) -> int:
        """How many have opened a way down."""
        return len(self._ways_down)

    def proved(self, concentrator: str) -> None:
        """A frame with a good MIC came from it: not everyone can do that, so its way down is kept."""
        way = self._ways_down.get(concentrator)
        if way is not None:
            way.proved_at = time.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def error_received(self, exc: Exception) -> None:
        _log.debug("udp: %s", exc)  # an ICMP message about something sent before; the next datagram may arrive

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Nothing that comes in here may stop the service."""
        if self._closing:
            return
        self._metrics.count("datagrams")
        try:
            message = gwmp.parse(data)
        except MalformedDatagram as error:
            self._metrics.refuse("malformed_datagram")
            _log.debug("< %s %s: %s", addr, data[:64].hex(), error)
            return
        if isinstance(message, gwmp.PushData):
            self._push(message, addr)
        elif isinstance(message, gwmp.PullData):
            self._open_way_down(message.concentrator, addr)
            self._send(gwmp.pull_ack(message.token), addr)
        elif message.error != "NONE":
            self._metrics.count("downlinks_failed")
            _log.debug("< TX_ACK concentrator=%s error=%s", message.concentrator, message.error)

    def _push(self, message: gwmp.PushData, addr: Address) -> None:
        for reason in message.dropped:
            self._metrics.refuse(reason)
        if not message.frames:
            self._send(gwmp.push_ack(message.token), addr)
        elif len(self._tasks) >= _MAX_WAITING:
            self._metrics.refuse("overload")
        else:
            task = asyncio.get_running_loop().create_task(self._answer(message, addr))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, message: gwmp.PushData, addr: Address) -> None:
        self._metrics.count("frames", len(message.frames))
        downlinks = await self._handle(message)
        if downlinks is None:
            return
        for downlink in downlinks:
            self._send_down(downlink)
        self._send(gwmp.push_ack(message.token), addr)

    def _send_down(self, downlink: Downlink) -> None:
        way = self._ways_down.get(downlink.concentrator)
        if way is None:
            self._metrics.count("downlinks_without_way")
            return
        self._token = (self._token + 1) & 0xFFFF
        self._send(gwmp.pull_resp(self._token, gwmp.Txpk(*downlink[1:])), way.addr)
        self._metrics.count("downlinks")

    def _open_way_down(self, concentrator: str, addr: Address) -> None:
        way = self._ways_down.get(concentrator)
        if way is None:
            if len(self._ways_down) >= _MAX_CONCENTRATORS:
                self._forget_one()
            way = self._ways_down[concentrator] = _Way(())
        if way.addr != addr:
            way.addr = addr
            self._log_connected(concentrator, addr)
        self._ways_down.move_to_end(concentrator)

    def _forget_one(self) -> None:
        """The one that was silent longest among those without a frame of ours for a day; if there is none, of all."""
        long_ago = time.monotonic() - _PROOF_S
        idle = (name for name, way in self._ways_down.items() if way.proved_at < long_ago)
        del self._ways_down[next(idle, next(iter(self._ways_down)))]

    def _log_connected(self, concentrator: str, addr: Address) -> None:
        now = time.monotonic()
        if now - self._lines_since >= 60:
            self._lines_since, self._lines = now, 0
        self._lines += 1
        if self._lines <= _LINES_A_MINUTE:
            _log.info("concentrator connected eui=%s from=%s:%d", concentrator, addr[0], addr[1])
        elif self._lines == _LINES_A_MINUTE + 1:
            _log.warning(
                "more than %d concentrators connect in a minute; is the port open to strangers? from=%s:%d",
                _LINES_A_MINUTE, addr[0], addr[1],
            )  # fmt: skip

    def _send(self, datagram: bytes, addr: Address) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(datagram, addr)

    async def close(self) -> None:
        """Take no more datagrams, then finish those taken."""
        self._closing = True
        while self._tasks:
            await asyncio.wait(self._tasks)
        if self._transport is not None:
            self._transport.close()


async def listen(host: str, port: int, handle: Handle, metrics: Metrics) -> tuple[GwmpEndpoint, int]:
    """Open the endpoint; returns it and its port (0 in: a free one). Raises PortTaken."""
    try:
        transport, endpoint = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: GwmpEndpoint(handle, metrics), local_addr=(host, port)
        )
    except OSError as error:
        raise PortTaken("GWMP (UDP)", "gwmp", host, port, error) from error
    bound: socket.socket = transport.get_extra_info("socket")
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
    return endpoint, bound.getsockname()[1]
