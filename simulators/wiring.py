# SPDX-License-Identifier: EUPL-1.2
"""The devices around one microcontroller, as its pins and buses reach them.

NotWired             the firmware used a bus or a pin that leads nowhere
"""

import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from simulators.clock import Clock, Event
from simulators.micropython import _ops
from simulators.pad import Pad
from simulators.wires import I2cBus, I2cOutcome, OneWireDevice, SerialPort, SerialSettings, SpiDevice, Wire

_RISING, _FALLING = 1, 2
_RTC_PADS = range(22)  # ESP32-S3: GPIO0..21 keep a hold over deep sleep by themselves


class NotWired(Exception):
    """``what``: the bus or pin, as the firmware names it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the firmware uses {what}, which is not wired")


_Device = TypeVar("_Device")


@dataclass(frozen=True)
class Wiring:
    """What leads where, by machine's numbers. A wire's level now is its idle level: where its pulls take it.

    A 1-Wire bus with nobody on it is None. ``console``: the line to MicroPython's stdin and stdout, None if nobody is
    there. ``power`` is 1 while the board has power; chips that share its supply
    watch it.
    """

    pins: Mapping[int, Wire] = field(default_factory=dict)
    spi: Mapping[int, SpiDevice] = field(default_factory=dict)
    i2c: Mapping[int, I2cBus] = field(default_factory=dict)
    uart: Mapping[int, SerialPort] = field(default_factory=dict)
    onewire: Mapping[int, OneWireDevice | None] = field(default_factory=dict)
    adc: Mapping[int, Callable[[], int]] = field(default_factory=dict)
    console: SerialPort | None = None
    power: Wire = field(default_factory=Wire)


def _at(devices: Mapping[int, _Device], number: int, bus: str) -> _Device:
    if number not in devices:
        raise NotWired(f"{bus}({number})")
    return devices[number]


class Board:
    """Applies the operations of ``simulators.micropython._ops`` to the devices, at the clock's present time."""

    def __init__(self, clock: Clock, wiring: Wiring, seed: int, edge: Callable[[], None]) -> None:
        self._clock = clock
        self._wiring = wiring
        self._edge = edge
        self._pads = {gpio: Pad(wire) for gpio, wire in wiring.pins.items()}
        self._triggers: dict[int, int] = {}
        self._random = random.Random(seed)
        self._hold_in_sleep = False
        self.levels = sum(wire.level << gpio for gpio, wire in wiring.pins.items())
        self.edges: deque[int] = deque()
        self.applied = [0] * _ops.DEEP_SLEEP  # how often, by operation
        self._scratch = [0] * 4
        self.rtc_memory = bytearray()
        for gpio, wire in wiring.pins.items():
            wire.watch(lambda level, gpio=gpio: self._changed(gpio, level))  # type: ignore[misc]

    @property
    def wired(self) -> int:
        console = 0 if self._wiring.console is None else 1 << _ops.CONSOLE_BIT
        return console | sum(1 << gpio for gpio in self._pads)

    @property
    def driving(self) -> set[int]:
        """The GPIOs that are outputs now."""
        return {gpio for gpio, pad in self._pads.items() if pad.driving}

    @property
    def feeding(self) -> set[int]:
        """The GPIOs that put out current: outputs and pull-ups."""
        return self.driving | {gpio for gpio, pad in self._pads.items() if pad.pull}

    def _changed(self, gpio: int, level: int) -> None:
        self.levels = self.levels & ~(1 << gpio) | level << gpio
        if self._triggers.get(gpio, 0) & (_RISING if level else _FALLING):
            self.edges.append(0x80 | gpio << 1 | level)
            self._edge()

    def foretold(self) -> tuple[Event, int] | None:
        """The event that will change one pin and nothing else, and all levels after it; None if there is none."""
        for gpio, wire in self._wiring.pins.items():
            if wire.foretell is not None and not self._triggers.get(gpio) and (event := wire.change()) is not None:
                return event, self.levels ^ 1 << gpio
        return None

    def take_edges(self) -> int:
        """The oldest edges, packed as an answer carries them."""
        packed = 0
        for n in range(min(len(self.edges), _ops.WATCHED_EDGES)):
            packed |= self.edges.popleft() << 8 * n
        return packed

    def uart_clock(self, runs: bool) -> None:
        """Whether the UARTs hear what arrives: not in light sleep."""
        for port in self._wiring.uart.values():
            port.deaf = not runs

    def isolate(self, isolated: bool) -> None:
        """Light sleep of an ESP32-S3: every pad floats that is not held.

        ESP-IDF, components/esp_hw_support/Kconfig: ESP_SLEEP_GPIO_RESET_WORKAROUND, on by default for this chip.
        """
        for pad in self._pads.values():
            pad.isolated = isolated
            pad.apply()

    def reset(self, keep_rtc_memory: bool = True) -> None:
        """The microcontroller stops: every pin floats to its idle level, except those that are held."""
        self.uart_clock(True)
        for port in self._wiring.uart.values():
            port.received.clear()
        if self._wiring.console is not None:
            self._wiring.console.received.clear()
        self._triggers.clear()
        self.edges.clear()
        for gpio, pad in self._pads.items():
            pad.release(keep_rtc_memory and (gpio in _RTC_PADS or self._hold_in_sleep))
        if not keep_rtc_memory:
            self._hold_in_sleep = False
            self.rtc_memory.clear()
            self._scratch[:] = [0] * 4

    def apply(self, op: int, device: int, argument: int, data: bytes) -> tuple[int, bytes]:
        """Do one operation; return its value and its data (both empty for a posted one)."""
        self.applied[op] += 1
        return _OPERATIONS[op](self, device, argument, data) or (0, b"")

    def _pin_mode(self, gpio: int, mode: int, _data: bytes) -> None:
        pad = self._pads[gpio]
        pad.mode = mode
        pad.apply()

    def _pin_write(self, gpio: int, level: int, _data: bytes) -> None:
        pad = self._pads[gpio]
        pad.latch = level
        pad.apply()

    def _pin_pull(self, gpio: int, pull: int, _data: bytes) -> None:
        self._pads[gpio].pull = pull

    def _scratch_read(self, register: int, _argument: int, _data: bytes) -> tuple[int, bytes]:
        return self._scratch[register], b""

    def _scratch_write(self, register: int, word: int, _data: bytes) -> None:
        self._scratch[register] = word

    def _pin_hold(self, gpio: int, held: int, _data: bytes) -> None:
        pad = self._pads[gpio]
        pad.held = bool(held)
        pad.apply()

    def _pin_irq(self, gpio: int, triggers: int, _data: bytes) -> None:
        self._triggers[gpio] = triggers

    def _hold_all(self, _device: int, enabled: int, _data: bytes) -> None:
        self._hold_in_sleep = bool(enabled)

    def _spi(self, bus: int, _argument: int, data: bytes) -> tuple[int, bytes]:
        return 0, _at(self._wiring.spi, bus, "SPI").transfer(data)

    @staticmethod
    def _outcome(outcome: I2cOutcome) -> int:
        return outcome.acknowledged | outcome.stuck << 16 | outcome.stretched_us << 17

    def _i2c_write(self, bus: int, argument: int, data: bytes) -> tuple[int, bytes]:
        address, stop, timeout_us = argument & 0x7F, not argument >> 7 & 1, argument >> 8 & 0xFFFF_FFFF
        outcome = _at(self._wiring.i2c, bus, "I2C").write(address, data, stop=stop, timeout_us=timeout_us)
        return self._outcome(outcome), b""

    def _i2c_read(self, bus: int, argument: int, _data: bytes) -> tuple[int, bytes]:
        address, stop, timeout_us = argument & 0x7F, not argument >> 7 & 1, argument >> 8 & 0xFFFF_FFFF
        count = argument >> 40
        outcome = _at(self._wiring.i2c, bus, "I2C").read(address, count, stop=stop, timeout_us=timeout_us)
        return self._outcome(outcome), outcome.data.ljust(count, b"\0")

    def _uart_setup(self, port: int, packed: int, _data: bytes) -> None:
        parity = packed >> 40 & 0xF
        uart = _at(self._wiring.uart, port, "UART")
        uart.settings = SerialSettings(
            packed & 0xFFFF_FFFF,
            packed >> 32 & 0xFF,
            parity - 1 if parity else None,
            packed >> 44 & 3,
            bool(packed >> 46 & 1),
        )
        uart.rxbuf = packed >> 48

    def _uart_write(self, port: int, _argument: int, data: bytes) -> None:
        _at(self._wiring.uart, port, "UART").transmit(data)

    def _uart_state(self, port: int, _argument: int, _data: bytes) -> tuple[int, bytes]:
        uart = _at(self._wiring.uart, port, "UART")
        return len(uart.received) | uart.sending() << 32, b""

    def _uart_read(self, port: int, most: int, _data: bytes) -> tuple[int, bytes]:
        received = _at(self._wiring.uart, port, "UART").received
        data = bytes(received[:most])
        del received[:most]
        return len(data), data.ljust(most, b"\0")

    def _adc_read(self, gpio: int, _argument: int, _data: bytes) -> tuple[int, bytes]:
        return _at(self._wiring.adc, gpio, "ADC")(), b""

    def _onewire_reset(self, gpio: int, _argument: int, _data: bytes) -> tuple[int, bytes]:
        device = _at(self._wiring.onewire, gpio, "OneWire")
        return int(device is not None and device.reset()), b""

    def _onewire_write(self, gpio: int, bit: int, _data: bytes) -> None:
        device = _at(self._wiring.onewire, gpio, "OneWire")
        if device is not None:
            device.write_bit(bit)

    def _onewire_read(self, gpio: int, _argument: int, _data: bytes) -> tuple[int, bytes]:
        device = _at(self._wiring.onewire, gpio, "OneWire")
        return 1 if device is None else device.read_bit(), b""

    def _rtc_size(self, _device: int, _argument: int, _data: bytes) -> tuple[int, bytes]:
        return len(self.rtc_memory), b""

    def _rtc_read(self, _device: int, count: int, _data: bytes) -> tuple[int, bytes]:
        return count, bytes(self.rtc_memory[:count])

    def _rtc_write(self, _device: int, start: int, data: bytes) -> None:
        self.rtc_memory[start:] = data

    def _random_bytes(self, _device: int, count: int, _data: bytes) -> tuple[int, bytes]:
        return count, self._random.randbytes(count)

    def seed(self) -> int:
        """A number to seed the node's ``random`` with at one boot."""
        return self._random.getrandbits(30)


