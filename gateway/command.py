# SPDX-License-Identifier: EUPL-1.2
"""What the commands of ``stadtfunk gateway`` share."""

import logging
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from gateway.config import Config
from gateway.errors import GatewayError
from gateway.store import Store, open_store

_P = ParamSpec("_P")
_R = TypeVar("_R")

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default="gateway.toml",
    show_default=True,
    help="The gateway's TOML file.",
)


def eui_argument(name: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """An EUI as it may stand on a label; lower-case from here on."""
    return click.argument(name, callback=lambda _context, _parameter, value: value.lower())


def one_line_errors(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """What an operator must put right ends the command with its message and status 1."""

    @wraps(command)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return command(*args, **kwargs)
        except GatewayError as error:
            raise click.ClickException(str(error)) from error

    return run


def open_database(config: Config) -> Store:
    return open_store(config.gateway.database, config.gateway.key_file)


def log_to_stderr(config: Config) -> None:
    logging.basicConfig(level=config.log.level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
