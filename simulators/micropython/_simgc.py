# SPDX-License-Identifier: EUPL-1.2
"""``gc`` of a board whose collections take long, as with PSRAM (runs on MicroPython).

A collection stops everything for the bench's ``gc_pause_us``. The collector of a real board strikes when an allocation
finds no room, which cannot be seen from here; this one strikes at calls into ``machine`` and ``time``, after 64 to 191
of them, unless it is switched off.
"""

import gc as _gc
import sys

import _simlink as _link

_pause_us = int(sys.argv[16])
_enabled = True
_draw: int = int(sys.argv[11]) & 0xFFFF
_left = 64
_touch = _link.touch

isenabled = _gc.isenabled
mem_alloc = _gc.mem_alloc
mem_free = _gc.mem_free
threshold = _gc.threshold


def collect() -> None:
    _gc.collect()
    _link.spend(_pause_us)


def disable() -> None:
    global _enabled
    _enabled = False
    _gc.disable()


def enable() -> None:
    global _enabled
    _enabled = True
    _gc.enable()


def _touched() -> None:
    global _left, _draw
    if _enabled:
        _left -= 1
        if _left <= 0:
            _draw = _draw * 75 % 65_537 or 1  # Lehmer
            _left = 64 + _draw % 128
            _link.spend(_pause_us)
    _touch()


_link.touch = _touched
