# SPDX-License-Identifier: EUPL-1.2
"""Settings of a node by name and in units, as bytes of FPort 21 and back; for gateways and people, not on the node.

    encode(7, TREE_V2, [("interval_s", 900), ("threshold", "soil_moisture", "below", 12.0), ("reboot",)])

DecodersError
    RemoteError
        MalformedPayload     an answer that is none
    LocalError
        FieldRange           a change that the node would refuse, or nobody knows
"""

from typing import NamedTuple

from decoders import settings
from decoders.downlink import MAX_PAYLOAD_BYTES
from decoders.faults import MalformedPayload
from decoders.lorawan.errors import FieldRange
from decoders.payload import Layout

KINDS = ("off", "below", "above")
_BY_NAME = {setting.name: setting for setting in settings.ALL}


class Answer(NamedTuple):
    """What became of one change: ``status`` is "done" or why not; ``value``: what is in force now, None if unknown."""

    setting: str
    status: str
    value: tuple[object, ...] | None


def encode(token: int, layout: Layout, changes: list[tuple[object, ...]]) -> bytes:
    """The downlink of ``changes``, each (name, its values); ``token`` 0..255 comes back in the answer.

    Raises FieldRange. Thresholds and calibrations name the quantity: ``("threshold", quantity, "off" | "below" |
    "above", value)``, ``("calibration", quantity, scale, offset)``, value and offset in the quantity's unit.
    """
    if not 0 <= token <= 255:
        raise FieldRange("token", token)
    data = bytes((token,))
    for change in changes:
        name, *values = change
        setting = _BY_NAME.get(str(name))
        if setting is None:
            raise FieldRange("setting", name)
        numbers = _numbers(setting, layout, values)
        if len(numbers) != len(setting.parts) or not setting.allows(numbers):
            raise FieldRange(setting.name, change)
        data += settings.item(setting, numbers)
    if len(data) > MAX_PAYLOAD_BYTES:
        raise FieldRange("settings length", len(data))
    return data


def decode(layout: Layout, data: bytes) -> tuple[int, list[Answer]]:
    """(token, answers) of an uplink on FPort 21; raises MalformedPayload."""
    if not data:
        raise MalformedPayload("length", 1, 0)
    answers = []
    at = 1
    while at < len(data):
        if at + 3 > len(data) or at + 3 + data[at + 2] > len(data):
            raise MalformedPayload("length", at + 3 + (data[at + 2] if at + 2 < len(data) else 0), len(data))
        number, status, length = data[at : at + 3]
        if status >= len(settings.STATUSES):
            raise MalformedPayload("status", len(settings.STATUSES) - 1, status)
        value = data[at + 3 : at + 3 + length]
        setting = settings.BY_ID.get(number)
        shown = None
        if setting is not None and length and length == setting.size():
            shown = _values(setting, layout, setting.unpack(value))
        name = f"setting {number}" if setting is None else setting.name
        answers.append(Answer(name, settings.STATUSES[status], shown))
        at += 3 + length
    return data[0], answers


def _numbers(setting: settings.Setting, layout: Layout, values: list[object]) -> tuple[int, ...]:
    if setting.parts[:1] == ("field",) and len(values) == 3:
        field = next((n for n, field in enumerate(layout.fields) if field.name == values[0]), None)
        if field is None:
            raise FieldRange("quantity", values[0])
        per_unit = layout.fields[field].per_unit
        if setting is settings.THRESHOLD:
            if values[1] not in KINDS:
                raise FieldRange("threshold", values[1])
            return field, KINDS.index(str(values[1])), round(_number(setting, values[2]) * per_unit)
        scale = round(_number(setting, values[1]) * settings.UNITY)
        return field, scale, round(_number(setting, values[2]) * per_unit)
    if setting is settings.READ and len(values) == 1 and values[0] in _BY_NAME:
        return (_BY_NAME[str(values[0])].id,)
    numbers = [_number(setting, value) for value in values]
    if any(number != int(number) for number in numbers):
        raise FieldRange(setting.name, values)
    return tuple(int(number) for number in numbers)


def _number(setting: settings.Setting, value: object) -> float:
    if not isinstance(value, int | float) or not abs(value) < 1e12:
        raise FieldRange(setting.name, value)
    return value


def _values(setting: settings.Setting, layout: Layout, numbers: tuple[int, ...]) -> tuple[object, ...]:
    if setting.parts[:1] != ("field",) or numbers[0] >= len(layout.fields):
        return numbers
    field = layout.fields[numbers[0]]
    if setting is settings.THRESHOLD:
        kind = KINDS[numbers[1]] if numbers[1] < len(KINDS) else numbers[1]
        return field.name, kind, numbers[2] / field.per_unit
    return field.name, numbers[1] / settings.UNITY, numbers[2] / field.per_unit
