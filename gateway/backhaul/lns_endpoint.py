# SPDX-License-Identifier: EUPL-1.2
"""The websocket shell of the LNS protocol: discovery on /router-info, then one connection for each station.

A station does not keep what it has sent, and there is no acknowledgement: a frame that cannot be stored is tried again
here, and meanwhile less is read from its connection. In virtual time the messages of a station are handled one by one,
so that the answer to its timesync tells it that the uplinks before are answered.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, cast

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from decoders.eui import EUI
from gateway.backhaul import lns
from gateway.backhaul.admission import Security
from gateway.backhaul.half_open import Listening, listening
from gateway.backhaul.interface import Listener
from gateway.errors import MalformedMessage, PortTaken
from gateway.metrics import Metrics
from gateway.radio import Order
from gateway.ways_down import Protocol

_log = logging.getLogger(__name__)

_connections_log = logging.getLogger(f"{__name__}.connections")
_connections_log.setLevel(logging.WARNING)  # what matters of them is logged here

_MAX_MESSAGE_BYTES = 16_384
_MAX_STATIONS = 256
_MAX_CONNECTIONS = 2 * _MAX_STATIONS  # those that have not said yet who they are included
_MOST_HALF_OPEN = 64  # connections of which TLS does not stand
_HANDSHAKE_S = 10.0  # for TLS, and once more for the websocket's own
_MAX_WAITING = 200  # frames of one station not yet stored
_STORE_AGAIN_S = 1.0
_STORE_TRIES = 600
_DISCOVERY_S = 10.0
_VERSION_S = 30.0
_PATH = re.compile(f"/router-({EUI})")


class _Connection(ServerConnection):
    """One of a bounded number: whoever opens more takes no file handle from broker and page for long."""

    def __init__(self, place: Listening, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._place = place

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP stands, and TLS if there is any."""
        self._place.opened(transport.get_extra_info("socket").fileno())
        super().connection_made(transport)
        if len(self.server.handler_tasks) > _MAX_CONNECTIONS:
            self.transport.abort()


