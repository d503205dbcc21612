# SPDX-License-Identifier: EUPL-1.2
"""The one HTTP service: SensorThings, the pages and their JSON, health and metrics."""

import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Protocol

from fastapi import FastAPI, Query
from fastapi.exceptions import RequestValidationError
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud_ingest import operator_token
from cloud_ingest.api import metrics, operator, public
from cloud_ingest.api.answers import MIN_GZIP_BYTES, answer, tagged
from cloud_ingest.api.readers import Busy, Readers, Snapshot
from cloud_ingest.api.sensorthings import Raw, SensorThings
from cloud_ingest.api.series import series as series_of
from cloud_ingest.city import City
from cloud_ingest.config import Config
from cloud_ingest.errors import NoSuchEntity, QueryError
from decoders.access_token import authorizes

WEB = Path(__file__).parent.parent / "web" / "dist"
# Anyone may ask SensorThings anything: what that costs must not keep a crew's list waiting.
_PAGE_CONNECTIONS, _QUERY_CONNECTIONS = 4, 2
_STATUS: dict[type[Exception], int] = {QueryError: 400, NoSuchEntity: 404, Busy: 503}

# MapLibre GL JS runs its workers from blobs and draws images from data and blobs.
_CONTENT_SECURITY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; worker-src 'self' blob:; "
    "child-src blob:; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_MAX_PATH = 200  # beyond what file systems take as a name, and no page of ours
