# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk gateway devices``: the registry of devices that may join."""

import json
import logging
import os
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from decoders.profiles import PROFILES
from gateway import adr, mac_control
from gateway.command import config_option, eui_argument, log_to_stderr, one_line_errors, open_database
from gateway.config import load
from gateway.devices_file import FORMATS, device_from, read_app_key, read_devices, write_devices
from gateway.errors import GatewayError, NoSuchDevice
from gateway.node_table import HEADINGS, as_object, cells, live, node_rows, parse_interval
from gateway.page_client import ask
from gateway.store import Ledger

_log = logging.getLogger(__name__)


@click.group()
def devices() -> None:
    """The registry of devices that may join."""


@devices.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--profile",
    type=click.Choice(PROFILES),
    help="Payload layout, where the file names none.  [default: that of the device so far, or tree]",
)
@config_option
@one_line_errors
def import_devices(file: Path, profile: str | None, config_path: Path) -> None:
    """Store every device of a CSV file, or none if a row is bad. Doing it again changes nothing.

    The header tells whose file it is: ours, The Things Stack's or ChirpStack's.

    \b
    Example:
        stadtfunk gateway devices import devices.csv --config gateway.toml
    """
    config = load(config_path)
    with closing(open_database(config)) as store:
        known = {} if profile else {row[0]: row[1] for row in store.ledger.devices()}
        found = read_devices(file, profile or "tree", known)
        with store.transaction() as ledger:
            outcomes = Counter(ledger.put_device(device) for device in found)
    click.echo(", ".join(f"{outcomes[outcome]} {outcome}" for outcome in ("added", "changed", "unchanged")))


@devices.command("export")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_name",
    type=click.Choice(list(FORMATS)),
    default="stadtfunk",
    show_default=True,
    help="Who is to read it.",
)
@config_option
@one_line_errors
def export_devices(file: Path, format_name: str, config_path: Path) -> None:
    """Write every device with its key into a new CSV file, readable for its owner only.

    \b
    Example:
        stadtfunk gateway devices export devices.csv --format ttn --config gateway.toml
    """
    with closing(open_database(load(config_path))) as store:
        known = [store.ledger.device(row[0]) for row in store.ledger.devices()]
    count = write_devices(file, [device for device in known if device is not None], FORMATS[format_name])
    click.echo(f"{count} written")


@devices.command("show")
@eui_argument("dev_eui")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object.")
@config_option
@one_line_errors
def show_device(dev_eui: str, as_json: bool, config_path: Path) -> None:
    """Print what is known of one device and its session, without keys.

    \b
    Example:
        stadtfunk gateway devices show 70b3d50000000001
    """
    with closing(open_database(load(config_path))) as store:
        facts = facts_of(store.ledger, dev_eui)
    if as_json:
        click.echo(json.dumps(facts))
        return
    for name, value in facts.items():
        if name.endswith("_at") and value is not None:
            value = datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        click.echo(f"{name} {'-' if value is None else value}")


def facts_of(ledger: Ledger, dev_eui: str) -> dict[str, Any]:
    """Registry, session, agreements, link and battery of one device; raises NoSuchDevice."""
    device = ledger.device(dev_eui)
    if device is None:
        raise NoSuchDevice(dev_eui)
    battery, margin_db, status_at, class_c = ledger.status_of(dev_eui)
    facts: dict[str, Any] = {
        "dev_eui": dev_eui, "join_eui": device.join_eui, "name": device.name, "profile": device.profile,
        "class": "C" if class_c else "A", "dev_nonce": device.dev_nonce, "join_nonce": device.join_nonce,
        "battery": battery, "battery_margin_db": margin_db, "battery_at": status_at,
    }  # fmt: skip
    session = ledger.session_of(dev_eui)
    if session is None:
        return facts
    facts |= {
        "dev_addr": f"{session.dev_addr:08x}", "f_cnt_up": session.f_cnt_up, "f_cnt_down": session.f_cnt_down,
        "last_at": session.last_at,
    }  # fmt: skip
    state = mac_control.parse(session.mac)
    facts |= {
        "rx1_delay_s": state.rx1_delay_s, "rx1_dr_offset": state.rx1_dr_offset, "rx2_hz": state.rx2[0],
        "rx2_data_rate": state.rx2[1], "channels_hz": list(state.channels_hz), "max_duty_cycle": state.max_duty_cycle,
        "pending": [request.hex() for request in state.pending], "refused": [each.hex() for each in state.refused],
        "refused_data_rates": list(state.refused_rates), "refused_tx_powers": list(state.refused_powers),
    }  # fmt: skip
    if session.link:
        link = adr.parse(session.link)
        heard = [frame.snr / 4 for frame in link.frames if frame.heard]
        facts |= link.setting._asdict() | {
            "frames_known": len(link.frames), "frames_lost": len(link.frames) - len(heard),
            "lowest_snr_at_full_power_db": min(heard, default=None),
        }  # fmt: skip
    return facts


