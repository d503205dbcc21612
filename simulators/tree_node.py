# SPDX-License-Identifier: EUPL-1.2
"""The tree node as it hangs in the street: a Heltec V3 with SX1262, SMT100 and DS18B20, wired as hardware/ says.

``provisioned_flash`` is the factory: it writes a node's identity with the node's own MicroPython and file system.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from firmware.boards import heltec_v3 as pins
from simulators.air import Air
from simulators.bench import Wiring
from simulators.chips.ds18b20 import Ds18b20Sim
from simulators.chips.smt100 import Smt100Sim
from simulators.chips.sx1262 import Sx1262Sim
from simulators.chips.sx1262_commands import RESET
from simulators.city import Truth
from simulators.clock import Clock
from simulators.faults import FaultySpi, Line, RadioFaults
from simulators.firmware_build import compile_module
from simulators.flash import Flash
from simulators.kernel import Kernel
from simulators.node import NodeBench
from simulators.wires import Rs485, SpiDevice, Wire

BATTERY_MV = 3_300  # LiFePO4 on its long plateau
ANTENNA_DBI = 2.0
_FACTORY_US = 5_000_000
_DIVIDER = (100, 490)  # 390 kOhm and 100 kOhm: what the converter sees of the battery


class TreeNode:
    """One node on the simulation's clock and air. ``read_truth(now_us)`` gives what its probes stand in."""

    def __init__(
        self,
        clock: Clock,
        air: Air,
        firmware: Path,
        read_truth: Callable[[int], Truth],
        *,
        index: int = 0,
        position: tuple[float, float] = (0.0, 0.0),
        flash: Flash | None = None,
        seed: int = 0,
        noise_percent: float = 0.1,
        battery_mv: int = BATTERY_MV,
        switch_on_level: int = 0,
        rtc_drift_ppm: int = 0,
        cpu_us: int = 10,
        ticks_start_us: int = 0,
        heap: str = "64wK",
    ) -> None:
        # Nothing pulls NSS up on this board: a pad that floats may wake the chip.
        self.nss = nss = Wire(0)
        busy, dio1, reset = Wire(0), Wire(0), Wire(1)
        vext, de, switch = Wire(1), Wire(0), Wire(1 - switch_on_level)
        self.board_power = Wire(0)
        self.sensor_power = Wire(0)
        port = Rs485(clock, de)

        def feed_sensors(_level: int) -> None:
            self.sensor_power.drive(int(self.board_power.level == 1 and vext.level == 0))

        vext.watch(feed_sensors)
        self.board_power.watch(feed_sensors)
        # Faults come in between: the chip has ends of its lines of its own.
        chip_busy, chip_dio1, chip_reset = Wire(0), Wire(0), Wire(0)

        def feed_radio(_level: int) -> None:
            if not self.board_power.level:
                self.radio.radio.enter(RESET)  # also ends what it was sending
            chip_reset.drive(self.board_power.level & reset.level)

        reset.watch(feed_radio)
        self.board_power.watch(feed_radio)
        self.radio = Sx1262Sim(
            clock, air, nss, chip_busy, chip_dio1, chip_reset, position, antenna_dbi=ANTENNA_DBI, seed=seed
        )
        self.radio_faults = RadioFaults(
            Line(clock, chip_busy, busy), Line(clock, chip_dio1, dio1), FaultySpi(clock, self.radio, nss, chip_reset)
        )
        self.smt100 = Smt100Sim(
            clock,
            port,
            self.sensor_power,
            lambda now_us: read_truth(now_us)[:2],
            seed=seed,
            noise_percent=noise_percent,
        )
        self.ds18b20 = Ds18b20Sim(clock, self.sensor_power, lambda now_us: read_truth(now_us).surface_temperature)
        self.spi: dict[int, SpiDevice] = {pins.LORA_SPI: self.radio_faults.spi}  # a test may take the chip away
        wiring = Wiring(
            pins={
                pins.LORA_NSS: nss,
                pins.LORA_BUSY: busy,
                pins.LORA_DIO1: dio1,
                pins.LORA_RESET: reset,
                pins.VEXT: vext,
                pins.RS485_DE: de,
                pins.BATTERY_SWITCH: switch,
            },
            spi=self.spi,
            uart={pins.RS485_UART: port},
            onewire={pins.ONE_WIRE: self.ds18b20},
            adc={
                pins.BATTERY: lambda: (
                    battery_mv * 1000 * _DIVIDER[0] // _DIVIDER[1] if switch.level == switch_on_level else 0
                )
            },
            power=self.board_power,
        )
        self.bench = NodeBench(
            clock,
            wiring,
            firmware,
            index=index,
            unique_id=b"\x24\x0a\xc4" + index.to_bytes(3, "big"),
            flash=flash,
            seed=seed,
            cpu_us=cpu_us,
            ticks_start_us=ticks_start_us,
            rtc_drift_ppm=rtc_drift_ppm,
            heap=heap,
        )

    def leaks(self) -> list[str]:
        """What draws current now for no reason: outputs into the sensors' rail while that is off, the divider."""
        driving = self.bench.board.driving
        found = []
        if not self.sensor_power.level and pins.RS485_DE in driving:
            found.append("RS485_DE is driven while the transceiver is off")
        if pins.BATTERY_SWITCH in driving:
            found.append("the battery's divider is connected")
        return found

    def complaints(self) -> list[str]:
        """Everything a chip refused and every crash: empty for a firmware that treats its hardware well."""
        crashes = [f"{crash.where}: {crash.traceback}" for crash in self.bench.statistics.crashes]
        return self.radio.refusals + self.smt100.refusals + self.ds18b20.refusals + crashes


def provisioned_flash(identity: bytes) -> Flash:
    """A flash whose file system holds ``/data/identity.bin``, written by the node's own MicroPython."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "provision.py")
        source.write_text(f"with open('/data/identity.bin', 'wb') as file:\n    file.write({identity!r})\n")
        compiled = Path(folder, "compiled")
        compile_module(source, compiled / "provision.mpy", "provision.py")
        flash = Flash()
        clock = Clock()
        bench = NodeBench(clock, Wiring(), compiled, main="provision")
        with Kernel(clock, [bench]) as kernel:
            bench.power_on()
            kernel.run_until(_FACTORY_US)
            if bench.statistics.returned != 1:
                raise RuntimeError(f"the factory could not write an identity: {bench.console()}")
            flash.program(0, bench.flash.image())
        return flash
