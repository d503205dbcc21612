# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk bench edge``: store and forward in numbers."""

import asyncio
import json
import subprocess
from pathlib import Path

import click

from simulators import bench_edge, bench_node
from simulators.firmware_build import REPOSITORY
from simulators.load_gateway import GatewayFailed
from simulators.town import TownError


@click.command()
@click.option(
    "--kills",
    default=bench_edge.Sizes().kills,
    show_default=True,
    type=click.IntRange(min=1),
    help="SIGKILLs of the chain.",
)
@click.option("--quick", is_flag=True, help="Only a look whether everything works; the figures mean nothing.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=REPOSITORY / ".bench",
    help="On the disk to be measured; a folder edge is made in it and removed.  [default: .bench]",
)
@click.option("--json", "as_json", is_flag=True, help="The rows as JSON.")
def edge(kills: int, quick: bool, folder: Path, as_json: bool) -> None:
    """Store and forward at the edge: speed, size, wear and loss, beside ThingsBoard Gateway and a mosquitto bridge.

    \b
    Example:
        stadtfunk bench edge --kills 50
    """
    sizes = bench_edge.CI if quick else bench_edge.Sizes(kills=kills)
    try:
        metrics = asyncio.run(bench_edge.measure(folder / "edge", sizes, lambda what: click.echo(what, err=True)))
    except (TownError, GatewayFailed) as failed:
        raise click.ClickException(str(failed)) from failed
    except subprocess.CalledProcessError as failed:
        raise click.ClickException(f"{failed.cmd[2:4]}: {str(failed.stderr).strip()[-300:]}") from failed
    bench_node.write(metrics, bench_edge.RESULTS)
    if as_json:
        click.echo(json.dumps([metric.as_json() for metric in metrics], indent=1))
        return
    click.echo(f"{'metric':<44}{'value':>12} {'unit':<4}{'bare SQLite':>12}{'goal':>10}  holds")
    for metric in metrics:
        goal = "" if metric.goal is None else f"{'>=' if metric.at_least else '<='} {metric.goal:g}"
        bare = "" if metric.baseline is None else f"{metric.baseline:g}"
        holds = {None: "", True: "yes", False: "NO"}[metric.holds]
        click.echo(f"{metric.metric:<44}{metric.value:>12g} {metric.unit:<4}{bare:>12}{goal:>10}  {holds}")
