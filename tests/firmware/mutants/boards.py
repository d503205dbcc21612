# SPDX-License-Identifier: EUPL-1.2
"""Boards, broken one way at a time: which board shows it, in which module it is."""

from tests.firmware.mutants.loading import Mutant

_ESP32, _RP2, _BOARD = "firmware.boards.esp32", "firmware.boards.rp2", "firmware.boards.board"
_HELTEC, _XIAO, _PICO, _T3S3 = "heltec_v3", "xiao_esp32s3", "pico_waveshare", "lilygo_t3s3"
_LET_GO = "pin(self.used.pop(), pin.IN, None)"
_SWITCH_OFF = "            switch.init(self.machine.Pin.IN)\n"
_HIGHEST = "max(table.LORA_NSS, table.SENSOR_POWER, table.RF_SWITCH or 0)"
_FED_ASLEEP = (
    "            if self._watchdog is not None:\n                self._watchdog.feed()\n            self.machine"
)
_ON_FROM_THE_START = "1)\n        self._nss"
_LIGHT = "        self.machine.lightsleep"
_PARTS = "self.machine.lightsleep(left if left < longest else longest)"

MUTANTS = (
    (_HELTEC, _BOARD, Mutant("the rail stays on", "SENSOR_POWER_ON if on", "SENSOR_POWER_ON if 1")),
    (_T3S3, _BOARD, Mutant("on from the start", "1 - table.SENSOR_POWER_ON)\n        self._nss", _ON_FROM_THE_START)),
    (_HELTEC, _BOARD, Mutant("ADC_Ctrl stays low", _SWITCH_OFF, "            switch(0)\n")),
    ("heltec_v3_2", _BOARD, Mutant("ADC_Ctrl stays high", _SWITCH_OFF, "")),
    (_HELTEC, _BOARD, Mutant("UART lines stay driven", _LET_GO, "self.used.pop()")),
    (_XIAO, _BOARD, Mutant("pull-ups stay on", _LET_GO, "pin(self.used.pop(), pin.IN)")),
    (_XIAO, _BOARD, Mutant("no supply for the antenna switch", "self._rf_switch(1)", "self._rf_switch(0)")),
    (_XIAO, _ESP32, Mutant("the antenna switch stays on", "self._rf_switch(0)", "self._rf_switch(1)")),
    (_XIAO, _ESP32, Mutant("no hold in deep sleep", "self._hold_asleep(True)", "self._hold_asleep(False)")),
    (_XIAO, _ESP32, Mutant("only RTC pads are held", _HIGHEST, "table.SENSOR_POWER")),
    (_T3S3, _ESP32, Mutant("NSS floats in deep sleep", "        self._hold(True)\n        if", "        if")),
    (_HELTEC, _ESP32, Mutant("NSS floats in light sleep", "self._hold(True)\n" + _LIGHT, _LIGHT.lstrip())),
    (_HELTEC, _ESP32, Mutant("the hold does not end", "value=level, hold=False)", "value=level)")),
    (_HELTEC, _ESP32, Mutant("a watchdog of two seconds", "WATCHDOG_MS = 30_000", "WATCHDOG_MS = 2_000")),
    (_PICO, _RP2, Mutant("the radio is left awake", "radio.sleep(True)", "pass")),
    (_PICO, _RP2, Mutant("not fed in sleep", _FED_ASLEEP, "            self.machine")),
    (_PICO, _RP2, Mutant("fed too seldom in sleep", "_PART_MS = 7_000", "_PART_MS = 9_000")),
    (_PICO, _RP2, Mutant("one sleep of any length", _PARTS, "self.machine.lightsleep(left)")),
    (_PICO, _RP2, Mutant("a watchdog longer than there is", "WATCHDOG_MS = 8_388", "WATCHDOG_MS = 30_000")),
    (_PICO, _RP2, Mutant("time is not carried over", "seconds, ms = self._clock.now()", "seconds, ms = 0, 0")),
    (_PICO, _RP2, Mutant("sleep is not noted", "self._note(True)", "self._note(False)")),
    (_PICO, _RP2, Mutant("memory is not marked as written", "            self.valid = True\n", "")),
    (_PICO, _RP2, Mutant("a radio nobody asked for", "        if self._woken:\n            self.radio()\n", "")),
    (_PICO, _RP2, Mutant("any memory counts", "bool(flags & _WRITTEN)", "True")),
)  # fmt: skip
