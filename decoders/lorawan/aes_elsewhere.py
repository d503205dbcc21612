# SPDX-License-Identifier: EUPL-1.2
"""AES-128 (FIPS 197) and AES-CMAC (RFC 4493) over cryptography: what ``aes`` is where there is no cryptolib."""

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.cmac import CMAC


def encrypt_block(key: bytes, block: bytes) -> bytes:
    """Encrypt one or more 16-byte blocks, each by itself (ECB)."""
    return Cipher(AES(key), ECB()).encryptor().update(block)


def decrypt_block(key: bytes, block: bytes) -> bytes:
    """Undo ``encrypt_block``."""
    return Cipher(AES(key), ECB()).decryptor().update(block)


def cmac(key: bytes, message: bytes) -> bytes:
    """16 bytes of AES-CMAC (RFC 4493)."""
    context = CMAC(AES(key))
    context.update(message)
    return context.finalize()
