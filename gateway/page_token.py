# SPDX-License-Identifier: EUPL-1.2
"""The token of the local page: whoever can read its file may see single nodes. Made at the first start.

decoders/access_token.py: how it is sent.
"""

import hmac
import os
import secrets
from pathlib import Path

from gateway.errors import ConfigError

_MAX_CHARACTERS = 200


def load_token(path: Path, *, create: bool = False) -> str:
    """The token in ``path``; with ``create`` a missing file is made, mode 0600. Raises ConfigError."""
    try:
        if create and not path.exists():
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(16) + "\n")
        token = path.read_text("ascii").strip()
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigError(path, f"cannot be read ({error.strerror}); it holds the token of the local page") from error
    except UnicodeDecodeError:
        token, mode = "", 0
    if not 16 <= len(token) <= _MAX_CHARACTERS or not token.isprintable():
        raise ConfigError(path, "must hold the token of the local page, 16 characters or more; delete it for a new one")
    if mode & 0o077:
        raise ConfigError(path, f"can be read by others (mode {mode & 0o777:04o}); run: chmod 600 {path}")
    return token


def form_key(token: str) -> str:
    """What a form of our own page sends along; another site's form, in the same browser, cannot know it."""
    return hmac.digest(token.encode(), b"form", "sha256").hex()
