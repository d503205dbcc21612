# SPDX-License-Identifier: EUPL-1.2
"""``machine`` of an ESP32-S3 over the bench's devices (runs on MicroPython).

Names, defaults and constants: MicroPython documentation, "machine" and "Quick reference for the ESP32"; what is not
here, and any option that the bench does not obey, raises.
"""

import sys
import time as _time

import _ops
import _simlink as _link

if False:  # types only
    from collections.abc import Callable
    from typing import Any, NoReturn

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

_freq_hz = 160_000_000


def __getattr__(name: str) -> "Any":
    """Classes with modules of their own: they cost a node no heap until it uses them."""
    if name == "I2C":
        from _machine_i2c import I2C

        return I2C
    raise AttributeError(name)


def _refuse(what: str) -> "NoReturn":
    raise NotImplementedError("the bench does not simulate " + what)


class Pin:
    """One GPIO. A bus takes a Pin without a mode; anything else needs a GPIO that is wired in the bench."""

    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_RISING = 1
    IRQ_FALLING = 2
    DRIVE_0 = 0
    DRIVE_1 = 1
    DRIVE_2 = 2
    DRIVE_3 = 3
    _gpio: int
    # as the bench counts modes and edges; other ports number them otherwise
    _MODES = {1: 1, 3: 3, 7: 7}
    _TRIGGERS = {1: 1, 2: 2, 3: 3}
    _LAST = 48
    _MISSING = (22, 23, 24, 25)
    _HOLDS = True

    def __init__(
        self,
        id: "int | Pin",
        mode: "int | None" = None,
        pull: "int | None" = -1,
        *,
        value: "int | None" = None,
        drive: "int | None" = None,
        hold: "bool | None" = None,
    ) -> None:
        if isinstance(id, Pin):
            id = id._gpio
        if not 0 <= id <= self._LAST or id in self._MISSING:
            raise ValueError("invalid pin")
        self._gpio = id
        if mode is not None or value is not None or hold is not None:
            self.init(mode, pull, value=value, drive=drive, hold=hold)

    def _wired(self) -> None:
        if not _link.wired >> self._gpio & 1:
            raise ValueError("GPIO%d is not wired in this bench" % self._gpio)

    def init(
        self,
        mode: "int | None" = None,
        pull: "int | None" = -1,
        *,
        value: "int | None" = None,
        drive: "int | None" = None,
        hold: "bool | None" = None,
    ) -> None:
        self._wired()
        _link.spend(_link.cpu_us)
        if value is not None:
            _link.post(_ops.PIN_WRITE, self._gpio, 1 if value else 0)
        if mode is not None:
            if mode not in self._MODES:
                raise ValueError("invalid mode")
            _link.post(_ops.PIN_MODE, self._gpio, self._MODES[mode])
        if pull != -1:  # left out, it stays
            _link.post(_ops.PIN_PULL, self._gpio, 1 if pull == self.PULL_UP else 0)
        if hold is not None:
            if not self._HOLDS:
                raise TypeError("unexpected keyword argument 'hold'")
            _link.post(_ops.PIN_HOLD, self._gpio, 0)  # lets changes out first, as the board does
            if hold:
                _link.post(_ops.PIN_HOLD, self._gpio, 1)

    def value(self, level: "int | None" = None) -> "int | None":
        if level is None:
            _link.touch()
            self._wired()
            return _link.levels >> self._gpio & 1
        self._wired()
        _link.spend(_link.cpu_us)
        _link.post(_ops.PIN_WRITE, self._gpio, 1 if level else 0)
        return None

    __call__ = value

    def on(self) -> None:
        self.value(1)

    def off(self) -> None:
        self.value(0)

    def irq(
        self, handler: "Callable[[Pin], object] | None" = None, trigger: int = 3, wake: "int | None" = None
    ) -> "Pin":
        self._wired()
        if wake is not None or trigger not in self._TRIGGERS:
            _refuse("level interrupts and wake-up by pin")
        trigger = self._TRIGGERS[trigger]
        _link.spend(_link.cpu_us)
        if handler is None:
            _link.handlers.pop(self._gpio, None)
            trigger = 0
        else:
            _link.handlers[self._gpio] = (handler, self)
        _link.post(_ops.PIN_IRQ, self._gpio, trigger)
        return self

    def __repr__(self) -> str:
        return "Pin(%d)" % self._gpio


