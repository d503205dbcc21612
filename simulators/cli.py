# SPDX-License-Identifier: EUPL-1.2
"""Commands of the simulators: ``stadtfunk demo`` and ``stadtfunk simulate``."""

import contextlib
import json
import re
import signal
import socket
import sys
from pathlib import Path
from typing import Any, TextIO

import click

from decoders.profiles import PROFILES
from simulators import bench_adr, bench_history, bench_node, bench_payload, bench_windows
from simulators import demo as screen
from simulators.city import small_jena
from simulators.city_run import DAY_US, HOUR_US, CityRun
from simulators.concentrators import BASICS_STATION, GWMP
from simulators.edge_cli import edge
from simulators.gwmp_forwarder import GatewaySilent
from simulators.lns_cli import downlinks, lns
from simulators.node_budget import HEAP_WK, smallest_heap_wk
from simulators.node_run import one_cpu, run_node, table
from simulators.number import Number
from simulators.outage_cli import outage_command
from simulators.station_link import Rejected
from simulators.town import GATEWAY_EUI, Town, TownError, check_port

_SILENT_UPLINKS = 5  # so many without an answer, and none with one: say so


class Speed(click.ParamType["float | None"]):
    """Virtual seconds per real second, or ``max`` (None)."""

    name = "X|max"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        if value in (None, "max"):
            return None
        with contextlib.suppress(ValueError):
            speed = float(value)
            if 0 < speed < 1e9:
                return speed
        self.fail(f"{value!r} is neither a number above 0 nor 'max'.", param, ctx)


NODES = click.option(
    "--nodes", default=12, show_default=True, type=click.IntRange(1, 200), help="How many trees have one."
)
AIR = click.option(
    "--air", default=2, show_default=True, type=click.IntRange(0, 2), help="How many air quality stations."
)
TRAFFIC = click.option(
    "--traffic", default=2, show_default=True, type=click.IntRange(0, 2), help="How many traffic counters."
)
SEED = click.option("--seed", default=1, show_default=True, help="The same seed gives the same city and frames.")
SPEED = click.option(
    "--speed", default="3600", show_default=True, type=Speed(), help="Virtual seconds per real second."
)


class Eui(click.ParamType["str"]):
    """16 hex digits, lower case from here on."""

    name = "EUI"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch("[0-9a-fA-F]{16}", value):
            self.fail(f"{value!r} is not an EUI of 16 hex digits.", param, ctx)
        return str(value).lower()


class FramesFile(click.File):
    """A file opened for writing at once, so that a wrong path fails before the run and not after it."""

    def __init__(self) -> None:
        super().__init__("w", encoding="utf-8", lazy=False)


def _stop(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


@click.command()
@NODES
@AIR
@TRAFFIC
@click.option(
    "--port", default=8080, show_default=True, type=click.IntRange(1, 65535), help="Of the page, on 127.0.0.1."
)
@click.option("--until-alert", is_flag=True, help="Exit 0 once a watering alert is public.")
@SPEED
@SEED
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Where it keeps its files; emptied first.  [default: .demo/PORT]"
)
def demo(
    nodes: int,
    air: int,
    traffic: int,
    port: int,
    until_alert: bool,
    speed: float | None,
    seed: int,
    folder: Path | None,
) -> None:
    """A small Jena on this machine: nodes, gateway, broker, cloud and page, until Ctrl-C.

    \b
    Example:
        stadtfunk demo --until-alert --port 18080
    """
    signal.signal(signal.SIGTERM, _stop)
    town = None
    try:
        check_port(port)
        town = Town(
            folder or Path(".demo", str(port)), http_port=port, nodes=nodes, air=air, traffic=traffic, seed=seed
        )
        screen.run(town, speed=speed, until_alert=until_alert)
    except TownError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        pass
    finally:
        if town is not None:
            town.stop()
            click.echo("stopped.")


@click.group()
def simulate() -> None:
    """Simulated hardware against real services."""


