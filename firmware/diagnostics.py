# SPDX-License-Identifier: EUPL-1.2
"""How the node itself is: counted all the time, told once a week and after each power-up. No I/O.

Charge is an estimate from times and the currents below (hardware/README.md); a node has no meter.
"""

import struct

if False:  # types only
    from firmware.hal import Values

EVERY_S = 7 * 86_400
AGAIN_S = 6 * 3600  # if it did not arrive
# Microamperes at the battery: ESP32-S3 with its radio idle, SX1262 sending 14 dBm
_AWAKE_UA = 30_000
_SENDING_UA = 45_000
_BOOT_MS = 300
_UAS_PER_MAH = 3_600_000
_MOST_CHARGE_MAH = 6_552  # what the layout holds; a radar on mains draws more in a day or two
_FORMAT = "<9HII"
_ROUGH = 1 << 31  # in the packed charge: the rest is in steps of 4096 uA s
_ROUGH_BITS = 12
SIZE = struct.calcsize(_FORMAT)
_MOST = 0xFFFF


class Counters:
    """Since the last message that arrived. Add to them as you like: they stop at their most."""

    __slots__ = (
        "answered",
        "asked",
        "charge_uas",
        "crashes",
        "heap_free",
        "other_resets",
        "power_resets",
        "radio_faults",
        "readings_lost",
        "sensor_faults",
        "watchdog_resets",
    )

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """A message has arrived."""
        self.power_resets = self.watchdog_resets = self.other_resets = self.crashes = 0
        self.asked = self.answered = self.sensor_faults = self.radio_faults = self.readings_lost = 0
        self.heap_free = 0  # bytes at the fullest moment of an exchange; 0: not known
        self.charge_uas = 0

    def note_free(self, free: int) -> None:
        """So much heap was left."""
        if free < 1 << 24 and (self.heap_free == 0 or free < self.heap_free):
            self.heap_free = free

    def note_wake(self, awake_ms: int, airtime_us: int, asleep_s: int, asleep_ua: int, sensors_uas: int) -> None:
        """Reckon the charge of a wake and the deep sleep after it; 0 s: there was none, and no boot before the next."""
        if asleep_s:
            awake_ms += _BOOT_MS
        self.charge_uas += awake_ms * (_AWAKE_UA // 1000) + airtime_us // 1000 * (_SENDING_UA // 1000)
        self.charge_uas += asleep_s * asleep_ua + sensors_uas

    def values(self, drift_ppm: int, version: int) -> "Values":
        """For the layout of FPort 6; ``version``: of the application that runs."""
        found: "Values" = {
            "firmware_version": version,
            "reset_count_power": self.power_resets,
            "reset_count_watchdog": self.watchdog_resets,
            "reset_count_other": self.other_resets,
            "crash_count": self.crashes,
            "clock_drift": drift_ppm,
            "sensor_fault_count": self.sensor_faults,
            "radio_fault_count": self.radio_faults,
            "reading_lost_count": self.readings_lost,
        }
        if self.charge_uas <= _MOST_CHARGE_MAH * _UAS_PER_MAH:  # else nothing is wrong, and there is nothing to say
            found["charge_used"] = self.charge_uas * 1000 // _UAS_PER_MAH
        if self.asked:
            found["rx_hit_rate"] = 10_000 * min(self.answered, self.asked) // self.asked
        if self.heap_free:
            found["heap_free"] = self.heap_free
        return found

    def pack(self) -> bytes:
        """``SIZE`` bytes."""
        counts = [
            self.power_resets,
            self.watchdog_resets,
            self.other_resets,
            self.crashes,
            self.asked,
            self.answered,
            self.sensor_faults,
            self.radio_faults,
            self.readings_lost,
        ]
        charge = self.charge_uas
        if charge >= _ROUGH:
            charge = _ROUGH | min(charge >> _ROUGH_BITS, _ROUGH - 1)
        return struct.pack(_FORMAT, *[min(count, _MOST) for count in counts], self.heap_free, charge)

    @classmethod
    def unpack(cls, data: bytes) -> "Counters":
        """Undo ``pack``."""
        made = cls()
        fields = struct.unpack(_FORMAT, data)
        made.power_resets, made.watchdog_resets, made.other_resets, made.crashes = fields[:4]
        made.asked, made.answered, made.sensor_faults, made.radio_faults, made.readings_lost = fields[4:9]
        made.heap_free, charge = fields[9:]
        made.charge_uas = charge if charge < _ROUGH else (charge & _ROUGH - 1) << _ROUGH_BITS
        return made
