# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk gateway downlink``: have the running service send something to a node."""

import json
from pathlib import Path

import click

from gateway.command import config_option, one_line_errors
from gateway.config import load
from gateway.page_client import tell


@click.command("downlink")
@click.argument("dev_eui")
@click.argument("f_port", type=int)
@click.argument("payload", metavar="HEX")
@click.option("--confirmed", is_flag=True, help="The node must acknowledge it.")
@click.option("--hours", type=float, default=24.0, show_default=True, help="Drop it if it is not sent by then.")
@click.option("--id", "command_id", default="", help="A name for it: asked for twice it is one.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object.")
@config_option
@one_line_errors
def downlink(
    dev_eui: str, f_port: int, payload: str, confirmed: bool, hours: float, command_id: str, as_json: bool,
    config_path: Path,
) -> None:  # fmt: skip
    """Queue a downlink for one node. It goes with the next answer, to a node of class C at once.

    What becomes of it: `stadtfunk gateway frames`.

    \b
    Example:
        stadtfunk gateway downlink 70b3d50000000001 21 0102ff --confirmed --config gateway.toml
    """
    fields = {"dev_eui": dev_eui, "f_port": f_port, "payload": payload, "hours": hours, "id": command_id}
    event = tell(load(config_path), "/downlink", **fields, confirmed="true" if confirmed else "false")
    if as_json:
        click.echo(json.dumps(event))
    elif event["state"] == "refused":
        raise click.ClickException(f"refused: {event['reason']}")
    else:
        click.echo(f"{event['state']} {event['id']}")
