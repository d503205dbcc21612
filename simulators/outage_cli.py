# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk bench outage``: a month without a broker."""

import tempfile
from pathlib import Path

import click

from simulators import outage
from simulators.metric_table import rows, tell
from simulators.number import Number
from simulators.progress import progress
from simulators.town import TownError

_PLAN = outage.Plan()


@click.command("outage")
@click.option("--days", default=_PLAN.days, show_default=True, type=Number(min=0.25), help="Virtual, without a broker.")
@click.option("--nodes", default=_PLAN.trees, show_default=True, type=click.IntRange(1, 200), help="How many trees.")
@click.option("--air", default=_PLAN.air, show_default=True, type=click.IntRange(0, 2), help="Air quality stations.")
@click.option("--traffic", default=_PLAN.traffic, show_default=True, type=click.IntRange(0, 2), help="Counters.")
@click.option(
    "--cuts", default=_PLAN.cuts, show_default=True, type=click.IntRange(0, 50),
    help="Power cuts of the gateway meanwhile; one more comes when the broker is back.",
)  # fmt: skip
@click.option("--seed", default=_PLAN.seed, show_default=True, help="The same seed gives the same city.")
@click.option("--json", "as_json", is_flag=True, help="The rows as JSON.")
def outage_command(days: float, nodes: int, air: int, traffic: int, cuts: int, seed: int, as_json: bool) -> None:
    """Whether every reading is public once, and in its own time, after 30 days without a broker, and power cuts.

    The whole city: real firmware in virtual time, the real gateway, broker and ingest.

    \b
    Example:
        stadtfunk bench outage --days 0.5 --nodes 1 --air 0 --traffic 0 --cuts 1
    """
    plan = outage.Plan(days=days, trees=nodes, air=air, traffic=traffic, cuts=cuts, seed=seed)
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            progress("days") as told,
        ):
            done = outage.run(Path(folder, "town"), plan, told)
    except TownError as error:
        raise click.ClickException(str(error)) from error
    metrics = done.metrics()
    tell(metrics, outage.RESULTS, as_json, rows(metrics))
