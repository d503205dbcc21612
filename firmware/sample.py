# SPDX-License-Identifier: EUPL-1.2
"""Takes a sample and puts it into the history; loaded to do either, unloaded before the exchange."""

if False:  # types only
    from collections.abc import Sequence

    from decoders.payload import Layout, Raw
    from firmware.hal import Board, Probe, Value, Values
    from firmware.history import History
    from firmware.settings import Settings
    from firmware.state import Memory

# The cell's voltage under the load of the processor, mV: empty and full for DevStatusAns
_EMPTY_MV = 2_900  # LiFePO4: below, it holds next to nothing
_FULL_MV = 3_350


def measure(
    board: "Board", profile: str, settings: "Settings", history: "History", probes: "Sequence[Probe]"
) -> "tuple[Values, int, int]":
    """(what the sensors give; time of the last sample that has one; what they drew, uA s). ``probes``: who count."""
    from firmware import profile as profiles

    samples = history.newest(1)[1]
    last_s = samples[0][0] if samples else 0
    if probes:
        return profiles.count(board, profile, probes), last_s, 0
    began_ms = board.clock.ticks_ms()
    values = profiles.measure(board, profile, settings)
    on_ms = board.clock.ticks_diff(board.clock.ticks_ms(), began_ms)
    return values, last_s, profiles.draws_uas(profile, settings, on_ms)


def battery_level(values: "Values") -> int:
    """What DevStatusAns says of the battery: 1 (empty) to 254 (full), 255 if it could not be measured."""
    battery_mv = values.get("battery_voltage", "")
    if isinstance(battery_mv, str):
        return 255
    return 1 + 253 * min(max(battery_mv - _EMPTY_MV, 0), _FULL_MV - _EMPTY_MV) // (_FULL_MV - _EMPTY_MV)


def keep(
    memory: "Memory",
    profile: str,
    settings: "Settings",
    history: "History",
    time_s: int,
    values: "Values",
    local: bool,
) -> bool:
    """Calibrate a sample and name frozen soil, both in ``values``; put it into the history.

    Returns whether it has passed a threshold since the one before.
    """
    from decoders.layouts import of

    layout = of(profile)
    _calibrate(values, layout, settings)
    if profile == "tree":
        _frozen(values)
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
    """Both as they are sent: in steps, and what was a fault says nothing."""
    from decoders.payload import FAULT

    last: "Values" = {}
    if before:
        for field, raw in zip(layout.present(mask), before[0][1]):
            if raw < FAULT:
                last[field.name] = field.value(raw)
    for number, (kind, limit) in settings.thresholds.items():
        if number >= len(layout.fields):
            continue  # of a newer firmware
        field = layout.fields[number]
        raw = field.raw(values.get(field.name, ""))
        if (
            raw < FAULT
            and _beyond(field.value(raw), kind, limit)
            and not _beyond(last.get(field.name, ""), kind, limit)
        ):
            return True
    return False


def _beyond(value: "Value", kind: int, limit: int) -> bool:
    return not isinstance(value, str) and (value < limit if kind == 1 else value > limit)


def _calibrate(values: "Values", layout: "Layout", settings: "Settings") -> None:
    for number, (scale, offset) in settings.calibrations.items():
        if number >= len(layout.fields):
            continue
        name = layout.fields[number].name
        value = values.get(name, "")
        if not isinstance(value, str):
            values[name] = (value * scale + 5_000) // 10_000 + offset


def _frozen(values: "Values") -> None:
    from firmware.sensors.soil import frozen

    for depth in ("", "_2", "_3"):
        here = {name: value for name, value in values.items() if _depth(name) == depth}
        values.update(frozen(here, values.get("soil_temperature" + depth, "no_answer")))


def _depth(name: str) -> str:
    return name[-2:] if name[-2:] in ("_2", "_3") else ""
