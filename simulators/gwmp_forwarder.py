# SPDX-License-Identifier: EUPL-1.2
"""The packet forwarder's side of GWMP (Semtech UDP protocol v2) on two real sockets, in one thread.

PM = Semtech sx1302_hal, packet_forwarder/PROTOCOL.md, v1.6. Like the original it has one socket for each direction
and never sends a datagram again. Unlike it, ``push`` returns only when the server has answered or a real deadline
has passed: whoever calls it holds virtual time still meanwhile. Real time is read here and nowhere else.
"""

import contextlib
import json
import select
import socket
import time
from collections.abc import Callable
from typing import Any

VERSION = 2
PUSH_DATA, PUSH_ACK, PULL_DATA, PULL_RESP, PULL_ACK, TX_ACK = range(6)  # PM 3 to 5
LOCKSTEP_S = 300.0  # long enough for any machine: what went unanswered is an error

Json = dict[str, Any]


class GatewaySilent(Exception):
    """In lockstep the server must answer every datagram. ``what`` went unanswered for ``waited_s``."""

    def __init__(self, what: str, token: int, waited_s: float) -> None:
        super().__init__(f"no answer to {what}, token {token:#06x}, within {waited_s:g} s")
        self.what = what
        self.token = token
        self.waited_s = waited_s


class GwmpForwarder:
    """``on_txpk`` takes the txpk of a PULL_RESP and returns the txpk_ack (empty: accepted), or None for no TX_ACK."""

    def __init__(
        self,
        address: tuple[str, int],
        gateway_eui: str,
        on_txpk: Callable[[Any], Json | None],
        *,
        hold_s: float = 2.0,
        short_hold_s: float = 0.05,
        keepalive_s: float = 5.0,
        lockstep: bool = False,
        explicit_none: bool = False,
    ) -> None:
        self._eui = bytes.fromhex(gateway_eui)
        self._on_txpk = on_txpk
        self._hold_s = LOCKSTEP_S if lockstep else hold_s
        self._short_hold_s = LOCKSTEP_S if lockstep else short_hold_s
        self._keepalive_s = keepalive_s
        self._lockstep = lockstep
        self._explicit_none = explicit_none  # some forwarders spell success out as the error NONE
        self._up = _connected(address)
        self._down = _connected(address)
        self._token = 0
        self._answering = True  # until shown otherwise
        self._pull_acked = False
        self._pulled_at: float | None = None
        self.pushed = self.acked = self.unacked = self.malformed = 0

    def close(self) -> None:
        self._up.close()
        self._down.close()

    def push(self, body: Json, *, hold: bool = True) -> bool:
        """Send one PUSH_DATA; True once it is acknowledged. Every PULL_RESP that came before that is dealt with.

        Without ``hold``, a server that has been silent is not waited for. Raises GatewaySilent in lockstep.
        """
        self.poll()
        wait = hold or self._answering or self._lockstep
        if not self._pull_acked:
            # A PULL_RESP for this uplink can only come if the server knows the way (PM 5.2).
            self._pull(wait)
        token = self._send(self._up, PUSH_DATA, json.dumps(body, separators=(",", ":")).encode())
        self.pushed += 1
        acked = wait and self._wait(PUSH_ACK, token)
        if wait and not acked:
            self.unacked += 1
            self._pull_acked = False  # it may come back as another process that does not know the way
            if self._lockstep:
                raise GatewaySilent("PUSH_DATA", token, LOCKSTEP_S)
        return acked

    def poll(self) -> None:
        """Deal with what has arrived; keep the way back open (PM 5.2 "PULL_DATA packet")."""
        self._drain()
        if self._pulled_at is not None and time.monotonic() - self._pulled_at >= self._keepalive_s:
            self._pull(wait=False)

    def _pull(self, wait: bool) -> None:
        token = self._send(self._down, PULL_DATA)
        self._pulled_at = time.monotonic()
        if wait and not self._wait(PULL_ACK, token) and self._lockstep:
            raise GatewaySilent("PULL_DATA", token, LOCKSTEP_S)

    def _send(self, via: socket.socket, kind: int, body: bytes = b"", token: int | None = None) -> int:
        if token is None:
            self._token = (self._token + 1) & 0xFFFF
            token = self._token
        # Nobody there, or no room: lost like any datagram.
        with contextlib.suppress(ConnectionRefusedError, BlockingIOError):
            via.send(bytes([VERSION]) + token.to_bytes(2, "big") + bytes([kind]) + self._eui + body)
        return token

    def _wait(self, kind: int, token: int) -> bool:
        """Whether that answer came in time."""
        deadline = time.monotonic() + (self._hold_s if self._answering else self._short_hold_s)
        while True:
            left = deadline - time.monotonic()
            select.select([self._up, self._down], [], [], max(left, 0.0))
            if (kind, token) in self._drain():
                return True
            if left <= 0:
                self._answering = False
                return False

    def _drain(self) -> set[tuple[int, int]]:
        """Read both sockets empty; return the acknowledgements that came, as (kind, token)."""
        came: set[tuple[int, int]] = set()
        # The server sends a PULL_RESP before the PUSH_ACK it belongs to, so the way down is read last.
        for via in (self._up, self._down):
            while (datagram := _received(via)) is not None:
                if len(datagram) < 4 or datagram[0] != VERSION:
                    self.malformed += 1
                    continue
                token, kind = int.from_bytes(datagram[1:3], "big"), datagram[3]
                if kind in (PUSH_ACK, PULL_ACK):
                    self._answering = True
                    self._pull_acked |= kind == PULL_ACK
                    self.acked += kind == PUSH_ACK
                    came.add((kind, token))
                elif kind == PULL_RESP:
                    self._downlink(token, datagram[4:])
                else:
                    self.malformed += 1
        return came

    def _downlink(self, token: int, body: bytes) -> None:
        """PM 5.4 "PULL_RESP packet" and 5.5 "TX_ACK packet": an empty body means that no error occurred."""
        try:
            root = json.loads(body)
            txpk = root["txpk"]
        except (ValueError, KeyError, TypeError, RecursionError):
            self.malformed += 1
            return
        ack = self._on_txpk(txpk)
        if ack is None:
            return
        if not ack and self._explicit_none:
            ack = {"error": "NONE"}
        self._send(self._down, TX_ACK, json.dumps({"txpk_ack": ack}).encode() if ack else b"", token)


def _connected(address: tuple[str, int]) -> socket.socket:
    family, kind, protocol, _, resolved = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0]
    made = socket.socket(family, kind, protocol)
    made.setblocking(False)
    made.connect(resolved)
    return made


def _received(via: socket.socket) -> bytes | None:
    """The next datagram, or None if none is there."""
    while True:
        try:
            return via.recv(65_535)
        except BlockingIOError:
            return None
        except ConnectionRefusedError:
            continue  # what an earlier datagram met; the queue may hold more
