# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk bench lns`` and ``stadtfunk bench downlinks``: the network server's numbers."""

import click

from simulators import bench_downlinks, bench_lns
from simulators.load_gateway import GatewayFailed
from simulators.metric_table import rows, tell
from simulators.number import Number
from simulators.progress import progress


@click.command()
@click.option(
    "--devices", default=bench_lns.DEVICES, show_default=True, type=click.IntRange(min=10), help="That have joined."
)
@click.option(
    "--uplinks", default=bench_lns.UPLINKS, show_default=True, type=click.IntRange(min=100), help="Full load."
)
@click.option("--paced", default=bench_lns.PACED_S, show_default=True, type=Number(min=1), help="Seconds.")
@click.option("--json", "as_json", is_flag=True, help="The rows as JSON.")
def lns(devices: int, uplinks: int, paced: float, as_json: bool) -> None:
    """Uplinks a second, CPU time, delay, memory and start of the network server, over both backhauls.

    A real gateway process, three concentrators on real sockets, each uplink through all of them; see the README of
    simulators for what is counted how.

    \b
    Example:
        stadtfunk bench lns --devices 500 --uplinks 1000 --paced 5
    """
    told: dict[str, int] = {}

    def tenths(what: str, done: float) -> None:
        tenth = int(10 * done)
        if told.get(what, -1) < tenth:
            told[what] = tenth
            click.echo(f"{what}: {10 * tenth} %", err=True)

    try:
        measured = bench_lns.measure(devices, uplinks, paced, tenths)
    except GatewayFailed as failed:
        raise click.ClickException(str(failed)) from failed
    metrics = bench_lns.metrics(measured)
    tell(metrics, bench_lns.RESULTS, as_json, rows(metrics, "limit"))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The rows as JSON.")
def downlinks(as_json: bool) -> None:
    """When downlinks go on the air: RX1, RX2 and Join-Accept at every data rate over both backhauls.

    \b
    Example:
        stadtfunk bench downlinks
    """
    try:
        with progress("data rates") as told:
            cells = bench_downlinks.measure(told)
    except GatewayFailed as failed:
        raise click.ClickException(str(failed)) from failed
    tell(bench_downlinks.metrics(cells), bench_downlinks.RESULTS, as_json, bench_downlinks.lines(cells))
