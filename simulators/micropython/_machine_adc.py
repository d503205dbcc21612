# SPDX-License-Identifier: EUPL-1.2
"""``machine.ADC`` over the bench's voltages (runs on MicroPython)."""

import _ops
import _simlink as _link

if False:  # types only
    from machine import Pin

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
