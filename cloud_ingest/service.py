# SPDX-License-Identifier: EUPL-1.2
"""The service as one process: broker to store in threads, HTTP in the event loop, one clean end; and its workers.

A worker only pulls from the shared stream and commits to the same store. Judging, watermarks, HTTP are the service's.
"""

import asyncio
import contextlib
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import uvicorn

from cloud_ingest import registry
from cloud_ingest.api.app import create_app
from cloud_ingest.config import Config
from cloud_ingest.database import locked
from cloud_ingest.errors import CloudError, ConfigError
from cloud_ingest.ingest import Ingest
from cloud_ingest.puller import Puller
from cloud_ingest.quality import CLOCK_TOLERANCE_S
from cloud_ingest.store import SqliteStore
from cloud_ingest.subscriber import Subscriber
from cloud_ingest.writer import Writer

_log = logging.getLogger(__name__)

_CHECK_S = 0.5


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handling, which would end the process by the signal instead of by `return`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(config: Config, announce: Callable[[str], None]) -> bool:
    """Serve until SIGTERM or SIGINT; False if the writer failed by a bug.

    Raises CloudError before it has begun, or when the store is lost under it."""
    with locked(config.store.path):
        failed = _run(config, announce)
    if isinstance(failed, CloudError):
        raise failed
    return failed is None


def _run(config: Config, announce: Callable[[str], None]) -> BaseException | None:
    city = registry.load(config.registry.path)
    listener = listen(config.http.host, config.http.port)
    store = SqliteStore(config.store.path)
    store.register(city)
    for doubt in city.doubts():
        _log.warning("%s: %s", config.registry.path, doubt)
    clock = time.time if config.time.source == "system" else None
    ingest = Ingest(store, city, config.mqtt.gateways, config.dead_letters.max_bytes, clock)
    if clock is not None and store.newest_received_at() > clock() + CLOCK_TOLERANCE_S:
        _log.warning(
            "this machine's clock is behind the newest uplink: until it is right, uplinks wait as dead letters"
        )
    writer = Writer(store, city, ingest, clock or store.newest_received_at)
    puller = Puller(config, writer) if config.jetstream.servers else None
    subscriber = Subscriber(config.mqtt, store, writer, brings=puller is None)
    broker = _Broker(subscriber, puller)
    server = _Server(uvicorn.Config(create_app(config, city, broker, writer), log_config=None, access_log=False))
    subscriber.start()
    writer.start()
    if puller is not None:
        puller.start()
    host, port = listener.getsockname()[:2]
    announce(f"http://{f'[{host}]' if ':' in host else host}:{port}/")
    try:
        asyncio.run(_serve(server, listener, writer))
    finally:
        if puller is not None:
            puller.stop()
        subscriber.stop()
        writer.stop()
        store.close()
    return writer.failed


class _Broker(NamedTuple):
    subscriber: Subscriber
    puller: Puller | None

    @property
    def connected(self) -> bool:
        """Messages come and watermarks go."""
        return self.subscriber.connected and (self.puller is None or self.puller.connected)


def work(config: Config, announce: Callable[[str], None]) -> bool:
    """Pull and commit beside the service until SIGTERM or SIGINT; False if the writer failed by a bug.

    Raises CloudError before it has begun, or when the store is lost under it."""
    city = registry.load(config.registry.path)
    if not config.jetstream.servers:
        raise ConfigError("jetstream.servers", "is empty; workers share a stream, so name its servers")
    store = SqliteStore(config.store.path)
    store.register(city)
    clock = time.time if config.time.source == "system" else None
    ingest = Ingest(store, city, config.mqtt.gateways, config.dead_letters.max_bytes, clock)
    writer = Writer(store, city, ingest, None)
    puller = Puller(config, writer)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    writer.start()
    puller.start()
    announce(f"worker on {config.store.path}")
    try:
        while writer.failed is None and not stopping.wait(_CHECK_S):
            pass
    finally:
        puller.stop()
        writer.stop()
        store.close()
    if isinstance(writer.failed, CloudError):
        raise writer.failed
    return writer.failed is None


async def _serve(server: uvicorn.Server, listener: socket.socket, writer: Writer) -> None:
    def stop() -> None:
        server.should_exit = True

    async def watch() -> None:
        while writer.failed is None:
            await asyncio.sleep(_CHECK_S)
        stop()  # a service that cannot store is better started again

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    watching = asyncio.create_task(watch())
    try:
        await server.serve(sockets=[listener])
    finally:
        watching.cancel()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises ConfigError."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # named as TCP, or asyncio does not switch Nagle's algorithm off and every answer waits 40 ms
        listener = socket.socket(family[0], socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(family[4])
        listener.listen(256)
    except OSError as error:
        raise ConfigError(
            f"http: {host}:{port}", f"cannot listen ({error.strerror}); choose another http.port"
        ) from error
    return listener