_Operation = Callable[[Board, int, int, bytes], tuple[int, bytes] | None]
_OPERATIONS: dict[int, _Operation] = {
    _ops.PIN_MODE: Board._pin_mode,
    _ops.PIN_WRITE: Board._pin_write,
    _ops.PIN_HOLD: Board._pin_hold,
    _ops.PIN_PULL: Board._pin_pull,
    _ops.SCRATCH_READ: Board._scratch_read,
    _ops.SCRATCH_WRITE: Board._scratch_write,
    _ops.PIN_IRQ: Board._pin_irq,
    _ops.HOLD_IN_SLEEP: Board._hold_all,
    _ops.SPI_WRITE: Board._spi,
    _ops.SPI_TRANSFER: Board._spi,
    _ops.I2C_WRITE: Board._i2c_write,
    _ops.I2C_READ: Board._i2c_read,
    _ops.UART_SETUP: Board._uart_setup,
    _ops.UART_WRITE: Board._uart_write,
    _ops.UART_STATE: Board._uart_state,
    _ops.UART_READ: Board._uart_read,
    _ops.ADC_READ: Board._adc_read,
    _ops.ONEWIRE_RESET: Board._onewire_reset,
    _ops.ONEWIRE_WRITE: Board._onewire_write,
    _ops.ONEWIRE_READ: Board._onewire_read,
    _ops.RTC_SIZE: Board._rtc_size,
    _ops.RTC_READ: Board._rtc_read,
    _ops.RTC_WRITE: Board._rtc_write,
    _ops.RANDOM: Board._random_bytes,
}