@devices.command("add")
@eui_argument("dev_eui")
@eui_argument("join_eui")
@click.option("--app-key-file", type=click.Path(path_type=Path), required=True, help="File that holds the key in hex.")
@click.option(
    "--profile", type=click.Choice(PROFILES), default="tree", show_default=True, help="Payload layout of the device."
)
@click.option("--name", default="", help="What people call it.")
@config_option
@one_line_errors
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
    with closing(open_database(config)) as store, store.transaction() as ledger:
        outcome = ledger.put_device(device)
    click.echo(outcome)


@devices.command("remove")
@eui_argument("dev_eui")
@config_option
@one_line_errors
def remove_device(dev_eui: str, config_path: Path) -> None:
    """Forget one device and its session. What it has sent goes on to the cloud.

    \b
    Example:
        stadtfunk gateway devices remove 70b3d50000000001
    """
    _change(config_path, "removed", dev_eui, lambda ledger: ledger.remove(dev_eui))


@devices.command("rearm")
@eui_argument("dev_eui")
@config_option
@one_line_errors
def rearm_device(dev_eui: str, config_path: Path) -> None:
    """Let one device join again although its memory was erased: its DevNonce may begin at 0.

    \b
    Example:
        stadtfunk gateway devices rearm 70b3d50000000001
    """
    _change(config_path, "rearmed", dev_eui, lambda ledger: ledger.rearm(dev_eui))


@devices.command("set")
@eui_argument("dev_eui")
@click.option("--interval", default="", help="How often it sends, such as 15min or 6h; learn: find out by listening.")
@click.option(
    "--class", "device_class", type=click.Choice(["A", "C"]), help="C: it is on mains power and listens all the time."
)
@click.option("--profile", type=click.Choice(PROFILES), help="Payload layout of the device.")
@click.option("--name", default=None, help="What people call it.")
@config_option
@one_line_errors
def set_device(
    dev_eui: str, interval: str, device_class: str | None, profile: str | None, name: str | None, config_path: Path
) -> None:  # fmt: skip
    """Change what is known of one device; its key and its session stay.

    \b
    Example:
        stadtfunk gateway devices set 70b3d50000000001 --interval 15min --class C
    """
    if not interval and device_class is None and not profile and name is None:
        raise click.UsageError("say what to set: --interval, --class, --profile or --name")
    interval_s = parse_interval(interval) if interval else None

    def change(ledger: Ledger) -> None:
        device = ledger.device(dev_eui)
        if device is None:
            raise NoSuchDevice(dev_eui)
        row = [dev_eui, device.join_eui, device.app_key.hex(), profile or device.profile]
        ledger.put_device(device_from([*row, device.name if name is None else name]))
        if device_class is not None:
            ledger.set_class(dev_eui, device_class)
        if interval:
            ledger.set_interval(dev_eui, interval_s)

    _change(config_path, "set", dev_eui, change)


def _change(config_path: Path, outcome: str, dev_eui: str, change: Callable[[Ledger], None]) -> None:
    config = load(config_path)
    log_to_stderr(config)
    with closing(open_database(config)) as store, store.transaction() as ledger:
        change(ledger)
    _log.info("device %s dev_eui=%s by_uid=%d", outcome, dev_eui, os.getuid())
    click.echo(outcome)


@devices.command("list")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, a list of objects.")
@one_line_errors
def list_devices(config_path: Path, as_json: bool) -> None:
    """Print every device without its key: alive or not, battery, link.

    While the service runs, missed uplinks and learned intervals are those of now; else those that were kept last.

    \b
    Example:
        stadtfunk gateway devices list --config gateway.toml
    """
    config = load(config_path)
    with closing(open_database(config)) as store:
        rows = node_rows(store.connection)
    try:
        now = ask(config, "/nodes")
    except GatewayError:  # it does not run, or this user may not ask it
        now = {}
    rows = [live(row, now.get(row.dev_eui)) for row in rows]
    if as_json:
        click.echo(json.dumps([as_object(row) for row in rows]))
        return
    if not rows:
        click.echo("no device yet: devices import or devices add registers one", err=True)
    table = [HEADINGS, *map(cells, rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table if rows else []:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
