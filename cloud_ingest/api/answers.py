# SPDX-License-Identifier: EUPL-1.2
"""JSON answers with an ETag, and times as people's programs read them."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

MAX_AGE_S = 5


def answer(request: Request, body: Any, status: int = 200) -> Response:
    """``body`` as JSON; 304 when the caller has it already."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    return tagged(request, text, "application/json", status)


def tagged(request: Request, content: bytes, media_type: str, status: int = 200) -> Response:
    """``content`` with a weak ETag (compression may change its bytes)."""
    headers = {"Cache-Control": "no-store"}
    if status == 200:
        tag = f'W/"{hashlib.sha256(content).hexdigest()[:32]}"'
        headers = {"ETag": tag, "Cache-Control": f"public, max-age={MAX_AGE_S}"}
        if tag in (known.strip() for known in request.headers.get("if-none-match", "").split(",")):
            return Response(status_code=304, headers=headers)
    return Response(content, status, headers, media_type)


def iso(unix_s: float | None) -> str | None:
    """UTC with Z, to the millisecond where there are any; None for None."""
    if unix_s is None:
        return None
    moment = datetime.fromtimestamp(unix_s, UTC)
    text = moment.isoformat(timespec="milliseconds" if moment.microsecond >= 500 else "seconds")
    return text.replace("+00:00", "Z")
