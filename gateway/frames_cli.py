# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk gateway frames``: what a node and the gateway say to each other, live, for whoever stands beside one."""

import json
import time
from pathlib import Path
from typing import Any

import click

from gateway import frame_words
from gateway.command import config_option, one_line_errors
from gateway.config import Config, load
from gateway.page_client import ask

_EVERY_S = 0.5


@click.command("frames")
@click.argument("dev_eui", required=False, default="")
@click.option("--unknown", is_flag=True, help="Who has tried to join and is not registered, instead of one node.")
@click.option("--follow", is_flag=True, help="Go on until Ctrl-C.")
@click.option(
    "--lines", type=click.IntRange(0, 200), default=20, show_default=True, help="How many frames to begin with."
)
@click.option(
    "--language",
    type=click.Choice(frame_words.LANGUAGES),
    default="en",
    show_default=True,
    help="Language of the words.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
@config_option
@one_line_errors
def frames(
    dev_eui: str, unknown: bool, follow: bool, lines: int, language: str, as_json: bool, config_path: Path
) -> None:  # fmt: skip
    """Print the last frames of one node: uplinks, joins and why they were refused, downlinks.

    Asks the running service, which keeps them in memory. DEV_EUI need not be registered: then its joins are shown.

    \b
    Example:
        stadtfunk gateway frames 70b3d50000000001 --follow --config gateway.toml
    """
    if bool(dev_eui) == unknown:
        raise click.UsageError("give a DEV_EUI, or --unknown")
    config = load(config_path)
    try:
        if unknown:
            _strangers(config, follow, language, as_json)
        else:
            _node(config, dev_eui, follow, lines, language, as_json)
    except KeyboardInterrupt:
        click.echo(err=True)


def _node(config: Config, dev_eui: str, follow: bool, lines: int, language: str, as_json: bool) -> None:
    if not follow:
        found = ask(config, "/frames", dev_eui=dev_eui, lines=lines)
        _print(found["frames"], language, as_json)
        if not as_json:
            _print_link(found["link"], language)
        if not found["frames"] and not as_json:
            click.echo(f"no frame of {dev_eui} since the service began", err=True)
        return
    last, most, link = 0, lines, None
    while True:
        found = ask(config, "/frames", dev_eui=dev_eui, after=last, lines=most)
        _print(found["frames"], language, as_json)
        if found["link"] != link and not as_json:
            link = found["link"]
            _print_link(link, language)
        last, most = found["last"], 200
        time.sleep(_EVERY_S)


def _print_link(link: dict[str, Any] | None, language: str) -> None:
    if link is not None:
        click.echo(frame_words.describe_link(link, language))


def _strangers(config: Config, follow: bool, language: str, as_json: bool) -> None:
    last = 0
    while True:
        found = [frame for frame in ask(config, "/strangers") if frame["seq"] > last]
        last = max((frame["seq"] for frame in found), default=last)
        _print(list(reversed(found)), language, as_json)
        if not follow:
            if not found and not as_json:
                click.echo("nobody unknown since the service began", err=True)
            return
        time.sleep(_EVERY_S)


def _print(found: list[dict[str, Any]], language: str, as_json: bool) -> None:
    for frame in found:
        if as_json:
            click.echo(json.dumps(frame))
            continue
        first, *details = frame_words.describe(frame, language)
        click.echo(" ".join(filter(None, (frame_words.when(frame), frame.get("dev_eui", ""), first))))
        for detail in details:
            click.echo(f"    {detail}")
