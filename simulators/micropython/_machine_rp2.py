# SPDX-License-Identifier: EUPL-1.2
"""What ``machine`` is on an RP2040 instead (runs on MicroPython). Sources: ports/rp2 of MicroPython.

machine_pin.c (modes, edges, no hold), machine_adc.c (read_u16 only), machine_wdt.c, modmachine.c (two reset causes,
deep sleep is light sleep and a reset), modules of registers as far as the watchdog's scratch registers.
"""

import _ops
import _simlink as _link

if False:  # types only
    from typing import Any

_SCRATCH = 0x4005_800C
_LONGEST_MS = 0xFFFF_FFFF // 1000  # modmachine.c: the timer alarm counts 32 bits of microseconds
_WDT_LONGEST_MS = 8_388
_FULL_SCALE_UV = 3_300_000


class _Registers:
    """``machine.mem32``: the first scratch registers, which the SDK leaves to us."""

    @staticmethod
    def _number(address: int) -> int:
        number = (address - _SCRATCH) // 4
        if address & 3 or not 0 <= number <= 3:
            raise NotImplementedError("the bench does not simulate register 0x%x" % address)
        return number

    def __getitem__(self, address: int) -> int:
        return _link.request(_ops.SCRATCH_READ, self._number(address), 0)

    def __setitem__(self, address: int, word: int) -> None:
        _link.post(_ops.SCRATCH_WRITE, self._number(address), word & 0xFFFF_FFFF)


class ADC:
    """12 bits of 3.3 V, as sixteen. A number is a channel: 4 is the temperature sensor."""

    CORE_TEMP = 4

    def __init__(self, pin: "Any") -> None:
        self._channel: int = pin if isinstance(pin, int) else pin._gpio
        if not (0 <= self._channel <= 4 if isinstance(pin, int) else 26 <= self._channel <= 29):
            raise ValueError("Pin doesn't have ADC capabilities")

    def read_u16(self) -> int:
        _link.touch()
        uv = min(max(_link.request(_ops.ADC_READ, self._channel, 0), 0), _FULL_SCALE_UV)
        raw = uv * 4095 // _FULL_SCALE_UV
        return raw << 4 | raw >> 8


def change(machine: "Any") -> None:
    """Make ``machine`` that of an RP2040."""
    pin, uart = machine.Pin, machine.UART
    pin.IN, pin.OUT, pin.OPEN_DRAIN = 0, 1, 2
    pin.PULL_UP, pin.PULL_DOWN = 1, 2
    pin.PULL_UP, pin.PULL_DOWN = 1, 2
    pin.IRQ_FALLING, pin.IRQ_RISING = 4, 8
    pin._MODES = {0: 1, 1: 3, 2: 7}
    pin._TRIGGERS = {8: 1, 4: 2, 12: 3}
    pin._LAST, pin._MISSING, pin._HOLDS = 29, (), False
    uart.INV_TX, uart.INV_RX = 1, 2
    machine.ADC = ADC
    machine.mem32 = _Registers()
    rtc, wdt, lightsleep = machine.RTC, machine.WDT, machine.lightsleep
    del rtc.memory
    del machine.HARD_RESET, machine.DEEPSLEEP_RESET, machine.SOFT_RESET
    wdt_init = wdt.__init__

    def start(self: "Any", id: int = 0, timeout: int = 5000) -> None:
        if timeout > _WDT_LONGEST_MS:
            raise ValueError("timeout exceeds 8388")
        wdt_init(self, id, timeout)

    def sleep(time_ms: int) -> None:
        if time_ms >= _LONGEST_MS:
            raise ValueError("sleep too long")
        lightsleep(time_ms)

    def deep(time_ms: int) -> None:
        sleep(time_ms)
        machine.reset()

    wdt.__init__ = start
    machine.lightsleep = sleep
    machine.deepsleep = deep