class SPI:
    """A hardware SPI in mode 0, most significant bit first."""

    MSB = 0
    LSB = 1

    def __init__(
        self,
        id: int,
        baudrate: int = 500_000,
        *,
        sck: "Pin | None" = None,
        mosi: "Pin | None" = None,
        miso: "Pin | None" = None,
        **options: "Any",
    ) -> None:
        self._id = id
        self.init(baudrate, **options)

    def init(
        self,
        baudrate: int = 500_000,
        *,
        polarity: int = 0,
        phase: int = 0,
        bits: int = 8,
        firstbit: int = 0,
        sck: "Pin | None" = None,
        mosi: "Pin | None" = None,
        miso: "Pin | None" = None,
    ) -> None:
        if polarity or phase or firstbit or bits != 8:
            _refuse("SPI modes other than 0, 8 bits, MSB first")
        self._baudrate = baudrate

    def deinit(self) -> None:
        pass

    def _clock(self, count: int) -> None:
        _link.spend(_link.cpu_us + count * 8_000_000 // self._baudrate)

    def write(self, data: "bytes | bytearray") -> None:
        self._clock(len(data))
        if len(data) > 512:
            _refuse("SPI transfers of more than 512 bytes")
        _link.post_data(_ops.SPI_WRITE, self._id, 0, data)

    def write_readinto(self, data: "bytes | bytearray", buffer: bytearray) -> None:
        if len(data) != len(buffer):
            raise ValueError("buffers must be the same length")
        if len(data) > 512:
            _refuse("SPI transfers of more than 512 bytes")
        self._clock(len(data))
        _link.transfer(_ops.SPI_TRANSFER, self._id, data, buffer)

    def readinto(self, buffer: bytearray, write: int = 0) -> None:
        for i in range(len(buffer)):
            buffer[i] = write
        self.write_readinto(buffer, buffer)

    def read(self, count: int, write: int = 0) -> bytes:
        buffer = bytearray(count)
        self.readinto(buffer, write)
        return bytes(buffer)


class UART:
    """A UART; ``timeout`` and ``timeout_char`` in ms as on the ESP32."""

    INV_RX = 4
    INV_TX = 32

    def __init__(self, id: int, baudrate: int = 115_200, *arguments: "Any", **options: "Any") -> None:
        self._id = id
        self._timeout_us = self._timeout_char_us = 0
        self._cached = self._count = -1
        self.init(baudrate, *arguments, **options)

    def init(
        self,
        baudrate: int = 115_200,
        bits: int = 8,
        parity: "int | None" = None,
        stop: int = 1,
        *,
        tx: "Pin | None" = None,
        rx: "Pin | None" = None,
        txbuf: int = 256,
        rxbuf: int = 256,
        timeout: int = 0,
        timeout_char: int = 0,
        invert: int = 0,
        flow: int = 0,
    ) -> None:
        inverted = self.INV_TX | self.INV_RX
        if flow or invert not in (0, inverted):
            _refuse("flow control, and one line inverted without the other")
        if not 128 < rxbuf < 32_768:  # ESP-IDF, "uart_driver_install": more than the hardware's 128
            raise ValueError("rxbuf")
        self._timeout_us = timeout * 1000
        self._byte_us = -(-(1 + bits + (parity is not None) + stop) * 1_000_000 // baudrate)
        self._timeout_char_us = max(timeout_char * 1000, self._byte_us * 2)
        _link.spend(_link.cpu_us)
        if tx is not None and _link.wired >> tx._gpio & 1:  # from now on the UART drives it, idle, until told otherwise
            _link.post(_ops.PIN_WRITE, tx._gpio, 0 if invert else 1)
            _link.post(_ops.PIN_MODE, tx._gpio, 3)
        parity = 0 if parity is None else 1 + (parity & 1)
        _link.post(
            _ops.UART_SETUP,
            self._id,
            baudrate | bits << 32 | parity << 40 | stop << 44 | (1 << 46 if invert else 0) | rxbuf << 48,
        )

    def deinit(self) -> None:
        pass

    def write(self, data: "bytes | bytearray | str") -> int:
        if isinstance(data, str):
            data = data.encode()
        _link.spend(_link.cpu_us)
        if len(data) > 512:
            _refuse("UART writes of more than 512 bytes")
        _link.post_data(_ops.UART_WRITE, self._id, 0, data)
        return len(data)

    def _state(self) -> int:
        _link.touch()
        if self._cached != _link.answers:  # nothing changes before the horizon
            self._count = _link.request(_ops.UART_STATE, self._id, 0)
            self._cached = _link.answers
        return self._count

    def any(self) -> int:
        return self._state() & 0xFFFF_FFFF

    def txdone(self) -> bool:
        return not self._state() >> 32

    def flush(self) -> None:
        while not self.txdone():
            _link.sleep_until(_link.t + self._byte_us)

    def _fill(self, buffer: bytearray) -> int:
        """Read until the buffer is full or a timeout passes; return how many characters."""
        have = 0
        wait_us = self._timeout_us
        _link.touch()
        while True:
            part = bytearray(len(buffer) - have)
            count = _link.request(_ops.UART_READ, self._id, len(part), part)
            if count:
                buffer[have : have + count] = part[:count]
                have += count
                wait_us = self._timeout_char_us if self._timeout_us else 0
            if have == len(buffer) or wait_us <= 0:
                return have
            step_us = min(wait_us, self._byte_us)
            _link.sleep_until(_link.t + step_us)
            wait_us -= step_us

    def readinto(self, buffer: bytearray, count: "int | None" = None) -> "int | None":
        data = self.read(len(buffer) if count is None else count)
        if data is None:
            return None
        buffer[: len(data)] = data
        return len(data)

    def read(self, count: "int | None" = None) -> "bytes | None":
        buffer = bytearray(self.any() if count is None else count)
        have = self._fill(buffer) if buffer else 0
        return bytes(buffer[:have]) if have else None


_CONVERSION_US = 50  # assumed: nobody says what a reading takes, calibration included


class ADC:
    """An analogue input. Full scale by attenuation: ESP32-S3 datasheet, "ADC Characteristics"."""

    ATTN_0DB = 0
    ATTN_2_5DB = 1
    ATTN_6DB = 2
    ATTN_11DB = 3
    _FULL_SCALE_UV = (950_000, 1_250_000, 1_750_000, 3_100_000)

    def __init__(self, pin: "Pin | int", *, atten: int = 0) -> None:
        self._gpio = pin if isinstance(pin, int) else pin._gpio
        self.atten(atten)

    def atten(self, atten: int) -> None:
        self._full_uv = self._FULL_SCALE_UV[atten]

    def read_uv(self) -> int:
        """Whole millivolts: that is what ESP-IDF's calibration gives (ports/esp32, adc.c)."""
        _link.spend(_CONVERSION_US)
        _link.touch()
        uv = min(max(_link.request(_ops.ADC_READ, self._gpio, 0), 0), self._full_uv)
        return (uv + 500) // 1000 * 1000

    def read_u16(self) -> int:
        return self.read_uv() * 65_535 // self._full_uv


_rtc_size = -1  # bytes of RTC memory in use, once known: nobody else writes it


class RTC:
    """The real-time clock and its 2048 bytes of memory."""

    def memory(self, data: "bytes | None" = None) -> "bytes | None":
        global _rtc_size
        _link.touch()
        if data is None:
            if _rtc_size < 0:
                _rtc_size = _link.request(_ops.RTC_SIZE, 0, 0)
            buffer = bytearray(_rtc_size)
            if buffer:
                _link.request(_ops.RTC_READ, 0, len(buffer), buffer)
            return bytes(buffer)
        if len(data) > 2048:
            raise ValueError("buffer too long")
        for start in range(0, len(data) or 1, 512):
            _link.post_data(_ops.RTC_WRITE, 0, start, data[start : start + 512])
        _rtc_size = len(data)
        return None

    def datetime(self, when: "tuple[int, ...] | None" = None) -> "tuple[int, ...] | None":
        if when is None:
            _link.touch()
            us = _time._rtc_now()
            t = _time.gmtime(us // 1_000_000)
            return (t[0], t[1], t[2], t[6], t[3], t[4], t[5], us % 1_000_000)
        us = _time.mktime((when[0], when[1], when[2], when[4], when[5], when[6], 0, 0)) * 1_000_000 + when[7]
        _time._set_rtc(us)
        _link.post(_ops.RTC_SET, 0, us)
        return None

    init = datetime


class WDT:
    """The task watchdog: it cannot be stopped, and resets the board when nobody feeds it."""

    def __init__(self, id: int = 0, timeout: int = 5000) -> None:
        if id:
            raise ValueError("WDT(%d) doesn't exist" % id)
        if timeout <= 0:
            raise ValueError("WDT timeout too short")
        _link.post(_ops.WDT_START, 0, timeout)

    def feed(self) -> None:
        _link.spend(_link.cpu_us)
        _link.note(_ops.WDT_FEED, 0, 0)


def unique_id() -> bytes:
    return bytes.fromhex(sys.argv[9])


def reset_cause() -> int:
    return int(sys.argv[10])


def freq(hz: "int | None" = None) -> "int | None":
    global _freq_hz
    if hz is None:
        return _freq_hz
    if hz not in (20_000_000, 40_000_000, 80_000_000, 160_000_000, 240_000_000):
        raise ValueError("frequency must be 20MHz, 40MHz, 80Mhz, 160MHz or 240MHz")
    _freq_hz = hz
    return None


def idle() -> None:
    _link.touch()


def disable_irq() -> bool:
    return _link.mask(True)


def enable_irq(state: bool) -> None:
    _link.mask(state)


def lightsleep(time_ms: "int | None" = None) -> None:
    """Processor and edge detection stand still; the RTC's clock ends it."""
    if not time_ms:
        _refuse("light sleep without an end")
    true_us = _time._rtc_to_true(time_ms * 1000)
    _link.request(_ops.WAIT, 0, _link.t + true_us)
    _time._slept(time_ms * 1000 - true_us)


def deepsleep(time_ms: int = 0) -> None:
    _link.leave(_ops.DEEP_SLEEP, time_ms)


def reset() -> None:
    _link.leave(_ops.RESET)


def soft_reset() -> None:
    _link.leave(_ops.SOFT_RESET)


if sys.argv[17] == "rp2":
    import _machine_rp2

    _machine_rp2.change(sys.modules[__name__])
