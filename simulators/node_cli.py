# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk node energy``: how long a node runs on its battery, in plain words, German or English."""

import json
import locale
from typing import Any

import click

from decoders.profiles import PROFILES
from decoders.written import written
from simulators.board import KINDS
from simulators.currents import DEEP, LIGHT
from simulators.energy import Battery
from simulators.node import BOOT_US
from simulators.node_energy import DAYS, Estimate, NeverSettled, currents, estimate
from simulators.node_run import one_cpu
from simulators.number import Number
from simulators.progress import progress
from simulators.terminated import stop_as_by_ctrl_c

_WORDS: dict[str, dict[str, Any]] = {
    "de": {
        "head": "{profile}-Knoten auf {board}: {per_day} Meldungen am Tag mit SF{sf}",
        "years": "Jahre",
        "days": "Tage",
        "life": "{life} mit einer Batterie von {capacity} mAh",
        "mains": ": er braucht ein Netzteil oder Sonne",
        "day": "Am Tag: {total} mAh, {uplinks} Meldungen, {airtime} s auf Sendung, {awake} s wach",
        "assumed": "Angenommen:",
        "battery": "{usable} % der Kapazität nutzbar, {loss} % Selbstentladung im Jahr, ohne Alterung und Kälte",
        "run": "gemessen in einem Lauf der echten Firmware über {days} Tage auf simulierter Hardware (seed {seed}), "
        "nach dem Beitritt; ohne die Wochenmeldung, wenn der Lauf kürzer ist; volle Sendeleistung",
        "table": ("Teil", "µA", "s am Tag", "mAh am Tag", "Quelle des Stroms"),
        "boot": "{boot} ms zum Starten, 10 µs je Zugriff auf Hardware",
        "computing": "{computing} s Rechnen je Aufwachen (--computing-s), geschätzt und um die Hälfte unsicher; "
        "mit einer Sekunde mehr: {more} mAh mehr am Tag, {life}",
        "never_sleeps": "er schläft nie, also kostet sein Rechnen nichts",
        "no_wake": "der Lauf war zu kurz für ein Aufwachen: was er dabei rechnet, fehlt hier (--days)",
        "unmeasured": "kein Strom ist an einem unserer Knoten gemessen; alle gelten an der Batterie",
        "idle": "Im Lauf nicht vorgekommen:",
        "trouble": "Die Teile haben sich beschwert; siehe oben.",
    },
    "en": {
        "head": "{profile} node on {board}: {per_day} uplinks a day at SF{sf}",
        "years": "years",
        "days": "days",
        "life": "{life} on a battery of {capacity} mAh",
        "mains": ": this node needs mains or solar power",
        "day": "A day: {total} mAh, {uplinks} uplinks, {airtime} s on the air, {awake} s awake",
        "assumed": "Assumed:",
        "battery": "{usable}% of the capacity usable, {loss}% self-discharge a year, no ageing, no cold",
        "run": "measured in a run of the real firmware over {days} days on simulated hardware (seed {seed}), after "
        "it had joined; without the weekly report if the run is shorter; full transmit power",
        "table": ("component", "uA", "s a day", "mAh a day", "source of the current"),
        "boot": "{boot} ms to boot, 10 us a call into hardware",
        "computing": "{computing} s of computing a wake (--computing-s), estimated, and uncertain by half; "
        "with a second more: {more} mAh more a day, {life}",
        "never_sleeps": "it never sleeps, so its computing costs nothing",
        "no_wake": "the run was too short for a wake: what it computes in one is missing here (--days)",
        "unmeasured": "no current was measured on a node of ours; all are at the battery",
        "idle": "Did not occur in the run:",
        "trouble": "The parts complained; see above.",
    },
}
_PARTS_DE = {
    "MCU awake": "Prozessor wach",
    "MCU light sleep": "Prozessor im leichten Schlaf",
    "MCU deep sleep": "Prozessor im Tiefschlaf",
    "radio transmit": "Funk sendet",
    "radio receive": "Funk empfängt",
    "radio standby": "Funk bereit",
    "radio sleep": "Funk schläft",
    "regulators": "Regler und Wandler",
}
_DETAILS_DE = {
    "reset": "im Reset",
    "starting": "startet",
    "cold": "kalt",
    "warm": "warm",
    "boosted": "verstärkt",
    "computing": "rechnet",
}
_LONG_LIVED_YEARS = 0.5


def _own_language() -> str:
    return "de" if (locale.getlocale()[0] or "").lower().startswith(("de", "german")) else "en"


def _name(label: str, language: str) -> str:
    if language == "en":
        return label
    component, comma, part = label.partition(", ")
    return _PARTS_DE.get(component, component.replace("sensor ", "Sensor ")) + comma + _DETAILS_DE.get(part, part)


