# SPDX-License-Identifier: EUPL-1.2
"""How commands ask the running service: over its local page, with the token from its file."""

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlencode

from gateway.config import Config
from gateway.errors import GatewayError
from gateway.page_token import load_token

_PATIENCE_S = 10.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # listens on all addresses; asked on one


class NoAnswer(GatewayError):
    """The service does not run, or does not answer."""


def ask(config: Config, path: str, **query: object) -> Any:
    """The JSON that the page answers on ``path``; raises NoAnswer, ConfigError."""
    return _request(config, path + (f"?{urlencode(query)}" if query else ""), None)


def tell(config: Config, path: str, **fields: object) -> Any:
    """Send a form to ``path``; the JSON that the page answers. Raises NoAnswer, ConfigError."""
    return _request(config, path, urlencode(fields).encode())


def _request(config: Config, target: str, body: bytes | None) -> Any:
    page = config.page
    host = _EVERYWHERE.get(page.host, page.host)
    place = f"[{host}]" if ":" in host else host
    url = f"http://{place}:{page.port}{target}"
    request = urllib.request.Request(url, data=body)
    if page.token_file.exists():
        request.add_header("Authorization", f"Bearer {load_token(page.token_file)}")
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=_PATIENCE_S) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 401:
            raise NoAnswer(f"{url} wants another token than {page.token_file} holds") from error
        raise NoAnswer(f"{url}: {error.read(1000).decode(errors='replace').strip()}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)  # of a URLError, without its wrapping
        why = getattr(reason, "strerror", None) or reason
        raise NoAnswer(f"no gateway answers at {url} ({why}); is it running?") from error
