# SPDX-License-Identifier: EUPL-1.2
"""The token of the operator's page, which names gateways and nodes: who can read its file may. Made at the first start.

decoders/access_token.py: how it is sent.
"""

import os
import secrets
from pathlib import Path

from cloud_ingest.errors import ConfigError

_CHARACTERS = range(16, 201)


def load(path: Path) -> str:
    """The token in ``path``; a missing file is made, mode 0600. Raises ConfigError."""
    try:
        if not path.exists():
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(16) + "\n")
        token = path.read_text("ascii").strip()
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigError(str(path), f"holds the operator's token and cannot be used ({error.strerror})") from error
    except UnicodeDecodeError:
        token, mode = "", 0
    if len(token) not in _CHARACTERS or not token.isprintable():
        raise ConfigError(str(path), "must hold the operator's token, 16 characters or more; delete it for a new one")
    if mode & 0o077:
        raise ConfigError(str(path), f"can be read by others (mode {mode & 0o777:04o}); run: chmod 600 {path}")
    return token
