# SPDX-License-Identifier: EUPL-1.2
"""Makes a bundle (bundle.py) of compiled modules: for tools, not on a node.

The caller signs: private keys never come in here.
"""

import hashlib
from collections.abc import Callable, Mapping

from decoders.bundle import SIGNATURE_SIZE, File, Header, MalformedBundle

NEEDED = ("firmware/app.mpy", "firmware/boards/this.mpy")  # what the start program loads


def build_bundle(
    version: int, board: str, modules: Mapping[str, bytes], sign: Callable[[bytes], tuple[int, int]]
) -> bytes:
    """The bundle of ``modules``, by path; ``sign`` gives (r, s) for the header.

    Raises MalformedBundle for what a node would refuse.
    """
    if not all(name in modules for name in NEEDED):
        raise MalformedBundle("files")
    if not 0 < version < 1 << 32:
        raise MalformedBundle("version")
    names = sorted(modules)
    files = [File(name, len(modules[name]), hashlib.sha256(modules[name]).digest()) for name in names]
    header = Header(version, board, tuple(files)).serialize()
    r, s = sign(header)
    half = SIGNATURE_SIZE // 2
    signature = r.to_bytes(half, "big") + s.to_bytes(half, "big")
    return header + signature + b"".join(modules[name] for name in names)
