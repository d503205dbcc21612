# SPDX-License-Identifier: EUPL-1.2
"""AES-128 (FIPS 197) and AES-CMAC (RFC 4493): over cryptolib on the node, over cryptography elsewhere."""

try:
    from cryptolib import aes as _Aes  # type: ignore[import-not-found]

    def encrypt_block(key: bytes, block: bytes) -> bytes:
        """Encrypt one or more 16-byte blocks, each by itself (ECB)."""
        out: bytes = _Aes(key, 1).encrypt(block)
        return out

    def decrypt_block(key: bytes, block: bytes) -> bytes:
        """Undo ``encrypt_block``."""
        out: bytes = _Aes(key, 1).decrypt(block)
        return out

    def cmac(key: bytes, message: bytes) -> bytes:
        """16 bytes of AES-CMAC. RFC 4493 2.3 "Subkey Generation Algorithm", 2.4 "MAC Generation Algorithm"."""
        subkey = _doubled(int.from_bytes(encrypt_block(key, bytes(16)), "big"))  # K1
        tail = len(message) - (len(message) - 1) % 16 - 1 if message else 0  # where the last, masked block starts
        last = message[tail:]
        if len(last) < 16:
            subkey = _doubled(subkey)  # K2
            last = last + b"\x80" + bytes(15 - len(last))
        masked = (int.from_bytes(last, "big") ^ subkey).to_bytes(16, "big")
        chain: bytes = _Aes(key, 2, bytes(16)).encrypt(message[:tail] + masked)  # CBC from a zero block
        return chain[-16:]

    def _doubled(value: int) -> int:
        value <<= 1
        return value ^ (1 << 128 | 0x87) if value >> 128 else value  # const_Rb

except ImportError:  # elsewhere, so that its names take no room on the node
    from decoders.lorawan.aes_elsewhere import cmac, decrypt_block, encrypt_block  # noqa: F401
