# SPDX-License-Identifier: EUPL-1.2
"""What connects a microcontroller to its chips: logic lines, SPI, I2C, serial lines, RS485, 1-Wire.

The chip simulators stand on these and on the clock alone. Two masters drive them: the real MicroPython through
``simulators.wiring`` and plain Python through ``simulators.inprocess_buses``; a chip cannot tell
which.
"""

from collections.abc import Callable
from enum import Enum
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


class I2cDevice(Protocol):
    """A chip on I2C, called for what concerns its own address. UM10204: NXP "I2C-bus specification and user manual"."""

    @property
    def address(self) -> int:
        """7 bits."""

    def selected(self, read: bool) -> bool:
        """Its address after a (repeated) START; True if it acknowledges."""

    def write(self, byte: int) -> bool:
        """One byte from the master; True if it acknowledges."""

    def read(self) -> int:
        """The next byte to the master, which may stop after any."""

    def stop(self) -> None:
        """A STOP, or a repeated START: what was written is complete."""

    def stretch_us(self) -> int:
        """For how long it has held SCL low since this was asked last (UM10204 "Clock stretching")."""


class I2cFault(Enum):
    """What a bus does instead."""

    NACK = "nobody acknowledges: SDA is broken behind the pull-up"
    SDA_LOW = "SDA lies at ground: no START is possible"
    SCL_LOW = "SCL lies at ground: no clock is possible"


class I2cOutcome(NamedTuple):
    """What the master saw of one transfer. ``acknowledged``: bytes, the address among them, until somebody did not.

    ``stuck``: a line was low that should have been high, or the clock was stretched beyond what the master waits.
    """

    acknowledged: int
    data: bytes = b""
    stuck: bool = False
    stretched_us: int = 0


class I2cBus:
    """Two open-drain lines: whoever pulls low wins, so chips of one address answer at once and what they say is ANDed.

    ``pull_up``: what supplies the pull-ups; while it is 0 the lines are low. None: always on.
    """

    def __init__(self, *devices: I2cDevice, pull_up: Wire | None = None) -> None:
        self.devices = list(devices)
        self.fault: I2cFault | None = None
        self._pull_up = pull_up
        self._open: list[I2cDevice] = []  # selected, no STOP yet

    def _dead(self) -> bool:
        return self.fault in (I2cFault.SDA_LOW, I2cFault.SCL_LOW) or (
            self._pull_up is not None and not self._pull_up.level
        )

    def _start(self, address: int, read: bool) -> bool:
        """A (repeated) START and the address; True if anybody acknowledges."""
        self._stop()
        if self.fault is I2cFault.NACK:
            return False
        matching = [device for device in self.devices if device.address == address]
        self._open = [device for device in matching if device.selected(read)]
        return bool(self._open)

    def _stop(self) -> None:
        for device in self._open:
            device.stop()
        self._open = []

    def _stretched_us(self) -> int:
        return max((device.stretch_us() for device in self.devices), default=0)

    def write(self, address: int, data: bytes, *, stop: bool = True, timeout_us: int = 50_000) -> I2cOutcome:
        """START, address, ``data``; the master ends it with STOP at the first byte that nobody acknowledges."""
        if self._dead():
            return I2cOutcome(0, stuck=True)
        acknowledged = 0
        if self._start(address, read=False):
            acknowledged = 1
            for byte in data:
                answers = [device.write(byte) for device in self._open]  # all of them hear it
                if True not in answers:
                    break
                acknowledged += 1
        return self._end(acknowledged, b"", stop or acknowledged <= len(data), timeout_us)

    def read(self, address: int, count: int, *, stop: bool = True, timeout_us: int = 50_000) -> I2cOutcome:
        """START, address, ``count`` bytes, of which the master does not acknowledge the last."""
        if self._dead():
            return I2cOutcome(0, stuck=True)
        if not self._start(address, read=True):
            return self._end(0, b"", True, timeout_us)
        data = bytearray(b"\xff" * count)
        for n in range(count):
            for device in self._open:
                data[n] &= device.read()
        return self._end(1 + count, bytes(data), stop, timeout_us)

    def _end(self, acknowledged: int, data: bytes, stop: bool, timeout_us: int) -> I2cOutcome:
        stretched_us = self._stretched_us()
        if stretched_us > timeout_us:
            self._stop()
            return I2cOutcome(acknowledged, stuck=True, stretched_us=timeout_us)
        if stop:
            self._stop()
        return I2cOutcome(acknowledged, data, stretched_us=stretched_us)


ONEWIRE_SLOT_US = 70  # Maxim application note 126: a time slot and the recovery after it


class OneWireDevice(Protocol):
    """A chip on a 1-Wire bus, seen through the master's time slots."""

    def reset(self) -> bool:
        """A reset pulse; True if the device answers with a presence pulse."""

    def write_bit(self, bit: int) -> None: ...

    def read_bit(self) -> int:
        """The level the device leaves on the bus in a read slot: 1 unless it pulls low."""


class SerialSettings(NamedTuple):
    """Framing of an asynchronous serial line. ``parity``: None, 0 even, 1 odd (as machine.UART has it).

    ``inverted``: it idles low, and a start bit is high.
    """

    baud: int
    bits: int = 8
    parity: int | None = None
    stop: int = 1
    inverted: bool = False

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


class Sdi12Line(Rs485):
    """A UART behind a buffer that drives SDI-12's one wire while its enable is high. It hears itself."""

    def _arrived(self, byte: int, settings: SerialSettings) -> None:
        super()._arrived(byte, settings)
        if self._held(1, settings):
            SerialPort._deliver(self, byte, settings)
