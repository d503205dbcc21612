# SPDX-License-Identifier: EUPL-1.2
"""JSON answers with an ETag, and times as people's programs read them."""

import asyncio
import gzip
import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

MAX_AGE_S = 5
MIN_GZIP_BYTES = 500
_GZIP_LEVEL = 5


async def answer(request: Request, body: Any, *, shared: bool = True) -> Response:
    """``body`` as JSON; 304 when the caller has it already. Written in a thread: it may be long."""
    return await asyncio.to_thread(lambda: tagged(request, _json(body), "application/json", shared=shared))


def tagged(request: Request, content: bytes, media_type: str, *, shared: bool = True) -> Response:
    """``content`` with a weak ETag (compression changes its bytes), compressed where the caller takes that.

    Not ``shared``: it depends on what the caller said of itself, and no cache may give it to others."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    kept_by = "public" if shared else "private"
    headers = {"ETag": f"W/{tag}", "Cache-Control": f"{kept_by}, max-age={MAX_AGE_S}", "Vary": "Accept-Encoding"}
    known = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    if known & {tag, "*"}:
        return Response(status_code=304, headers=headers)
    if len(content) >= MIN_GZIP_BYTES and "gzip" in request.headers.get("accept-encoding", ""):
        content = gzip.compress(content, _GZIP_LEVEL, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(content, 200, headers, media_type)


def _json(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def iso(unix_s: float | None) -> str | None:
    """UTC with Z, to the millisecond where there are any; None for None."""
    if unix_s is None:
        return None
    moment = datetime.fromtimestamp(unix_s, UTC)
    text = moment.isoformat(timespec="milliseconds" if moment.microsecond >= 500 else "seconds")
    return text.replace("+00:00", "Z")
