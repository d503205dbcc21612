# SPDX-License-Identifier: EUPL-1.2
"""What the commands of `stadtfunk ingest` share: the option for the configuration, times, errors as one clear line."""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click

from cloud_ingest import config as settings
from cloud_ingest.errors import CloudError
from cloud_ingest.store import SqliteStore

CONFIG = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default=Path("ingest.toml"),
    show_default=True,
    help="The service's TOML file.",
)


def one_clear_line(command: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except CloudError as error:
            raise click.ClickException(str(error)) from error
        except sqlite3.OperationalError as error:
            raise click.ClickException(f"the store refuses ({error}); another program may hold it") from error

    return guarded


def utc(at: float | None) -> str:
    """A time as commands print it; one that no calendar has, as the number that it is."""
    if at is None:
        return "?"
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{at:.0f}"


def opened_store(config_path: Path) -> SqliteStore:
    """The store that the configuration names, if there is one."""
    config = settings.load(config_path)
    if not config.store.path.exists():
        raise click.ClickException(f"{config.store.path} does not exist yet; 'stadtfunk ingest run' makes it")
    return SqliteStore(config.store.path)
