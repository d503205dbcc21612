# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk node provision``: a board becomes a node, and a line of the gateway's devices file.

Who the node is comes from the operating system's entropy or from the caller, never from a default. The compiled
application and the layout of its identity are other folders': they come through entry points ``stadtfunk.node``.
"""

import json
import re
import secrets
import time
import tomllib
from collections.abc import Callable
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from decoders.profiles import PROFILES
from hardware.cable import Cable, converse
from hardware.devices_line import DeviceLine, Devices, read_lines
from hardware.errors import BenchError
from hardware.provision import Provisioning, Wanted
from hardware.raw_repl import RawRepl

_BOARDS = sorted(
    board["table"] for board in tomllib.loads(files("hardware").joinpath("boards.toml").read_text("utf-8"))["board"]
)
_KEY_BYTES, _EUI_BYTES, _PUBLIC_KEY_BYTES = 16, 8, 64
_LONGEST_NAME = 64


def _eui(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    if not re.fullmatch("[0-9a-fA-F]{16}", value) or value in ("0" * 16, "f" * 16):
        raise click.BadParameter(f"{value!r} is not an EUI of 16 hex digits.")
    return value.lower()


def _name(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if len(value) > _LONGEST_NAME or not value.isprintable():
        raise click.BadParameter(f"must be at most {_LONGEST_NAME} printable characters.")
    return value


def new_eui() -> str:
    """A locally administered EUI-64 (IEEE: bit 1 of the first byte set, bit 0 clear): no maker's, 62 random bits."""
    first, *rest = secrets.token_bytes(_EUI_BYTES)
    return bytes([first & 0xFC | 0x02, *rest]).hex()


def _read(path: Path, size: int, what: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from None
    if len(content) != size:
        raise click.ClickException(f"{path} is not {what}")
    return content


def _app_key(path: Path | None) -> bytes:
    """The key that the file holds, 32 hex digits, or a new one."""
    if path is None:
        return secrets.token_bytes(_KEY_BYTES)
    try:
        text = path.read_text("ascii").strip()
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        text = ""
    if not re.fullmatch("[0-9a-fA-F]{32}", text) or len(set(text)) == 1:
        raise click.ClickException(f"{path} does not hold a key of 32 hex digits")
    return bytes.fromhex(text)


def _part(name: str) -> Callable[..., Any]:
    """What another folder brings."""
    (entry,) = entry_points(group="stadtfunk.node", name=name)
    part: Callable[..., Any] = entry.load()
    return part


@click.command()
@click.option("--port", required=True, help="The board's serial port, such as /dev/ttyUSB0.")
@click.option("--profile", required=True, type=click.Choice(PROFILES), help="What it will measure.")
@click.option("--board", required=True, type=click.Choice(_BOARDS), help="Which board it is.")
@click.option(
    "--devices", type=click.Path(dir_okay=False, path_type=Path), default=Path("devices.csv"), show_default=True,
    help="Gets the node's line, key included, mode 0600: for `stadtfunk gateway devices import`.",
)  # fmt: skip
@click.option("--name", default="", callback=_name, help="Where it will stand, for the gateway's pages.")
@click.option(
    "--interval", default=3600, show_default=True, type=click.IntRange(60, 57600), help="Seconds between samples."
)
@click.option("--dev-eui", callback=_eui, help="Its DevEUI.  [default: a new one]")
@click.option("--join-eui", callback=_eui, help="Its JoinEUI.  [default: that of the file's last line, or a new one]")
@click.option(
    "--app-key-file", type=click.Path(dir_okay=False, path_type=Path),
    help="Holds its AppKey, 32 hex digits.  [default: a new key]",
)  # fmt: skip
@click.option(
    "--update-key", type=click.Path(dir_okay=False, path_type=Path),
    help="update_key.bin, as node keygen makes it: without it the node takes no updates.",
)  # fmt: skip
@click.option("--application/--no-application", default=True, show_default=True, help="Write the application, too.")
@click.option("--replace", is_flag=True, help="It may be a node already: its session and readings go.")
@click.option(
    "--wait", type=click.IntRange(1, 3600), default=60, show_default=True, help="Seconds for a board to answer."
)
@click.option("--reset/--no-reset", default=True, show_default=True, help="Reset the board by the cable, if it can.")
@click.option("--show-key", is_flag=True, help="Print the AppKey, too.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def provision(
    port: str, profile: str, board: str, devices: Path, name: str, interval: int, dev_eui: str | None,
    join_eui: str | None, app_key_file: Path | None, update_key: Path | None, application: bool, replace: bool,
    wait: int, reset: bool, show_key: bool, as_json: bool,
) -> None:  # fmt: skip
    """Make a node of the board at the cable: application, DevEUI, JoinEUI and AppKey, and its line for the gateway.

    The board has MicroPython on it. What is written is read back; the line is added when all is well.

    \b
    Example:
        stadtfunk node provision --port /dev/ttyUSB0 --profile tree --board heltec_v3 --name "Löbdergraben 1"
    """
    public = None if update_key is None else _read(update_key, _PUBLIC_KEY_BYTES, "a public key of node keygen")
    app_key = _app_key(app_key_file)
    try:
        modules = _part("application")(board) if application else None
    except OSError as error:
        raise click.ClickException(f"the application cannot be compiled: {error}") from None
    try:
        known = read_lines(devices)
        join_eui = join_eui or (known[-1].join_eui if known else new_eui())
        line = DeviceLine(dev_eui or new_eui(), join_eui, app_key.hex(), profile, name)
        identity = _part("identity")(line.dev_eui, line.join_eui, app_key, interval, profile=profile)
        file = Devices(devices)
        try:
            file.check(line)
            job = Provisioning(Wanted(board, identity, public, modules, replace))
            _write(job, port, wait, reset)
            file.append(line)
        finally:
            file.close()
    except BenchError as failure:
        raise click.ClickException(str(failure)) from None
    result = {
        **line._asdict(),
        "board": board,
        "interval_s": interval,
        "files_written": job.written,
        "application": "in ROM" if job.in_rom else "in /lib" if application else "as it was",
        "devices": str(devices),
    }
    if not show_key:
        del result["app_key"]
    click.echo(json.dumps(result, ensure_ascii=False) if as_json else "\n".join(_told(result)))


def _write(job: Provisioning, port: str, wait: int, reset: bool) -> None:
    cable = Cable(port, reset)
    try:
        converse(cable, RawRepl(job, time.monotonic(), wait), port, wait, "provision")
    finally:
        cable.close()


def _told(result: dict[str, Any]) -> list[str]:
    """What a technician reads."""
    key = [f"app_key {result['app_key']}"] if "app_key" in result else []
    files = "1 file" if result["files_written"] == 1 else f"{result['files_written']} files"
    return [
        f"{result['board']}: is the {result['profile']} node {result['dev_eui']} now, "
        f"a reading every {result['interval_s']} s; {files} written, "
        f"application {result['application']}",
        *key,
        f"{result['devices']}: has its line and its key; then: stadtfunk gateway devices import {result['devices']}",
    ]