@simulate.command()
@NODES
@AIR
@TRAFFIC
@SEED
@SPEED
@click.option("--gwmp-host", default="127.0.0.1", show_default=True, help="Where the gateway listens.")
@click.option("--gwmp-port", default=1700, show_default=True, type=click.IntRange(1, 65535), help="And on which port.")
@click.option("--station-port", type=click.IntRange(1, 65535), help="Be a LoRa Basics Station, on this TCP port.")
@click.option("--gateway-eui", default=GATEWAY_EUI, show_default=True, type=Eui(), help="Of the concentrator.")
@click.option("--concentrators", default=1, show_default=True, type=click.IntRange(1, 20), help="How many.")
@click.option("--interval", default=3600, show_default=True, type=click.IntRange(60, 57600), help="Of the readings, s.")
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
    signal.signal(signal.SIGTERM, _stop)
    port = station_port or gwmp_port
    silent = f"no answer from {gwmp_host}:{port}; is the gateway running there?"

    def report(progress: dict[str, Any]) -> None:
        nonlocal silent
        if silent and progress["not_acknowledged"] >= _SILENT_UPLINKS and not progress["uplinks"]:
            click.echo(f"Warning: {silent}", err=True)
            silent = ""
        text = json.dumps(progress) if as_json else " ".join(f"{name}={value}" for name, value in progress.items())
        print(text, flush=True)

    try:
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
            report=report,
        ) as run:
            if days is not None:
                run.run_until(round(days * DAY_US))
            while days is None:
                run.run_until(run.clock.now_us + HOUR_US)
            complaints = [
                f"node {number}: {text}" for number, node in enumerate(run.nodes) for text in node.complaints()
            ]
            for complaint in complaints:
                click.echo(complaint, err=True)
            if complaints:
                raise click.ClickException(f"chips refused commands, or nodes crashed, {len(complaints)} times")
    except KeyboardInterrupt:
        pass
    except socket.gaierror as error:
        raise click.ClickException(f"--gwmp-host {gwmp_host}: {error.strerror}") from error
    except (GatewaySilent, Rejected) as error:
        raise click.ClickException(str(error)) from error
    except ConnectionRefusedError as error:
        raise click.ClickException(f"no answer from {gwmp_host}:{port} ({error.strerror})") from error


@simulate.command()
@click.option("--profile", type=click.Choice(PROFILES), default="tree", show_default=True, help="What it measures.")
@click.option("--days", default=30.0, show_default=True, type=Number(min=0, min_open=True), help="Virtual days.")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same frames.")
@click.option("--interval", default=900, show_default=True, type=click.IntRange(60, 57600), help="Of the readings, s.")
@click.option(
    "--downlinks",
    default=0.05,
    show_default=True,
    type=Number(0, 1),
    help="Share of the uplinks that get a downlink without having asked.",
)
@click.option("--frames", type=FramesFile(), help="Write every frame on the air to this file, JSON lines.")
@click.option("--json", "as_json", is_flag=True, help="The facts as JSON.")
def node(
    profile: str, days: float, seed: int, interval: int, downlinks: float, frames: TextIO | None, as_json: bool
) -> None:
    """One node against a small network: link, readings, energy, flash wear, heap, speed.

    \b
    Example:
        stadtfunk simulate node --days 30 --seed 7
    """
    signal.signal(signal.SIGTERM, _stop)
    with contextlib.ExitStack() as stack:
        stack.enter_context(one_cpu())
        bar = stack.enter_context(click.progressbar(length=1000, label="days", file=sys.stderr))
        facts = run_node(
            days,
            seed,
            profile=profile,
            interval_s=interval,
            downlink_share=downlinks,
            frames=frames,
            progress=lambda done: bar.update(round(done * 1000) - bar.pos),
        )
        facts = facts._replace(heap_spare_kb=HEAP_WK - smallest_heap_wk("tubes" if profile == "traffic" else profile))
    if as_json:
        click.echo(json.dumps(facts.as_json(), ensure_ascii=False, indent=1))
    else:
        for what, value in table(facts):
            click.echo(f"{what:<20}{value}")
    for complaint in facts.complaints:
        click.echo(complaint, err=True)
    if not facts.uplinks:
        raise click.ClickException("the node has sent nothing; see above what its chips and its console say")


@click.group()
def bench() -> None:
    """What things cost; each bench writes .bench/NAME.json."""


bench.add_command(lns)
bench.add_command(downlinks)
bench.add_command(edge)
bench.add_command(outage_command)


@bench.command("node")
@click.option("--days", default=3.0, show_default=True, type=Number(min=0.1), help="Virtual days of the run.")
@click.option("--seed", default=7, show_default=True, help="The same seed gives the same frames.")
@click.option("--json", "as_json", is_flag=True, help="The rows as JSON.")
def bench_the_node(days: float, seed: int, as_json: bool) -> None:
    """Bytes of code, heap, bus transfers and energy of the node, and how fast its simulation runs.

    \b
    Example:
        stadtfunk bench node --days 3
    """
    signal.signal(signal.SIGTERM, _stop)
    with one_cpu(), click.progressbar(length=1000, label="days", file=sys.stderr) as bar:
        metrics = bench_node.measure(days, seed, lambda done: bar.update(round(done * 1000) - bar.pos))
    bench_node.write(metrics)
    if as_json:
        click.echo(json.dumps([metric.as_json() for metric in metrics], indent=1))
        return
    click.echo(f"{'metric':<28}{'value':>12} {'unit':<6}{'baseline':>10}{'goal':>12}  holds")
    for metric in metrics:
        goal = "" if metric.goal is None else f"{'>=' if metric.at_least else '<='} {metric.goal:g}"
        baseline = "" if metric.baseline is None else f"{metric.baseline:g}"
        holds = {None: "", True: "yes", False: "NO"}[metric.holds]
        click.echo(f"{metric.metric:<28}{metric.value:>12g} {metric.unit:<6}{baseline:>10}{goal:>12}  {holds}")


