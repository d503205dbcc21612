# SPDX-License-Identifier: EUPL-1.2
"""The node's end of the link to its bench: virtual time, posted writes and requests (runs on MicroPython).

Scheduled callbacks (interrupt handlers) run at jumps of the byte code and may themselves use the link, so whatever
must not be torn apart stands between two jumps. Flash calls arrive with the heap locked: nothing on their way
allocates.
"""

import array
import gc
import sys

import _ops
import uctypes
from micropython import schedule

if False:  # types only
    from collections.abc import Callable
    from typing import NoReturn

    from machine import Pin

_WORDS = 128
_FULL = 56  # words after which posts are flushed; leaves room for a record of 512 bytes and another without data

_link = open(int(sys.argv[1]), "r+b")  # noqa: SIM115
_write = _link.write
_read = _link.readinto
_out = array.array("l", bytes(8 * _WORDS))  # not "q", whose items are big integers on the heap
_bytes = uctypes.bytearray_at(uctypes.addressof(_out), 8 * _WORDS)
_used = 0
_head = array.array("l", bytes(_ops.HEAD_BYTES))
_nothing = bytearray(0)

t: int = int(sys.argv[3])  # this node's virtual time, us; never behind the bench
horizon = 0  # nothing the node could notice happens before; 0 while posts wait
levels = 0  # all GPIOs, as of the last answer or as it foretold
answers = 0  # counts exchanges; a cached value is as old as its count
cpu_us = int(sys.argv[4])  # what a call into machine or time costs
wired = int(sys.argv[5])  # GPIOs that lead somewhere
handlers: "dict[int, tuple[Callable[[Pin], object], Pin]]" = {}  # GPIO: (handler, its Pin)
gone = 0  # the operation that ended this run: nothing reaches the bench any more
_masked = False
_held: "list[int]" = []


def _exchange(into: "bytearray | memoryview") -> int:
    """Send what is posted and take the answer to its last record; return the answer's value."""
    global t, horizon, levels, answers, _used
    if gone:
        raise SystemExit(gone)
    count = _used * 8
    _used = 0
    _write(_bytes, count)
    got = _read(_head)
    _read(into)
    t = _head[0]
    horizon = _head[1]
    levels = _head[2]
    value = _head[3]
    edges = _head[4]
    answers += 1
    if got != _ops.HEAD_BYTES:
        _lost()
    while edges:
        gpio = edges >> 1 & 63
        edges >>= 8
        if _masked:
            _held.append(gpio)
        else:
            _interrupt(gpio)
    return value


def _lost() -> "NoReturn":
    """The bench is gone; its process ends this one."""
    global gone
    gone = _ops.EXITED
    raise SystemExit(gone)


def _interrupt(gpio: int) -> None:
    if gpio in handlers:
        try:
            schedule(_handle, gpio)
        except RuntimeError:  # queue full: the edge is lost, as on the board
            pass


def _handle(gpio: int) -> None:
    entry = handlers.get(gpio)
    if entry:
        try:
            entry[0](entry[1])
        except Exception as e:
            sys.print_exception(e)
            post_data(_ops.HANDLER_FAILED, gpio, 0, repr(e).encode()[:200])


def mask(masked: bool) -> bool:
    """machine.disable_irq and enable_irq."""
    global _masked
    before = _masked
    _masked = masked
    while _held and not _masked:
        _interrupt(_held.pop(0))
    return before


def _flush() -> None:
    global _used
    _out[_used] = t
    _out[_used + 1] = _ops.SYNC
    _out[_used + 2] = t
    _used += 3
    _exchange(_nothing)


def post(op: int, device: int, argument: int) -> None:
    """Write something that has no answer; it rides along with the next request."""
    global horizon, _used
    if _used > _FULL:
        _flush()
    _out[_used] = t
    _out[_used + 1] = op | device << 8
    _out[_used + 2] = argument
    _used += 3
    horizon = 0


def note(op: int, device: int, argument: int) -> None:
    """As ``post``, for what makes nothing happen sooner that the node could notice: it goes on by itself."""
    global horizon
    until = horizon
    post(op, device, argument)
    horizon = until


def post_data(op: int, device: int, argument: int, data: "bytes | bytearray") -> None:
    """As ``post``, with up to 512 bytes."""
    global horizon, _used
    if _used > _FULL:
        _flush()
    _out[_used] = t
    _out[_used + 1] = op | device << 8 | len(data) << 16
    _out[_used + 2] = argument
    _bytes[8 * _used + 24 : 8 * _used + 24 + len(data)] = data
    _used += 3 + (len(data) + 7 >> 3)
    horizon = 0


def request(op: int, device: int, argument: int, into: "bytearray | memoryview" = _nothing) -> int:
    """Ask; return the answer's value, with its data in ``into``."""
    post(op, device, argument)
    return _exchange(into)


def transfer(op: int, device: int, data: "bytes | bytearray", into: bytearray, argument: int = 0) -> int:
    post_data(op, device, argument, data)
    return _exchange(into)


def program(address: int, data: bytearray) -> None:
    """Write flash: the data follow the record as they are, because nothing may be allocated here."""
    global t, horizon, levels, answers, _used
    if gone:
        raise SystemExit(gone)
    _out[_used] = t
    _out[_used + 1] = _ops.FLASH_PROGRAM
    _out[_used + 2] = address
    count = _used * 8 + 24
    _used = 0
    _write(_bytes, count)
    _write(data)
    got = _read(_head)
    t = _head[0]
    horizon = 0  # edges, if any, come with the next answer
    levels = _head[2]
    answers += 1
    if got != _ops.HEAD_BYTES:
        _lost()


def spend(us: int) -> None:
    """The processor or a bus is busy for so long."""
    global t
    t += us


def touch() -> None:
    """One call into machine or time: it takes a moment, and lets in what is due."""
    global t, levels
    t += cpu_us
    if t >= horizon:
        request(_ops.SYNC, 0, t)
    elif t >= _head[5]:
        levels = _head[6]


def sleep_until(end: int) -> None:
    """Let virtual time pass; handlers run at the moment of their edges."""
    global t
    while t < end:
        if end < horizon:
            t = end
        else:
            request(_ops.SYNC, 0, end)


def leave(op: int, argument: int = 0) -> "NoReturn":
    """Say the last word and end this run. What a ``finally`` still does reaches nothing any more."""
    global gone
    if gone:
        raise SystemExit(gone)
    gc.collect()
    post(_ops.HEAP_FREE, 0, gc.mem_free())
    post(op, 0, argument)
    _write(_bytes, _used * 8)
    gone = op
    raise SystemExit(op)