def lines(found: Estimate, language: str) -> list[str]:
    """The answer for people."""
    words, battery = _WORDS[language], found.battery

    def number(value: float, spec: str) -> str:
        return written(value, spec, language)

    def life(mah_a_day: float) -> str:
        days = battery.days(mah_a_day)
        if days < _LONG_LIVED_YEARS * 365.25:
            return f"{number(days, ',.0f')} {words['days']}"
        return f"{number(days / 365.25, ',.1f')} {words['years']}"

    def figure(value: float) -> str:
        return number(value, ",.0f" if value >= 100 else ".3g")

    flowed = {draw.component for draw in found.draws}
    asleep_s = sum(draw.seconds for draw in found.draws if draw.component in (LIGHT, DEEP))
    idle = [one for one in currents(found.board) if one["component"] not in flowed]
    return [
        words["head"].format(profile=found.profile, board=found.board, per_day=number(found.per_day, "g"), sf=found.sf),
        words["life"].format(life=life(found.total), capacity=number(battery.capacity_mah, ",g"))
        + ("" if found.years >= _LONG_LIVED_YEARS else words["mains"]),
        words["day"].format(
            total=number(found.total, ",.3f"),
            uplinks=number(found.uplinks, ".1f"),
            airtime=number(found.airtime_s, ",.1f"),
            awake=number(found.awake_s, ",.0f"),
        ),
        _row(*words["table"]),
        *(
            _row(_name(name, language), figure(ua), figure(seconds), number(mah, ",.4f"), source)
            for name, ua, seconds, mah, source in found.draws
        ),
        words["idle"],
        *(_row(_name(one["component"], language), figure(one["ua"]), "", "", one["source"]) for one in idle),
        words["assumed"],
        "  "
        + words["battery"].format(
            usable=number(100 * battery.usable, ".0f"), loss=number(100 * battery.self_discharge, ".0f")
        ),
        "  " + words["run"].format(days=number(found.run_days, "g"), seed=found.seed),
        "  " + words["boot"].format(boot=number(BOOT_US / 1000, "g")),
        "  "
        + words["computing" if found.wakes else "no_wake" if asleep_s > 43_200 else "never_sleeps"].format(
            computing=number(found.computing_s, "g"),
            more=number(found.second_more_mah, ".3f"),
            life=life(found.total + found.second_more_mah),
        ),
        "  " + words["unmeasured"],
    ]


def _row(component: str, ua: str, seconds: str, mah: str, source: str) -> str:
    return f"  {component:<30}{ua:>8}{seconds:>10}{mah:>12}  {source}"


@click.command()
@click.option("--profile", type=click.Choice(PROFILES), default="tree", show_default=True, help="What it measures.")
@click.option("--sf", type=click.IntRange(7, 12), default=9, show_default=True, help="Spreading factor it sends with.")
@click.option("--per-day", type=Number(2, 288), default=24.0, show_default=True, help="Uplinks with a new reading.")
@click.option("--board", type=click.Choice(sorted(KINDS)), default="heltec_v3", show_default=True, help="Its board.")
@click.option("--battery-mah", type=Number(min=1), default=2500.0, show_default=True, help="Capacity, LiFePO4.")
@click.option("--computing-s", type=Number(0, 60), help="Seconds it computes in a wake.  [default: measured here]")
@click.option("--days", type=Number(min=0.01), help="Virtual days of the run.  [default: tree 3, air 1, traffic 0.125]")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same answer.")
@click.option("--language", type=click.Choice(["de", "en"]), help="Language of the answer.  [default: this machine's]")
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON, with every current and its source.")
def energy(
    profile: str,
    sf: int,
    per_day: float,
    board: str,
    battery_mah: float,
    computing_s: float | None,
    days: float | None,
    seed: int,
    language: str | None,
    as_json: bool,
) -> None:
    """How many years a node's battery lasts, what draws how much, and what is assumed.

    A short run of the real firmware on simulated hardware.

    \b
    Example:
        stadtfunk node energy --profile tree --sf 9 --per-day 24
    """
    stop_as_by_ctrl_c()
    length = DAYS[profile] if days is None else days
    try:
        with one_cpu(), progress("days") as told:
            found = estimate(
                profile,
                sf,
                per_day,
                board=board,
                days=length,
                seed=seed,
                battery=Battery(battery_mah),
                computing_s=computing_s,
                progress=told,
            )
    except NeverSettled as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(found.as_json(), ensure_ascii=False, indent=1))
    else:
        for line in lines(found, language or _own_language()):
            click.echo(line)
    for complaint in found.complaints:
        click.echo(complaint, err=True)
    if found.complaints:
        raise click.ClickException(_WORDS["en"]["trouble"])
