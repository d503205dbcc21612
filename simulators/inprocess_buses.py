# SPDX-License-Identifier: EUPL-1.2
"""The buses of ``machine`` as a driver sees them, on CPython, over simulated devices in the same process.

For fast unit tests of drivers. Every operation takes the time it takes on the wire.
"""

import errno

from simulators import inprocess
from simulators.clock import Clock
from simulators.wires import ONEWIRE_SLOT_US, I2cBus, I2cOutcome, OneWireDevice, SerialPort, SerialSettings, SpiDevice

_ETIMEDOUT = 116  # newlib's number


class Spi:
    """``machine.SPI`` with one device on it."""

    def __init__(self, clock: Clock, device: SpiDevice, baudrate: int = 2_000_000) -> None:
        self._clock = clock
        self._device = device
        self._baudrate = baudrate

    def write_readinto(self, write: bytes | bytearray, read: bytearray | memoryview) -> None:
        # The chip sees the bytes when the last of them has been clocked.
        self._clock.run_for(inprocess.CALL_US + len(write) * 8_000_000 // self._baudrate)
        read[:] = self._device.transfer(bytes(write))

    def write(self, data: bytes | bytearray) -> None:
        self.write_readinto(data, bytearray(len(data)))

    def readinto(self, buffer: bytearray | memoryview, write: int = 0) -> None:
        self.write_readinto(bytes([write]) * len(buffer), buffer)

    def read(self, count: int, write: int = 0) -> bytes:
        buffer = bytearray(count)
        self.readinto(buffer, write)
        return bytes(buffer)


class I2c:
    """``machine.I2C`` on one bus.

    Errors as ports/esp32/machine_i2c.c of MicroPython raises them: ENODEV for a byte that nobody acknowledges,
    ETIMEDOUT (newlib's number) for a line that stays low, after ``timeout`` us. ``nack``: EIO on an RP2
    (ports/rp2/machine_i2c.c).
    """

    def __init__(
        self, clock: Clock, bus: I2cBus, freq: int = 400_000, timeout: int = 50_000, *, nack: int = errno.ENODEV
    ) -> None:
        self._clock = clock
        self._bus = bus
        self._freq = freq
        self._timeout = timeout
        self._nack = nack

    def _pass(self, count: int) -> None:
        """The time of so many bytes and their acknowledgements, and of START and STOP."""
        self._clock.run_for(inprocess.CALL_US + (2 + 9 * count) * 1_000_000 // self._freq)

    def _check(self, outcome: I2cOutcome, needed: int) -> None:
        waited_us = self._timeout if outcome.stuck else outcome.stretched_us
        self._clock.run_for(waited_us)
        if outcome.stuck:
            raise OSError(_ETIMEDOUT, "ETIMEDOUT")
        if outcome.acknowledged < needed:
            raise OSError(self._nack, errno.errorcode[self._nack])

    def writeto(self, address: int, data: bytes | bytearray | memoryview, stop: bool = True) -> int:
        """Return how many bytes were acknowledged: all."""
        self._pass(1 + len(data))
        self._check(self._bus.write(address, bytes(data), stop=stop, timeout_us=self._timeout), 1 + len(data))
        return len(data)

    def readfrom_into(self, address: int, buffer: bytearray | memoryview, stop: bool = True) -> None:
        self._pass(1)
        outcome = self._bus.read(address, len(buffer), stop=stop, timeout_us=self._timeout)
        self._check(outcome, 1)
        self._pass(len(buffer))
        buffer[:] = outcome.data

    def readfrom(self, address: int, count: int, stop: bool = True) -> bytes:
        buffer = bytearray(count)
        self.readfrom_into(address, buffer, stop)
        return bytes(buffer)

    def readfrom_mem_into(self, address: int, register: int, buffer: bytearray | memoryview) -> None:
        self.writeto(address, bytes([register]), False)
        self.readfrom_into(address, buffer)

    def readfrom_mem(self, address: int, register: int, count: int) -> bytes:
        buffer = bytearray(count)
        self.readfrom_mem_into(address, register, buffer)
        return bytes(buffer)

    def writeto_mem(self, address: int, register: int, data: bytes | bytearray) -> None:
        self.writeto(address, bytes([register, *data]))

    def scan(self) -> list[int]:
        """The addresses that acknowledge."""
        found = []
        for address in range(0x08, 0x78):
            try:
                self.writeto(address, b"")
            except OSError:
                continue
            found.append(address)
        return found


class Uart:
    """``machine.UART`` on one serial port."""

    INV_RX = 4
    INV_TX = 32

    def __init__(self, clock: Clock, port: SerialPort) -> None:
        self._clock = clock
        self._port = port

    def init(
        self,
        baudrate: int = 9600,
        bits: int = 8,
        parity: int | None = None,
        stop: int = 1,
        *,
        rxbuf: int | None = None,
        invert: int = 0,
    ) -> None:
        if invert not in (0, self.INV_TX | self.INV_RX):
            raise NotImplementedError("one line inverted without the other")
        self._port.settings = SerialSettings(baudrate, bits, parity, stop, bool(invert))
        if rxbuf is not None:
            self._port.rxbuf = rxbuf

    def _call(self) -> None:
        self._clock.run_for(inprocess.CALL_US)

    def write(self, data: bytes | bytearray) -> int:
        self._call()
        self._port.transmit(bytes(data))
        return len(data)

    def txdone(self) -> bool:
        self._call()
        return not self._port.sending()

    def any(self) -> int:
        self._call()
        return len(self._port.received)

    def read(self, count: int | None = None) -> bytes | None:
        """What has arrived, up to ``count`` bytes; None if nothing has."""
        self._call()
        count = len(self._port.received) if count is None else count
        data = bytes(self._port.received[:count])
        del self._port.received[:count]
        return data or None

    def readinto(self, buffer: bytearray | memoryview) -> int | None:
        """What has arrived, as much as ``buffer`` holds; return how many bytes, None if nothing has."""
        data = self.read(len(buffer))
        if data is None:
            return None
        buffer[: len(data)] = data
        return len(data)


class OneWire:
    """``onewire.OneWire`` (MicroPython's own bus driver) with at most one device on the bus.

    Slot times: Maxim application note 126, "1-Wire Communication Through Software".
    """

    def __init__(self, clock: Clock, device: OneWireDevice | None) -> None:
        self._clock = clock
        self._device = device

    def reset(self, required: bool = False) -> bool:
        self._clock.run_for(960)
        return self._device is not None and self._device.reset()

    def writebit(self, bit: int) -> None:
        self._clock.run_for(ONEWIRE_SLOT_US)
        if self._device is not None:
            self._device.write_bit(1 if bit else 0)

    def readbit(self) -> int:
        self._clock.run_for(ONEWIRE_SLOT_US)
        return 1 if self._device is None else self._device.read_bit()

    def writebyte(self, byte: int) -> None:
        for n in range(8):
            self.writebit(byte >> n & 1)

    def readbyte(self) -> int:
        return sum(self.readbit() << n for n in range(8))

    def write(self, data: bytes | bytearray) -> None:
        for byte in data:
            self.writebyte(byte)

    def readinto(self, buffer: bytearray) -> None:
        for n in range(len(buffer)):
            buffer[n] = self.readbyte()
