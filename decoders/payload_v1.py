# SPDX-License-Identifier: EUPL-1.2
"""The first kind of payload, as nodes of version 0.1 send it: fields of whole bytes, every sample in full.

A message on air, little endian: header fields; ``time`` u32, GPS seconds of the newest sample; the newest sample;
then older samples, each after its ``age`` u16, seconds before the newest. ``time`` 0 means that the node's clock is
not set yet and that the newest sample was taken just before sending.
"""

import struct
from collections import namedtuple

from decoders.faults import FAULTS as ALL_FAULTS
from decoders.faults import MalformedPayload
from decoders.lorawan.errors import FieldRange

# Fault i is sent as ``max - i`` of an unsigned field and ``min + i`` of a signed one.
FAULTS = ALL_FAULTS[:4]


class FixedField(namedtuple("FixedField", ("name", "code", "per_unit", "unit"))):
    """A quantity on air: ``code`` is a letter of ``struct`` (B H h I); sent is the value times ``per_unit``."""

    name: str
    code: str
    per_unit: int
    unit: str

    def limits(self) -> tuple[int, int]:
        """Lowest and highest integer that is a value and not a fault."""
        bits = 8 * struct.calcsize("<" + self.code)
        if self.code.isupper():
            return 0, (1 << bits) - 1 - len(FAULTS)
        return len(FAULTS) - (1 << bits - 1), (1 << bits - 1) - 1

    def encode(self, value: int | str | None) -> bytes:
        """The integer or fault name as bytes; raises FieldRange."""
        low, high = self.limits()
        if value in FAULTS:
            fault = FAULTS.index(value)
            raw = high + len(FAULTS) - fault if self.code.isupper() else low - len(FAULTS) + fault
        elif isinstance(value, int) and low <= value <= high:
            raw = value
        else:
            raise FieldRange(self.name, value)
        return struct.pack("<" + self.code, raw)

    def decode(self, raw: int) -> tuple[float | None, str | None]:
        """(value in ``unit``, None) or (None, fault name)."""
        low, high = self.limits()
        if raw > high:
            return None, FAULTS[high + len(FAULTS) - raw]
        if raw < low:
            return None, FAULTS[raw - low + len(FAULTS)]
        return raw / self.per_unit, None


class Sample(namedtuple("Sample", ("time", "values", "faults"))):
    """What one moment gave: ``values`` by name, None where ``faults`` names the reason.

    ``time``: GPS seconds; 0 or less while the node's clock is not set: seconds relative to the uplink.
    """

    time: int
    values: dict[str, float | None]
    faults: dict[str, str]


class Message(namedtuple("Message", ("header", "samples", "header_faults", "unknown_fields"))):
    """``samples`` newest first. ``unknown_fields``: how many the message has that this table does not know yet.

    ``header`` (version 1 only) by name, None where ``header_faults`` names the reason.
    """

    header: dict[str, float | None]
    samples: list[Sample]
    header_faults: dict[str, str]
    unknown_fields: int

    def readings(self, received_gps_s: int) -> list[tuple[str, int, float | None, str | None]]:
        """(name, GPS seconds, value, fault) of all; header fields count as taken with the newest sample."""
        rows = []
        samples = [Sample(self.samples[0].time, self.header, self.header_faults)]
        samples.extend(self.samples)
        for time, values, faults in samples:
            at = time if time > 0 else received_gps_s + time
            for name, value in values.items():
                rows.append((name, at, value, faults.get(name)))
        return rows


class FixedLayout(namedtuple("FixedLayout", ("profile", "version", "f_port", "header", "sample"))):
    """A versioned message: which fields, in which order. Another version takes another FPort."""

    profile: str
    version: int
    f_port: int
    header: tuple[FixedField, ...]
    sample: tuple[FixedField, ...]

    def encode(self, header: dict[str, int | str], samples: list[tuple[int, dict[str, int | str]]]) -> bytes:
        """Bytes of (gps_s, values) ``samples``, newest first, each value an integer times per_unit or a fault name.

        Raises FieldRange. Without a clock gps_s is 0 for the newest sample and negative for older ones.
        """
        if not samples:
            raise FieldRange("samples", 0)
        newest = samples[0][0]
        if not 0 <= newest < 1 << 32:
            raise FieldRange("time", newest)
        data = _encode(self.header, header) + struct.pack("<I", newest)
        for i, (gps_s, values) in enumerate(samples):
            if i:
                age = newest - gps_s
                if not 0 <= age < 1 << 16 or 0 < newest <= age:
                    raise FieldRange("age", age)
                data += struct.pack("<H", age)
            data += _encode(self.sample, values)
        return data

    def samples_that_fit(self, max_bytes: int) -> int:
        """How many samples a FRMPayload of ``max_bytes`` holds."""
        one = _length(self.sample)
        free = max_bytes - _length(self.header) - 4 - one
        return 1 + free // (2 + one) if free >= 0 else 0

    def decode(self, data: bytes) -> Message:
        """Read a FRMPayload; raises MalformedPayload."""
        at = _length(self.header)
        one = _length(self.sample)
        count = self.samples_that_fit(len(data))
        need = at + 4 + one + (max(count, 1) - 1) * (2 + one)
        if len(data) != need:
            raise MalformedPayload("length", need, len(data))
        header, header_faults = _decode(self.header, data, 0)
        (newest,) = struct.unpack_from("<I", data, at)
        at += 4
        samples = []
        age = 0
        for i in range(count):
            if i:
                (age,) = struct.unpack_from("<H", data, at)
                at += 2
                if 0 < newest <= age:
                    raise MalformedPayload("age", newest - 1, age)
            values, faults = _decode(self.sample, data, at)
            samples.append(Sample(newest - age, values, faults))
            at += one
        return Message(header, samples, header_faults, 0)


def _length(fields: tuple[FixedField, ...]) -> int:
    return sum([struct.calcsize("<" + field.code) for field in fields])


def _encode(fields: tuple[FixedField, ...], values: dict[str, int | str]) -> bytes:
    return b"".join([field.encode(values.get(field.name)) for field in fields])


def _decode(fields: tuple[FixedField, ...], data: bytes, at: int) -> tuple[dict[str, float | None], dict[str, str]]:
    values: dict[str, float | None] = {}
    faults = {}
    for field in fields:
        (raw,) = struct.unpack_from("<" + field.code, data, at)
        values[field.name], fault = field.decode(raw)
        if fault is not None:
            faults[field.name] = fault
        at += struct.calcsize("<" + field.code)
    return values, faults


TREE_V1 = FixedLayout(
    profile="tree",
    version=1,
    f_port=2,
    #           name                     code per_unit unit
    header=(FixedField("battery_voltage", "H", 1000, "V"),),
    sample=(
        FixedField("soil_moisture", "H", 100, "%"),
        FixedField("soil_temperature", "h", 100, "Cel"),
        FixedField("surface_temperature", "h", 100, "Cel"),
    ),
)