_HEADERS = (
    (b"content-security-policy", _CONTENT_SECURITY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(self)"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_From = Annotated[str | None, Query(alias="from", description="ISO 8601; default 14 days before 'to'")]
_To = Annotated[str | None, Query(alias="to", description="ISO 8601; default now")]
_OPEN_DATA = re.compile(r"/(v1\.1|api|openapi\.json)(/|$)")


class Broker(Protocol):
    """What the service says of its connection to the broker."""

    @property
    def connected(self) -> bool: ...


class Ingesting(Protocol):
    """What the service says of its writer."""

    @property
    def problem(self) -> str | None: ...


class _Service:
    """What the routes share. ``clock`` is asked only with ``[time] source = "system"``."""

    def __init__(
        self, config: Config, city: City, broker: Broker, writer: Ingesting, clock: Callable[[], float]
    ) -> None:
        self.config, self.city, self.broker, self.writer, self._clock = config, city, broker, writer, clock
        self.requests: Counter[tuple[str, int]] = Counter()
        self.readers, self.public_queries = (
            Readers(config.store.path, config.http.query_timeout_s, connections, config.disclosure.min_count)
            for connections in (_PAGE_CONNECTIONS, _QUERY_CONNECTIONS)
        )

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        await self.readers.open()
        await self.public_queries.open()
        yield
        await self.public_queries.close()
        await self.readers.close()

    @property
    def broker_state(self) -> str:
        return "connected" if self.broker.connected else "disconnected"

    async def present(self, db: Snapshot) -> float:
        if self.config.time.source == "system":
            return self._clock()
        return float((await db.row("SELECT coalesce(max(received_at), 0) FROM uplinks"))[0])

    async def ask(self, request: Request, question: Callable[[Snapshot, City, float], Awaitable[Any]]) -> Response:
        async with self.readers.snapshot() as db:
            return await answer(request, await question(db, self.city, await self.present(db)))


def create_app(
    config: Config, city: City, broker: Broker, writer: Ingesting, clock: Callable[[], float] = time.time
) -> FastAPI:
    """The service over the store that ``config`` names; ``clock`` is asked only with ``[time] source = "system"``."""
    service = _Service(config, city, broker, writer, clock)
    app = FastAPI(
        title="Stadtfunk",
        version="1",
        summary="Open data of a city's trees, air and traffic",
        lifespan=service.lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(GZipMiddleware, minimum_size=MIN_GZIP_BYTES)  # pages; answers come compressed
    app.add_middleware(_Outermost, requests=service.requests)
    for kind in _STATUS:
        app.add_exception_handler(kind, _problem)
    app.add_exception_handler(RequestValidationError, _unusable)
    for add in (_add_sensorthings, _add_places, _add_series, _add_operations, _add_operator, _add_pages):
        add(app, service)
    return app


def _add_sensorthings(app: FastAPI, service: _Service) -> None:
    public_url = service.config.http.public_url

    @app.get("/v1.1", include_in_schema=False)
    @app.get("/v1.1/{path:path}", summary="OGC SensorThings API 1.1, reading")
    async def sensorthings(request: Request, path: str = "") -> Response:
        root = (public_url or str(request.base_url)).rstrip("/") + "/v1.1"
        async with service.public_queries.snapshot() as db:
            found = await SensorThings(db, root).get(path, request.url.query)
        if found is None:
            return Response(status_code=204)
        if isinstance(found, Raw):
            return tagged(request, found.encode(), "text/plain; charset=utf-8")
        # without public_url its links are as the caller's Host header says, which may be a lie
        return await answer(request, found, shared=bool(public_url))


def _add_places(app: FastAPI, service: _Service) -> None:
    """What the pages show now."""

    @app.get("/api/areas", summary="Reference areas and their state, GeoJSON")
    async def areas(request: Request) -> Response:
        return await service.ask(request, public.areas)

    @app.get("/api/trees", summary="Trees, the state of their sensors and latest values, GeoJSON")
    async def trees(request: Request) -> Response:
        return await service.ask(request, public.trees)

    @app.get("/api/stations", summary="Stations of air quality and traffic, and their latest values, GeoJSON")
    async def stations(request: Request) -> Response:
        return await service.ask(request, public.stations)

    @app.get("/api/crew", summary="Today's list: what to water, and which sensors to look at")
    async def crew(request: Request) -> Response:
        return await service.ask(request, public.crew)


def _add_series(app: FastAPI, service: _Service) -> None:
    """What the charts show."""

    @app.get("/api/trees/{tree_id}/series", summary="One quantity at one tree over time")
    async def series(request: Request, tree_id: str, quantity: str, begin: _From = None, end: _To = None) -> Response:
        return await service.ask(
            request, lambda db, city, now: series_of(db, city, now, city.trees.get(tree_id), quantity, begin, end)
        )

    @app.get("/api/stations/{station_id}/series", summary="One quantity at one station over time")
    async def station_series(
        request: Request, station_id: str, quantity: str, begin: _From = None, end: _To = None
    ) -> Response:
        return await service.ask(
            request,
            lambda db, city, now: series_of(db, city, now, city.stations.get(station_id), quantity, begin, end),
        )


def _add_operations(app: FastAPI, service: _Service) -> None:
    """What those who run it look at."""

    @app.get("/api/status", summary="How much came in, and what could not be used")
    async def status(request: Request) -> Response:
        source, state = service.config.time.source, service.broker_state
        async with service.readers.snapshot() as db:
            return await answer(
                request, await public.status(db, service.city, await service.present(db), source, state)
            )

    @app.get("/health", summary="200 while readings can be stored")
    async def health() -> Response:
        problem = service.writer.problem
        body = {
            "status": "ok" if problem is None else "failed",
            "writer": "running" if problem is None else problem,
            "broker": service.broker_state,
        }
        return JSONResponse(body, 200 if problem is None else 503, {"Cache-Control": "no-store"})

    @app.get("/metrics", summary="Prometheus text")
    async def prometheus() -> Response:
        async with service.readers.snapshot() as db:
            text = await metrics.text(db, service.requests, service.broker.connected, service.writer.problem is None)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4", headers={"Cache-Control": "no-store"})


def _add_operator(app: FastAPI, service: _Service) -> None:
    """What names gateways and nodes: for those who know the token alone, and in no description."""
    token = operator_token.load(service.config.operator_token_file)

    def refused(request: Request) -> Response | None:
        if authorizes(request.headers.get("authorization", ""), token):
            return None
        asks = {"WWW-Authenticate": 'Basic realm="Stadtfunk", charset="UTF-8"', "Cache-Control": "no-store"}
        return PlainTextResponse("the password is in the service's operator.token\n", 401, asks)

    @app.get("/operator", include_in_schema=False)
    async def operator_page(request: Request) -> Response:
        return refused(request) or _page("operator")

    @app.get("/operator/data", include_in_schema=False)
    async def operator_data(request: Request) -> Response:
        no = refused(request)
        if no is not None:
            return no
        async with service.readers.snapshot() as db:
            now, config = await service.present(db), service.config
            found = await operator.data(db, service.city, now, config.store.path, config.mqtt.gateways)
        state = {"broker": service.broker_state, "writer": service.writer.problem}
        return JSONResponse({**state, **found}, headers={"Cache-Control": "no-store"})


def _add_pages(app: FastAPI, _: _Service) -> None:
    @app.get("/{path:path}", include_in_schema=False)
    async def page(path: str) -> Response:
        return _page(path)


def _page(path: str) -> Response:
    """A file of the built front end; `/`, `/crew` and `/operator` are its pages."""
    if "\0" in path or len(path) > _MAX_PATH:
        path = "none"
    file = (WEB / {"": "index.html", "crew": "crew.html", "operator": "operator.html"}.get(path, path)).resolve()
    if WEB.resolve() in file.parents and file.is_file():
        forever = path.startswith("assets/")  # their names change with their content
        return FileResponse(file, headers={"Cache-Control": f"public, max-age={31536000 if forever else 0}"})
    if path in ("", "crew", "operator"):
        return HTMLResponse(_NOT_BUILT, 503, {"Cache-Control": "no-store"})
    return JSONResponse({"detail": "there is nothing here"}, 404)


_NOT_BUILT = """<!doctype html><html lang="de"><meta charset="utf-8"><title>Stadtfunk</title>
<p>Die Seiten sind noch nicht gebaut: <code>make setup</code> baut sie.</p>
<p lang="en">The pages are not built yet: <code>make setup</code> builds them.</p></html>
"""


async def _problem(request: Request, error: Exception) -> Response:
    status = _STATUS[type(error)]
    headers = {"Cache-Control": "no-store"}
    if request.url.path.startswith("/v1.1"):
        return JSONResponse({"code": status, "type": "error", "message": str(error)}, status, headers)
    return JSONResponse({"detail": str(error)}, status, headers)


async def _unusable(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return await _problem(request, QueryError(f"{first['loc'][-1]}: {first['msg']}"))


class _Outermost:
    """Adds the security headers to every answer and counts answers by service."""

    def __init__(self, app: ASGIApp, requests: "Counter[tuple[str, int]]") -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_open_data = _OPEN_DATA.match(scope["path"])

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._requests[metrics.service_of(scope["path"]), message["status"]] += 1
                headers = [*message.get("headers", ()), *_HEADERS]
                if is_open_data:
                    headers.append((b"access-control-allow-origin", b"*"))
                message = {**message, "headers": headers}
            await send(message)

        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}  # the server itself leaves the body out
        await self._app(scope, receive, send_with_headers)
