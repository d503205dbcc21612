# SPDX-License-Identifier: EUPL-1.2
"""Functions of ``machine`` that our firmware does not use (runs on MicroPython)."""

import sys

import _ops
import _simlink as _link

_hz = 160_000_000


def unique_id() -> bytes:
    return bytes.fromhex(sys.argv[9])


def freq(hz: "int | None" = None) -> "int | None":
    global _hz
    if hz is None:
        return _hz
    if hz not in (20_000_000, 40_000_000, 80_000_000, 160_000_000, 240_000_000):
        raise ValueError("frequency must be 20MHz, 40MHz, 80Mhz, 160MHz or 240MHz")
    _hz = hz
    return None


def idle() -> None:
    _link.touch()


def disable_irq() -> bool:
    return _link.mask(True)


def enable_irq(state: bool) -> None:
    _link.mask(state)


def soft_reset() -> None:
    _link.leave(_ops.SOFT_RESET)
