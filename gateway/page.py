# SPDX-License-Identifier: EUPL-1.2
"""The local page, on the loopback by default: for technicians in their browser, and for programs.

HTTP/1.1 as far as a few GET and POST requests need it (RFC 9112): one request a connection, which then closes. What
tells of single nodes, or does something, needs the page's token, and elsewhere than on the loopback everything does.
A browser sends a password by itself, whoever made the form: so a form must have its key, too.
"""

import asyncio
import hmac
import ipaddress
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from decoders.access_token import authorizes
from gateway.errors import PortTaken
from gateway.page_token import form_key

_PATIENCE_S = 10.0
_MAX_HEAD_BYTES = 8192
_MAX_BODY_BYTES = 2000
_MOST_PARAMETERS = 10
_MOST_CONNECTIONS = 64  # at once: whoever opens more takes no file handle from broker and stations


class Request(NamedTuple):
    """What somebody asks. ``language`` is de or en; ``form`` is what a POST brings; ``program``: no browser asks."""

    path: str
    query: Mapping[str, str]
    language: str
    form: Mapping[str, str]
    program: bool


class BadRequest(Exception):
    """A question that cannot be answered; the argument says why."""


Content = tuple[str, str]
Answer = Callable[[Request], Awaitable[Content]]


class Page:
    """Serves answers by path, each a function that returns (content type, text). ``secret`` ones need the ``token``."""

    def __init__(
        self,
        open_to_all: Mapping[str, Answer],
        secret: Mapping[str, Answer],
        token: str,
        posts: Mapping[str, Answer] | None = None,
    ) -> None:
        """``posts`` answer POST requests."""
        self._posts = dict(posts or {})
        self._open = dict(open_to_all)
        self._secret = dict(secret)
        self._token = token
        self._server: asyncio.Server | None = None
        self._guarded = True
        self._connections = 0

    async def listen(self, host: str, port: int) -> int:
        """Begin to serve; returns the port (0 in: a free one). Raises PortTaken."""
        try:
            self._server = await asyncio.start_server(self._serve, host, port, limit=_MAX_HEAD_BYTES)
        except OSError as error:
            raise PortTaken("local page", "page", host, port, error) from error
        addresses = [found.getsockname() for found in self._server.sockets]
        self._guarded = not all(ipaddress.ip_address(address[0]).is_loopback for address in addresses)
        bound: int = addresses[0][1]
        return bound

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections > _MOST_CONNECTIONS:
                return
            async with asyncio.timeout(_PATIENCE_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(await self._response(head, reader))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever that was, it did not speak HTTP
        finally:
            self._connections -= 1
            writer.close()

    async def _response(self, head: bytes, reader: asyncio.StreamReader) -> bytes:
        first, *lines = head.decode("latin-1").split("\r\n")
        method, _, rest = first.partition(" ")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        try:
            target = urlsplit(rest.partition(" ")[0])
            query = dict(parse_qsl(target.query, max_num_fields=_MOST_PARAMETERS))
        except ValueError:
            return _http("400 Bad Request", "text/plain", "no such address\n")
        answers = self._posts if method == "POST" else self._open | self._secret
        if method not in ("GET", "POST") or (method == "POST" and target.path not in self._posts):
            return _http("405 Method Not Allowed", "text/plain", "only GET\n", "Allow: GET\r\n")
        authorization = headers.get("authorization", "")
        answer = answers.get(target.path)
        if (self._guarded or target.path not in self._open) and not authorizes(authorization, self._token):
            if answer is None and not self._guarded:
                return _http("404 Not Found", "text/plain", f"there are: {' '.join(self._open)}\n")
            asks = 'WWW-Authenticate: Basic realm="gateway", charset="UTF-8"\r\n'
            return _http("401 Unauthorized", "text/plain", "the password is in the page's token_file\n", asks)
        if answer is None:
            return _http("404 Not Found", "text/plain", f"there are: {' '.join(answers)}\n")
        german = query.get("lang", headers.get("accept-language", "")).lower().startswith("de")
        program = authorization.lower().startswith("bearer")
        try:
            form = await _form(headers, reader) if method == "POST" else {}
            ours = program or hmac.compare_digest(form.get("key", "").encode(), form_key(self._token).encode())
            if method == "POST" and not ours:
                return _http("403 Forbidden", "text/plain", "this form is not from this page\n")
            content = await answer(Request(target.path, query, "de" if german else "en", form, program))
        except BadRequest as bad:
            return _http("400 Bad Request", "text/plain", f"{bad}\n")
        return _http("200 OK", *content)


async def _form(headers: Mapping[str, str], reader: asyncio.StreamReader) -> dict[str, str]:
    """The fields of a form (application/x-www-form-urlencoded); raises BadRequest."""
    length = headers.get("content-length", "")
    if not re.fullmatch("[0-9]{1,5}", length) or int(length) > _MAX_BODY_BYTES:
        raise BadRequest(f"a form has at most {_MAX_BODY_BYTES} bytes")
    body = await reader.readexactly(int(length))
    try:
        fields = parse_qsl(body.decode("ascii"), strict_parsing=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError as error:
        raise BadRequest("no form") from error
    return dict(fields)


def _http(status: str, content_type: str, text: str, headers: str = "") -> bytes:
    body = text.encode("utf-8")
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n"
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; form-action 'self'\r\n"
        f"Referrer-Policy: no-referrer\r\n{headers}Connection: close\r\n\r\n"
    ).encode("ascii") + body


def as_json(value: Any) -> str:
    """Indented JSON with a final newline."""
    return json.dumps(value, indent=2) + "\n"
