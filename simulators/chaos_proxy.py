# SPDX-License-Identifier: EUPL-1.2
"""A bad network between an MQTT client and its broker: a TCP proxy that knows where a message of MQTT 3.1.1 ends.

What it does to whom is drawn from the seed, the number of the connection and the number of the message, so a seed does
the same to the same messages. ``done`` counts what it did. Nothing is made up: what it delivers, one side has sent.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from simulators.mqtt_frames import PUBACK, PUBLISH, Frames, kind, packet_id

_DUP = 0x08  # of a PUBLISH, OASIS MQTT 3.1.1 "DUP"
_RESET = struct.pack("ii", 1, 0)  # socket(7) SO_LINGER: on, 0 s
_CHUNK = 1 << 16
_SLOW_CHUNK, _SLOW_PAUSE_S = 256, 0.01


class Weather(NamedTuple):
    """How likely each fault is, for each message that can have it; times in s."""

    reset_before_puback: float = 0.0  # the broker has the PUBLISH, its sender never learns
    cut: float = 0.0  # the connection ends in the middle of a PUBLISH
    duplicate_puback: float = 0.0
    duplicate_publish: float = 0.0  # "DUP": as after a lost PUBACK
    half_open: float = 0.0  # nothing comes through any more, and nobody is told
    half_open_s: float = 3.0  # until the broker's side ends
    slow: float = 0.0  # the proxy reads at about 25 kB/s for the rest of the connection
    latency_s: float = 0.0  # at most, of each message
    partition: float = 0.0  # for each message: nothing gets through, on any connection, for partition_s
    partition_s: float = 1.0


CALM = Weather()
STORM = Weather(
    reset_before_puback=0.02, cut=0.01, duplicate_puback=0.05, duplicate_publish=0.05, half_open=0.003, half_open_s=1.0,
    slow=0.005, latency_s=0.005, partition=0.004, partition_s=0.5,
)  # fmt: skip


class ChaosProxy:
    """Listens on ``port`` of 127.0.0.1 and passes on to ``upstream``. ``with`` it runs, in a thread of its own.

    ``tap(is_up, frame)`` sees every message that is passed on whole; is_up: towards the broker.
    """

    def __init__(
        self,
        upstream: int,
        *,
        port: int = 0,
        seed: int = 0,
        weather: Weather = CALM,
        tap: Callable[[bool, bytes], None] = lambda _is_up, _frame: None,
    ) -> None:
        self._upstream = upstream
        self._seed = seed
        self.weather = weather
        self._tap = tap
        self.done: Counter[str] = Counter()
        self.connections = 0
        self.failed: list[BaseException] = []
        self._open: set[_Connection] = set()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._through = asyncio.Event()
        self._through.set()
        self._healing: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._run, name=f"chaos-proxy-{self.port}", daemon=True)

    def __enter__(self) -> "ChaosProxy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._listener.close()

    def partition(self) -> None:
        """Nothing gets through, in no direction, and nobody is told, until ``heal``."""
        self._loop.call_soon_threadsafe(self._part, None)

    def heal(self) -> None:
        self._loop.call_soon_threadsafe(self._heal)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accepted, sock=self._listener))
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        for connection in self._open:
            connection.reset()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def _part(self, for_s: float | None) -> None:
        self.done["partition"] += self._through.is_set()
        self._through.clear()
        if for_s is not None and self._healing is None:
            self._healing = self._loop.call_later(for_s, self._heal)

    def _heal(self) -> None:
        self._healing = None
        self._through.set()

    async def through(self, dice: Random) -> None:
        """Wait out a partition, and now and then begin one."""
        if dice.random() < self.weather.partition:
            self._part(self.weather.partition_s)
        await self._through.wait()

    def passed(self, is_up: bool, frame: bytes) -> None:
        self._tap(is_up, frame)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        connection: _Connection | None = None
        try:
            await self._through.wait()
            upstream = await asyncio.open_connection("127.0.0.1", self._upstream)
            connection = _Connection(self, f"{self._seed} {number}", (reader, writer), upstream)
            self._open.add(connection)
            await connection.run()
        except (OSError, asyncio.IncompleteReadError):
            pass  # one side has gone, and so has the connection
        except Exception as failure:
            self.failed.append(failure)
        finally:
            if connection is None:
                _reset(writer)
            else:
                self._open.discard(connection)
                connection.reset()


_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Connection:
    """One client's, and what becomes of it."""

    def __init__(self, proxy: ChaosProxy, seed: str, client: _Stream, broker: _Stream) -> None:
        self._proxy = proxy
        self._seed = seed
        self._client, self._broker = client, broker
        self._swallowed: dict[bool, set[bytes]] = {True: set(), False: set()}  # PUBACKs to be lost, by direction
        self._dead = False  # half open: whatever comes is lost

    def reset(self) -> None:
        """End both sides at once, with a RST each."""
        _reset(self._client[1])
        _reset(self._broker[1])

    async def run(self) -> None:
        ways = [
            asyncio.ensure_future(self._pump(True, self._client[0], self._broker[1])),
            asyncio.ensure_future(self._pump(False, self._broker[0], self._client[1])),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
        for way in ways:
            with contextlib.suppress(asyncio.CancelledError, _Over, OSError):
                await way

    async def _pump(self, is_up: bool, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dice, frames, slow = Random(f"{self._seed} {is_up}"), Frames(), False
        while data := await self._read(is_up, reader, _SLOW_CHUNK if slow else _CHUNK):
            if slow:
                await asyncio.sleep(_SLOW_PAUSE_S)
            for frame in frames.feed(data):
                await self._proxy.through(dice)
                if not self._dead:
                    slow |= self._happens(dice, "slow")
                    await self._pass(is_up, frame, writer, dice)
            await writer.drain()

    async def _read(self, is_up: bool, reader: asyncio.StreamReader, most: int) -> bytes:
        """What comes next; b"" at the end, of which a client with a half-open connection is not told."""
        try:
            data = await reader.read(most)
        except OSError:
            data = b""
        if not data and self._dead and not is_up:
            await asyncio.Event().wait()
        return data

    def _happens(self, dice: Random, fault: str) -> bool:
        if dice.random() >= getattr(self._proxy.weather, fault):
            return False
        self._proxy.done[fault] += 1
        return True

    async def _pass(self, is_up: bool, frame: bytes, writer: asyncio.StreamWriter, dice: Random) -> None:
        """Deliver one message, or do to it what the dice say."""
        if self._proxy.weather.latency_s:
            await asyncio.sleep(dice.uniform(0.0, self._proxy.weather.latency_s))
        if self._happens(dice, "half_open"):
            self._dead = True  # the broker's side ends after a while; the client is never told
            asyncio.get_running_loop().call_later(self._proxy.weather.half_open_s, _reset, self._broker[1])
            return
        number = packet_id(frame)
        if kind(frame) == PUBACK and number in self._swallowed[is_up]:
            raise _Over("reset before PUBACK")
        if kind(frame) == PUBLISH:
            if self._happens(dice, "cut"):
                writer.write(frame[: len(frame) // 2])
                await writer.drain()
                raise _Over("cut")
            if number is not None and self._happens(dice, "reset_before_puback"):
                self._swallowed[not is_up].add(number)
        writer.write(frame)
        self._proxy.passed(is_up, frame)
        if kind(frame) == PUBACK and self._happens(dice, "duplicate_puback"):
            writer.write(frame)
        if kind(frame) == PUBLISH and number is not None and self._happens(dice, "duplicate_publish"):
            again = bytes([frame[0] | _DUP]) + frame[1:]
            writer.write(again)
            self._proxy.passed(is_up, again)


class _Over(Exception):
    """This connection ends here; the argument says why."""


def _reset(writer: asyncio.StreamWriter) -> None:
    connection: Any = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):  # it has ended by itself
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
