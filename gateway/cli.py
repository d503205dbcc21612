# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk gateway``: run the service and ask it. ``devices`` is in devices_cli.py."""

import asyncio
import json
from pathlib import Path

import click

from gateway.certificate_request import certificate_request
from gateway.command import config_option, log_to_stderr, one_line_errors, open_database
from gateway.config import Config, load
from gateway.devices_cli import devices
from gateway.frames_cli import frames
from gateway.page_client import ask
from gateway.service import Gateway
from gateway.station_tokens import issue
from gateway.store import Store


@click.group()
def gateway() -> None:
    """The edge gateway: LoRaWAN network server with store and forward."""


gateway.add_command(devices)
gateway.add_command(frames)
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
    store = open_database(config)
    try:
        asyncio.run(_serve(config, store))
    finally:
        store.close()


async def _serve(config: Config, store: Store) -> None:
    await Gateway(config, store).run()


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
                words = " ".join(f"{key}={part}" for key, part in item.items() if key != "eui")
                click.echo(f"concentrator {item['eui']} {words}")
        else:
            click.echo(f"{name} {value}")


@gateway.group()
def stations() -> None:
    """LoRa Basics Stations that may connect."""


@stations.command("token")
@click.argument("eui")
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
