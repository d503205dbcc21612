# SPDX-License-Identifier: EUPL-1.2
"""``os`` with randomness that a seed repeats (runs on MicroPython)."""

import _ops
import _simlink as _link
from uos import *  # noqa: F403


def urandom(count: int) -> bytes:
    data = bytearray(count)
    if count:
        _link.request(_ops.RANDOM, 0, count, data)
    return bytes(data)
