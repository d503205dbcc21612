# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk simulate city``."""

import contextlib
import json
import re
import socket
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import click

from simulators.city import small_jena
from simulators.city_options import AIR, NODES, SEED, SPEED, TRAFFIC, FramesFile
from simulators.city_run import CityRun
from simulators.clock import DAY_US, HOUR_US
from simulators.concentrators import BASICS_STATION, GWMP
from simulators.gwmp_forwarder import GatewaySilent
from simulators.number import Number
from simulators.station_link import Rejected
from simulators.terminated import stop_as_by_ctrl_c
from simulators.town import GATEWAY_EUI

_SILENT_UPLINKS = 5  # so many without an answer, and none with one: say so


class Eui(click.ParamType["str"]):
    """16 hex digits, lower case from here on."""

    name = "EUI"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch("[0-9a-fA-F]{16}", value):
            self.fail(f"{value!r} is not an EUI of 16 hex digits.", param, ctx)
        return str(value).lower()


@click.command()
@NODES
@AIR
@TRAFFIC
@SEED
@SPEED
@click.option("--gwmp-host", default="127.0.0.1", show_default=True, help="The gateway's host.")
@click.option("--gwmp-port", default=1700, show_default=True, type=click.IntRange(1, 65535), help="Its UDP port.")
@click.option("--station-port", type=click.IntRange(1, 65535), help="Be a LoRa Basics Station, on this TCP port.")
@click.option("--gateway-eui", default=GATEWAY_EUI, show_default=True, type=Eui(), help="EUI of the concentrator.")
@click.option("--concentrators", default=1, show_default=True, type=click.IntRange(1, 20), help="How many of them.")
@click.option(
    "--interval", default=3600, show_default=True, type=click.IntRange(60, 57600), help="Seconds between samples."
)
@click.option("--days", type=Number(min=0, min_open=True), help="Stop after so many virtual days.")
@click.option("--frames", type=FramesFile(), help="Write every frame on the air to this file, JSON lines.")
@click.option("--lockstep", is_flag=True, help="Wait for the gateway's answer to every uplink, however long.")
@click.option("--registry", is_flag=True, help="Print the city's city.json and stop.")
@click.option("--devices", is_flag=True, help="Print the gateway's devices.csv and stop.")
@click.option("--json", "as_json", is_flag=True, help="Progress as JSON lines.")
def city(
    nodes: int,
    air: int,
    traffic: int,
    seed: int,
    speed: float | None,
    gwmp_host: str,
    gwmp_port: int,
    station_port: int | None,
    gateway_eui: str,
    concentrators: int,
    interval: int,
    days: float | None,
    frames: TextIO | None,
    lockstep: bool,
    registry: bool,
    devices: bool,
    as_json: bool,
) -> None:
    """The nodes of the small Jena and a concentrator, against a gateway that speaks GWMP or Basics Station.

    \b
    Example:
        stadtfunk simulate city --devices > devices.csv
    """
    jena = small_jena(seed, nodes, air, traffic)
    if registry or devices:
        click.echo(
            json.dumps(jena.registry(interval), ensure_ascii=False, indent=1) if registry else jena.devices_csv(),
            nl=registry,
        )
        return
    stop_as_by_ctrl_c()
    port = station_port or gwmp_port
    with _plain_errors(gwmp_host, port):
        address = socket.getaddrinfo(gwmp_host, gwmp_port, socket.AF_INET, socket.SOCK_DGRAM)[0][4]
        with CityRun(
            jena,
            gateway_eui,
            (str(address[0]), port),
            backhaul=GWMP if station_port is None else BASICS_STATION,
            concentrators=concentrators,
            interval_s=interval,
            speed=speed,
            lockstep=lockstep,
            frames=frames,
            report=_reporter(f"{gwmp_host}:{port}", as_json),
        ) as run:
            if days is not None:
                run.run_until(round(days * DAY_US))
            while days is None:
                run.run_until(run.clock.now_us + HOUR_US)
            _complain(run)


def _reporter(address: str, as_json: bool) -> Callable[[dict[str, Any]], None]:
    """Prints progress, and once that the gateway at ``address`` is silent."""
    silent = f"no answer from {address}; is the gateway running there?"

    def report(progress: dict[str, Any]) -> None:
        nonlocal silent
        if silent and progress["not_acknowledged"] >= _SILENT_UPLINKS and not progress["uplinks"]:
            click.echo(f"Warning: {silent}", err=True)
            silent = ""
        text = json.dumps(progress) if as_json else " ".join(f"{name}={value}" for name, value in progress.items())
        print(text, flush=True)

    return report


def _complain(run: CityRun) -> None:
    complaints = [f"node {number}: {text}" for number, node in enumerate(run.nodes) for text in node.complaints()]
    for complaint in complaints:
        click.echo(complaint, err=True)
    if complaints:
        raise click.ClickException(f"chips refused commands, or nodes crashed, {len(complaints)} times")


@contextlib.contextmanager
def _plain_errors(host: str, port: int) -> Iterator[None]:
    """What can go wrong on the way to the gateway, in one line; Ctrl-C ends the run quietly."""
    try:
        yield
    except KeyboardInterrupt:
        pass
    except socket.gaierror as error:
        raise click.ClickException(f"--gwmp-host {host}: {error.strerror}") from error
    except (GatewaySilent, Rejected) as error:
        raise click.ClickException(str(error)) from error
    except ConnectionRefusedError as error:
        raise click.ClickException(f"no answer from {host}:{port} ({error.strerror})") from error
