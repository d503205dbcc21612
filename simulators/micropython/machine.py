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


def __getattr__(name: str) -> "Any":
    """What has a module of its own takes heap only while it is used; on a board these are C and take none."""
    if name not in ("ADC", "I2C", "UART"):
        import _machine_more

        return getattr(_machine_more, name)
    module = "_machine_" + name.lower()
    found = getattr(__import__(module), name)
    del sys.modules[module]
    return found


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
    _gpio: int
    # as the bench counts modes and edges; other ports number them otherwise
    _MODES = {1: 1, 3: 3, 7: 7}
    _TRIGGERS = {1: 1, 2: 2, 3: 3}
    _LAST = 48
    _MISSING = (22, 23, 24, 25)
    _HOLDS = True

    def __init__(
        self, id: "int | Pin", mode: "int | None" = None, pull: "int | None" = -1, **options: "int | bool"
    ) -> None:
        if isinstance(id, Pin):
            id = id._gpio
        if not 0 <= id <= self._LAST or id in self._MISSING:
            raise ValueError("invalid pin")
        self._gpio = id
        if mode is not None or options:
            self.init(mode, pull, **options)

    def _wired(self) -> None:
        if not _link.wired >> self._gpio & 1:
            raise ValueError("GPIO%d is not wired in this bench" % self._gpio)

    def init(self, mode: "int | None" = None, pull: "int | None" = -1, **options: "int | bool") -> None:
        """Of the board's keyword arguments those that the bench obeys: ``value`` and ``hold``."""
        self._wired()
        _link.spend(_link.cpu_us)
        value, hold = options.pop("value", None), options.pop("hold", None)
        if options:
            _refuse("Pin: " + ", ".join(options))
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
        self, handler: "Callable[[Pin], object] | None" = None, trigger: "int | None" = None, wake: "int | None" = None
    ) -> "Pin":
        self._wired()
        if trigger is None:  # both edges, whatever numbers this port has for them
            trigger = max(self._TRIGGERS)
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

    def __init__(self, id: int, baudrate: int = 500_000, **options: "Any") -> None:
        self._id = id
        self.init(baudrate, **options)

    def init(self, baudrate: int = 500_000, **options: "Any") -> None:
        if [name for name in options if name not in ("sck", "mosi", "miso")]:
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


def reset_cause() -> int:
    return int(sys.argv[10])


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


if sys.argv[17] == "rp2":
    import _machine_rp2

    _machine_rp2.change(sys.modules[__name__])
