# SPDX-License-Identifier: EUPL-1.2
"""What a node can be told on FPort 21, and what it answers there; shared by node and gateway. Little endian.

    downlink     token(1), then items: id(1) length(1) value
    uplink       token(1) of the downlink, then for each of its items: id(1) status(1) length(1) value now in force

An item changes one setting or asks for one action. Answered with status DONE the value is the new one, as the node has
it; otherwise the item was refused and the value is the old one, or nothing. Items are independent of each other.
"""

import struct
from collections import namedtuple

F_PORT = 21

STATUSES = (
    "done",
    "unknown_setting",
    "wrong_length",
    "out_of_range",
    "unknown_field",
    "contradicts_another",
    "not_stored",
)
DONE, UNKNOWN_SETTING, WRONG_LENGTH, OUT_OF_RANGE, UNKNOWN_FIELD, CONTRADICTS, NOT_STORED = range(len(STATUSES))

OFF, BELOW, ABOVE = range(3)  # a threshold: send at once when the value gets there
UNITY = 10_000  # scale of a calibration: value * scale / UNITY + offset


class Setting(namedtuple("Setting", ("id", "name", "code", "parts", "low", "high"))):
    """``code``: of ``struct``, ``parts``: what its numbers are called; ``low`` and ``high`` of each."""

    id: int
    name: str
    code: str
    parts: tuple[str, ...]
    low: tuple[int, ...]
    high: tuple[int, ...]

    def pack(self, numbers: tuple[int, ...]) -> bytes:
        """The value of an item; the numbers are in range."""
        return struct.pack("<" + self.code, *numbers)

    def unpack(self, value: bytes) -> tuple[int, ...]:
        """Undo ``pack``; ``len(value)`` has been checked."""
        return struct.unpack("<" + self.code, value)

    def size(self) -> int:
        """Of the value, bytes."""
        return struct.calcsize("<" + self.code)

    def allows(self, numbers: tuple[int, ...]) -> bool:
        """Whether each is in its range."""
        return all(self.low[n] <= number <= self.high[n] for n, number in enumerate(numbers))


_U32 = (1 << 32) - 1
_I32 = (1 << 31) - 1

# Plain settings: one number, kept
SETTINGS = (
    Setting(1, "interval_s", "I", ("s",), (60,), (57_600,)),
    Setting(2, "send_every", "B", ("samples",), (1,), (96,)),
    Setting(3, "history", "B", ("samples",), (0,), (255,)),
    Setting(4, "average", "B", ("readings",), (1,), (32,)),
    Setting(5, "probes", "I", ("mask",), (0,), (_U32,)),
    Setting(6, "slow_below_kmh", "B", ("km/h",), (5,), (250,)),
    Setting(7, "fast_above_kmh", "B", ("km/h",), (5,), (250,)),
    Setting(8, "low_battery_mv", "H", ("mV",), (0,), (20_000,)),
    Setting(9, "empty_battery_mv", "H", ("mV",), (0,), (20_000,)),
    Setting(10, "safe_mode", "B", ("on",), (0,), (1,)),
)
# For each field of the layout, kept; the value is the integer of the payload's table, times per_unit
THRESHOLD = Setting(16, "threshold", "BBi", ("field", "kind", "value"), (0, OFF, -_I32), (31, ABOVE, _I32))
CALIBRATION = Setting(17, "calibration", "BHi", ("field", "scale", "offset"), (0, 1, -_I32), (31, 65_535, _I32))
# Actions
SEND_AGAIN = Setting(32, "send_again", "II", ("from_gps_s", "to_gps_s"), (0, 0), (_U32, _U32))
REBOOT = Setting(33, "reboot", "", (), (), ())
READ = Setting(34, "read", "B", ("id",), (0,), (255,))

ALL = SETTINGS + (THRESHOLD, CALIBRATION, SEND_AGAIN, REBOOT, READ)  # noqa: RUF005 - MicroPython
BY_ID = {setting.id: setting for setting in ALL}


def items(data: bytes) -> "list[tuple[int, bytes]] | None":
    """(id, value) of all items; None if the last one is cut off."""
    found = []
    at = 0
    while at < len(data):
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            return None
        found.append((data[at], bytes(data[at + 2 : at + 2 + data[at + 1]])))
        at += 2 + data[at + 1]
    return found


def item(setting: Setting, numbers: tuple[int, ...]) -> bytes:
    """One item."""
    value = setting.pack(numbers)
    return bytes((setting.id, len(value))) + value
