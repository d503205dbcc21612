# SPDX-License-Identifier: EUPL-1.2
"""Takes a sample and puts it into the history; loaded to do either, unloaded before the exchange."""

if False:  # types only
    from collections.abc import Sequence

    from decoders.payload import Layout, Raw
    from firmware.hal import Board, Probe, Value, Values
    from firmware.history import History
    from firmware.settings import Settings
    from firmware.state import Memory


def measure(
    board: "Board", profile: str, settings: "Settings", history: "History", probes: "Sequence[Probe]"
) -> "tuple[Values, int]":
    """(what the sensors give, calibrated; time of the last sample that has one). ``probes``: those that count."""
    from firmware import profile as profiles

    samples = history.newest(1)[1]
    last_s = samples[0][0] if samples else 0
    if probes:
        return profiles.count(board, profile, settings, probes), last_s
    return profiles.measure(board, profile, settings), last_s


def battery_level(values: "Values") -> int:
    """For DevStatusAns."""
    from firmware import profile

    return profile.battery_level(values)


def keep(
    memory: "Memory",
    profile: str,
    settings: "Settings",
    history: "History",
    time_s: int,
    values: "Values",
    local: bool,
) -> bool:
    """Put a sample into the history; return whether it has passed a threshold since the one before."""
    from decoders.layouts import of

    layout = of(profile)
    urgent = False
    if settings.thresholds:
        mask, before = history.newest(1)
        urgent = _passed(layout, settings, values, mask, before)
    mask, raws = layout.raws(values)
    try:
        history.append(time_s, mask, raws, local)
    except OSError as error:
        memory.counters.readings_lost += 1
        print("history:", error)
    return urgent


def _passed(layout: "Layout", settings: "Settings", values: "Values", mask: int, before: "list[Raw]") -> bool:
    last: "Values" = {}
    if before:
        for field, raw in zip(layout.present(mask), before[0][1]):
            last[field.name] = field.value(raw)
    for number, (kind, limit) in settings.thresholds.items():
        name = layout.fields[number].name
        if _beyond(values.get(name, ""), kind, limit) and not _beyond(last.get(name, ""), kind, limit):
            return True
    return False


def _beyond(value: "Value", kind: int, limit: int) -> bool:
    return not isinstance(value, str) and (value < limit if kind == 1 else value > limit)
