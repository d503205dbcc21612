# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk simulate node``."""

import contextlib
import json
from typing import TextIO

import click

from decoders.profiles import PROFILES
from simulators.city_options import FramesFile
from simulators.node_budget import HEAP_WK, smallest_heap_wk
from simulators.node_run import one_cpu, run_node, table
from simulators.number import Number
from simulators.progress import progress
from simulators.terminated import stop_as_by_ctrl_c


@click.command()
@click.option("--profile", type=click.Choice(PROFILES), default="tree", show_default=True, help="What it measures.")
@click.option("--days", default=30.0, show_default=True, type=Number(min=0, min_open=True), help="Virtual days.")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same frames.")
@click.option(
    "--interval", default=900, show_default=True, type=click.IntRange(60, 57600), help="Seconds between samples."
)
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
    stop_as_by_ctrl_c()
    with contextlib.ExitStack() as stack:
        stack.enter_context(one_cpu())
        told = stack.enter_context(progress("days"))
        facts = run_node(
            days,
            seed,
            profile=profile,
            interval_s=interval,
            downlink_share=downlinks,
            frames=frames,
            progress=told,
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
