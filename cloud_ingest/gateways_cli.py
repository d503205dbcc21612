# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk ingest gaps`` and ``events``: what will not come from gateways, and what they tell of themselves."""

import json
from pathlib import Path

import click

from cloud_ingest import gateway_records
from cloud_ingest.commands import CONFIG, one_clear_line, opened_store, utc
from cloud_ingest.gaps import gaps as found_gaps
from cloud_ingest.store import SqliteStore
from decoders.topics import lane_name

_GATEWAY = click.option("--gateway", "gateway_eui", metavar="EUI", help="Only those of this gateway.")


@click.command()
@CONFIG
@_GATEWAY
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@one_clear_line
def gaps(config_path: Path, gateway_eui: str | None, as_json: bool) -> None:
    """Print what is missing: what a full gateway dropped and named, and what is unexplained.

    \b
    Example:
        stadtfunk ingest gaps --config ingest.toml --gateway 0016c001ff10a001 --json
    """
    found = found_gaps(_store(config_path, gateway_eui), gateway_eui)
    if as_json:
        click.echo(json.dumps([gap._asdict() for gap in found]))
        return
    for gap in found:
        where = f"{gap.gateway_eui} epoch {gap.epoch} {lane_name(gap.lane)}s {gap.first_seq}..{gap.last_seq}"
        if not gap.named:
            click.echo(f"unexplained {where}: {gap.missing} missing")
            continue
        click.echo(f"dropped {where}: {gap.missing} missing, from {utc(gap.first_at)} to {utc(gap.last_at)}")
        for dev_eui, session, first, last, count in gap.devices:
            click.echo(f"  {dev_eui} session {session} f_cnt {first}..{last}: {count} uplinks")
    click.echo(f"{sum(gap.missing for gap in found)} records missing")


@click.command()
@CONFIG
@_GATEWAY
@click.option("--last", default=100, show_default=True, type=click.IntRange(1, 100_000), help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@one_clear_line
def events(config_path: Path, gateway_eui: str | None, last: int, as_json: bool) -> None:
    """Print what gateways told of themselves and their nodes, the newest last. Not public: it names nodes.

    \b
    Example:
        stadtfunk ingest events --config ingest.toml --last 20
    """
    found = gateway_records.events(_store(config_path, gateway_eui), gateway_eui, last)
    if as_json:
        click.echo(json.dumps([{"gateway_eui": gateway, **event._asdict()} for gateway, event in found]))
        return
    if not found:
        click.echo("no event yet", err=True)
    for gateway, event in found:
        sure = "" if event.time_quality in ("ntp", "concentrator") else f" (time {event.time_quality})"
        detail = " ".join(f"{name}={value}" for name, value in event.detail.items())
        said = (f"{utc(event.at)}{sure}", gateway, event.kind, event.dev_eui, detail)
        click.echo(" ".join(word for word in said if word))


def _store(config_path: Path, gateway_eui: str | None) -> SqliteStore:
    """Opened; to ask of a gateway of which nothing has come is a mistake, and no answer would look like a good one."""
    store = opened_store(config_path)
    if gateway_eui and not store.db.execute("SELECT 1 FROM epochs WHERE gateway_eui = ?", (gateway_eui,)).fetchone():
        raise click.ClickException(f"nothing has come of a gateway {gateway_eui}")
    return store