@bench.command("windows")
@click.option(
    "--rounds", default=bench_windows.ROUNDS, show_default=True, type=click.IntRange(min=5), help="Of a cell."
)
@click.option("--json", "as_json", is_flag=True, help="The rows as JSON.")
def bench_the_windows(rounds: int, as_json: bool) -> None:
    """Share of downlinks received, and the charge it costs, on slow, pausing and drifting nodes.

    \b
    Example:
        stadtfunk bench windows --rounds 100
    """
    signal.signal(signal.SIGTERM, _stop)
    with one_cpu(), click.progressbar(length=1000, label="boards", file=sys.stderr) as bar:
        cells = list(bench_windows.measure(rounds, lambda done: bar.update(round(done * 1000) - bar.pos)))
    metrics = bench_windows.metrics(cells)
    bench_node.write(metrics, bench_windows.RESULTS)
    if as_json:
        click.echo(json.dumps([metric.as_json() for metric in metrics], indent=1))
        return
    for line in bench_windows.lines(cells):
        click.echo(line)


@bench.command("adr")
@click.option("--nodes", default=bench_adr.NODES, show_default=True, type=click.IntRange(min=2), help="Near and far.")
@click.option("--frames", default=bench_adr.FRAMES, show_default=True, type=click.IntRange(min=100), help="Of a node.")
@click.option("--seeds", default=bench_adr.SEEDS, show_default=True, type=click.IntRange(min=1), help="1 up to this.")
@click.option("--json", "as_json", is_flag=True, help="The rows as JSON.")
def bench_the_adr(nodes: int, frames: int, seeds: int, as_json: bool) -> None:
    """Lost frames and airtime of adaptive data rate in a fading channel, against ChirpStack's default algorithm.

    The same seed gives the same fading.

    \b
    Example:
        stadtfunk bench adr --nodes 20 --seeds 3
    """
    measured = bench_adr.measure(nodes, frames, range(1, seeds + 1))
    metrics = bench_adr.metrics(measured)
    bench_node.write(metrics, bench_adr.RESULTS)
    bench_adr.plot(measured)
    if as_json:
        click.echo(json.dumps([metric.as_json() for metric in metrics], indent=1))
        return
    for metric in metrics:
        holds = "yes" if metric.holds else "NO"
        click.echo(f"{metric.metric:<32}{metric.value:>10g} {metric.unit:<4} ChirpStack {metric.baseline:<10g} {holds}")
    click.echo(f"plot {bench_adr.PLOT}", err=True)


@bench.command("payload")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same readings.")
@click.option("--json", "as_json", is_flag=True, help="The rows as JSON.")
def bench_the_payload(seed: int, as_json: bool) -> None:
    """Bytes on air for each delivered reading, against Cayenne LPP, CBOR and other ways to pack.

    \b
    Example:
        stadtfunk bench payload
    """
    _told(bench_payload.measure(seed), bench_payload.RESULTS, as_json)


@bench.command("history")
@click.option("--json", "as_json", is_flag=True, help="The rows as JSON.")
def bench_the_history(as_json: bool) -> None:
    """How many readings arrive over losses of uplinks and an outage of three days, with the history and without.

    \b
    Example:
        stadtfunk bench history
    """
    signal.signal(signal.SIGTERM, _stop)
    with click.progressbar(length=1000, label="runs", file=sys.stderr) as bar:
        metrics = bench_history.measure(lambda done: bar.update(round(done * 1000) - bar.pos))
    _told(metrics, bench_history.RESULTS, as_json)


def _told(metrics: list[bench_node.Metric], results: Path, as_json: bool) -> None:
    """Write the rows to their file and print them."""
    bench_node.write(metrics, results)
    if as_json:
        click.echo(json.dumps([metric.as_json() for metric in metrics], indent=1))
        return
    click.echo(f"{'metric':<52}{'value':>10} {'unit':<4}{'goal':>10}  holds")
    for metric in metrics:
        goal = "" if metric.goal is None else f"{'>=' if metric.at_least else '<='} {metric.goal:g}"
        holds = {None: "", True: "yes", False: "NO"}[metric.holds]
        click.echo(f"{metric.metric:<52}{metric.value:>10g} {metric.unit:<4}{goal:>10}  {holds}")
