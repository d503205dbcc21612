# SPDX-License-Identifier: EUPL-1.2
"""The UDP shell of GWMP: datagrams in, acknowledgements and downlinks out.

PUSH_ACK means "on the disk": it is sent when every frame of the PUSH_DATA is stored or refused. A PUSH_DATA that could
not be stored gets none.

GWMP has no authentication. An EUI is therefore bound to the address that its datagrams come from, until nothing has
come from there for ``pin_s``: meanwhile nobody else can speak, or be answered, in its name.
"""

import asyncio
import logging
import math
import socket
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from decoders.lorawan.region import EU868
from gateway.backhaul import gwmp
from gateway.backhaul.interface import Listener
from gateway.errors import MalformedDatagram, PortTaken
from gateway.metrics import Metrics
from gateway.radio import Order
from gateway.ways_down import Protocol

_log = logging.getLogger(__name__)

_MAX_CONCENTRATORS = 256
_MAX_WAITING = 1000
_MAX_ORDERS = 4096
_PROOF_S = 86_400.0
_LINES_A_MINUTE = 20
_RECEIVE_BUFFER_BYTES = 4 << 20
_MAX_DATAGRAM = 1 << 16  # asyncio would take 256 KiB for each, which the C library maps anew and gives back

Address = tuple[Any, ...]


@dataclass
class _Concentrator:
    """Where one speaks from, when it last did, where its downlinks go, and when a frame of ours last came from it.

    Times are monotonic s, -inf: never.
    """

    host: str
    spoke_at: float
    way_down: Address | None = None
    proved_at: float = -math.inf


