# SPDX-License-Identifier: EUPL-1.2
"""A network server of a few lines, on a real UDP socket in a thread of its own."""

import base64
import json
import socket
import threading
from collections.abc import Callable

Datagram = tuple[int, int, bytes]  # identifier, token, what follows the gateway's EUI

_BE_SILENT, _ANSWER, _STOP = b"be silent", b"answer", b"stop"

EUI = "70b3d57ed0000001"
EPOCH = 1_780_000_000  # 2026-05-28T20:26:40Z


class Server:
    """Acknowledges; before a PUSH_ACK it sends what ``downlinks(rxpk)`` returns for each rxpk."""

    def __init__(self, downlinks: Callable[[dict], list[dict]] = lambda rxpk: []) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = self._socket.getsockname()
        self.downlinks = downlinks
        self._silent = False
        self._obeyed = threading.Event()
        self.received: list[Datagram] = []
        self.euis: set[str] = set()
        self.stray: list[bytes] = []  # sent as they are before the next PUSH_ACK
        self._pull_from = None
        self._resp_token = 0x7000
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self._order(_STOP)
        self._thread.join()
        self._socket.close()

    @property
    def silent(self) -> bool:
        return self._silent

    @silent.setter
    def silent(self, silent: bool) -> None:
        """From the next datagram on; what was sent before is dealt with as it was."""
        self._order(_BE_SILENT if silent else _ANSWER)

    def _order(self, order: bytes) -> None:
        """Orders wait in the same queue as what the gateway sends."""
        self._obeyed.clear()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as orders:
            orders.sendto(order, self.address)
        assert self._obeyed.wait(60)

    def _run(self) -> None:
        data = b""
        while data != _STOP:
            data, sender = self._socket.recvfrom(65_535)
            if data in (_BE_SILENT, _ANSWER, _STOP):
                self._silent = data == _BE_SILENT
                self._obeyed.set()
            else:
                self._answer(data, sender)

    def _answer(self, data: bytes, sender) -> None:
        assert data[0] == 2
        token, kind, body = data[1:3], data[3], data[12:]
        self.euis.add(data[4:12].hex())
        self.received.append((kind, int.from_bytes(token, "big"), body))
        if self._silent:
            return
        if kind == 2:
            self._pull_from = sender
            self._socket.sendto(b"\x02" + token + b"\x04", sender)
        elif kind == 0:
            for stray in self.stray:
                self._socket.sendto(stray, self._pull_from)
            for rxpk in json.loads(body).get("rxpk", []):
                for txpk in self.downlinks(rxpk):
                    self.send(txpk)
            self._socket.sendto(b"\x02" + token + b"\x01", sender)

    def send(self, txpk: object) -> None:
        """PULL_RESP."""
        self._resp_token += 1
        body = json.dumps({"txpk": txpk}).encode()
        self._socket.sendto(b"\x02" + self._resp_token.to_bytes(2, "big") + b"\x03" + body, self._pull_from)

    def settle(self, count: int, kind: int, timeout_s: float = 60.0) -> list[Datagram]:
        """Wait in real time until ``count`` datagrams of ``kind`` have arrived; return them."""
        pause = threading.Event()
        for _ in range(round(timeout_s / 0.005)):
            if len(self.of(kind)) >= count:
                break
            pause.wait(0.005)
        return self.of(kind)

    def of(self, kind: int) -> list[Datagram]:
        return [datagram for datagram in self.received if datagram[0] == kind]

    def rxpks(self) -> list[dict]:
        bodies = [json.loads(body) for _, _, body in self.of(0)]
        return [rxpk for body in bodies for rxpk in body.get("rxpk", [])]


def txpk(**changes):
    """A downlink as a network server asks for it."""
    return {
        "tmst": 1_000_000,
        "freq": 868.1,
        "rfch": 0,
        "powe": 14,
        "modu": "LORA",
        "datr": "SF7BW125",
        "codr": "4/5",
        "ipol": True,
        "ncrc": True,
        "size": 12,
        "data": base64.b64encode(bytes(range(12))).decode(),
        **changes,
    }
