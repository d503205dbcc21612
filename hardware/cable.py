# SPDX-License-Identifier: EUPL-1.2
"""The cable to a node: a serial port that comes and goes, and a conversation over it with somebody who watches."""

import errno
import sys
import time
from contextlib import ExitStack, suppress
from typing import Protocol

import click
import serial  # type: ignore[import-untyped]
from serial.tools import list_ports  # type: ignore[import-untyped]

from hardware.errors import BenchError

_BAUD = 115_200
_READ_S = 0.02
_RESET_S = 0.1
_STRAP_S = 0.3  # the chip has looked at its boot pin by then
_AGAIN_S = 0.2


class Cable:
    """The port, which is not there while a node with USB of its own sleeps. Raises ClickException, OSError if it goes.

    ``reset``: pulse the control lines once, which resets most boards.
    """

    def __init__(self, name: str, reset: bool) -> None:
        self._name = name
        self._reset = reset
        self._port: serial.Serial | None = None

    def open(self) -> bool:
        """Whether the port is there, and now ours."""
        try:
            self._port = serial.Serial(self._name, _BAUD, timeout=_READ_S, write_timeout=5, exclusive=True)
        except serial.SerialException as error:
            if isinstance(error.__context__, PermissionError):
                hint = "join the group that may use it, often: sudo usermod -aG dialout $USER"
                raise click.ClickException(f"{self._name}: permission denied; {hint}") from None
            if isinstance(error.__context__, BlockingIOError) or "exclusively" in str(error):
                raise click.ClickException(f"{self._name} is used by another program; end that first") from None
            if _is_no_serial_port(error.__context__):
                raise click.ClickException(f"{self._name} is not a serial port; {_ports()}") from None
            return False
        if self._reset:
            self._reset = False
            with suppress(OSError):  # a port without such lines
                self._pulse(self._port)
        return True

    @staticmethod
    def _pulse(port: serial.Serial) -> None:
        """Espressif's boards: RTS alone resets, DTR alone asks for the boot loader, both together do nothing."""
        port.dtr = False
        port.rts = True
        time.sleep(_RESET_S)
        port.rts = False
        time.sleep(_STRAP_S)
        port.dtr = True
        port.rts = True

    def read(self) -> bytes:
        assert self._port is not None
        data: bytes = self._port.read(max(1, self._port.in_waiting))
        return data

    def write(self, data: bytes) -> None:
        assert self._port is not None
        self._port.write(data)

    def close(self) -> None:
        if self._port is not None:
            with suppress(OSError):
                self._port.close()
            self._port = None


class Conversation(Protocol):
    """Bytes and times in, bytes out; ``poll`` and ``receive`` raise BenchError. ``held`` of ``size`` bytes are done.

    ``is_calling``: nobody has answered yet, or the board resets, so its port may go and come. ``farewell``: what is
    said when it fails.
    """

    farewell: bytes

    @property
    def size(self) -> int: ...
    @property
    def held(self) -> int: ...
    @property
    def is_calling(self) -> bool: ...
    @property
    def is_done(self) -> bool: ...
    def poll(self, now_s: float) -> bytes: ...
    def receive(self, data: bytes, now_s: float) -> None: ...


def converse(cable: Cable, session: Conversation, name: str, wait_s: float, label: str) -> None:
    """Bring a conversation to its end, with a bar called ``label``; raises ClickException."""
    deadline_s = time.monotonic() + wait_s
    is_open = False
    with ExitStack() as stack:
        bar = stack.enter_context(
            click.progressbar(length=max(1, session.size), label=label, file=sys.stderr, hidden=not sys.stderr.isatty())
        )
        while True:
            now_s = time.monotonic()
            try:
                if not is_open:
                    is_open = cable.open()
                    if not is_open:
                        if now_s > deadline_s:
                            raise click.ClickException(_no_port(name))
                        time.sleep(_AGAIN_S)
                        continue
                data = session.poll(now_s)
                if data:
                    cable.write(data)
                if session.is_done:
                    break
                session.receive(cable.read(), time.monotonic())
            except BenchError as failure:
                with suppress(OSError):
                    cable.write(session.farewell)
                raise click.ClickException(f"{name}: {failure}") from None
            except OSError:  # pyserial's errors are such
                cable.close()
                is_open = False
                if not session.is_calling:  # until then it is the reset of a board with USB of its own
                    raise click.ClickException(_pulled(name, session)) from None
                continue
            bar.update(session.held - bar.pos)
        bar.update(max(1, session.size) - bar.pos)


def _is_no_serial_port(error: BaseException | None) -> bool:
    """Whether what was opened is a file, a folder or another device. termios' errors have no errno."""
    return error is not None and error.args[:1] in ((errno.ENOTTY,), (errno.EISDIR,))


def _no_port(name: str) -> str:
    return f"there is no port {name}; {_ports()}"


def _ports() -> str:
    ports = sorted(port.device for port in list_ports.comports())
    return f"there are: {', '.join(ports)}" if ports else "no node is plugged in"


def _pulled(name: str, session: Conversation) -> str:
    done = f" at {100 * session.held // session.size} %" if session.size else ""
    return f"{name} is gone{done}: plug the cable in and run this again, it goes on from there"
