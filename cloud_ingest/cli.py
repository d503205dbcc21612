# SPDX-License-Identifier: EUPL-1.2
"""`stadtfunk ingest`: the city's service and what its operator needs beside it."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import click

from cloud_ingest import config as settings
from cloud_ingest import operations
from cloud_ingest.broker_cli import broker_cluster, broker_setup
from cloud_ingest.certificates_cli import certificates
from cloud_ingest.commands import CONFIG, one_clear_line, opened_store, utc
from cloud_ingest.dead_letters_cli import dead_letters
from cloud_ingest.gateways_cli import events, gaps


@click.group()
def ingest() -> None:
    """The city's side: from the broker to the store, the pages and the open data."""


for _command in (certificates, broker_setup, broker_cluster, dead_letters, gaps, events):
    ingest.add_command(_command)


@ingest.command()
@CONFIG
@click.option("--port", type=click.IntRange(0, 65535), help="Overrides http.port.")
@click.option("--verbose", is_flag=True, help="Also log at DEBUG.")
@one_clear_line
def run(config_path: Path, port: int | None, verbose: bool) -> None:
    """Store what the broker delivers and answer over HTTP, until SIGTERM or Ctrl-C.

    \b
    Example:
        stadtfunk ingest run --config ingest.toml --port 8080
    """
    from cloud_ingest import service  # the other commands need neither web server nor MQTT

    _log_to_stderr(verbose)
    config = settings.load(config_path)
    if port is not None:
        config = replace(config, http=replace(config.http, port=port))
    if not service.run(config, lambda address: click.echo(f"Stadtfunk: {address}")):
        raise click.ClickException("the writer failed; the log says why")


@ingest.command()
@CONFIG
@click.option("--verbose", is_flag=True, help="Also log at DEBUG.")
@one_clear_line
def worker(config_path: Path, verbose: bool) -> None:
    """Help a running service: pull from the shared stream and store, until SIGTERM or Ctrl-C. Start any number.

    \b
    Example:
        stadtfunk ingest worker --config ingest.toml
    """
    from cloud_ingest import service

    _log_to_stderr(verbose)
    if not service.work(settings.load(config_path), lambda where: click.echo(f"Stadtfunk: {where}")):
        raise click.ClickException("the writer failed; the log says why")


@ingest.command()
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@one_clear_line
def status(config_path: Path, as_json: bool) -> None:
    """Print what the store holds: counters, watermarks and gaps.

    \b
    Example:
        stadtfunk ingest status --config ingest.toml --json
    """
    counters, marks, gap_rows, heard = operations.status(opened_store(config_path))
    if as_json:
        watermarks = [{"gateway_eui": gateway, **mark._asdict()} for gateway, mark in marks]
        gateways = [{"gateway_eui": gateway, "heard_at": utc(at)} for gateway, at in heard.items()]
        click.echo(json.dumps({"counters": counters, "gateways": gateways, "watermarks": watermarks, "gaps": gap_rows}))
        return
    if not counters:
        click.echo("nothing has come yet", err=True)
    for name, value in counters.items():
        click.echo(f"{name} {value}")
    for gateway, at in heard.items():
        click.echo(f"gateway {gateway} last heard {utc(at)}")
    for gateway, mark in marks:
        seqs = ", ".join("-" if seq is None else str(seq) for seq in mark.seqs)
        click.echo(f"watermark {gateway} epoch {mark.epoch} seqs {seqs}")
    for gateway, epoch, lane, first, last in gap_rows:
        click.echo(f"gap {gateway} epoch {epoch} lane {lane} seq {first}..{last}")


def _log_to_stderr(verbose: bool) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
