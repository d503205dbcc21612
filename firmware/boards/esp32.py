# SPDX-License-Identifier: EUPL-1.2
"""Boards with an ESP32-S3: RTC memory, pads that are held while it sleeps, a watchdog of any length.

MicroPython documentation, "Quick reference for the ESP32": deep-sleep mode, "Holding pins".
"""

import gc

from firmware.boards.board import CommonBoard

if False:  # types only
    from machine import WDT, Pin

    from firmware.hal import Adc, Table, Value

WATCHDOG_MS = 30_000  # the longest wait without progress is 15 s, for a window
_LAST_RTC_PAD = 21  # ESP32-S3 datasheet, "IO Pins": the pads above lose their hold in deep sleep unless told otherwise


class Board(CommonBoard):
    """A board of ``table``, whose processor is an ESP32-S3."""

    def __init__(self, table: "Table") -> None:
        import time

        import machine

        self.clock = time
        self.rtc = machine.RTC()
        self._watchdog: "WDT | None" = None
        super().__init__(table)
        self._hold_asleep = None
        if max(table.LORA_NSS, table.SENSOR_POWER, table.RF_SWITCH or 0) > _LAST_RTC_PAD:
            import esp32

            self._hold_asleep = esp32.gpio_deep_sleep_hold  # type: ignore[attr-defined]  # not in the stubs

    def _output(self, gpio: int, level: int) -> "Pin":
        """An output; a hold that deep sleep left on it ends once it has its level."""
        pin = self.machine.Pin
        kept: "Pin" = pin(gpio, pin.OUT, value=level, hold=False)
        self._kept.append(kept)
        return kept

    def input(self, gpio: int, attenuation: int) -> "Adc":
        machine = self.machine
        adc: "Adc" = machine.ADC(machine.Pin(gpio), atten=attenuation)
        return adc

    def node_temperature(self) -> "Value":
        """The processor's own temperature in 0.01 degrees Celsius."""
        import esp32

        return int(esp32.mcu_temperature() * 100)  # type: ignore[attr-defined]  # not in the stubs

    def slept(self) -> bool:
        """Whether this boot is the end of a deep sleep, rather than of a reset or a power cut."""
        return bool(self.machine.reset_cause() == self.machine.DEEPSLEEP_RESET)

    def watchdog_start(self) -> None:
        """From now on a board without progress is reset; this cannot be undone but by sleep."""
        self._watchdog = self.machine.WDT(timeout=WATCHDOG_MS)

    def watchdog_feed(self) -> None:
        """Progress was made."""
        if self._watchdog is not None:
            self._watchdog.feed()

    def light_sleep(self, ms: int) -> None:
        """Sleep with everything kept, 0.24 mA instead of 30; outputs are held as in deep sleep."""
        self.light_ms += ms
        self._hold(True)
        self.machine.lightsleep(ms)
        self._hold(False)

    def deep_sleep(self, ms: int) -> None:
        """Sleep, then boot; does not return. NSS stays high, or noise on it would wake the radio."""
        gc.collect()  # this must not fail, whatever has failed before
        self.sensor_power(False)
        self._nss(1)
        if self._rf_switch is not None:
            self._rf_switch(0)
        self._hold(True)
        if self._hold_asleep is not None:
            self._hold_asleep(True)
        self.machine.deepsleep(ms)

    def _hold(self, held: bool) -> None:
        for pin in self._kept:
            pin.init(hold=held)  # type: ignore[call-arg]  # ESP32's own
