# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk bench``: what things cost."""

import click

from simulators import bench_adr, bench_history, bench_node, bench_payload, bench_windows
from simulators.cluster_cli import cluster
from simulators.edge_cli import edge
from simulators.lns_cli import downlinks, lns
from simulators.metric_table import rows, tell
from simulators.node_run import one_cpu
from simulators.number import Number
from simulators.outage_cli import outage_command
from simulators.progress import progress
from simulators.terminated import stop_as_by_ctrl_c


@click.group()
def bench() -> None:
    """What things cost; each bench writes .bench/NAME.json."""


bench.add_command(lns)
bench.add_command(downlinks)
bench.add_command(edge)
bench.add_command(outage_command)
bench.add_command(cluster)


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
    stop_as_by_ctrl_c()
    with one_cpu(), progress("days") as told:
        metrics = bench_node.measure(days, seed, told)
    tell(metrics, bench_node.RESULTS, as_json, rows(metrics, "baseline"))


@bench.command("windows")
@click.option(
    "--rounds",
    default=bench_windows.ROUNDS,
    show_default=True,
    type=click.IntRange(min=5),
    help="Exchanges in each cell.",
)
@click.option("--json", "as_json", is_flag=True, help="The rows as JSON.")
def bench_the_windows(rounds: int, as_json: bool) -> None:
    """Share of downlinks received, and the charge it costs, on slow, pausing and drifting nodes.

    \b
    Example:
        stadtfunk bench windows --rounds 100
    """
    stop_as_by_ctrl_c()
    with one_cpu(), progress("boards") as told:
        cells = list(bench_windows.measure(rounds, told))
    tell(bench_windows.metrics(cells), bench_windows.RESULTS, as_json, bench_windows.lines(cells))


@bench.command("adr")
@click.option(
    "--nodes", default=bench_adr.NODES, show_default=True, type=click.IntRange(min=2), help="Nodes, near and far."
)
@click.option(
    "--frames", default=bench_adr.FRAMES, show_default=True, type=click.IntRange(min=100), help="Frames of each node."
)
@click.option(
    "--seeds", default=bench_adr.SEEDS, show_default=True, type=click.IntRange(min=1), help="Seeds, from 1 to this."
)
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
    bench_adr.plot(measured)
    tell(metrics, bench_adr.RESULTS, as_json, rows(metrics, "ChirpStack"))
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
    metrics = bench_payload.measure(seed)
    tell(metrics, bench_payload.RESULTS, as_json, rows(metrics))


@bench.command("history")
@click.option("--json", "as_json", is_flag=True, help="The rows as JSON.")
def bench_the_history(as_json: bool) -> None:
    """How many readings arrive over losses of uplinks and an outage of three days, with the history and without.

    \b
    Example:
        stadtfunk bench history
    """
    stop_as_by_ctrl_c()
    with progress("runs") as told:
        metrics = bench_history.measure(told)
    tell(metrics, bench_history.RESULTS, as_json, rows(metrics))
