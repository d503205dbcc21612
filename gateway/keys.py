# SPDX-License-Identifier: EUPL-1.2
"""Keys at rest: AES-256-GCM under a key-encryption key that lives outside the database.

The additional data binds a sealed key to its device, its column and its session, so that no row's key opens in another
row. A sealed key is nonce(12) | ciphertext | tag(16). NIST SP 800-38D 8.2.2 "RBG-based Construction" for the nonce.
"""

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import KeyFileError, StoreError

_KEY_BYTES = 32
_NONCE_BYTES = 12


class Keyring:
    """Seals and opens the keys of one database."""

    def __init__(self, key_encryption_key: bytes) -> None:
        self._cipher = AESGCM(key_encryption_key)

    def __repr__(self) -> str:
        return "Keyring(...)"

    def seal(self, key: bytes, *, dev_eui: str, column: str, session: int = -1) -> bytes:
        """Encrypt ``key`` for one column of one device (and session, where it has one)."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, key, _place(dev_eui, column, session))

    def open(self, sealed: bytes, *, dev_eui: str, column: str, session: int = -1) -> bytes:
        """Decrypt; raises StoreError when the key was sealed elsewhere, for another place, or changed."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _place(dev_eui, column, session))
        except (InvalidTag, ValueError) as error:
            raise StoreError(f"{column} of {dev_eui} does not open with this key file") from error


def _place(dev_eui: str, column: str, session: int) -> bytes:
    return f"{column}|{dev_eui}|{session}".encode("ascii")


def load_key_file(path: Path, *, create: bool) -> bytes:
    """Return the 32-byte key in ``path``; with ``create`` a missing file is made, mode 0600. Raises KeyFileError."""
    if create and not path.exists():
        _create(path)
    try:
        mode = path.stat().st_mode
        text = path.read_text("ascii").strip()
        key = bytes.fromhex(text)
    except FileNotFoundError as error:
        raise KeyFileError(
            path, "is missing; the database was encrypted with it: restore it from the backup"
        ) from error
    except OSError as error:
        raise KeyFileError(path, f"cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise KeyFileError(path, "is no key file: it must hold 64 hex digits") from error
    if len(key) != _KEY_BYTES:
        raise KeyFileError(path, "is no key file: it must hold 64 hex digits")
    if mode & 0o077:
        raise KeyFileError(path, f"can be read by others (mode {mode & 0o777:04o}); run: chmod 600 {path}")
    return key


def _create(path: Path) -> None:
    """Write a new key so that after a power cut there is a whole file or none."""
    part = path.with_name(path.name + ".new")
    try:
        part.unlink(missing_ok=True)
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(os.urandom(_KEY_BYTES).hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise KeyFileError(path, f"cannot be created ({error.strerror})") from error
