# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk bench cluster``: how long a failed node of the broker's cluster stops the city's data."""

from pathlib import Path

import click

from simulators import bench_cluster
from simulators.firmware_build import REPOSITORY
from simulators.metric_table import rows, tell
from simulators.town import TownError


@click.command()
@click.option("--kills", default=25, show_default=True, type=click.IntRange(min=1), help="SIGKILLs of a node.")
@click.option("--hang", is_flag=True, help="The node falls silent instead, as when its machine loses power.")
@click.option("--seed", default=1, show_default=True, help="Chooses nodes and moments.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=REPOSITORY / ".bench",
    help="On the disk to be measured; a folder cluster is made in it.  [default: .bench]",
)
@click.option("--json", "as_json", is_flag=True, help="The rows as JSON.")
def cluster(kills: int, hang: bool, seed: int, folder: Path, as_json: bool) -> None:
    """How long uplinks stand still when a node of the broker's cluster is killed, and why; half a minute for each kill.

    \b
    Example:
        stadtfunk bench cluster --kills 5
    """
    try:
        outcome = bench_cluster.run(folder / "cluster", kills, hang=hang, seed=seed, progress=_tell)
    except TownError as failed:
        raise click.ClickException(str(failed)) from failed
    metrics = bench_cluster.metrics(outcome)
    tell(metrics, bench_cluster.RESULTS, as_json, rows(metrics))


def _tell(kill: bench_cluster.Kill) -> None:
    parts = " ".join(
        f"{name} {at:.2f}" for name in ("noticed", "elected", "connected", "committed")
        if (at := getattr(kill, name)) is not None
    )  # fmt: skip
    click.echo(f"{'+'.join(sorted(kill.roles)):<28} stall {kill.stall:5.2f} s  {parts}", err=True)
