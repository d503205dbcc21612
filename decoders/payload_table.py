# SPDX-License-Identifier: EUPL-1.2
"""Payload layouts as Markdown tables, for README.md; kept off the node."""

from struct import calcsize

from decoders.payload import Layout
from decoders.payload_v1 import FAULTS, FixedField, FixedLayout

_TYPES = {"B": "u8", "H": "u16", "h": "i16", "I": "u32"}


def markdown(layout: Layout | FixedLayout) -> str:
    """The fields of a series, or the message of version 1 byte by byte; ends with a newline."""
    return _fixed(layout) if isinstance(layout, FixedLayout) else _series(layout)


def _series(layout: Layout) -> str:
    rows = [
        f"**{layout.profile}**, version {layout.version}, FPort {layout.f_port}",
        "",
        "| field | quantity | unit | one step | values | bits |",
        "|---|---|---|---|---|---|",
    ]
    for n, field in enumerate(layout.fields):
        low, high = field.low / field.per_unit, field.value(field.most()) / field.per_unit
        step = field.step / field.per_unit
        rows.append(f"| {n} | `{field.name}` | {field.unit} | {step:.7g} | {low:.7g}..{high:.7g} | {field.bits} |")
    return "\n".join(rows) + "\n"


def _fixed(layout: FixedLayout) -> str:
    rows = [
        f"**{layout.profile}**, version {layout.version}, FPort {layout.f_port}",
        "",
        "| offset | field | type | unit | one step | values | " + " | ".join(FAULTS) + " |",
        "|---|---|---|---|---|---|" + "---|" * len(FAULTS),
    ]
    at = 0
    for field in layout.header:
        at = _row(rows, at, field)
    no_faults = " |" * len(FAULTS)
    rows.append(
        f"| {at} | `time` of the newest sample | u32 | GPS s | 1 | 0 = clock not set, sampled just now |{no_faults}"
    )
    at += 4
    for field in layout.sample:
        at = _row(rows, at, field)
    rows.append(f"| {at} | `age` of the next sample, if there is one | u16 | s | 1 | 0..65535 |{no_faults}")
    at += 2
    one = sum(calcsize("<" + field.code) for field in layout.sample)
    rows.append(f"| {at} | next sample, fields as above; then `age` and sample again | {one} bytes | | | |{no_faults}")
    return "\n".join(rows) + "\n"


def _row(rows: list[str], at: int, field: FixedField) -> int:
    low, high = field.limits()
    codes = " | ".join(f"0x{field.encode(fault)[::-1].hex().upper()}" for fault in FAULTS)
    rows.append(
        f"| {at} | `{field.name}` | {_TYPES[field.code]} | {field.unit} | 1/{field.per_unit} "
        f"| {low / field.per_unit:.7g}..{high / field.per_unit:.7g} | {codes} |"
    )
    return at + calcsize("<" + field.code)
