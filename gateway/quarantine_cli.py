# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk gateway quarantine``: payloads that no decoder could read, kept raw."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click

from gateway.command import config_option, one_line_errors, open_database
from gateway.config import load
from gateway.kept_payloads import Quarantined
from gateway.quarantine import retry as retry_all

_PROBLEM = click.option("--problem", help="Only those with this problem, such as decoder_failed.")
_NUMBER = click.IntRange(1, 2**63 - 1)
_PIECE = 1000


@click.group()
def quarantine() -> None:
    """Payloads that no decoder could read, kept raw."""


@quarantine.command("list")
@_PROBLEM
@config_option
@one_line_errors
def list_quarantine(problem: str | None, config_path: Path) -> None:
    """Print them a line each, oldest first: number, time, device, counter, port, problem.

    \b
    Example:
        stadtfunk gateway quarantine list --problem decoder_failed --config gateway.toml
    """
    with closing(open_database(load(config_path))) as store:
        last = 0
        while rows := store.ledger.quarantined(problem, last, _PIECE):
            for row in rows:
                key = row.payload.key
                click.echo(
                    f"{row.id} {_time(row)} {key.dev_eui} f_cnt={key.f_cnt} f_port={row.payload.f_port} {row.problem}"
                )
            last = rows[-1].id
        if not last:
            click.echo("nothing in quarantine", err=True)


@quarantine.command("show")
@click.argument("number", type=_NUMBER)
@config_option
@one_line_errors
def show(number: int, config_path: Path) -> None:
    """Print all that is known of one, with the payload in hex.

    \b
    Example:
        stadtfunk gateway quarantine show 17 --config gateway.toml
    """
    with closing(open_database(load(config_path))) as store:
        rows = store.ledger.quarantined(None, number - 1, 1)
    if not rows or rows[0].id != number:
        raise click.ClickException(f"there is no {number} in quarantine")
    (row,) = rows
    key, payload = row.payload.key, row.payload
    facts = {
        "number": row.id, "received": _time(row), "time_quality": row.time_quality, "dev_eui": key.dev_eui,
        "session": key.session, "f_cnt": key.f_cnt, "f_port": payload.f_port, "profile": payload.profile or "?",
        "problem": row.problem, "detail": row.detail or "-", "payload": payload.frm_payload.hex(),
    }  # fmt: skip
    for name, value in facts.items():
        click.echo(f"{name} {value}")


@quarantine.command("retry")
@click.argument("number", type=_NUMBER, required=False)
@_PROBLEM
@config_option
@one_line_errors
def retry(number: int | None, problem: str | None, config_path: Path) -> None:
    """Decode them again, or one, as after an update: what can be read goes to the cloud, with its time of then.

    \b
    Example:
        stadtfunk gateway quarantine retry --problem newer_fields --config gateway.toml
    """
    config = load(config_path)
    with closing(open_database(config)) as store:
        decoded, problems = retry_all(store, config.store, problem, number)
    if number is not None and not decoded and not problems:
        raise click.ClickException(f"there is no {number} in quarantine" + (f" with {problem}" if problem else ""))
    stay = "".join(f", {count} {name}" for name, count in sorted(problems.items()))
    click.echo(f"{decoded} decoded{stay}")


def _time(row: Quarantined) -> str:
    if not row.received_at:
        return "-"
    return datetime.fromtimestamp(row.received_at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
