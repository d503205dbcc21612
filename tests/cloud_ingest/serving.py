# SPDX-License-Identifier: EUPL-1.2
"""A served city for tests of the HTTP side: the real server on loopback."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from cloud_ingest.api.app import create_app
from cloud_ingest.city import City
from cloud_ingest.config import Config, HttpSettings, MqttSettings, StoreSettings, TimeSettings
from cloud_ingest.ingest import Ingest
from cloud_ingest.judge import judge, judge_marked, marked
from cloud_ingest.service import listen
from cloud_ingest.station_judge import Memory
from cloud_ingest.store import SqliteStore
from tests.cloud_ingest.world import opened, small_city

PUBLIC = "http://city.example"


class Part:
    """Stands for the connection to the broker and for the writer, which test_service.py runs for real."""

    connected = True
    problem: str | None = None


class Served:
    """``get`` asks the service; ``feed`` applies a message and judges every area."""

    def __init__(self, client: httpx.Client, store: SqliteStore, ingest: Ingest, city: City, part: Part) -> None:
        self.client, self.store, self.part = client, store, part
        self._ingest, self._city = ingest, city
        self._memory: Memory = {}

    def ask(self, address: str, **headers: str) -> httpx.Response:
        return self.client.get(address.removeprefix(PUBLIC), headers=headers)

    def get(self, address: str, status: int = 200) -> Any:
        response = self.ask(address)
        assert response.status_code == status, response.text
        return response.json()

    def feed(self, topic: str, payload: bytes) -> None:
        self._ingest.apply(topic, payload)
        for area in self._city.areas.values():
            judge(self.store, self._city, area, self.store.newest_received_at())
        for which in marked(self.store):
            judge_marked(self.store, self._city, which, self.store.newest_received_at(), self._memory)


@contextmanager
def served(
    folder: Path,
    city: City | None = None,
    query_timeout_s: int = 60,
    public_url: str = PUBLIC,
    gateways: tuple[str, ...] = (),
) -> Iterator[Served]:
    """A service over the store in ``folder``; its present is its newest reading's. ``gateways``: those it lists."""
    city = city or small_city()
    store, ingest = opened(folder / "store.db", city)
    store.db.execute("PRAGMA synchronous = OFF")  # quick; what survives a power cut is not asked here
    config = Config(
        store=StoreSettings(folder / "store.db"),
        mqtt=MqttSettings(gateways=gateways),
        http=HttpSettings(query_timeout_s=query_timeout_s, public_url=public_url),
        time=TimeSettings("observations"),
    )
    part = Part()
    app = create_app(config, city, part, part)
    # No connection that the client keeps is closed just as it asks the next question.
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_keep_alive=3600))
    listener = listen("127.0.0.1", 0)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    try:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with httpx.Client(base_url=address, timeout=120) as client:
            yield Served(client, store, ingest, city, part)
    finally:
        server.should_exit = True
        thread.join()
        store.close()
