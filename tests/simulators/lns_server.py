# SPDX-License-Identifier: EUPL-1.2
"""An LNS of a few lines, on a real websocket in a thread of its own. Written from the Basics Station documentation."""

import json
import threading
from collections.abc import Callable
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

Json = dict[str, Any]

CONFIG: Json = {
    "msgtype": "router_config",
    "NetID": None,
    "JoinEui": None,
    "region": "EU863",
    "hwspec": "sx1301/1",
    "freq_range": [863_000_000, 870_000_000],
    "DRs": [[12, 125, 0], [11, 125, 0], [10, 125, 0], [9, 125, 0], [8, 125, 0], [7, 125, 0], [7, 250, 0], [0, 0, 0]]
    + [[-1, 0, 0]] * 8,
    "upchannels": [[868_100_000, 0, 5], [868_300_000, 0, 5], [867_100_000, 0, 5], [867_900_000, 0, 5]],
    "sx1301_conf": [{"radio_0": {"enable": True, "freq": 867_500_000}}],
}


class Server:
    """Answers timesync; before that it sends what ``downlinks(message)`` returns for each uplink."""

    def __init__(self, downlinks: Callable[[Json], list[Json]] = lambda message: [], **config: Any) -> None:
        self.downlinks = downlinks
        self.config = CONFIG | config
        self.received: list[Json] = []
        self.routers: list[Any] = []
        self.silent = False
        self._station: ServerConnection | None = None
        self._server = serve(self._serve, "127.0.0.1", 0)
        self.address = self._server.socket.getsockname()
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        if self._station is not None:
            self._station.close()
        self._server.shutdown()
        self._thread.join()

    def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        try:
            if connection.request.path == "/router-info":
                self.routers.append(json.loads(connection.recv())["router"])
                host, port = self.address
                connection.send(json.dumps({"router": "0", "muxs": "0", "uri": f"ws://{host}:{port}/here"}))
                return
            self._station = connection
            for text in connection:
                self._answer(connection, json.loads(text))
        except ConnectionClosed:
            pass

    def _answer(self, connection: ServerConnection, message: Json) -> None:
        self.received.append(message)
        if message["msgtype"] == "version":
            connection.send(json.dumps(self.config))
        elif message["msgtype"] == "timesync":
            if not self.silent:
                connection.send(json.dumps(message | {"gpstime": 0}))
        elif message["msgtype"] in ("updf", "jreq", "propdf"):
            for down in self.downlinks(message):
                connection.send(json.dumps(down))

    def of(self, *kinds: str) -> list[Json]:
        return [message for message in self.received if message["msgtype"] in kinds]
