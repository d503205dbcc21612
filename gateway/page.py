# SPDX-License-Identifier: EUPL-1.2
"""The local page: GET /status (JSON) and GET /metrics (Prometheus text), read-only, on the loopback by default.

HTTP/1.1 as far as two fixed answers need it (RFC 9112): one request a connection, which then closes.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from gateway.errors import PortTaken

_PATIENCE_S = 5.0
_MAX_HEAD_BYTES = 8192

Answer = Callable[[], tuple[str, str]]


class Page:
    """Serves ``answers``: by path, a function that returns (content type, text)."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self._answers = answers
        self._server: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> int:
        """Begin to serve; returns the port (0 in: a free one). Raises PortTaken."""
        try:
            self._server = await asyncio.start_server(self._serve, host, port, limit=_MAX_HEAD_BYTES)
        except OSError as error:
            raise PortTaken("local page", "page", host, port, error) from error
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._response(head))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever that was, it did not speak HTTP
        finally:
            writer.close()

    def _response(self, head: bytes) -> bytes:
        method, _, rest = head.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        if method != "GET":
            return _http("405 Method Not Allowed", "text/plain", "only GET\n", "Allow: GET\r\n")
        answer = self._answers.get(path)
        if answer is None:
            return _http("404 Not Found", "text/plain", f"there are: {' '.join(self._answers)}\n")
        return _http("200 OK", *answer())


def _http(status: str, content_type: str, text: str, headers: str = "") -> bytes:
    body = text.encode("utf-8")
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        f"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n{headers}Connection: close\r\n\r\n"
    ).encode("ascii") + body


def as_json(value: Any) -> str:
    """Indented JSON with a final newline."""
    return json.dumps(value, indent=2) + "\n"
