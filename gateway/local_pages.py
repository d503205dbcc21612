# SPDX-License-Identifier: EUPL-1.2
"""What the local page answers about single nodes: tables for technicians, in German or English, and JSON for commands.

The database is read in a thread, so that a large registry holds up no frame.
"""

import asyncio
import html
import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import tzinfo
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from decoders.eui import is_eui
from gateway import frame_objects, frame_words
from gateway.database import connect
from gateway.frame_log import FrameLog
from gateway.liveness import Liveness
from gateway.metrics import NODE_GAUGES, node_exposition
from gateway.node_table import NodeRow, cells, link_of, live, name_of, needs_somebody, node_rows, span
from gateway.page import Answer, BadRequest, Content, Request, as_json
from gateway.page_html import Lines, Link, about_times, document, local_zone, table, words_of
from gateway.reception_time import Boot

_T = TypeVar("_T")

MOST_NODES = 1000  # on a page and in the metrics; those who need somebody come first
MOST_LINES = 200

_WORDS = {
    "title": ("Gateway", "Gateway"),
    "concentrators": ("Konzentratoren", "Concentrators"),
    "nodes": ("Knoten", "Nodes"),
    "strangers": ("Anmeldungen von nicht eingetragenen Knoten", "Joins of nodes that are not registered"),
    "eui": ("EUI", "EUI"),
    "state": ("Zustand", "State"),
    "silent": ("Still seit", "Silent for"),
    "accepted": ("Angenommen", "Accepted"),
    "copies": ("Kopien", "Copies"),
    "refused": ("Abgelehnt", "Refused"),
    "dev_eui": ("DevEUI", "DevEUI"),
    "seen": ("Zuletzt gehört", "Last heard"),
    "interval": ("Abstand", "Interval"),
    "battery": ("Batterie", "Battery"),
    "margin": ("SNR-Reserve", "SNR margin"),
    "missed": ("Verpasst", "Missed"),
    "class": ("Klasse", "Class"),
    "profile": ("Profil", "Profile"),
    "name": ("Name", "Name"),
    "when": ("Wann", "When"),
    "what": ("Was", "What"),
    "ok": ("in Ordnung", "ok"),
    "late": ("überfällig", "late"),
    "down": ("ausgefallen", "down"),
    "never": ("nie gehört", "never heard"),
    "not_watched": ("nicht beobachtet", "not watched"),
    "all": ("Alle Knoten", "All nodes"),
    "none": ("nichts", "nothing"),
    "ask": ("Knoten zeigen", "Show node"),
    "downlink": ("Downlink senden", "Send a downlink"),
    "more": ("und weitere", "and more"),
}


class ConcentratorRow(NamedTuple):
    """One concentrator, as the overview shows it."""

    eui: str
    state: str
    silent_s: float | None
    accepted: int
    copies: int
    refused: int


