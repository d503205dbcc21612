# SPDX-License-Identifier: EUPL-1.2
"""Maxim DS18B20 thermometer, alone on its 1-Wire bus. DS = datasheet 19-7487 Rev 6.

A value is a number that was measured or the name of a fault; the driver raises nothing for a sensor's sake.

The power-on value is 85 degrees, which is also a temperature. The driver tells them apart by what happened, not by
the number: the chip was seen converting, and the alarm bytes written before the conversion are still there, so it has
not been powered up since (DS "Memory": they come back from EEPROM at power-up).
"""

if False:  # types only
    from firmware.hal import Clock, OneWire, TicksMs, Value, Values

# Written to TH, TL (unused alarms, never copied to EEPROM) and the configuration: R1 R0 = 10, 11 bits
# (DS "Configuration Register"). The first two differ from the factory's EEPROM (4Bh 46h) and from a dead bus.
# Eighths of a degree from a chip that is right to half a degree: sixteenths would keep the rail on twice as long.
_MARK = b"\x2d\xd3\x5f"
_SKIP_ROM = 0xCC  # DS "ROM Commands"
_CONVERT_T = 0x44  # DS "Function Commands"
_WRITE_SCRATCHPAD = 0x4E
_READ_SCRATCHPAD = 0xBE
_CONVERSION_MS = 500  # DS "AC Electrical Characteristics": 375 ms at most at 11 bits; a third more for tired ones
_TYPICAL_MS = 375
_TRIES = 3
_COLDEST = -55 * 16  # sixteenths of a degree, DS "Features"
_HOTTEST = 125 * 16


def crc8(data: "bytes | bytearray") -> int:
    """DS "CRC Generation": x^8 + x^5 + x^4 + 1, reflected."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8C if crc & 1 else crc >> 1
    return crc


class Ds18b20:
    """``bus``: onewire.OneWire; ``clock``: the time module. ``quantity``: what it is stuck into."""

    QUANTITIES: "tuple[str, ...]" = ("surface_temperature",)

    def __init__(self, bus: "OneWire", clock: "Clock", quantity: str = "surface_temperature") -> None:
        self.QUANTITIES = (quantity,)
        self._bus = bus
        self._clock = clock
        self._fault: "str | None" = "not_ready"
        self._started_ms: "TicksMs | int" = 0
        self._scratchpad = bytearray(9)

    def start(self) -> int:
        """Begin a conversion; return how many ms it takes."""
        self._fault = "no_answer"
        if self._select(_WRITE_SCRATCHPAD):
            self._bus.write(_MARK)
            if self._select(_CONVERT_T):
                # DS "Function Commands", Convert T: read slots give 0 while it converts (external supply)
                self._fault = "not_ready" if self._bus.readbit() else None
                self._started_ms = self._clock.ticks_ms()
        return _TYPICAL_MS

    def read(self) -> "Values":
        """The temperature in 0.01 degrees Celsius; waits for the conversion, if it is not over."""
        return {self.QUANTITIES[0]: self._read()}

    def stop(self) -> None:
        """Nothing to do before its power goes off."""

    def _read(self) -> "Value":
        fault, self._fault = self._fault, "not_ready"
        if fault is not None:
            return fault
        while not self._bus.readbit():
            if self._clock.ticks_diff(self._clock.ticks_ms(), self._started_ms) > _CONVERSION_MS:
                return "not_ready"
            self._clock.sleep_ms(10)
        scratchpad = self._scratchpad
        for _ in range(_TRIES):
            if not self._select(_READ_SCRATCHPAD):
                return "no_answer"
            self._bus.readinto(scratchpad)
            # A bus held low reads as nine zeros, whose CRC is right: the configuration's ones are not.
            if crc8(scratchpad) == 0 and scratchpad[4] & 0x1F == 0x1F:
                return self._value(scratchpad)
        return "bad_answer"

    @staticmethod
    def _value(scratchpad: bytearray) -> "Value":
        if scratchpad[2:5] != _MARK:
            return "not_ready"
        # DS "Temperature Register Format": at 11 bits bit 0 is undefined
        sixteenths = scratchpad[0] & 0xFE | scratchpad[1] << 8
        if sixteenths > 0x7FFF:
            sixteenths -= 0x10000
        if not _COLDEST <= sixteenths <= _HOTTEST:
            return "out_of_range"
        return (sixteenths * 25 + 2) // 4  # to the nearest hundredth

    def _select(self, command: int) -> bool:
        if not self._bus.reset():
            return False
        self._bus.writebyte(_SKIP_ROM)
        self._bus.writebyte(command)
        return True
