# SPDX-License-Identifier: EUPL-1.2
"""Heltec WiFi LoRa 32 V3 (ESP32-S3FN8, SX1262): pins, and the objects that stand on them.

Radio and battery pins: Heltec "WiFi LoRa 32 V3 schematic diagram". Sensors hang on the header and are supplied by Ve.
"""

if False:  # types only
    from machine import UART, WDT, Pin
    from onewire import OneWire

    from firmware.radio.sx1262 import Sx1262

# GPIO numbers
LORA_NSS = 8
LORA_SCK = 9
LORA_MOSI = 10
LORA_MISO = 11
LORA_RESET = 12
LORA_BUSY = 13
LORA_DIO1 = 14
VEXT = 36  # supply of the sensors, on while low
BATTERY = 1  # behind 390 kOhm and 100 kOhm
BATTERY_SWITCH = 37  # connects the divider: low on V3.0 and V3.1, high on V3.2
RS485_TX = 47
RS485_RX = 48
RS485_DE = 33
ONE_WIRE = 7

LORA_SPI = 1
RS485_UART = 1
TCXO_MV = 1800  # from DIO3
ANTENNA_GAIN_DBI = 2  # the whip that comes with the board
WATCHDOG_MS = 30_000  # the longest wait without progress is 15 s, for a window

_DIVIDER_PER_MILLE = 4_900
_SETTLE_MS = 5  # 80 kOhm into the converter's 100 nF


class Board:
    """What firmware/app.py needs of a board; firmware/README.md describes each member."""

    antenna_gain_dbi = ANTENNA_GAIN_DBI
    folder = "/data"

    def __init__(self) -> None:
        import time

        import machine

        self.clock = time
        self.rtc = machine.RTC()
        self._machine = machine
        self._watchdog: "WDT | None" = None
        self._radio: "Sx1262 | None" = None
        self._rs485: "tuple[UART, Pin] | None" = None
        pin = machine.Pin
        self._vext = pin(VEXT, pin.OUT, value=1)
        self._nss = pin(LORA_NSS, pin.OUT, value=1, hold=False)  # type: ignore[call-arg]  # ESP32's own; deep_sleep held it

    def radio(self) -> "Sx1262":
        """The SX1262, as it was left."""
        if self._radio is None:
            from firmware.radio.sx1262 import Sx1262

            machine = self._machine
            pin = machine.Pin
            spi = machine.SPI(LORA_SPI, baudrate=8_000_000, sck=pin(LORA_SCK), mosi=pin(LORA_MOSI), miso=pin(LORA_MISO))
            self._radio = Sx1262(
                spi,
                self._nss,
                pin(LORA_BUSY, pin.IN),
                pin(LORA_DIO1, pin.IN),
                pin(LORA_RESET, pin.OUT, value=1),
                self.clock,
                tcxo_mv=TCXO_MV,
                dio2_rf_switch=True,
            )
        return self._radio

    def sensor_power(self, on: bool) -> None:
        """Switch the sensors' supply; off, no line to them may feed them either."""
        if not on and self._rs485 is not None:
            uart, de = self._rs485
            uart.deinit()
            de.init(self._machine.Pin.IN)
            self._rs485 = None
        self._vext(0 if on else 1)

    def rs485(self) -> "tuple[UART, Pin]":
        """(UART, driver-enable pin) of the transceiver."""
        machine = self._machine
        pin = machine.Pin
        de = pin(RS485_DE, pin.OUT, value=0)
        self._rs485 = machine.UART(RS485_UART, 9600, tx=pin(RS485_TX), rx=pin(RS485_RX)), de
        return self._rs485

    def one_wire(self) -> "OneWire":
        """The 1-Wire bus."""
        import onewire

        return onewire.OneWire(self._machine.Pin(ONE_WIRE))

    def battery_mv(self) -> int:
        """Battery voltage; the divider is connected only while it is read, whichever way this revision does it."""
        machine = self._machine
        pin = machine.Pin
        adc = machine.ADC(pin(BATTERY), atten=machine.ADC.ATTN_2_5DB)
        switch = pin(BATTERY_SWITCH, pin.OUT, value=0)
        highest_uv = 0
        for level in (0, 1):
            switch(level)
            self.clock.sleep_ms(_SETTLE_MS)
            highest_uv = max(highest_uv, adc.read_uv())
        switch.init(pin.IN)
        return highest_uv * _DIVIDER_PER_MILLE // 1_000_000

    def slept(self) -> bool:
        """Whether this boot is the end of a deep sleep, rather than of a reset or a power cut."""
        return self._machine.reset_cause() == self._machine.DEEPSLEEP_RESET

    def watchdog_start(self) -> None:
        """From now on a board without progress is reset; this cannot be undone but by sleep."""
        self._watchdog = self._machine.WDT(timeout=WATCHDOG_MS)

    def watchdog_feed(self) -> None:
        """Progress was made."""
        if self._watchdog is not None:
            self._watchdog.feed()

    def light_sleep(self, ms: int) -> None:
        """Sleep with everything kept, 0.24 mA instead of 30; NSS is held high as in deep sleep."""
        self._nss.init(hold=True)  # type: ignore[call-arg]  # ESP32's own
        self._machine.lightsleep(ms)
        self._nss.init(hold=False)  # type: ignore[call-arg]

    def deep_sleep(self, ms: int) -> None:
        """Sleep, then boot; does not return. NSS stays high, or noise on it would wake the radio."""
        pin = self._machine.Pin
        pin(LORA_NSS, pin.OUT, value=1, hold=True)  # type: ignore[call-arg]  # ESP32's own
        self._machine.deepsleep(ms)
