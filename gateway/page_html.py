# SPDX-License-Identifier: EUPL-1.2
"""What the pages for people are made of: a document, tables, links to nodes. HTML without a script."""

import html
from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.page import Content

Pairs = Mapping[str, tuple[str, str]]  # words by the names that a page uses: (German, English)

_REFRESH_S = 10
_ZONE = "Europe/Berlin"
_STYLE = (
    "body{font:16px/1.5 sans-serif;margin:1rem;color:#111;background:#fff}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #bbb}"
    ".late{background:#fff3cd}.down{background:#f8d7da}small{color:#444}td{overflow-wrap:anywhere}"
    "@media(max-width:60rem){table{display:block;overflow-x:auto}td:not(:last-child){white-space:nowrap}}"
    # on a phone, of two cells each has a line of its own
    "@media(max-width:30rem){td:first-child:nth-last-child(2){display:block;border:0;padding-bottom:0}"
    "td:nth-child(2):last-child{display:block}th:first-child:nth-last-child(2),th:nth-child(2):last-child{display:none}}"
)


class Link(NamedTuple):
    """A node that leads to its frames: by its name, if it has one, with its DevEUI below."""

    dev_eui: str
    name: str = ""


class Lines(list[str]):
    """A line, and its details below."""


def local_zone() -> tzinfo | None:
    """Whose time people's pages show; None, so UTC, on a machine that does not know it."""
    try:
        return ZoneInfo(_ZONE)
    except ZoneInfoNotFoundError:
        return None


def about_times(language: str, zone: tzinfo | None) -> str:
    """What the times of a page are, in words."""
    if zone is None:
        return f"<p><small>{'Zeiten: UTC' if language == 'de' else 'Times are UTC'}.</small></p>"
    words = "Zeiten: Ortszeit" if language == "de" else "Times are local time"
    return f"<p><small>{words} ({_ZONE}).</small></p>"


def words_of(pairs: Pairs, language: str) -> dict[str, str]:
    """The words of one language, de or en."""
    return {name: pair[language == "en"] for name, pair in pairs.items()}


def table(headings: Sequence[str], rows: Iterable[tuple[str, Sequence[object]]], nothing: str) -> str:
    """``rows``: (CSS class, cells); ``nothing`` stands in place of a table without any."""
    made = [f'<tr class="{kind}">' + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>" for kind, row in rows]
    if not made:
        return f"<p>{nothing}</p>"
    head = "".join(f'<th scope="col">{heading}</th>' for heading in headings)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(made)}</tbody></table>"


def _cell(value: object) -> str:
    if isinstance(value, Link):
        dev_eui, name = html.escape(value.dev_eui), html.escape(value.name)
        return f'<a href="/node?dev_eui={dev_eui}">{name or dev_eui}</a>' + (
            f"<br><small>{dev_eui}</small>" if name else ""
        )
    if isinstance(value, Lines):
        first, *details = (html.escape(line) for line in value)
        return first + "".join(f"<br><small>{line}</small>" for line in details)
    return html.escape(str(value))


def document(language: str, title: str, body: Iterable[str], *, refresh: bool = False) -> Content:
    """``refresh``: it reloads by itself, which would disturb whoever fills in a form."""
    again = f'<meta http-equiv="refresh" content="{_REFRESH_S}">' if refresh else ""
    return "text/html", (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"{again}<style>{_STYLE}</style>" + "".join(body) + "</html>\n"
    )
