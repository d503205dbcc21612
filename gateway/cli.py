# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk gateway``: run the service, ask it, and keep its registry of devices."""

import asyncio
import json
import logging
import os
import urllib.request
from collections import Counter
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from gateway.config import Config, load
from gateway.devices_file import device_from, read_app_key, read_devices
from gateway.errors import GatewayError
from gateway.service import Gateway
from gateway.station_tokens import issue
from gateway.store import Ledger, Store, open_store

_log = logging.getLogger(__name__)

_P = ParamSpec("_P")
_R = TypeVar("_R")

_config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default="gateway.toml",
    show_default=True,
    help="The gateway's TOML file.",
)


def _one_line_errors(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """What an operator must put right ends the command with its message and status 1."""

    @wraps(command)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return command(*args, **kwargs)
        except GatewayError as error:
            raise click.ClickException(str(error)) from error

    return run


def _open(config: Config) -> Store:
    return open_store(config.gateway.database, config.gateway.key_file)


@click.group()
def gateway() -> None:
    """The edge gateway: LoRaWAN network server with store and forward."""


@gateway.command()
@_config_option
@_one_line_errors
def run(config_path: Path) -> None:
    """Run the service until SIGTERM or Ctrl-C.

    \b
    Example:
        stadtfunk gateway run --config gateway.toml
    """
    config = load(config_path)
    _log_to_stderr(config)
    store = _open(config)
    try:
        asyncio.run(_serve(config, store))
    finally:
        store.close()


async def _serve(config: Config, store: Store) -> None:
    await Gateway(config, store).run()


@gateway.command()
@_config_option
@click.option("--json", "as_json", is_flag=True, help="Print the whole status as JSON.")
@_one_line_errors
def status(config_path: Path, as_json: bool) -> None:
    """Print the running service's state and counters.

    \b
    Example:
        stadtfunk gateway status --config gateway.toml
    """
    page = load(config_path).page
    url = f"http://{page.host}:{page.port}/status"
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5) as response:
            document = json.load(response)
    except (OSError, ValueError) as error:
        raise click.ClickException(f"no gateway answers at {url} ({error}); is it running?") from error
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
def devices() -> None:
    """The registry of devices that may join."""


@devices.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@_config_option
@_one_line_errors
def import_devices(file: Path, config_path: Path) -> None:
    """Store every device of a CSV file, or none if a row is bad. Doing it again changes nothing.

    \b
    Example:
        stadtfunk gateway devices import devices.csv --config gateway.toml
    """
    config = load(config_path)
    found = read_devices(file)
    store = _open(config)
    try:
        with store.transaction() as ledger:
            outcomes = Counter(ledger.put_device(device) for device in found)
    finally:
        store.close()
    click.echo(", ".join(f"{outcomes[outcome]} {outcome}" for outcome in ("added", "changed", "unchanged")))


@devices.command("add")
@click.argument("dev_eui")
@click.argument("join_eui")
@click.option("--app-key-file", type=click.Path(path_type=Path), required=True, help="File that holds the key in hex.")
@click.option("--profile", default="tree", show_default=True, help="Payload layout of the device.")
@click.option("--name", default="", help="What people call it.")
@_config_option
@_one_line_errors
def add_device(
    dev_eui: str, join_eui: str, app_key_file: Path, profile: str, name: str, config_path: Path
) -> None:  # fmt: skip
    """Store one device. Its key comes from a file, so that it stands in no shell history.

    \b
    Example:
        stadtfunk gateway devices add 70b3d50000000001 70b3d50000000000 --app-key-file key.hex
    """
    config = load(config_path)
    device = device_from([dev_eui, join_eui, read_app_key(app_key_file), profile, name])
    store = _open(config)
    try:
        with store.transaction() as ledger:
            outcome = ledger.put_device(device)
    finally:
        store.close()
    click.echo(outcome)


@devices.command("remove")
@click.argument("dev_eui")
@_config_option
@_one_line_errors
def remove_device(dev_eui: str, config_path: Path) -> None:
    """Forget one device and its session. What it has sent goes on to the cloud.

    \b
    Example:
        stadtfunk gateway devices remove 70b3d50000000001
    """
    _change(config_path, "removed", dev_eui, lambda ledger: ledger.remove(dev_eui))


@devices.command("rearm")
@click.argument("dev_eui")
@_config_option
@_one_line_errors
def rearm_device(dev_eui: str, config_path: Path) -> None:
    """Let one device join again although its memory was erased: its DevNonce may begin at 0.

    \b
    Example:
        stadtfunk gateway devices rearm 70b3d50000000001
    """
    _change(config_path, "rearmed", dev_eui, lambda ledger: ledger.rearm(dev_eui))


@devices.command("class")
@click.argument("dev_eui")
@click.argument("device_class", metavar="CLASS", type=click.Choice(["A", "C"]))
@_config_option
@_one_line_errors
def set_class(dev_eui: str, device_class: str, config_path: Path) -> None:
    """Say whether one device listens all the time: C, for one on mains power. A device begins as A.

    \b
    Example:
        stadtfunk gateway devices class 70b3d50000000001 C
    """
    _change(config_path, f"class {device_class}", dev_eui, lambda ledger: ledger.set_class(dev_eui, device_class))


def _change(config_path: Path, outcome: str, dev_eui: str, change: Callable[[Ledger], None]) -> None:
    config = load(config_path)
    _log_to_stderr(config)
    store = _open(config)
    try:
        with store.transaction() as ledger:
            change(ledger)
    finally:
        store.close()
    _log.info("device %s dev_eui=%s by_uid=%d", outcome, dev_eui, os.getuid())
    click.echo(outcome)


def _log_to_stderr(config: Config) -> None:
    logging.basicConfig(level=config.log.level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")


@gateway.group()
def stations() -> None:
    """LoRa Basics Stations that may connect."""


@stations.command("token")
@click.argument("eui")
@_config_option
@_one_line_errors
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


@devices.command("list")
@_config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, a list of objects.")
@_one_line_errors
def list_devices(config_path: Path, as_json: bool) -> None:
    """Print every device, without its key.

    \b
    Example:
        stadtfunk gateway devices list --config gateway.toml
    """
    store = _open(load(config_path))
    try:
        rows = store.ledger.devices()
    finally:
        store.close()
    if as_json:
        names = ("dev_eui", "profile", "name", "dev_nonce")
        click.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows]))
        return
    for dev_eui, profile, name, dev_nonce in rows:
        click.echo(f"{dev_eui} {profile} {'joined' if dev_nonce >= 0 else 'never joined'} {name}")
