# SPDX-License-Identifier: EUPL-1.2
"""Any board of firmware/boards on the bench: its wires, radio, sensor rail, battery divider, and what leaks in sleep.

Nothing hangs on its sensor lines. A node of a kind (``tree_node.py``) is a ``BoardSim`` that connects its sensors to
them in its constructor.
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from simulators.air import Air
from simulators.board_kinds import KINDS as KINDS
from simulators.board_kinds import SENSOR_LINES
from simulators.board_kinds import pins_of as pins_of
from simulators.chips import sx1262_commands as c
from simulators.chips.battery import Divider
from simulators.chips.sx1262 import Sx1262Sim
from simulators.clock import Clock
from simulators.faults import FaultySpi, Line, RadioFaults
from simulators.flash import Flash
from simulators.kernel import Kernel
from simulators.node import NodeBench
from simulators.node_states import Moment, Port
from simulators.wires import I2cBus, OneWireDevice, Rs485, Sdi12Line, SerialPort, SpiDevice, Wire
from simulators.wiring import Wiring

BATTERY_MV = 3_300  # LiFePO4 on its long plateau
SOLAR_MV = 3_900  # a lithium ion cell behind a panel
ANTENNA_DBI = 2.0
ADC_NOISE_UV = 1_500.0  # standard deviation of one reading; assumed, from two steps of 12 bits
_CHIP_TEMPERATURE = 63  # of an ESP32, as simulators/micropython/esp32.py asks for it
_CORE_TEMPERATURE = 4  # of an RP2040, DS "Temperature Sensor": 0.706 V at 27 Cel, 1.721 mV less each degree
_ASLEEP = (c.SLEEP_COLD, c.SLEEP_WARM)


class Refusing(Protocol):
    """A simulated chip that says what it refused."""

    @property
    def refusals(self) -> list[str]: ...


class BoardSim:
    """One board on the simulation's clock and air, its ``firmware`` built for ``KINDS[kind].firmware``.

    ``read_celsius(now_us)`` is the temperature of its processor; ``console`` makes the line to its stdin and stdout.
    Connect sensors before the first power-up: ``wire``, ``rs485``, ``serial``, ``one_wire``, ``analog``,
    ``i2c.devices``; name chips that refuse things in ``chips``.
    """

    def __init__(
        self,
        clock: Clock,
        air: Air,
        firmware: Path,
        kind: str = "heltec_v3",
        *,
        index: int = 0,
        position: tuple[float, float] = (0.0, 0.0),
        flash: Flash | None = None,
        seed: int = 0,
        battery_mv: int = BATTERY_MV,
        adc_noise_uv: float = ADC_NOISE_UV,
        read_celsius: Callable[[int], float] = lambda _now_us: 20.0,
        rtc_drift_ppm: int = 0,
        cpu_us: int = 10,
        ticks_start_us: int = 0,
        heap: str = "64wK",
        main: str = "main",
        console: Callable[[Clock], SerialPort] | None = None,
    ) -> None:
        self.clock = clock
        self.kind = KINDS[kind]
        self.table = self.kind.table
        self.battery_mv = battery_mv
        self.console = None if console is None else console(clock)
        self.chips: list[Refusing] = []
        self.found: list[str] = []  # leaks and misuse so far, with their times
        self._before_reset: list[str] = []
        self._gpios = pins_of(self.table)
        self._wires = {gpio: Wire(self._idle(gpio)) for gpio in self._gpios.values()}
        self.board_power = Wire(0)
        self.sensor_power = Wire(0)
        rail = self.wire("SENSOR_POWER")
        rail.watch(self._feed_sensors)
        self.board_power.watch(self._feed_sensors)
        self.radio, self.radio_faults = self._connect_radio(air, position, seed)
        self.chips.append(self.radio)
        self.spi: dict[int, SpiDevice] = {self.table.LORA_SPI: self.radio_faults.spi}  # a test may take the chip away
        self.i2c = I2cBus(pull_up=self.sensor_power)
        self._uart = self._silent_lines()
        self._one_wire: dict[int, OneWireDevice | None] = {self.table.ONE_WIRE: None}
        self._noise = random.Random(f"adc {seed}")
        self._noise_uv = adc_noise_uv
        self._adc = self._open_inputs() | self._own_inputs(read_celsius)
        self.wiring = self._wired()
        self.bench = NodeBench(
            clock,
            self.wiring,
            firmware,
            index=index,
            main=main,
            unique_id=b"\x24\x0a\xc4" + index.to_bytes(3, "big"),
            flash=flash,
            seed=seed,
            cpu_us=cpu_us,
            ticks_start_us=ticks_start_us,
            rtc_drift_ppm=rtc_drift_ppm,
            heap=heap,
            port=self.kind.port,
        )
        self.bench.notice = self._notice

    # --- for whoever hangs sensors on it ---

    def wire(self, signal: str) -> Wire:
        """The wire of a pin by its name in the table, "PULSE 0" and "ANALOG soil_moisture" included."""
        return self._wires[self._gpios[signal]]

    def rs485(self) -> Rs485:
        """The line behind the RS485 transceiver."""
        port = Rs485(self.clock, self.wire("RS485_DE"))
        self._uart[self.table.RS485_UART] = port
        return port

    def sdi12(self) -> Sdi12Line:
        """The SDI-12 line behind its buffer."""
        line = self._uart[self.table.SDI12_UART] = Sdi12Line(self.clock, self.wire("SDI12_DRIVE"))
        return line

    def serial(self) -> SerialPort:
        """The line of a sensor with a UART of its own."""
        port = self._uart[self.table.SERIAL_UART] = SerialPort(self.clock)
        return port

    def one_wire(self, device: OneWireDevice) -> None:
        """Put a device on the 1-Wire bus."""
        self._one_wire[self.table.ONE_WIRE] = device

    def analog(self, name: str, read_uv: Callable[[], int]) -> None:
        """What the analogue input ``name`` carries, uV at the pin; "WATERMARK_ADC" is one of them."""
        self._adc[self._gpios[name if name in self._gpios else f"ANALOG {name}"]] = self._noisy(read_uv)

    def _noisy(self, read_uv: Callable[[], int]) -> Callable[[], int]:
        return lambda: read_uv() + round(self._noise.gauss(0.0, self._noise_uv))

    # --- wires ---

    def _wired(self) -> Wiring:
        return Wiring(
            pins=self._wires,
            spi=self.spi,
            uart=self._uart,
            onewire=self._one_wire,
            adc=self._adc,
            i2c={self.table.I2C_BUS: self.i2c},
            console=self.console,
            power=self.board_power,
        )

    def _idle(self, gpio: int) -> int:
        """Where a pin's wire is pulled to. Nothing pulls NSS up on any board: a pad that floats may wake the chip."""
        table = self.table
        if gpio == table.LORA_RESET:
            return 1
        if gpio == table.SENSOR_POWER:
            return 1 - table.SENSOR_POWER_ON
        if gpio == table.RF_SWITCH:
            return self.kind.idle_rf_switch
        if gpio == table.BATTERY_SWITCH:
            assert self.kind.connects is not None
            return 1 - self.kind.connects
        return 0

    def _silent_lines(self) -> dict[int, SerialPort]:
        """The serial lines, nobody at the far end of any."""
        table = self.table
        return {number: SerialPort(self.clock) for number in (table.RS485_UART, table.SDI12_UART, table.SERIAL_UART)}

    def _open_inputs(self) -> dict[int, Callable[[], int]]:
        """The analogue inputs for sensors, none of them there."""
        return {gpio: lambda: 0 for gpio in (self.table.WATERMARK_ADC, *self.table.ANALOG.values())}

    def _own_inputs(self, read_celsius: Callable[[int], float]) -> dict[int, Callable[[], int]]:
        """Battery and processor."""
        low, both = self.kind.divider_kohm
        divider = Divider(self.clock, (low * 1000, both * 1000), self.kind.tap_nf * 1e-9, self._divider_connected())
        if self.table.BATTERY_SWITCH is not None:
            self.wire("BATTERY_SWITCH").watch(lambda _: divider.switch(self._divider_connected(), self.battery_mv))
        esp32 = self.kind.port is Port.ESP32

        def battery_uv() -> int:
            return divider.tap_uv(self.battery_mv)

        def chip_uv() -> int:
            celsius = read_celsius(self.clock.now_us)
            return round(celsius * 1e6) if esp32 else round(706_000 - (celsius - 27) * 1_721)

        return {self.table.BATTERY: self._noisy(battery_uv), _CHIP_TEMPERATURE if esp32 else _CORE_TEMPERATURE: chip_uv}

    def _divider_connected(self) -> bool:
        return self.table.BATTERY_SWITCH is None or self.wire("BATTERY_SWITCH").level == self.kind.connects

    def _feed_sensors(self, _level: int) -> None:
        on = self.wire("SENSOR_POWER").level == self.table.SENSOR_POWER_ON
        self.sensor_power.drive(int(self.board_power.level == 1 and on))

    def _connect_radio(self, air: Air, position: tuple[float, float], seed: int) -> tuple[Sx1262Sim, RadioFaults]:
        """The chip and, between it and the processor, the faults of its lines."""
        nss, reset = self.wire("LORA_NSS"), self.wire("LORA_RESET")
        chip_busy, chip_dio1, chip_reset = Wire(0), Wire(0), Wire(0)
        radio = Sx1262Sim(
            self.clock, air, nss, chip_busy, chip_dio1, chip_reset, position, antenna_dbi=ANTENNA_DBI, seed=seed
        )

        def feed(_level: int) -> None:
            if not self.board_power.level:
                radio.radio.enter(c.RESET)  # also ends what it was sending
            chip_reset.drive(self.board_power.level & reset.level)

        def switched() -> None:
            if radio.mode in (c.TX, c.RX) and self.table.RF_SWITCH is not None and not self.wire("RF_SWITCH").level:
                self._note(f"{radio.mode} while the antenna switch has no supply")

        reset.watch(feed)
        self.board_power.watch(feed)
        radio.radio.on_leave.append(switched)
        return radio, RadioFaults(
            Line(self.clock, chip_busy, self.wire("LORA_BUSY")),
            Line(self.clock, chip_dio1, self.wire("LORA_DIO1")),
            FaultySpi(self.clock, radio, nss, chip_reset),
        )

    # --- what must not be ---

    def leaks(self) -> list[str]:
        """What draws current now that may not in sleep."""
        feeding = self.bench.board.feeding
        rail = self.sensor_power.level
        found = []
        if self.radio.mode not in _ASLEEP:
            found.append(f"the radio is in {self.radio.mode}")
        if rail:
            found.append("the sensors' rail is on")
        if self.table.RF_SWITCH is not None and self.wire("RF_SWITCH").level:
            found.append("the antenna switch has its supply")
        if self.table.BATTERY_SWITCH is not None and self._divider_connected():
            found.append("the battery's divider is connected")
        lines = {gpio: name for name, gpio in self._gpios.items() if name.startswith(SENSOR_LINES)}
        if not rail:
            found += [f"{name} is driven while the rail is off" for gpio, name in lines.items() if gpio in feeding]
        return found

    def _notice(self, moment: Moment) -> None:
        """Deep sleep is what the ESP32 calls so; an RP2 sleeps lightly, then resets itself."""
        if moment is Moment.LIGHT_SLEEP:
            self._before_reset = self.leaks()
        elif moment is not Moment.RESET:
            self._note(*self.leaks())
        elif self.kind.port is Port.RP2:
            self._note(*self._before_reset)

    def _note(self, *found: str) -> None:
        self.found += [f"{self.clock.now_us} us: {what}" for what in found]

    def complaints(self) -> list[str]:
        """What chips refused, what leaked and every crash: empty for a firmware that treats its hardware well."""
        crashes = [f"{crash.where}: {crash.traceback}" for crash in self.bench.statistics.crashes]
        return [refusal for chip in self.chips for refusal in chip.refusals] + self.found + crashes

    def kernel(self) -> Kernel:
        """A kernel for this one node, to be closed."""
        return Kernel(self.clock, [self.bench])