class LnsEndpoint:
    """``gps_us`` tells the GPS time of now, or None; ``held``: time is virtual."""

    def __init__(
        self,
        listener: Listener,
        metrics: Metrics,
        security: Security,
        *,
        tx_power_dbm: int,
        gps_us: Callable[[], int | None],
        held: bool,
    ) -> None:
        self._listener = listener
        self._metrics = metrics
        self._security = security
        self._tx_power_dbm = tx_power_dbm
        self._gps_us = gps_us
        self._held = held
        self._servers: list[Server] = []  # one for each address
        self._stations: dict[str, ServerConnection] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    @property
    def concentrators(self) -> list[str]:
        """The stations that are connected."""
        return list(self._stations)

    def knows(self, concentrator: str) -> bool:
        """Whether it is connected, or has a token."""
        tokens = self._security.tokens
        return concentrator in self._stations or (tokens is not None and concentrator in tokens.euis())

    async def listen(self, host: str, port: int) -> int:
        """Open the port (0: a free one) and return it; raises PortTaken."""
        try:
            places = await listening(host, port, _MOST_HALF_OPEN)
            for place in places:
                server = serve(
                    self._serve, sock=place, ssl=self._security.tls, process_request=self._admit,
                    max_size=_MAX_MESSAGE_BYTES, compression=None, server_header=None, logger=_connections_log,
                    open_timeout=_HANDSHAKE_S, create_connection=cast("type[_Connection]", partial(_Connection, place)),
                )  # fmt: skip
                self._servers.append(await server)
        except OSError as error:
            raise PortTaken("Basics Station (TCP)", "basics_station", host, port, error) from error
        bound: int = places[0].getsockname()[1]
        return bound

    async def close(self) -> None:
        """Take no more messages, then finish those taken."""
        self._closing = True
        for server in self._servers:
            server.close()
        for server in self._servers:
            await server.wait_closed()
        while self._tasks:
            await asyncio.wait(self._tasks)

    def proved(self, concentrator: str) -> None:
        """Nothing follows from that: a station is admitted by its token or certificate."""

    def send(self, order: Order) -> bool:
        """dnmsg; False where the station is not connected."""
        connection = self._stations.get(order.concentrator)
        if connection is None:
            return False
        self._begin(self._say(connection, lns.dnmsg(order)))
        return True

    # --- who may connect

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Before the websocket opens: a path that exists, and a proof of the EUI."""
        path = request.path.split("?")[0]
        match = _PATH.fullmatch(path)
        if path != "/router-info" and match is None:
            return connection.respond(HTTPStatus.NOT_FOUND, "no such path\n")
        eui = match[1] if match else None
        known = self._proven(connection, request)
        if known is not None and (not known or (eui is not None and eui not in known)):
            self._metrics.refuse("unauthorized_concentrator")
            return connection.respond(HTTPStatus.UNAUTHORIZED, "token or certificate needed\n")
        if match is not None and eui not in self._stations and len(self._stations) >= _MAX_STATIONS:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "too many stations\n")
        return None

    def _proven(self, connection: ServerConnection, request: Request) -> frozenset[str] | None:
        """The EUIs that the other side may speak for; None: any."""
        tls = connection.transport.get_extra_info("ssl_object")
        return self._security.proven(_header(request, "Authorization"), None if tls is None else tls.getpeercert())

    # --- one connection

    async def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        match = _PATH.fullmatch(connection.request.path.split("?")[0])
        try:
            if match is None:
                await self._discover(connection)
            else:
                await self._session(connection, match[1])
        except (ConnectionClosed, TimeoutError):
            pass

    async def _discover(self, connection: ServerConnection) -> None:
        """BS doc "Querying the LNS Endpoint (Discovery)"."""
        assert connection.request is not None
        text = await asyncio.wait_for(connection.recv(), _DISCOVERY_S)
        try:
            eui = lns.parse_router(text)
        except MalformedMessage:
            self._metrics.refuse("malformed_message")
            await connection.send(lns.router_error("", "router must be an EUI"))
            return
        known = self._proven(connection, connection.request)
        if known is not None and eui not in known:
            self._metrics.refuse("unauthorized_concentrator")
            await connection.send(lns.router_error(lns.dashed(eui), "token or certificate is another station's"))
            return
        scheme = "ws" if self._security.tls is None else "wss"
        host = _header(connection.request, "Host") or ":".join(map(str, connection.local_address[:2]))
        await connection.send(lns.router_info(lns.dashed(eui), f"{scheme}://{host}/router-{eui}"))

    async def _session(self, connection: ServerConnection, eui: str) -> None:
        text = await asyncio.wait_for(connection.recv(), _VERSION_S)
        try:
            version = lns.parse(text)
        except MalformedMessage:
            version = lns.Unused("")
        if not isinstance(version, lns.Version):
            self._metrics.refuse("malformed_message")
            await connection.close(1002, "version expected")
            return
        old = self._stations.pop(eui, None)
        if old is not None:  # it has come back before we noticed that it was gone
            self._begin(old.close(1001, "replaced"))
            self._listener.detached(eui)
        await connection.send(lns.router_config(self._tx_power_dbm))
        self._stations[eui] = connection
        self._listener.attached(eui, Protocol.BASICS_STATION, self)
        _log.info(
            "concentrator connected eui=%s from=%s:%d station=%r model=%r",
            eui, *connection.remote_address[:2], version.station, version.model,
        )  # fmt: skip
        try:
            await self._read(connection, eui)
        finally:
            if self._stations.get(eui) is connection:
                del self._stations[eui]
                self._listener.detached(eui)
                _log.info("concentrator lost eui=%s", eui)

    async def _read(self, connection: ServerConnection, eui: str) -> None:
        room = asyncio.Semaphore(_MAX_WAITING)
        async for text in connection:
            self._metrics.count("messages")
            try:
                message = lns.parse(text)
            except MalformedMessage as error:
                self._metrics.refuse("malformed_message")
                _log.debug("< %s %r: %s", eui, text[:100], error)
                continue
            if isinstance(message, lns.Uplink):
                await room.acquire()
                task = self._begin(self._store(eui, message, room))
                if self._held:
                    await task
            elif isinstance(message, lns.Sent):
                self._listener.confirmed(eui, message.order_id, message.frequency_hz)
            elif isinstance(message, lns.TimeSync):
                self._answer_timesync(connection, message)
            elif isinstance(message, lns.Unused) and message.reason:
                self._metrics.refuse(message.reason)

    async def _store(self, eui: str, message: lns.Uplink, room: asyncio.Semaphore) -> None:
        self._metrics.count("frames")
        try:
            for attempt in range(_STORE_TRIES):
                if await self._listener.received(eui, Protocol.BASICS_STATION, [message.heard]):
                    return
                if self._closing or attempt == _STORE_TRIES - 1:
                    break
                await asyncio.sleep(_STORE_AGAIN_S)
            self._metrics.refuse("not_stored")
        finally:
            room.release()

    def _answer_timesync(self, connection: ServerConnection, message: lns.TimeSync) -> None:
        """BS doc "Monitoring and Synchronizing Time"; without a time of our own there is no answer, unless held."""
        gps_us = self._gps_us()
        if gps_us is not None or self._held:
            self._begin(self._say(connection, lns.timesync(message.txtime, gps_us or 0)))

    async def _say(self, connection: ServerConnection, text: str) -> None:
        try:
            await connection.send(text)
        except ConnectionClosed:
            _log.debug("a downlink met a connection that has ended")  # detached() tells the scheduler

    def _begin(self, work: "asyncio._CoroutineLike[None]") -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _header(request: Request, name: str) -> str:
    """Its value; "" if it is missing, or there several times: who knows which of them is meant."""
    values = request.headers.get_all(name)
    return values[0] if len(values) == 1 else ""
