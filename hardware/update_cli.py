# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk node update``: a bundle goes to a node over the cable; the conversation is ``update_session.py``'s."""

import json
import time
from pathlib import Path

import click

from hardware.cable import Cable, converse
from hardware.update_session import Session, UpdateFailed


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
        converse(cable, session, port, wait, "update")
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
