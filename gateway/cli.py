# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk gateway``: run the service and ask it. ``devices`` is in devices_cli.py."""

import asyncio
import json
from contextlib import closing
from pathlib import Path

import click

from gateway.card_cli import export, fsck
from gateway.certificate_request import certificate_request
from gateway.command import config_option, eui_argument, log_to_stderr, one_line_errors, open_database
from gateway.config import Config, load
from gateway.database import only_service
from gateway.devices_cli import devices
from gateway.downlink_cli import downlink
from gateway.frames_cli import frames
from gateway.kernel_clock import is_synchronized
from gateway.liveness_table import LivenessTable
from gateway.page_client import ask
from gateway.quarantine_cli import quarantine
from gateway.service import Gateway
from gateway.station_tokens import issue
from gateway.store import Store

_LISTED = {"concentrator_list": "concentrator", "lanes": "lane"}  # lists of /status, by what they hold


@click.group()
def gateway() -> None:
    """The edge gateway: LoRaWAN network server with store and forward."""


gateway.add_command(devices)
gateway.add_command(frames)
gateway.add_command(downlink)
gateway.add_command(fsck)
gateway.add_command(export)
gateway.add_command(quarantine)
gateway.add_command(certificate_request)


@gateway.command()
@config_option
@one_line_errors
def run(config_path: Path) -> None:
    """Run the service until SIGTERM or Ctrl-C.

    \b
    Example:
        stadtfunk gateway run --config gateway.toml
    """
    config = load(config_path)
    log_to_stderr(config)
    with closing(open_database(config)) as store, only_service(config.gateway.database):
        asyncio.run(_serve(config, store))


async def _serve(config: Config, store: Store) -> None:
    trusted = config.network.trust_clock
    await Gateway(config, store, is_synchronized=lambda: trusted or is_synchronized()).run()


@gateway.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print the whole status as JSON.")
@one_line_errors
def status(config_path: Path, as_json: bool) -> None:
    """Print the running service's state and counters.

    \b
    Example:
        stadtfunk gateway status --config gateway.toml
    """
    document = ask(load(config_path), "/status")
    if as_json:
        click.echo(json.dumps(document))
        return
    for name, value in document.items():
        if isinstance(value, dict):
            for inner, count in value.items():
                if count:
                    click.echo(f"{name}.{inner} {count}")
        elif isinstance(value, list):
            for item in value:
                (_, who), *rest = item.items()
                click.echo(f"{_LISTED[name]} {who} " + " ".join(f"{key}={part}" for key, part in rest))
        else:
            click.echo(f"{name} {value}")


@gateway.group()
def stations() -> None:
    """Concentrators: LoRa Basics Stations that may connect, and those that were taken down."""


@stations.command("forget")
@eui_argument("eui")
@config_option
@one_line_errors
def forget_station(eui: str, config_path: Path) -> None:
    """Watch a concentrator no longer that was taken down, of whatever kind. It is watched again when it brings a frame.

    \b
    Example:
        stadtfunk gateway stations forget 0016c001ff10b001 --config gateway.toml
    """
    with closing(open_database(load(config_path))) as store, store.transaction():
        LivenessTable(store.connection).forget_concentrator(eui)
    click.echo("forgotten")


@stations.command("token")
@eui_argument("eui")
@config_option
@one_line_errors
def station_token(eui: str, config_path: Path) -> None:
    """Make the token of one station, and print the line for its tc.key. An older one of it no longer holds.

    \b
    Example:
        stadtfunk gateway stations token 0016c001ff10b001 --config gateway.toml
    """
    path = load(config_path).basics_station.tokens_file
    if path is None:
        raise click.ClickException(f"{config_path}: tokens_file in [basics_station] is missing; give it a path")
    click.echo(f"Authorization: Bearer {issue(path, eui)}")
