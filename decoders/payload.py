# SPDX-License-Identifier: EUPL-1.2
"""Payloads: one table a profile; ``payload_encoder`` packs by it on the node, ``payload_reader`` reads at the gateway.

A message is a series of samples that have the same fields, newest first, packed column by column as bits, most
significant first; what is left of the last byte is 0:

    samples less 1           8 bits
    clock                    1: ``time`` is GPS s. 0: the node has no network time, ``time``: s before the uplink
    time of the newest       32 bits (16 without a clock)
    fields                   groups of 8 bits: bit i: field 7 g + i of the layout is in it; bit 7: another group
    times, if n > 1          gap that is meant between two samples, 20 bits, s; n - 1 gaps less that, as differences
    for each field           faults, 1 bit: if 1, a run for each sample (below); then of those that are values
                             the newest, ``bits`` wide; the others as differences to the newer one

    differences              k, 4 bits; 15: all are 0. Else each zigzag (0, -1, 1, -2, ...) in Rice code with k:
                             z >> k ones (at most 15), a zero, k bits; or 16 ones and z in 21 bits
    run                      0: as the sample before (a value, at first); 1 and 0: a value; 1, 1 and 3 bits: that fault

A field's number on air (``raw``) is what the node measured, in steps: (value - low) / step. Fields are only ever
appended to a layout, so a reader with an older table knows the first columns, and the rest are the last.
"""

from collections import namedtuple

from decoders.faults import FAULTS

if False:  # types only
    from collections.abc import Mapping, Sequence

    Raw = tuple[int, Sequence[int]]  # time s, raws of the fields that are there, in their order

FAULT = 0x10000 - len(FAULTS)  # a raw of this and above is FAULTS[raw - FAULT]
_OUT_OF_RANGE = FAULT + FAULTS.index("out_of_range")

ALL_ZERO = 15  # instead of k
MOST_K = 14
MOST_ONES = 15
ESCAPED_BITS = 21
GAP_BITS = 20
LONGEST_GAP_S = (1 << GAP_BITS) - 1
MOST_SAMPLES = 256
MOST_AGE_S = 0xFFFF  # of the newest sample of a node without a clock


class Field(namedtuple("Field", ("name", "unit", "per_unit", "low", "step", "bits"))):
    """A quantity: the node gives integers, ``per_unit`` to a ``unit``; sent are steps of ``step`` from ``low`` up."""

    name: str
    unit: str
    per_unit: int
    low: int
    step: int
    bits: int

    def most(self) -> int:
        """The highest raw that is a value."""
        return min((1 << self.bits) - 1, FAULT - 1)

    def raw(self, value: int | str) -> int:
        """Of an integer times per_unit or a fault's name; what the field cannot hold is the fault out_of_range."""
        if isinstance(value, str):
            return FAULT + FAULTS.index(value) if value in FAULTS else _OUT_OF_RANGE
        raw = (value - self.low + self.step // 2) // self.step
        return raw if 0 <= raw <= self.most() else _OUT_OF_RANGE

    def value(self, raw: int) -> int:
        """What was measured, times per_unit, to the nearest step."""
        return self.low + raw * self.step


class Layout(namedtuple("Layout", ("profile", "version", "f_port", "fields"))):
    """What a profile sends on its FPort. A new version appends fields; anything else takes another FPort."""

    profile: str
    version: int
    f_port: int
    fields: tuple[Field, ...]

    def raws(self, values: "Mapping[str, int | str]") -> "tuple[int, list[int]]":
        """(bit mask of the fields that are in ``values``, their raws)."""
        mask = 0
        raws = []
        for n, field in enumerate(self.fields):
            if field.name in values:
                mask |= 1 << n
                raws.append(field.raw(values[field.name]))
        return mask, raws

    def present(self, mask: int) -> "list[Field]":
        """The fields of a mask, those that this layout knows."""
        return [field for n, field in enumerate(self.fields) if mask >> n & 1]
