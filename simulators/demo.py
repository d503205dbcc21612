# SPDX-License-Identifier: EUPL-1.2
"""The demo: a small Jena on one machine, watched on one screen until someone presses Ctrl-C."""

import shutil
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any, TextIO
from zoneinfo import ZoneInfo

from simulators.city import AREAS
from simulators.town import Town, TownError

_SERVICES = ("broker", "gateway", "ingest", "nodes")
_CITY_TIME = ZoneInfo("Europe/Berlin")


class Screen:
    """Redraws a few lines in place on a terminal; on anything else prints the changing ones now and then."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._drawn = 0
        self._plain_due = 0.0

    def show(self, lines: list[str]) -> None:
        if self._out.isatty():
            size = shutil.get_terminal_size()
            # A line that wraps, or more lines than the terminal has, could not be redrawn in place.
            fitting = [line[: size.columns - 1] for line in lines[: size.lines - 1]]
            up = f"\x1b[{self._drawn}A" if self._drawn else ""
            self._out.write(up + "\x1b[J" + "".join(f"{line}\n" for line in fitting))
            self._drawn = len(fitting)
        elif time.monotonic() >= self._plain_due:
            self._plain_due = time.monotonic() + 5
            self._out.write(" | ".join(" ".join(line.split()) for line in lines[1:-1]) + "\n")
        self._out.flush()


def _number(value: int) -> str:
    return f"{value:,}".replace(",", " ")


def _stations(town: Town) -> dict[str, int]:
    return dict(Counter(station.kind for station in town.city.stations))


def _alert(area: dict[str, Any]) -> str:
    why = area["why"]
    reading = f"{why['quantity'].replace('_', ' ')} {why['value']:.1f} {why['unit']} (threshold {why['threshold']:.1f})"
    return f"{area['name']['en']}: {reading}, {area['litres']} l"


def lines(town: Town, nodes: dict[str, Any], public: dict[str, Any], crew: dict[str, Any]) -> list[str]:
    """The screen: what a person wants to know, one fact a line."""
    now = datetime.fromtimestamp(nodes.get("now", town.city.start_unix_s), UTC).astimezone(_CITY_TIME)
    alerts = [_alert(area) for area in crew.get("areas", [])]
    down = [part for part in _SERVICES if not town.alive(part)]
    return [
        f"Stadtfunk, a small Jena: {len(town.city.trees)} trees in {len(AREAS)} reference areas"
        + "".join(f", {count} {kind} stations" for kind, count in _stations(town).items()),
        f"  page      {town.url}/   crew: {town.url}/crew",
        f"  operator  {town.url}/operator   any user name, password in {town.folder / 'operator.token'}",
        f"  gateway   {town.gateway_url}/   any user name, password in {town.folder / 'page.token'}",
        f"  city time {now:%a %d %b %Y %H:%M}",
        f"  nodes     {nodes.get('joined', 0)} of {len(town.city.devices())} joined",
        f"  uplinks   {_number(nodes.get('uplinks', 0))} heard by the gateway",
        f"  readings  {_number(public.get('readings', 0))} stored",
        f"  alerts    {alerts[0] if alerts else 'none yet'}",
        *(f"            {alert}" for alert in alerts[1:]),
        f"  services  {'all run' if not down else 'stopped: ' + ', '.join(down)}; logs are in {town.folder}",
        "Ctrl-C stops everything.",
    ]


def run(town: Town, *, speed: float | None, until_alert: bool, out: TextIO = sys.stdout) -> None:
    """Start the town and show it until Ctrl-C, or until an alert is public; raises TownError if a part stops."""
    screen = Screen(out)
    started = time.monotonic()
    print("starting broker, gateway and ingest ...", file=out, flush=True)
    town.start_services()
    town.start_nodes(speed=speed)
    while True:
        crew = town.get(f"{town.url}/api/crew") or {}
        screen.show(lines(town, town.progress(), town.get(f"{town.url}/api/status") or {}, crew))
        if until_alert and crew.get("areas"):
            area = crew["areas"][0]
            print(
                f"first alert after {time.monotonic() - started:.1f} s: {area['name']['en']}, {area['litres']} litres",
                file=out,
            )
            return
        for part in _SERVICES:
            if not town.alive(part):
                raise TownError(part, f"stopped: {town.last_line(part)}")
        time.sleep(0.5)
