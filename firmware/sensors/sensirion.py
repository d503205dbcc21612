# SPDX-License-Identifier: EUPL-1.2
"""Sensirion's I2C protocol: 16-bit commands, words with a checksum each. DS = SCD4x datasheet V1.5, "I2C Sequences".

Faults are returned by name, never raised: ``no_answer``, ``bad_answer`` and ``stuck`` (a line of the bus lies low).
"""

if False:  # types only
    from firmware.hal import Clock, I2c, Values

_TRIES = 3
_AGAIN_MS = 10
_PATIENCE_MS = 30
_TIMED_OUT = (110, 116)  # ETIMEDOUT of the RP2 port and of the ESP32's newlib


def crc8(data: "bytes | bytearray", start: int) -> int:
    """Of the word at ``start``. DS "Checksum Calculation": x^8 + x^5 + x^4 + 1, preset 0xFF, not reflected."""
    crc = 0xFF
    for n in (start, start + 1):
        crc ^= data[n]
        for _ in range(8):
            crc = (crc << 1 ^ 0x131 if crc & 0x80 else crc << 1) & 0xFF
    return crc


def bus_fault(error: OSError) -> str:
    """What an error of machine.I2C means: nobody acknowledged (the number differs by port), or a line is stuck."""
    return "stuck" if error.errno in _TIMED_OUT else "no_answer"


class Sensirion:
    """One sensor at ``address``; ``longest``: words of its longest answer."""

    def __init__(self, i2c: "I2c", clock: "Clock", address: int, longest: int) -> None:
        self._i2c = i2c
        self._clock = clock
        self._address = address
        self.data = bytearray(3 * longest)

    def send(
        self, command: int, wait_ms: int = 0, words: "tuple[int, ...]" = (), patience_ms: int = _PATIENCE_MS
    ) -> "str | None":
        """Send a command and wait while it is executed; try again for ``patience_ms``. Return a fault or None."""
        frame = bytearray(2 + 3 * len(words))
        frame[0], frame[1] = command >> 8, command & 0xFF
        n = 2
        for word in words:
            frame[n], frame[n + 1] = word >> 8, word & 0xFF
            frame[n + 2] = crc8(frame, n)
            n += 3
        clock = self._clock
        began = clock.ticks_ms()
        while True:
            try:
                self._i2c.writeto(self._address, frame)
                clock.sleep_ms(wait_ms)
                return None
            except OSError as e:
                fault = bus_fault(e)
            if clock.ticks_diff(clock.ticks_ms(), began) >= patience_ms:
                return fault
            clock.sleep_ms(_AGAIN_MS)

    def ask(self, command: int, count: int, wait_ms: int = 0) -> "str | None":
        """Send a command and read ``count`` words, three times at most. Return a fault or None: see ``word``."""
        answer = memoryview(self.data)[: 3 * count]
        for _ in range(_TRIES):
            fault = self.send(command, wait_ms)
            if fault is not None:
                return fault
            try:
                self._i2c.readfrom_into(self._address, answer)
            except OSError as e:
                fault = bus_fault(e)
                continue
            fault = "bad_answer"
            for n in range(0, 3 * count, 3):
                if crc8(self.data, n) != self.data[n + 2]:
                    break
            else:
                return None
        return fault

    def word(self, n: int) -> int:
        """Word ``n`` of the answer."""
        return self.data[3 * n] << 8 | self.data[3 * n + 1]

    def wait(self, command: int, mask: int, wait_ms: int, patience_ms: int) -> "str | None":
        """Ask whether there is a value until the answer has a bit of ``mask``. Return a fault or None."""
        clock = self._clock
        began = clock.ticks_ms()
        while True:
            fault = self.ask(command, 1, wait_ms)
            if fault is not None:
                return fault
            if self.word(0) & mask:
                return None
            if clock.ticks_diff(clock.ticks_ms(), began) >= patience_ms:
                return "not_ready"
            clock.sleep_ms(50)


def same(names: "tuple[str, ...]", fault: str) -> "Values":
    """The same fault for all of them."""
    values: "Values" = {}
    for name in names:
        values[name] = fault
    return values
