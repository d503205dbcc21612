# SPDX-License-Identifier: EUPL-1.2
"""Commands of the simulators: ``stadtfunk demo`` and ``stadtfunk simulate``."""

from pathlib import Path

import click

from simulators import demo as screen
from simulators.city_cli import city
from simulators.city_options import AIR, NODES, SEED, SPEED, TRAFFIC
from simulators.node_run_cli import node
from simulators.terminated import stop_as_by_ctrl_c
from simulators.town import Town, TownError, check_port


@click.command()
@NODES
@AIR
@TRAFFIC
@click.option(
    "--port", default=8080, show_default=True, type=click.IntRange(1, 65535), help="Port of the page, on 127.0.0.1."
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
    stop_as_by_ctrl_c()
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


simulate.add_command(city)
simulate.add_command(node)
