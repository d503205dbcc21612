# SPDX-License-Identifier: EUPL-1.2
"""Concentrators for a load: real sockets, many frames, no radio. Both speak in asyncio and in real time.

``send`` reports a frame as heard just now; whatever the gateway sends down is taken and confirmed, as the originals do.
"""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from typing import Any, Protocol, cast

from websockets.asyncio.client import ClientConnection, connect

from decoders.lorawan.gps_time import gps_from_unix
from simulators.gwmp_forwarder import PULL_ACK, PULL_DATA, PULL_RESP, PUSH_ACK, PUSH_DATA, TX_ACK, VERSION
from simulators.station_frames import id6, uplink_fields

FREQUENCIES_HZ = (868_100_000, 868_300_000, 868_500_000)
_DATA_RATE, _SF = 5, 7
_KEEPALIVE_S = 5.0


class LoadConcentrator(Protocol):
    """What the load needs of one."""

    acknowledged: int
    downlinks: int

    def send(self, phy_payload: bytes, snr_db: float, at_s: float) -> None:
        """Report a frame that ended at ``at_s`` of Unix time."""

    async def close(self) -> None: ...


class GwmpLoad(asyncio.DatagramProtocol):
    """A packet forwarder with one socket; it counts PUSH_ACKs and answers PULL_RESP with TX_ACK."""

    def __init__(self, eui: str, on_downlink: Callable[[bytes], None]) -> None:
        self._eui = bytes.fromhex(eui)
        self._on_downlink = on_downlink
        self._transport: asyncio.DatagramTransport | None = None
        self._token = 0
        self._began_s = time.time() - int.from_bytes(self._eui[-2:], "big")  # each counts from a moment of its own
        self._way_down = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None
        self.acknowledged = 0
        self.downlinks = 0

    @classmethod
    async def open(cls, eui: str, port: int, on_downlink: Callable[[bytes], None]) -> "GwmpLoad":
        """Connected, and its way down open."""
        _, made = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: cls(eui, on_downlink), remote_addr=("127.0.0.1", port)
        )
        made._keeping = asyncio.create_task(made._keep())
        await asyncio.wait_for(made._way_down.wait(), 30)
        return made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def send(self, phy_payload: bytes, snr_db: float, at_s: float) -> None:
        """One rxpk in a PUSH_DATA, as a concentrator with GPS reports it. sx1302_hal PROTOCOL.md "PUSH_DATA packet"."""
        tmst = round((at_s - self._began_s) * 1_000_000) & 0xFFFF_FFFF
        whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_s))
        self._say(
            PUSH_DATA,
            b'{"rxpk":[{"jver":1,"tmst":%d,"time":"%s.%06dZ","tmms":%d,"chan":0,"rfch":0,"freq":%.6f,"mid":8,"stat":1,'
            b'"modu":"LORA","datr":"SF%dBW125","codr":"4/5","rssis":-97,"lsnr":%.1f,"foff":-120,"rssi":-96,"size":%d,'
            b'"data":"%s"}]}'
            % (
                tmst, whole.encode(), round(at_s % 1 * 1e6) % 1_000_000, round(gps_from_unix(at_s) * 1000),
                FREQUENCIES_HZ[phy_payload[-1] % 3] / 1e6, _SF, snr_db, len(phy_payload), base64.b64encode(phy_payload),
            ),
        )  # fmt: skip

    def datagram_received(self, data: bytes, addr: object) -> None:
        if data[3] == PUSH_ACK:
            self.acknowledged += 1
        elif data[3] == PULL_ACK:
            self._way_down.set()
        elif data[3] == PULL_RESP:
            self.downlinks += 1
            self._say(TX_ACK, b"", data[1:3])
            self._on_downlink(base64.b64decode(json.loads(data[4:])["txpk"]["data"]))

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there any more; the load notices by what is missing."""

    async def _keep(self) -> None:
        while True:
            self._say(PULL_DATA, b"")
            await asyncio.sleep(_KEEPALIVE_S if self._way_down.is_set() else 0.1)

    def _say(self, kind: int, body: bytes, token: bytes = b"") -> None:
        assert self._transport is not None
        self._token = (self._token + 1) & 0xFFFF
        head = bytes([VERSION]) + (token or self._token.to_bytes(2, "big")) + bytes([kind]) + self._eui
        self._transport.sendto(head + body)

    async def close(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
        if self._transport is not None:
            self._transport.close()


class StationLoad:
    """A LoRa Basics Station: it answers dnmsg with dntxed."""

    def __init__(self, connection: ClientConnection, on_downlink: Callable[[bytes], None]) -> None:
        self._connection = connection
        self._on_downlink = on_downlink
        self._began_s = time.time()
        self._unsent: asyncio.Queue[str] = asyncio.Queue()
        self._tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._read())]
        self.acknowledged = 0  # the protocol has no such thing
        self.downlinks = 0

    @classmethod
    async def open(cls, eui: str, port: int, on_downlink: Callable[[bytes], None]) -> "StationLoad":
        """By discovery, to router_config. lorabasics/basicstation 2.0.6, doc "The LNS Protocol"."""
        async with connect(f"ws://127.0.0.1:{port}/router-info", compression=None, proxy=None) as discovery:
            await discovery.send(json.dumps({"router": id6(eui)}))
            uri = json.loads(await discovery.recv())["uri"]
        connection = await connect(uri, compression=None, proxy=None)
        await connection.send(json.dumps({"msgtype": "version", "station": "2.0.6(linux/std)", "model": "linux",
                                          "protocol": 2, "features": "rmtsh prod"}))  # fmt: skip
        assert json.loads(await connection.recv())["msgtype"] == "router_config"
        return cls(connection, on_downlink)

    def send(self, phy_payload: bytes, snr_db: float, at_s: float) -> None:
        """As an updf message."""
        xtime = 1 << 48 | round((at_s - self._began_s + 10) * 1_000_000)
        fields = uplink_fields(phy_payload)
        assert fields is not None
        up = {"rctx": 0, "xtime": xtime, "gpstime": round(gps_from_unix(at_s) * 1e6), "rssi": -96, "snr": snr_db}
        message = {**fields, "DR": _DATA_RATE, "Freq": FREQUENCIES_HZ[phy_payload[-1] % 3], "upinfo": up}
        self._unsent.put_nowait(json.dumps(message, separators=(",", ":")))

    async def _write(self) -> None:
        while True:
            await self._connection.send(await self._unsent.get())

    async def _read(self) -> None:
        async for text in self._connection:
            message: dict[str, Any] = json.loads(text)
            if message["msgtype"] == "dnmsg":
                self.downlinks += 1
                window = "RX1" if "RX1Freq" in message else "RX2"
                sent = {"msgtype": "dntxed", "diid": message["diid"], "DevEui": message["DevEui"], "rctx": 0}
                sent |= {"DR": message[f"{window}DR"], "Freq": message[f"{window}Freq"], "xtime": message["xtime"]}
                self._unsent.put_nowait(json.dumps(sent))
                self._on_downlink(bytes.fromhex(message["pdu"]))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._connection.close()
