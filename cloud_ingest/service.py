# SPDX-License-Identifier: EUPL-1.2
"""The service as one process: broker to store in two threads, HTTP in the event loop, one clean end."""

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections.abc import Callable, Iterator

import uvicorn

from cloud_ingest import registry
from cloud_ingest.api.app import create_app
from cloud_ingest.config import Config
from cloud_ingest.errors import CloudError, ConfigError
from cloud_ingest.ingest import Ingest
from cloud_ingest.quality import CLOCK_TOLERANCE_S
from cloud_ingest.store import SqliteStore, locked
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
    clock = time.time if config.time.source == "system" else None
    ingest = Ingest(store, city, config.mqtt.gateways, config.dead_letters.max_bytes, clock)
    if clock is not None and store.newest_received_at() > clock() + CLOCK_TOLERANCE_S:
        _log.warning(
            "this machine's clock is behind the newest uplink: until it is right, uplinks wait as dead letters"
        )
    writer = Writer(store, city, ingest, clock or store.newest_received_at)
    subscriber = Subscriber(config.mqtt, store, writer)
    server = _Server(uvicorn.Config(create_app(config, city, subscriber, writer), log_config=None, access_log=False))
    writer.start()
    subscriber.start()
    host, port = listener.getsockname()[:2]
    announce(f"http://{f'[{host}]' if ':' in host else host}:{port}/")
    try:
        asyncio.run(_serve(server, listener, writer))
    finally:
        subscriber.stop()
        writer.stop()
        store.close()
    return writer.failed


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