class LocalPages:
    """``concentrators`` gives those of now."""

    def __init__(
        self,
        database: Path,
        log: FrameLog,
        liveness: Liveness,
        boot: Boot,
        concentrators: Callable[[], list[ConcentratorRow]],
    ) -> None:
        self._database = database
        self._log = log
        self._liveness = liveness
        self._boot = boot
        self._concentrators = concentrators
        self._zone = local_zone()

    def answers(self) -> dict[str, Answer]:
        """By path."""
        return {
            "/": self.overview,
            "/node": self.node,
            "/frames": self.frames,
            "/strangers": self.strangers,
            "/nodes": self.nodes,
            "/metrics/nodes": self.metrics,
        }

    async def _rows(self, most: int) -> list[NodeRow]:
        rows = await asyncio.to_thread(self._read, lambda database: node_rows(database, most))
        return [live(row, self._liveness.now(row.dev_eui)) for row in rows]

    async def _link(self, dev_eui: str) -> dict[str, Any] | None:
        return await asyncio.to_thread(self._read, lambda database: link_of(database, dev_eui))

    def _read(self, question: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            with closing(connect(self._database)) as connection:
                connection.execute("PRAGMA query_only = ON")
                return question(connection)
        except sqlite3.Error as error:
            raise BadRequest(f"the database cannot be read ({error})") from error

    # --- for programs

    async def frames(self, request: Request) -> Content:
        """The last ``lines`` frames of ``dev_eui``; with ``after`` only what is settled after that number.

        ``last`` in the answer is the number to ask with the next time.
        """
        dev_eui = _dev_eui(request)
        self._log.watch(dev_eui, self._boot.seconds())
        most = _number(request, "lines", 20)
        last = _number(request, "after", 0)
        if "after" in request.query:
            settled = self._log.settled_after(dev_eui, last, self._boot.seconds())
            last = settled[-1].seq if settled else last
            found = settled[-most:] if most else []
        else:
            found = self._log.frames(dev_eui, most)
        frames = [frame_objects.as_object(entry) for entry in found]
        link = await self._link(dev_eui)
        return "application/json", as_json({"dev_eui": dev_eui, "last": last, "link": link, "frames": frames})

    async def strangers(self, _request: Request) -> Content:
        """The last Join-Request of every DevEUI that is not registered."""
        found = [{"dev_eui": dev_eui, **frame_objects.as_object(join)} for dev_eui, join in self._log.strangers()]
        return "application/json", as_json(found)

    async def nodes(self, _request: Request) -> Content:
        """What the running service has counted of every node: [state, received, missed, interval] by DevEUI."""
        found = {dev_eui: self._liveness.now(dev_eui) for dev_eui in self._liveness.heard()}
        return "application/json", await asyncio.to_thread(json.dumps, found)

    async def metrics(self, _request: Request) -> Content:
        """Prometheus text about single nodes."""
        rows = await self._rows(MOST_NODES)
        values = [
            {
                "dev_eui": row.dev_eui,
                "up": int(not needs_somebody(row)),
                "late": int(row.state == "late"),
                "down": int(row.state == "down"),
                "silent_seconds": None
                if (known := self._liveness.node(row.dev_eui)) is None
                else round(known.silent_s),
                "interval_seconds": row.interval_s,
                "battery": row.battery,
                "snr_margin_db": row.snr_margin_db,
                "uplinks": row.received,
                "missed_uplinks": row.missed,
            }
            for row in rows
        ]
        assert all(value.keys() - {"dev_eui"} == NODE_GAUGES.keys() for value in values)
        return "text/plain; version=0.0.4", node_exposition(values)

    # --- for people

    async def overview(self, request: Request) -> Content:
        """Concentrators, nodes, and who has tried to join."""
        rows = await self._rows(MOST_NODES + 1)
        rows.sort(key=lambda row: ("down", "late", "ok", "never").index(row.state))
        words = words_of(_WORDS, request.language)
        concentrators = [
            (
                known.state,
                (
                    known.eui, words[known.state], span(known.silent_s, request.language), known.accepted,
                    known.copies, known.refused,
                ),
            )
            for known in self._concentrators()
        ]  # fmt: skip
        strangers = [
            (
                "",
                (
                    frame_words.when(frame, self._zone), Link(dev_eui),
                    " · ".join(frame_words.describe(frame, request.language, self._zone)),
                ),
            )
            for dev_eui, frame in ((name, frame_objects.as_object(join)) for name, join in self._log.strangers())
        ]  # fmt: skip
        body = [
            f"<h1>{words['title']}</h1>",
            f'<form action="/node"><label>{words["dev_eui"]} <input name="dev_eui" pattern="[0-9a-fA-F]{{16}}" '
            f"required></label> <button>{words['ask']}</button></form>",
            about_times(request.language, self._zone),
            f"<h2>{words['concentrators']}</h2>",
            _table(words, ("eui", "state", "silent", "accepted", "copies", "refused"), concentrators),
            f"<h2>{words['nodes']}</h2>",
            _table(
                words,
                ("name", "state", "seen", "interval", "battery", "margin", "missed", "class", "profile"),
                [(row.state, _node_cells(row, words, request.language, self._zone)) for row in rows[:MOST_NODES]],
            ),
            f"<p>… {words['more']}</p>" if len(rows) > MOST_NODES else "",
            f"<h2>{words['strangers']}</h2>",
            _table(words, ("when", "dev_eui", "what"), strangers),
        ]
        return document(request.language, words["title"], body)

    async def node(self, request: Request) -> Content:
        """The frames of one node, the newest first."""
        dev_eui = _dev_eui(request)
        self._log.watch(dev_eui, self._boot.seconds())
        words = words_of(_WORDS, request.language)
        frames = [frame_objects.as_object(entry) for entry in reversed(self._log.frames(dev_eui, MOST_LINES))]
        lines = [
            (
                "",
                (
                    frame_words.when(frame, self._zone),
                    Lines(frame_words.describe(frame, request.language, self._zone)),
                ),
            )
            for frame in frames
        ]
        link = await self._link(dev_eui)
        name = await asyncio.to_thread(self._read, lambda database: name_of(database, dev_eui))
        body = [
            f'<p><a href="/">{words["all"]}</a> · <a href="/downlink?dev_eui={dev_eui}">{words["downlink"]}</a></p>'
            f"<h1>{html.escape(name or dev_eui)}</h1>" + (f"<p>{dev_eui}</p>" if name else ""),
            about_times(request.language, self._zone),
            f"<p>{html.escape(frame_words.describe_link(link, request.language))}</p>" if link else "",
            _table(words, ("when", "what"), lines),
        ]
        return document(request.language, dev_eui, body, refresh=True)


def _table(words: Mapping[str, str], names: Sequence[str], rows: Iterable[tuple[str, Sequence[object]]]) -> str:
    return table([words[name] for name in names], rows, words["none"])


def _node_cells(row: NodeRow, words: Mapping[str, str], language: str, zone: tzinfo | None) -> tuple[object, ...]:
    """People look for a place, so its name comes first."""
    dev_eui, state, *rest, name = cells(row, language, zone)
    return Link(dev_eui, name), words[state], *rest


def _dev_eui(request: Request) -> str:
    dev_eui = request.query.get("dev_eui", "").strip().lower()
    if not is_eui(dev_eui):
        raise BadRequest("dev_eui must be 16 hex digits")
    return dev_eui


def _number(request: Request, name: str, default: int) -> int:
    text: Any = request.query.get(name, str(default))
    if not re.fullmatch("[0-9]{1,15}", text):
        raise BadRequest(f"{name} must be a number")
    return int(text)
