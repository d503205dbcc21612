# SPDX-License-Identifier: EUPL-1.2
"""One token for each Basics Station: a file of lines ``eui,sha256``, so that who reads it cannot use it.

A station keeps its token in ``tc.key`` as the line ``Authorization: Bearer TOKEN``. The file is read again when it has
changed. Tokens are long and random, so a plain hash of them cannot be searched for.
"""

import hashlib
import hmac
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from decoders.eui import EUI, is_eui
from gateway.errors import ConfigError, DevicesError, shown

_LINE = re.compile(f"({EUI}),([0-9a-f]{{64}})")


class Tokens:
    """The tokens of one file; raises ConfigError where it cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_at: tuple[int, int] | None = None
        self._owners: dict[str, str] = {}  # SHA-256: EUI
        self._refresh()

    def owner(self, authorization: str) -> str:
        """The EUI whose token the header holds; "" if it is nobody's."""
        with suppress(ConfigError):  # what was read last holds
            self._refresh()
        token = authorization.strip().removeprefix("Bearer ").strip()
        digest = _digest(token)
        return next((eui for known, eui in self._owners.items() if hmac.compare_digest(known, digest)), "")

    def euis(self) -> set[str]:
        """All that have one."""
        return set(self._owners.values())

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp == self._read_at:
                return
            lines = self._path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or error
            hint = "; 'stadtfunk gateway stations token' makes it" if isinstance(error, FileNotFoundError) else ""
            raise ConfigError("[basics_station]", f"tokens_file {self._path} cannot be read ({why}){hint}") from error
        owners = {}
        for number, line in enumerate(lines, 1):
            match = _LINE.fullmatch(line.strip())
            if match is None:
                raise ConfigError(
                    "[basics_station]", f"tokens_file {self._path}, line {number}: must be eui,sha256 of its token"
                )
            owners[match[2]] = match[1]
        self._owners, self._read_at = owners, stamp


def issue(path: Path, eui: str) -> str:
    """Make a new token for a station, replacing its old one, and return it; only its hash is kept.

    Raises DevicesError, ConfigError.
    """
    if not is_eui(eui):
        raise DevicesError([f"eui must be 16 lower-case hex digits, not {shown(eui)}"])
    token = secrets.token_urlsafe(32)
    try:
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        kept = [line for line in lines if not line.startswith(f"{eui},")]
        _replace(path, "".join(f"{line}\n" for line in [*kept, f"{eui},{_digest(token)}"]))
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError("[basics_station]", f"tokens_file {path} cannot be written ({problem})") from error
    return token


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
