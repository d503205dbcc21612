# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk bench edge``: store and forward in numbers."""

import asyncio
import subprocess
from pathlib import Path

import click

from simulators import bench_edge
from simulators.firmware_build import REPOSITORY
from simulators.load_gateway import GatewayFailed
from simulators.metric_table import rows, tell
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
    type=click.Path(path_type=Path, file_okay=False, exists=True),  # one that is not mounted would be another disk
    help="On the disk to be measured; a folder edge is made in it and removed.  [default: .bench]",
)
@click.option("--json", "as_json", is_flag=True, help="The rows as JSON.")
def edge(kills: int, quick: bool, folder: Path | None, as_json: bool) -> None:
    """Store and forward at the edge: speed, size, wear and loss, beside ThingsBoard Gateway and a mosquitto bridge.

    \b
    Example:
        stadtfunk bench edge --kills 50
    """
    sizes = bench_edge.CI if quick else bench_edge.Sizes(kills=kills)
    place = (folder or REPOSITORY / ".bench") / "edge"
    try:
        metrics = asyncio.run(bench_edge.measure(place, sizes, lambda what: click.echo(what, err=True)))
    except (TownError, GatewayFailed) as failed:
        raise click.ClickException(str(failed)) from failed
    except subprocess.CalledProcessError as failed:
        raise click.ClickException(f"{failed.cmd[2:4]}: {str(failed.stderr).strip()[-300:]}") from failed
    tell(metrics, bench_edge.RESULTS, as_json, rows(metrics, "bare SQLite"))
