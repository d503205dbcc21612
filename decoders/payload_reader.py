# SPDX-License-Identifier: EUPL-1.2
"""Reads at the gateway what ``decoders.payload`` writes on the node."""

from decoders import payload
from decoders.faults import FAULTS, MalformedPayload
from decoders.payload import FAULT, Layout
from decoders.payload_v1 import Message, Sample


class _Bits:
    """Takes numbers off the front of ``data``."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, width: int) -> int:
        """The next ``width`` bits; raises MalformedPayload if there are not so many."""
        end = self._at + width
        if end > 8 * len(self._data):
            raise MalformedPayload("length", (end + 7) // 8, len(self._data))
        first, last = self._at // 8, (end + 7) // 8
        self._at = end
        return int.from_bytes(self._data[first:last], "big") >> 8 * last - end & (1 << width) - 1

    def end(self) -> None:
        """Nothing but the zeros of the last byte may follow."""
        need = (self._at + 7) // 8
        if len(self._data) != need:
            raise MalformedPayload("length", need, len(self._data))
        rest = self.take(8 * need - self._at)
        if rest:
            raise MalformedPayload("rest", 0, rest)


def read(layout: Layout, data: bytes) -> Message:
    """The samples of a FRMPayload, as far as ``layout`` knows its fields; raises MalformedPayload."""
    bits = _Bits(data)
    count = bits.take(8) + 1
    newest = bits.take(32) if bits.take(1) else -bits.take(16)
    if newest == 0 and data[1] & 0x80:
        raise MalformedPayload("time", 1, 0)
    mask = _mask(bits)
    times = [newest]
    if count > 1:
        meant = bits.take(payload.GAP_BITS)
        for difference in _differences(bits, count - 1):
            gap = meant + difference
            if gap <= 0 or 0 < newest <= newest - times[-1] + gap:
                raise MalformedPayload("gap", 1, gap)
            times.append(times[-1] - gap)
    values: list[dict[str, float | None]] = [{} for _ in times]
    faults: list[dict[str, str]] = [{} for _ in times]
    for field in layout.present(mask):
        for n, raw in enumerate(_column(bits, field, count)):
            if raw >= FAULT:
                values[n][field.name] = None
                faults[n][field.name] = FAULTS[raw - FAULT]
            else:
                values[n][field.name] = field.value(raw) / field.per_unit
    unknown = bin(mask >> len(layout.fields)).count("1")
    if not unknown:
        bits.end()
    return Message({}, [Sample(*sample) for sample in zip(times, values, faults)], {}, unknown)  # noqa: B905


def _mask(bits: _Bits) -> int:
    mask = shift = 0
    while True:
        group = bits.take(8)
        mask |= (group & 0x7F) << shift
        shift += 7
        if not group & 0x80:
            return mask


def _column(bits: _Bits, field: payload.Field, count: int) -> list[int]:
    states = [0] * count
    if bits.take(1):
        before = 0
        for n in range(count):
            if bits.take(1):
                before = FAULT + bits.take(3) if bits.take(1) else 0
            states[n] = before
    good = states.count(0)
    raws = [bits.take(field.bits)] if good else []
    if good > 1:
        for difference in _differences(bits, good - 1):
            raws.append(raws[-1] + difference)
    for raw in raws:
        if not 0 <= raw <= field.most():
            raise MalformedPayload(field.name, field.most(), raw)
    following = iter(raws)
    return [state or next(following) for state in states]


def _differences(bits: _Bits, count: int) -> list[int]:
    k = bits.take(4)
    if k == payload.ALL_ZERO:
        return [0] * count
    found = []
    for _ in range(count):
        ones = 0
        while ones <= payload.MOST_ONES and bits.take(1):
            ones += 1
        zigzag = bits.take(payload.ESCAPED_BITS) if ones > payload.MOST_ONES else ones << k | bits.take(k)
        found.append(-(zigzag + 1 >> 1) if zigzag & 1 else zigzag >> 1)
    return found
