# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk node update``: a bundle goes to a node over the cable; the conversation is ``update_session.py``'s."""

import errno
import json
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import click
import serial  # type: ignore[import-untyped]
from serial.tools import list_ports  # type: ignore[import-untyped]

from decoders import console_frame as frames
from hardware.update_session import Session, Stage, UpdateFailed

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


def converse(cable: Cable, session: Session, name: str, wait_s: float) -> None:
    """Bring a conversation to its end, with a bar; raises ClickException."""
    deadline_s = time.monotonic() + wait_s
    is_open = False
    with ExitStack() as stack:
        bar = stack.enter_context(click.progressbar(length=max(1, session.size), label="update", file=sys.stderr))
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
                if session.stage is Stage.DONE:
                    break
                session.receive(cable.read(), time.monotonic())
            except UpdateFailed as failure:
                with suppress(OSError):
                    cable.write(frames.serialize(frames.BYE))
                raise click.ClickException(f"{name}: {failure}") from None
            except OSError:  # pyserial's errors are such
                cable.close()
                is_open = False
                if session.stage is not Stage.CALLING:  # until then it is the reset of a board with USB of its own
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


def _pulled(name: str, session: Session) -> str:
    done = f" at {100 * session.held // session.size} %" if session.size else ""
    return f"{name} is gone{done}: plug the cable in and run this again, it goes on from there"


@click.command()
@click.argument("bundle", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--port", required=True, help="The node's serial port, such as /dev/ttyUSB0.")
@click.option(
    "--wait", type=click.IntRange(1, 3600), default=60, show_default=True, help="Seconds for a node to answer."
)
@click.option("--reset/--no-reset", default=True, show_default=True, help="Reset the node by the cable, if it can.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def update(bundle: Path | None, port: str, wait: int, reset: bool, as_json: bool) -> None:
    """Send BUNDLE, as node bundle makes it, to the node at the cable; without BUNDLE, say what that node runs.

    A node listens for three seconds after a reset. If it does not answer, press its reset button while this waits.

    \b
    Example:
        stadtfunk node update --port /dev/ttyUSB0 bundle.sfb
    """
    try:
        content = None if bundle is None else bundle.read_bytes()
    except OSError as error:
        raise click.ClickException(f"{bundle}: {error.strerror}") from None
    began_s = time.monotonic()
    try:
        session = Session(content, began_s, wait)
    except UpdateFailed as failure:
        raise click.ClickException(f"{bundle}: {failure}") from None
    cable = Cable(port, reset)
    try:
        converse(cable, session, port, wait)
    finally:
        cable.close()
    click.echo(json.dumps(as_object(session, time.monotonic() - began_s)) if as_json else "\n".join(lines(session)))


def as_object(session: Session, seconds: float) -> dict[str, object]:
    """What ``--json`` prints."""
    info, header = session.info, session.header
    assert info is not None
    return {
        "board": info.board,
        "version": info.version,
        "on_trial": session.installed or info.trial or None,
        "installed": session.installed,
        "bundle_version": None if header is None else header.version,
        "bytes": session.size,
        "resumed_at": session.resumed_at,
        "seconds": round(seconds, 1),
    }


def lines(session: Session) -> list[str]:
    """What a technician reads."""
    info, header = session.info, session.header
    assert info is not None
    trial = f", version {info.trial} is on trial" if info.trial else ""
    if session.installed is not None:
        return [
            f"{info.board}: version {session.installed} is installed, in place of {info.version}, and on trial until "
            "the network answers it; leave its reset button alone until then"
        ]
    if header is not None:
        return [f"{info.board}: has version {header.version} already, nothing to do{trial}"]
    return [f"{info.board}: runs version {info.version}{trial}"]
