# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk gateway fsck`` and ``export``: what is on a card, of a running gateway or a dead one."""

import csv
import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click

from decoders.records import LANES, Event, Record, Tombstone, UplinkMessage
from gateway.card import LANE_NAMES, Card, Row, opened
from gateway.command import config_option, one_line_errors
from gateway.config import load
from gateway.errors import StoreError

_COLUMNS = (
    "lane", "row", "delivered", "kind", "dev_eui", "session", "f_cnt", "received_at", "time_quality", "profile",
    "quantity", "unit", "at", "value", "fault", "detail",
)  # fmt: skip

_database_option = click.option(
    "--database",
    type=click.Path(path_type=Path),
    help="The database itself, where there is no configuration: on a card in a reader.",
)


@click.command()
@config_option
@_database_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@one_line_errors
def fsck(config_path: Path, database: Path | None, as_json: bool) -> None:
    """Check the database and say of each lane what is in it. Changes nothing; status 1 if anything is wrong.

    \b
    Example:
        stadtfunk gateway fsck --database /mnt/card/var/lib/stadtfunk/gateway.sqlite3
    """
    with opened(database or load(config_path).gateway.database) as card:
        faults = card.faults()
        lanes = [card.lane(lane) for lane in LANES]
    problems = [*faults, *(f"{lane.name}: {problem}" for lane in lanes for problem in lane.problems)]
    if as_json:
        click.echo(json.dumps({"problems": problems, "lanes": [lane._asdict() for lane in lanes]}))
    else:
        for lane in lanes:
            waiting = lane.last_row - max(lane.delivered_row, lane.first_row - 1)
            rows = f"{lane.first_row}..{lane.last_row}" if lane.first_row <= lane.last_row else "none"
            click.echo(
                f"{lane.name} rows={rows} waiting={waiting} readable={lane.readable} unreadable={lane.unreadable}"
            )
        for problem in problems:
            click.echo(f"problem {problem}")
        if not problems:
            click.echo("ok")
    if problems:
        sys.exit(1)


@click.command()
@config_option
@_database_option
@click.option(
    "--format", "form", type=click.Choice(("csv", "ndjson")), default="csv", show_default=True, help="Of the export."
)
@click.option("--output", type=click.Path(path_type=Path), help="New file to write; without it, standard output.")
@click.option("--waiting", is_flag=True, help="Only what the cloud does not have yet.")
@one_line_errors
def export(config_path: Path, database: Path | None, form: str, output: Path | None, waiting: bool) -> None:
    """Write out what the outbox holds: csv a reading a line, ndjson a record a line.

    Says on standard error what cannot be read; the status is then 1. Changes nothing.

    \b
    Example:
        stadtfunk gateway export --database /mnt/card/var/lib/stadtfunk/gateway.sqlite3 --output rescued.csv
    """
    with opened(database or load(config_path).gateway.database) as card, _opened_for_writing(output) as file:
        written, lost = _write(card, form, file, waiting)
    click.echo(f"{written} records written, {lost} cannot be read", err=True)
    if lost:
        sys.exit(1)


@contextmanager
def _opened_for_writing(output: Path | None) -> Iterator[TextIO]:
    """A new file, which is gone again if it could not be written to its end; without ``output``, standard output."""
    made = False
    try:
        if output is None:
            yield sys.stdout
            sys.stdout.flush()
        else:
            with output.open("x", encoding="utf-8", newline="") as file:
                made = True
                yield file
    except BrokenPipeError:
        raise  # who read it has seen enough
    except FileExistsError as error:
        raise click.ClickException(f"{output} is there already; give another name") from error
    except OSError as error:
        if made and output is not None:  # half of it would pass for the whole
            output.unlink(missing_ok=True)
        raise click.ClickException(f"{output or 'standard output'} cannot be written ({error.strerror})") from error


def _write(card: Card, form: str, file: TextIO, waiting: bool) -> tuple[int, int]:
    """(records written, records lost)."""
    written = lost = 0
    if form == "csv":
        file.write(_line(_COLUMNS))
    for row in _rows(card):
        if row is None or row.record is None:
            lost += 1
            if row is not None:
                click.echo(f"{LANE_NAMES[row.lane]} row {row.row}: {row.problem}", err=True)
            continue
        if waiting and row.delivered:
            continue
        written += 1
        facts = _facts(row, row.record)
        if form == "ndjson":
            file.write(json.dumps(facts) + "\n")
        else:
            for line in _flat(facts):
                file.write(_line(line))
    return written, lost


def _rows(card: Card) -> Iterator[Row | None]:
    """None: the rest of a lane is lost."""
    for lane in LANES:
        try:
            yield from card.rows(lane)
        except StoreError as error:
            click.echo(str(error), err=True)
            yield None


def _facts(row: Row, record: Record) -> dict[str, Any]:
    facts: dict[str, Any] = {"lane": LANE_NAMES[row.lane], "row": row.row, "delivered": row.delivered}
    if isinstance(record, UplinkMessage):
        return facts | {
            "kind": "uplink",
            **record.key._asdict(),
            "received_at": record.received_at,
            "time_quality": record.time_quality,
            "profile": record.profile,
            "readings": [reading._asdict() for reading in record.readings],
        }
    if isinstance(record, Event):
        return facts | {
            "kind": record.kind,
            "dev_eui": record.dev_eui,
            "received_at": record.at,
            "time_quality": record.time_quality,
            "detail": record.detail,
        }
    assert isinstance(record, Tombstone)
    return facts | {
        "kind": "tombstone",
        "received_at": record.first_at,
        "detail": record._asdict() | {"dropped": [one._asdict() for one in record.dropped]},
    }


def _flat(facts: dict[str, Any]) -> Iterator[list[Any]]:
    """A line for each reading; one for what is no uplink."""
    for reading in facts.get("readings", [{}]):
        line = facts | reading
        if "detail" in line:
            line["detail"] = json.dumps(line["detail"])
        yield [line.get(column) for column in _COLUMNS]


def _line(values: Any) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()
