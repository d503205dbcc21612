# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk ingest dead-letters``: what could not be applied, and applying it after all."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import click

from cloud_ingest import config as settings
from cloud_ingest import dead_letters as letters
from cloud_ingest import registry
from cloud_ingest.commands import CONFIG, one_clear_line, opened_store, utc
from cloud_ingest.dead_letters import DeadLetter
from cloud_ingest.ingest import Ingest
from decoders.cbor_fields import MalformedBatch
from decoders.records import Event, Record, UplinkMessage
from decoders.uplink import decode_batch

_REASON = click.option("--reason", help="Only those of this reason.")
_HEX_BYTES = 256
_MOST_SAID = 10
_ID = click.IntRange(1, 2**63 - 1)


@click.group("dead-letters")
def dead_letters() -> None:
    """What could not be applied, with its reason."""


@dead_letters.command("list")
@CONFIG
@_REASON
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the bytes in hex.")
@one_clear_line
def list_letters(config_path: Path, reason: str | None, as_json: bool) -> None:
    """Print each letter: id, reason, how often it came, and what it is.

    \b
    Example:
        stadtfunk ingest dead-letters list --config ingest.toml --reason unknown_dev_eui
    """
    found = letters.letters(opened_store(config_path), reason=reason)
    if as_json:
        click.echo(json.dumps([{**letter._asdict(), "raw": letter.raw.hex()} for letter in found]))
        return
    for letter in found:
        click.echo(f"{letter.id} {letter.reason} x{letter.times} {letter.topic} {letter.detail}")
    click.echo(f"{len(found)} dead letters")


@dead_letters.command()
@CONFIG
@click.argument("letter_id", metavar="ID", type=_ID)
@one_clear_line
def show(config_path: Path, letter_id: int) -> None:
    """Print one letter with its records, as far as they can be read, or else its bytes.

    \b
    Example:
        stadtfunk ingest dead-letters show 7 --config ingest.toml
    """
    [letter] = _letter(config_path, letter_id)
    for name in ("id", "reason", "times", "topic", "detail"):
        click.echo(f"{name} {getattr(letter, name)}")
    for line in _content(letter):
        click.echo(line)


@dead_letters.command()
@CONFIG
@click.argument("letter_id", metavar="[ID]", type=_ID, required=False)
@_REASON
@one_clear_line
def replay(config_path: Path, letter_id: int | None, reason: str | None) -> None:
    """Apply letters again: the one of ID, all of a reason, or all that are the last copy of something.

    After the registry has learned their nodes, or a later version reads what this one could not. The service may be
    running; it judges what was replayed. Exit status 1 when one could not be applied.

    \b
    Example:
        stadtfunk ingest dead-letters replay --config ingest.toml --reason unknown_dev_eui
    """
    config = settings.load(config_path)
    store = opened_store(config_path)
    city = registry.load(config.registry.path)
    store.register(city)
    clock = time.time if config.time.source == "system" else None
    ingest_again = Ingest(store, city, config.mqtt.gateways, config.dead_letters.max_bytes, clock)
    if letter_id is not None:
        chosen = _letter(config_path, letter_id)
    else:
        found = letters.letters(store, reason=reason)
        chosen = [letter for letter in found if letter.replayable or reason is not None]
    left = [letter for letter in chosen if not ingest_again.replay(letter)]
    click.echo(f"{len(chosen) - len(left)} applied, {len(left)} still cannot be")
    for letter in left[:_MOST_SAID]:
        click.echo(f"{letter.id} {letter.reason} {letter.detail}", err=True)
    if len(left) > _MOST_SAID:
        click.echo(f"and {len(left) - _MOST_SAID} more: dead-letters list", err=True)
    if left:
        raise SystemExit(1)


def _letter(config_path: Path, letter_id: int) -> list[DeadLetter]:
    found = letters.letters(opened_store(config_path), letter_id)
    if not found:
        raise click.ClickException(f"there is no dead letter {letter_id}")
    return found


def _content(letter: DeadLetter) -> Iterator[str]:
    if letter.reason == "gave_up":
        yield "not read here: it ended the workers that tried; replay tries again"
    else:
        try:
            yield from (line for record in decode_batch(letter.raw).records for line in _lines(record))
            return
        except MalformedBatch as error:
            yield f"no batch: {error}"
    more = "" if len(letter.raw) <= _HEX_BYTES else f" ... ({len(letter.raw)} bytes)"
    yield f"bytes {letter.raw[:_HEX_BYTES].hex()}{more}"


def _lines(record: Record) -> Iterator[str]:
    if isinstance(record, UplinkMessage):
        key = record.key
        yield f"uplink {key.dev_eui} session {key.session} f_cnt {key.f_cnt} received {utc(record.received_at)}"
        for reading in record.readings:
            what = f"{reading.value:g}" if reading.value is not None else f"fault {reading.fault}"
            yield f"  {reading.quantity} {what} {reading.unit} at {utc(reading.at)}"
    elif isinstance(record, Event):
        yield f"event {record.kind} {record.dev_eui or ''} at {utc(record.at)} {json.dumps(record.detail)}"
    else:
        yield f"tombstone epoch {record.epoch} lane {record.lane} seq {record.first_seq}..{record.last_seq}"
