# SPDX-License-Identifier: EUPL-1.2
"""What a node's process and the bench say to each other: operations come in packets, each asked one is answered.

A record is time_us(8), operation(1) device(1) length(6), argument(8), data padded to 8; ``_ops`` has the operations.
An answer is seven words, as ``simulators/micropython/_simlink.py`` reads them, and data in a packet of its own.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from simulators.micropython import _ops
from simulators.process import Worker
from simulators.wires import SerialPort

_RECORD = struct.Struct("<qqq")
_ANSWER = struct.Struct("<qqqqqqq")


class Operation(NamedTuple):
    """What a node does at ``time_us``."""

    time_us: int
    op: int
    device: int
    argument: int
    data: bytes


def operations(worker: Worker) -> Iterator[Operation]:
    """Wait for the node's next packet; what is in it."""
    packet = worker.receive()
    offset = 0
    while offset < len(packet):
        time_us, code, argument = _RECORD.unpack_from(packet, offset)
        length = code >> 16
        data = bytes(packet[offset + 24 : offset + 24 + length]) if length else b""
        offset += 24 + (length + 7 & ~7)
        if code & 0xFF == _ops.FLASH_PROGRAM:  # the last record of its packet; its data come next
            data = bytes(worker.receive())
            offset = len(packet)
        yield Operation(time_us, code & 0xFF, code >> 8 & 0xFF, argument, data)


def answer(worker: Worker, words: tuple[int, int, int, int, int, int, int], data: bytes) -> None:
    """Let the node go on."""
    worker.send(_ANSWER.pack(*words))
    if data:
        worker.send(data)


def type_in(worker: Worker, console: SerialPort | None, interrupt: int) -> int:
    """Hand over what has arrived at the console; return how many bytes, and in bit 32 whether ``interrupt`` was one.

    ``interrupt``: the character that does not come through, -1 if all do.
    """
    if console is None:
        return 0
    data = bytes(console.received)
    console.received.clear()
    interrupted = 0 <= interrupt < 256 and interrupt in data
    if interrupted:
        data = data.replace(bytes([interrupt]), b"")
    worker.type(data)
    return len(data) | interrupted << 32
