# SPDX-License-Identifier: EUPL-1.2
"""What the pages for people are made of: a document, tables, links to nodes. HTML without a script."""

import html
from collections.abc import Iterable, Mapping, Sequence

from gateway.page import Content

Pairs = Mapping[str, tuple[str, str]]  # words by the names that a page uses: (German, English)

_REFRESH_S = 10
_STYLE = (
    "body{font:16px/1.5 sans-serif;margin:1rem;color:#111;background:#fff}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #bbb}"
    ".late{background:#fff3cd}.down{background:#f8d7da}small{color:#444}td{overflow-wrap:anywhere}"
    "@media(max-width:60rem){table{display:block;overflow-x:auto}td:not(:last-child){white-space:nowrap}}"
)


class Link(str):
    """A DevEUI that leads to its frames."""


class Lines(list[str]):
    """A line, and its details below."""


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
        return f'<a href="/node?dev_eui={html.escape(value)}">{html.escape(value)}</a>'
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
