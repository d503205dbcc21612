# SPDX-License-Identifier: EUPL-1.2
"""The one part of ``esp32`` that the bench obeys (runs on MicroPython)."""

import _ops
import _simlink as _link


def gpio_deep_sleep_hold(enable: bool) -> None:
    """Keep held pads that are not RTC pads over deep sleep, too."""
    _link.post(_ops.HOLD_IN_SLEEP, 0, 1 if enable else 0)
