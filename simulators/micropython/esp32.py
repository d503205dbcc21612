# SPDX-License-Identifier: EUPL-1.2
"""What the bench obeys of ``esp32`` (runs on MicroPython)."""

import _ops
import _simlink as _link

_TEMPERATURE = 63  # the converter's number for the sensor on the chip, in this bench; uV are microdegrees


def mcu_temperature() -> int:
    """The chip's temperature in whole degrees Celsius, as modesp32.c rounds it."""
    return (_link.request(_ops.ADC_READ, _TEMPERATURE, 0) + 500_000) // 1_000_000


def gpio_deep_sleep_hold(enable: bool) -> None:
    """Keep held pads that are not RTC pads over deep sleep, too."""
    _link.post(_ops.HOLD_IN_SLEEP, 0, 1 if enable else 0)
