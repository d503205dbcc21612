# SPDX-License-Identifier: EUPL-1.2
"""``select`` in virtual time, for the console and nothing else (runs on MicroPython)."""

import sys

import _ops
import _simlink as _link
import micropython
import uselect

if False:  # types only
    from typing import Any

POLLIN = 1
_stdin = uselect.poll()
_stdin.register(sys.stdin, POLLIN)
_interrupt = 3  # ports/esp32, main.c: Ctrl-C raises KeyboardInterrupt unless the firmware says otherwise
_asked = -1  # the answers that had come when the bench was asked last


class _Micropython:
    """The module, but that this one is told which character interrupts."""

    def __getattr__(self, name: str) -> "Any":
        return getattr(micropython, name)

    def kbd_intr(self, character: int) -> None:
        global _interrupt
        _interrupt = character


sys.modules["micropython"] = _Micropython()  # type: ignore[assignment]


def _readable() -> bool:
    """Whether ``sys.stdin`` has something to read, be it that it arrives now."""
    global _asked
    _link.touch()
    if _stdin.poll(0):
        return True
    if not _link.wired >> _ops.CONSOLE_BIT & 1 or _asked == _link.answers:  # nothing comes before the horizon
        return False
    value = _link.request(_ops.CONSOLE_READ, 0, _interrupt)
    _asked = _link.answers
    if value >> 32:
        raise KeyboardInterrupt
    return value != 0


class poll:  # its name
    """``select.poll()``."""

    def register(self, stream: "Any", events: int = POLLIN) -> None:
        if stream not in (sys.stdin, sys.stdin.buffer) or events != POLLIN:
            raise NotImplementedError("the bench simulates select for sys.stdin only")

    def poll(self, timeout_ms: int = -1) -> "list[tuple[Any, int]]":
        """Wait until there is something to read, or for ``timeout_ms``."""
        until = _link.t + timeout_ms * 1000
        while not _readable():
            left = until - _link.t
            if timeout_ms >= 0 and left <= 0:
                return []
            if _link.wired >> _ops.CONSOLE_BIT & 1:
                _link.sleep_until(_link.t + (1000 if timeout_ms < 0 else min(left, 1000)))
            else:
                _link.sleep_until(until)
        return [(sys.stdin, POLLIN)]