class GwmpEndpoint(asyncio.DatagramProtocol):
    """``reserved`` tells whether an EUI speaks elsewhere and has no business here."""

    def __init__(
        self, listener: Listener, metrics: Metrics, *, reserved: Callable[[str], bool], pin_s: float
    ) -> None:  # fmt: skip
        self._listener = listener
        self._metrics = metrics
        self._reserved = reserved
        self._pin_s = pin_s
        self._transport: asyncio.DatagramTransport | None = None
        self._concentrators: OrderedDict[str, _Concentrator] = OrderedDict()
        self._lines_since = -math.inf
        self._lines = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._orders: OrderedDict[tuple[str, int], int] = OrderedDict()  # (EUI, token): order
        self._token = 0
        self._closing = False
        self.stats: dict[str, gwmp.Stat] = {}

    @property
    def concentrators(self) -> list[str]:
        """Those that have opened a way down."""
        return [eui for eui, known in self._concentrators.items() if known.way_down is not None]

    def proved(self, concentrator: str) -> None:
        """A frame with a good MIC came from it: not everyone can do that, so its way down is kept."""
        known = self._concentrators.get(concentrator)
        if known is not None:
            known.proved_at = time.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        transport.max_size = _MAX_DATAGRAM  # type: ignore[attr-defined]

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
        known = self._admit(message.concentrator, addr)
        if known is None:
            return
        if isinstance(message, gwmp.PushData):
            self._push(message, addr)
        elif isinstance(message, gwmp.PullData):
            self._open_way_down(message.concentrator, known, addr)
            self._send(gwmp.pull_ack(message.token), addr)
        else:
            self._tx_ack(message)

    def _admit(self, concentrator: str, addr: Address) -> _Concentrator | None:
        """The one that speaks, if it may."""
        if self._reserved(concentrator):
            self._metrics.refuse("unknown_concentrator")
            return None
        now = time.monotonic()
        known = self._concentrators.get(concentrator)
        if known is None:
            if len(self._concentrators) >= _MAX_CONCENTRATORS:
                self._forget_one()
            known = self._concentrators[concentrator] = _Concentrator(addr[0], now)
        elif known.host != addr[0]:
            if now - known.spoke_at < self._pin_s:
                self._metrics.refuse("spoofed_source")
                _log.debug("< %s from %s, but it speaks from %s", concentrator, addr[0], known.host)
                return None
            known.host, known.way_down = addr[0], None
        known.spoke_at = now
        self._concentrators.move_to_end(concentrator)
        return known

    def _push(self, message: gwmp.PushData, addr: Address) -> None:
        for reason in message.dropped:
            self._metrics.refuse(reason)
        if message.stat is not None:
            self.stats[message.concentrator] = message.stat
        if not message.frames:
            self._send(gwmp.push_ack(message.token), addr)
        elif len(self._tasks) >= _MAX_WAITING:
            self._metrics.refuse("overload")
        else:
            task = asyncio.get_running_loop().create_task(self._take(message, addr))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _take(self, message: gwmp.PushData, addr: Address) -> None:
        self._metrics.count("frames", len(message.frames))
        if await self._listener.received(message.concentrator, Protocol.GWMP, message.frames):
            self._send(gwmp.push_ack(message.token), addr)

    def send(self, order: Order) -> bool:
        """PULL_RESP; False where its concentrator has opened no way down."""
        known = self._concentrators.get(order.concentrator)
        if known is None or known.way_down is None:
            return False
        self._token = (self._token + 1) & 0xFFFF
        self._orders[order.concentrator, self._token] = order.id
        if len(self._orders) > _MAX_ORDERS:
            self._orders.popitem(last=False)
        self._send(gwmp.pull_resp(self._token, _txpk(order)), known.way_down)
        return True

    def _tx_ack(self, message: gwmp.TxAck) -> None:
        """From either socket of the forwarder: some answer from the upstream one."""
        order_id = self._orders.pop((message.concentrator, message.token), None)
        if message.error != "NONE":
            self._metrics.count("downlinks_failed")
            _log.debug("< TX_ACK concentrator=%s error=%s", message.concentrator, message.error)
        if order_id is None:
            return
        if message.error == "NONE":
            self._listener.confirmed(message.concentrator, order_id)
        else:
            self._listener.refused(message.concentrator, order_id, message.error.lower())

    def _open_way_down(self, concentrator: str, known: _Concentrator, addr: Address) -> None:
        if known.way_down != addr:
            known.way_down = addr
            self._log_connected(concentrator, addr)
        self._listener.attached(concentrator, Protocol.GWMP, self)

    def _forget_one(self) -> None:
        """The one that was silent longest among those without a frame of ours for a day; if there is none, of all."""
        long_ago = time.monotonic() - _PROOF_S
        idle = (eui for eui, known in self._concentrators.items() if known.proved_at < long_ago)
        eui = next(idle, next(iter(self._concentrators)))
        del self._concentrators[eui]
        self.stats.pop(eui, None)
        self._listener.detached(eui, forget=True)

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


def _txpk(order: Order) -> gwmp.Txpk:
    """The one window of an order: GWMP has no second one."""
    slot = order.rx1 or order.rx2
    assert slot is not None
    rate = EU868.data_rates[slot.data_rate]
    tmst_us = None if order.asap else (order.tmst_us + slot.delay_ms * 1000) & 0xFFFF_FFFF
    return gwmp.Txpk(tmst_us, slot.frequency_hz, rate.sf, rate.bandwidth_hz, order.power_dbm, order.phy_payload)


async def listen(
    host: str, port: int, listener: Listener, metrics: Metrics, *, reserved: Callable[[str], bool], pin_s: float
) -> tuple[GwmpEndpoint, int]:  # fmt: skip
    """Open the endpoint; returns it and its port (0 in: a free one). Raises PortTaken."""
    try:
        transport, endpoint = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: GwmpEndpoint(listener, metrics, reserved=reserved, pin_s=pin_s), local_addr=(host, port)
        )
    except OSError as error:
        raise PortTaken("GWMP (UDP)", "gwmp", host, port, error) from error
    bound: socket.socket = transport.get_extra_info("socket")
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
    return endpoint, bound.getsockname()[1]
