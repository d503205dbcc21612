# SPDX-License-Identifier: EUPL-1.2
"""A board as its table describes it: radio, sensor rail, buses, battery. What differs by processor stands beside it.

A table is a module of constants (``firmware.hal.Table``); ``firmware.boards.esp32`` and ``firmware.boards.rp2`` add
sleep, watchdog and memory. Lines to sensors are outputs only while the rail is on.
"""

if False:  # types only
    from collections.abc import Callable

    from machine import I2C, SPI, UART, Pin
    from onewire import OneWire

    from firmware.hal import Adc, Clock, Rtc, Table
    from firmware.radio.sx1262 import Sx1262

_LOWEST_UV = 50_000  # a divider that gives less is not connected


class CommonBoard:
    """``table``: the board's module in firmware/boards. firmware/README.md describes what the firmware uses.

    ``uarts`` and ``used`` (GPIOs): what ``firmware.boards.lines`` has opened to sensors.
    """

    folder = "/data"
    clock: "Clock"
    rtc: "Rtc"
    light_sleep: "Callable[[int], None]"

    def __init__(self, table: "Table") -> None:
        import machine

        self.machine = machine
        self.table = table
        self._radio: "Sx1262 | None" = None
        self._kept: "list[Pin]" = []
        self.uarts: "list[UART]" = []
        self.used: "list[int]" = []
        self.light_ms = 0  # slept lightly since the boot
        self.antenna_gain_dbi = table.ANTENNA_GAIN_DBI
        self._rail = self._output(table.SENSOR_POWER, 1 - table.SENSOR_POWER_ON)
        self._nss = self._output(table.LORA_NSS, 1)
        self._rf_switch = None if table.RF_SWITCH is None else self._output(table.RF_SWITCH, 0)

    # --- what a processor does in its own way ---

    def _output(self, gpio: int, level: int) -> "Pin":
        """A pin that the board keeps as an output, over light sleep, too, while it is in ``_kept``."""
        raise NotImplementedError

    def input(self, gpio: int, attenuation: int) -> "Adc":
        """An analogue input; ``attenuation`` as ESP32's machine.ADC has it."""
        raise NotImplementedError

    # --- radio ---

    def radio(self) -> "Sx1262":
        """The SX1262, as it was left; its antenna switch gets its supply."""
        if self._rf_switch is not None:
            self._rf_switch(1)
        if self._radio is None:
            from firmware.radio.sx1262 import Sx1262

            table = self.table
            pin = self.machine.Pin
            spi: "SPI" = self.machine.SPI(
                table.LORA_SPI,
                baudrate=8_000_000,
                sck=pin(table.LORA_SCK),
                mosi=pin(table.LORA_MOSI),
                miso=pin(table.LORA_MISO),
            )
            self._radio = Sx1262(
                spi,
                self._nss,
                pin(table.LORA_BUSY, pin.IN),
                pin(table.LORA_DIO1, pin.IN),
                pin(table.LORA_RESET, pin.OUT, value=1),
                self.clock,
                tcxo_mv=table.TCXO_MV,
                dio2_rf_switch=table.DIO2_RF_SWITCH,
            )
        return self._radio

    def radio_done(self) -> None:
        """It sleeps: its driver makes room until somebody asks for it again."""
        if self._radio is not None:
            self.machine.Pin(self.table.LORA_DIO1).irq(handler=None)
            self._radio = None

    # --- sensors ---

    def sensor_power(self, on: bool) -> None:
        """Switch the sensors' supply; off, no line to them may feed them either."""
        table = self.table
        if not on:
            pin = self.machine.Pin
            while self.uarts:
                self.uarts.pop().deinit()
            while self.used:
                pin(self.used.pop(), pin.IN, None)  # type: ignore[arg-type]  # no pull: not in the stubs
        self._rail(table.SENSOR_POWER_ON if on else 1 - table.SENSOR_POWER_ON)

    def rs485(self) -> "tuple[UART, Pin]":
        """(UART, driver-enable pin) of the transceiver."""
        from firmware.boards import lines

        return lines.rs485(self)

    def sdi12(self) -> "tuple[UART, Pin]":
        """(UART, pin that lets it drive the line while high) of the SDI-12 buffer, which inverts nothing."""
        from firmware.boards import lines

        return lines.sdi12(self)

    def uart(self, baudrate: int, rxbuf: int = 256) -> "UART":
        """A sensor of its own on a serial line."""
        from firmware.boards import lines

        return lines.uart(self, baudrate, rxbuf)

    def one_wire(self) -> "OneWire":
        """The 1-Wire bus."""
        from firmware.boards import lines

        return lines.one_wire(self)

    def i2c(self) -> "I2C":
        """The I2C bus at 100 kHz, which every sensor of ours can do; its pull-ups hang on the rail."""
        from firmware.boards import lines

        return lines.i2c(self)

    def adc(self, name: str) -> "Adc":
        """An analogue input by what hangs on it: ``read_uv()``, up to 3 V."""
        return self.input(self.table.ANALOG[name], 3)

    def watermark(self) -> "tuple[Pin, Pin, Adc]":
        """(pin that feeds through the series resistor, pin at the sensor's other end, input between), both low."""
        from firmware.boards import lines

        return lines.watermark(self)

    def pulse_pins(self) -> "tuple[Pin, ...]":
        """Inputs that count; whoever pulls them up or down is on the board outside."""
        pin = self.machine.Pin
        return tuple([pin(gpio, pin.IN) for gpio in self.table.PULSE])

    # --- the board itself ---

    def battery_mv(self) -> int:
        """Battery voltage, 0 if there is no telling; a divider with a switch is connected only while it is read."""
        table = self.table
        adc = self.input(table.BATTERY, table.BATTERY_ATTENUATION)
        switch = table.BATTERY_SWITCH
        highest_uv = adc.read_uv() if switch is None else self._switched_uv(adc, switch)
        if highest_uv < _LOWEST_UV:
            return 0
        return highest_uv // 10 * table.BATTERY_DIVIDER_PER_MILLE // 100_000

    def _switched_uv(self, adc: "Adc", gpio: int) -> int:
        """Connect the divider, whichever way this revision of the board does it; the way that gives more is right."""
        table = self.table
        highest_uv = 0
        switch = self._output(gpio, 0)
        # what counts on the rail must not miss anything
        sleep_ms = self.clock.sleep_ms if self._rail() == table.SENSOR_POWER_ON else self.light_sleep
        try:
            for level in table.BATTERY_SWITCH_LEVELS:
                switch(level)
                sleep_ms(table.BATTERY_SETTLE_MS)
                highest_uv = max(highest_uv, adc.read_uv())
        finally:
            switch.init(self.machine.Pin.IN)
            self._kept.remove(switch)
        return highest_uv
