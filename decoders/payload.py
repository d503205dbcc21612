# SPDX-License-Identifier: EUPL-1.2
"""Payloads: one table a profile encodes on the node and decodes at the gateway (``decoders.payload_reader``).

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


class _Bits:
    """Writes numbers bit by bit."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._rest = 0
        self._count = 0

    def put(self, number: int, width: int) -> None:
        """The lowest ``width`` bits of ``number``, which has no others."""
        while width > 16:  # small integers on a board have 31 bits
            width -= 16
            self.put(number >> width & 0xFFFF, 16)
            number &= (1 << width) - 1
        self._rest = self._rest << width | number
        self._count += width
        while self._count >= 8:
            self._count -= 8
            self.data.append(self._rest >> self._count & 0xFF)
        self._rest &= (1 << self._count) - 1

    def end(self) -> bytes:
        """Everything, filled up with zeros."""
        if self._count:
            self.put(0, 8 - self._count)
        return bytes(self.data)


def encode(layout: Layout, mask: int, samples: "Sequence[Raw]", clock: bool = True) -> bytes:
    """The message of ``samples`` (time s, raws of the fields of ``mask``), newest first, no two at one time.

    With a ``clock`` times are GPS s; without, the newest is 0 or less (s before the uplink) and the others lie before.
    The caller sees to it that gaps are at most LONGEST_GAP_S and samples at most MOST_SAMPLES.
    """
    bits = _Bits()
    bits.put(len(samples) - 1, 8)
    newest = samples[0][0]
    if clock:
        bits.put(1, 1)
        bits.put(newest, 32)
    else:
        bits.put(0, 1)
        bits.put(min(-newest, MOST_AGE_S), 16)
    _put_mask(bits, mask)
    if len(samples) > 1:
        gaps = [samples[n][0] - samples[n + 1][0] for n in range(len(samples) - 1)]
        meant = max(gaps, key=gaps.count)
        bits.put(meant, GAP_BITS)
        _put_differences(bits, [gap - meant for gap in gaps])
    for column, field in enumerate(layout.present(mask)):
        _put_column(bits, field, [raws[column] for _, raws in samples])
    return bits.end()


def fit(layout: Layout, mask: int, samples: "Sequence[Raw]", room: int, clock: bool = True) -> "tuple[bytes, int]":
    """(message of at most ``room`` bytes, how many of ``samples`` are in it); (b"", 0) if not even one fits."""
    count = min(len(samples), MOST_SAMPLES)
    while count:
        data = encode(layout, mask, samples[:count], clock)
        if len(data) <= room:
            return data, count
        count = min(count - 1, count * room // len(data) + 1)
    return b"", 0


def _put_mask(bits: _Bits, mask: int) -> None:
    while True:
        group = mask & 0x7F
        mask >>= 7
        bits.put(0x80 | group if mask else group, 8)
        if not mask:
            return


def _put_column(bits: _Bits, field: Field, raws: "list[int]") -> None:
    faulty = max(raws) >= FAULT
    bits.put(int(faulty), 1)
    if faulty:
        before = 0
        for raw in raws:
            state = raw if raw >= FAULT else 0
            if state == before:
                bits.put(0, 1)
            elif state:
                bits.put(0x18 | state - FAULT, 5)
            else:
                bits.put(2, 2)
            before = state
        raws = [raw for raw in raws if raw < FAULT]
    if raws:
        bits.put(raws[0], field.bits)
    if len(raws) > 1:
        _put_differences(bits, [raws[n + 1] - raws[n] for n in range(len(raws) - 1)])


def _put_differences(bits: _Bits, differences: "list[int]") -> None:
    zigzags = [2 * d if d >= 0 else -2 * d - 1 for d in differences]
    most = max(zigzags)
    if most == 0:
        bits.put(ALL_ZERO, 4)
        return
    best = least = 1 << 30
    for k in range(MOST_K + 1):
        cost = 0
        for zigzag in zigzags:
            ones = zigzag >> k
            cost += ones + 1 + k if ones <= MOST_ONES else MOST_ONES + 1 + ESCAPED_BITS
        if cost < least:
            least, best = cost, k
        if most >> k == 0:
            break
    bits.put(best, 4)
    for zigzag in zigzags:
        ones = zigzag >> best
        if ones <= MOST_ONES:
            bits.put((1 << ones) - 1 << 1, ones + 1)
            bits.put(zigzag & (1 << best) - 1, best)
        else:
            bits.put((1 << MOST_ONES + 1) - 1, MOST_ONES + 1)
            bits.put(zigzag, ESCAPED_BITS)
