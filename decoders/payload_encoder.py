# SPDX-License-Identifier: EUPL-1.2
"""Packs samples into messages as ``decoders.payload`` describes; small and fast enough for the node."""

from decoders.payload import (
    ALL_ZERO,
    ESCAPED_BITS,
    FAULT,
    GAP_BITS,
    LONGEST_GAP_S,
    MOST_AGE_S,
    MOST_K,
    MOST_ONES,
    MOST_SAMPLES,
)

if False:  # types only
    from collections.abc import Sequence

    from decoders.payload import Field, Layout, Raw


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


def encode(layout: "Layout", mask: int, samples: "Sequence[Raw]", clock: bool = True) -> bytes:
    """The message of ``samples`` (time s, raws of the fields of ``mask``), newest first, no two at one time.

    With a ``clock`` times are GPS s; without, the newest is 0 or less (s before the uplink) and the others lie before.
    The caller sees to it that there are no ``pauses`` and samples at most MOST_SAMPLES.
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


def fit(layout: "Layout", mask: int, samples: "Sequence[Raw]", room: int, clock: bool = True) -> "tuple[bytes, int]":
    """(message of at most ``room`` bytes, how many of ``samples`` are in it); (b"", 0) if not even one fits."""
    count = min(len(samples), MOST_SAMPLES)
    while count:
        data = encode(layout, mask, samples[:count], clock)
        if len(data) <= room:
            return data, count
        count = min(count - 1, count * room // len(data) + 1)
    return b"", 0


def pauses(samples: "Sequence[Raw]") -> "list[int]":
    """Before which of ``samples``, newest first, there was none for longer than a message can tell."""
    return [n for n in range(1, len(samples)) if samples[n - 1][0] - samples[n][0] > LONGEST_GAP_S]


def _put_mask(bits: _Bits, mask: int) -> None:
    while True:
        group = mask & 0x7F
        mask >>= 7
        bits.put(0x80 | group if mask else group, 8)
        if not mask:
            return


def _put_column(bits: _Bits, field: "Field", raws: "list[int]") -> None:
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
