# SPDX-License-Identifier: EUPL-1.2
"""What whoever runs the city's side looks at, as commands print it and the operator's page shows it; it only reads."""

from pathlib import Path
from typing import Any, NamedTuple

from cloud_ingest import attempts, database, dead_letters, gateway_records, streams
from cloud_ingest.database import Opened
from cloud_ingest.dead_letters import Letters
from cloud_ingest.gaps import Gap, gaps
from decoders.records import Event
from decoders.uplink import Watermark

EVENTS_AT_MOST = 100


class Status(NamedTuple):
    """``watermarks`` of all epochs, each gateway's current one last; ``gaps`` as rows of the table.

    ``heard``: when each gateway was last heard, Unix s.
    """

    counters: dict[str, int]
    watermarks: list[tuple[str, Watermark]]
    gaps: list[tuple[Any, ...]]
    heard: dict[str, float]


class Overview(NamedTuple):
    """``gaps``: what is missing, named or not. ``tries``: messages in the middle of which a worker ended."""

    status: Status
    gaps: list[Gap]
    events: list[tuple[str, Event]]
    dead_letters: list[Letters]
    tries: int


def status(store: Opened) -> Status:
    counters = {f"{name}.{reason}": value for name, reason, value in store.db.execute("SELECT * FROM counters")}
    gap_rows = store.db.execute("SELECT * FROM gaps").fetchall()
    return Status(counters, streams.watermarks(store), gap_rows, streams.heard(store))


def overview(path: Path) -> Overview:
    """Of the store at ``path``, at one moment of it."""
    with database.read_only(path) as store:
        return Overview(
            status(store),
            gaps(store),
            gateway_records.events(store, None, EVENTS_AT_MOST),
            dead_letters.by_reason(store),
            len(attempts.suspects(store)),
        )
