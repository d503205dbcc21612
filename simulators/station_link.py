# SPDX-License-Identifier: EUPL-1.2
"""A Basics Station's connection to its network server: discovery, the websocket, and the timesync that holds time.

BS = lorabasics/basicstation 2.0.6, src/tc.c. Real time is read here and nowhere else of the station.
"""

import json
import ssl
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import Any

from websockets.exceptions import InvalidHandshake, WebSocketException
from websockets.sync.client import ClientConnection, connect

from simulators.gwmp_forwarder import LOCKSTEP_S, GatewaySilent
from simulators.station_frames import id6

Json = dict[str, Any]

_RECONNECT_S = 1.0


class Rejected(Exception):
    """The server does not want this station."""


class StationLink:
    """``on_config`` takes the router_config, ``on_message`` every other message but the answers to timesync."""

    def __init__(
        self,
        address: tuple[str, int],
        gateway_eui: str,
        *,
        on_config: Callable[[Json], None],
        on_message: Callable[[Json], None],
        lockstep: bool,
        hold_s: float,
        token: str,
        ca_file: str | None,
        certificate: tuple[str, str] | None,
    ) -> None:
        self._address = address
        self._eui = gateway_eui
        self._on_config = on_config
        self._on_message = on_message
        self._lockstep = lockstep
        self._hold_s = LOCKSTEP_S if lockstep else hold_s
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._tls = None
        if ca_file is not None:
            self._tls = ssl.create_default_context(cafile=ca_file)
            if certificate is not None:
                self._tls.load_cert_chain(*certificate)
        self._connection: ClientConnection | None = None
        self._open_connection = ExitStack()
        self._tried_at = 0.0
        self.connections = 0
        self.lost = 0

    def connect(self) -> None:
        """Ask /router-info where to connect, then do; raises Rejected, OSError."""
        self._tried_at = time.monotonic()
        scheme = "ws" if self._tls is None else "wss"
        host, port = self._address
        try:
            with self._open(f"{scheme}://{host}:{port}/router-info") as discovery:
                discovery.send(json.dumps({"router": id6(self._eui)}))
                answer = json.loads(discovery.recv(self._hold_s))
            if "error" in answer or "uri" not in answer:
                raise Rejected(str(answer.get("error")))
            self._open_connection.close()
            connection = self._open_connection.enter_context(self._open(answer["uri"]))
            version = {
                "msgtype": "version", "station": "2.0.6(linux/std)", "firmware": "", "package": "",
                "model": "linux", "protocol": 2, "features": "rmtsh prod",
            }  # fmt: skip
            connection.send(json.dumps(version))
            config = json.loads(connection.recv(self._hold_s))
        except InvalidHandshake as error:
            raise Rejected(str(error)) from error
        if config.get("msgtype") != "router_config":
            self._open_connection.close()
            raise Rejected("no router_config")
        self._on_config(config)
        self._connection = connection
        self.connections += 1

    def _open(self, uri: str) -> AbstractContextManager[ClientConnection]:
        return connect(
            uri, ssl=self._tls, additional_headers=self._headers, compression=None, proxy=None,
            open_timeout=self._hold_s, close_timeout=1.0,
        )  # fmt: skip

    def close(self) -> None:
        self._connection = None
        self._open_connection.close()

    def send(self, message: Json) -> bool:
        """Whether it went out; what does not is lost, as with the original."""
        if self._connection is None:
            return False
        try:
            self._connection.send(json.dumps(message))
        except (OSError, WebSocketException):
            self._drop()
            return False
        return True

    def uplink(self, message: Json, now_us: int) -> bool:
        """Send it and hold until the server answers the timesync that follows; raises GatewaySilent in lockstep."""
        if not self.send(message) or not self.send({"msgtype": "timesync", "txtime": now_us}):
            if self._lockstep:
                raise GatewaySilent("updf", now_us & 0xFFFF, 0.0)
            return False
        ends_at = time.monotonic() + self._hold_s
        while (left_s := ends_at - time.monotonic()) > 0:
            answer = self._receive(left_s)
            if answer is None:
                break
            if answer.get("msgtype") == "timesync" and answer.get("txtime") == now_us:
                return True
        if self._lockstep:
            raise GatewaySilent("timesync", now_us & 0xFFFF, self._hold_s)
        return False

    def poll(self) -> None:
        """Deal with what has arrived."""
        while self._receive(0.0) is not None:
            pass

    def _receive(self, timeout_s: float) -> Json | None:
        """The next message, dealt with; None if there is none."""
        if self._connection is None:
            return None
        try:
            message = json.loads(self._connection.recv(timeout_s))
        except TimeoutError:
            return None
        except (OSError, WebSocketException):
            self._drop()
            return None
        if message.get("msgtype") != "timesync":
            self._on_message(message)
        result: Json = message
        return result

    def _drop(self) -> None:
        self.lost += 1
        self._connection = None

    def stands(self) -> bool:
        """Whether there was a connection; if not, there is an attempt to connect now and then."""
        if self._connection is not None:
            return True
        if self._lockstep or time.monotonic() - self._tried_at >= _RECONNECT_S:
            with suppress(OSError, TimeoutError, WebSocketException, Rejected):
                self.connect()
        return False
