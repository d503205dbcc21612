# SPDX-License-Identifier: EUPL-1.2
"""What connects a microcontroller to its chips: logic lines, SPI, serial lines, RS485, 1-Wire.

The chip simulators stand on these and on the clock alone. Two masters drive them: the real MicroPython through
``simulators.bench`` and plain Python through ``simulators.inprocess``; a chip cannot tell which.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from simulators.clock import Clock, Event


class Wire:
    """A logic line. Watchers are told the new level at every edge, and only at edges.

    Who drives it may set ``foretell``: it says which event of the clock will change the level and do nothing else, or
    None.
    """

    __slots__ = ("_watchers", "foretell", "level")

    def __init__(self, level: int = 0) -> None:
        self.level = level
        self.foretell: Callable[[], Event | None] | None = None
        self._watchers: list[Callable[[int], None]] = []

    def change(self) -> Event | None:
        """The event that will change the level, if it is known and means nothing but that to the one who watches."""
        return self.foretell() if self.foretell is not None and len(self._watchers) == 1 else None

    def drive(self, level: int) -> None:
        if level != self.level:
            self.level = level
            for watcher in self._watchers:
                watcher(level)

    def watch(self, watcher: Callable[[int], None]) -> None:
        self._watchers.append(watcher)


class SpiDevice(Protocol):
    """A chip on SPI; it watches its own NSS wire and ignores transfers while NSS is high (answers 0xFF)."""

    def transfer(self, mosi: bytes) -> bytes:
        """Clock ``mosi`` in and return as many bytes clocked out."""


class OneWireDevice(Protocol):
    """A chip on a 1-Wire bus, seen through the master's time slots."""

    def reset(self) -> bool:
        """A reset pulse; True if the device answers with a presence pulse."""

    def write_bit(self, bit: int) -> None: ...

    def read_bit(self) -> int:
        """The level the device leaves on the bus in a read slot: 1 unless it pulls low."""


class SerialSettings(NamedTuple):
    """Framing of an asynchronous serial line. ``parity``: None, 0 even, 1 odd (as machine.UART has it)."""

    baud: int
    bits: int = 8
    parity: int | None = None
    stop: int = 1

    def byte_us(self) -> int:
        """Duration of one character including start, parity and stop bits, us, rounded up."""
        bits = 1 + self.bits + (self.parity is not None) + self.stop
        return -(-bits * 1_000_000 // self.baud)


class SerialDevice(Protocol):
    """The far end of a serial line."""

    def byte_received(self, byte: int, settings: SerialSettings) -> None:
        """One character has arrived completely, sent with ``settings``; a device with others sees a framing error."""


class SerialPort:
    """The microcontroller's UART and the line behind it, full duplex, one character at a time.

    ``rxbuf``: characters that are kept until they are read; what arrives when so many wait is ``lost`` (a count), as is
    everything while the UART has no clock (``deaf``: light sleep).
    """

    def __init__(self, clock: Clock, device: SerialDevice | None = None) -> None:
        self._clock = clock
        self.device = device
        self.settings = SerialSettings(115_200)
        self.received = bytearray()
        self.rxbuf = 256  # MicroPython, ports/esp32/machine_uart.c
        self.lost = 0
        self.deaf = False
        self._sending_until_us = 0
        self._answering_until_us = 0

    def transmit(self, data: bytes) -> int:
        """Queue ``data`` on the line; return when its last stop bit ends, us."""
        settings = self.settings
        start = max(self._clock.now_us, self._sending_until_us)
        for n, byte in enumerate(data, 1):
            self._clock.at(start + n * settings.byte_us(), lambda byte=byte: self._arrived(byte, settings))  # type: ignore[misc]
        self._sending_until_us = start + len(data) * settings.byte_us()
        return self._sending_until_us

    def _arrived(self, byte: int, settings: SerialSettings) -> None:
        if self.device is not None:
            self.device.byte_received(byte, settings)

    def sending(self) -> bool:
        return self._clock.now_us < self._sending_until_us

    def answer(self, data: bytes, settings: SerialSettings, delay_us: int = 0) -> None:
        """The far end sends ``data`` after ``delay_us``; wrong framing arrives as noise."""
        start = max(self._clock.now_us + delay_us, self._answering_until_us)
        for n, byte in enumerate(data, 1):
            self._clock.at(start + n * settings.byte_us(), lambda byte=byte: self._deliver(byte, settings))  # type: ignore[misc]
        self._answering_until_us = start + len(data) * settings.byte_us()

    def _deliver(self, byte: int, settings: SerialSettings) -> None:
        if self.deaf or len(self.received) >= self.rxbuf:
            self.lost += 1
        else:
            self.received.append(byte if settings == self.settings else byte ^ 0x5A)


class Rs485(SerialPort):
    """A UART behind a half-duplex RS485 transceiver with a driver-enable line (DE and /RE tied together).

    Characters sent while DE is low reach nobody; answers that arrive while DE is high are lost; DE must hold over
    the whole character.
    """

    def __init__(self, clock: Clock, de: Wire, device: SerialDevice | None = None) -> None:
        super().__init__(clock, device)
        self._de = de
        self._changed_us = -1
        de.watch(self._edge)

    def _edge(self, _level: int) -> None:
        self._changed_us = self._clock.now_us

    def _held(self, level: int, settings: SerialSettings) -> bool:
        return self._de.level == level and self._changed_us <= self._clock.now_us - settings.byte_us()

    def _arrived(self, byte: int, settings: SerialSettings) -> None:
        if self._held(1, settings):
            super()._arrived(byte, settings)

    def _deliver(self, byte: int, settings: SerialSettings) -> None:
        if self._held(0, settings):
            super()._deliver(byte, settings)
