# SPDX-License-Identifier: EUPL-1.2
"""The air quality drivers on the real MicroPython, in a 64 kB heap, over the bench's I2C and UART, all at once.

Each must say there what it says on CPython with the same chip in the same air.
"""

from pathlib import Path
from typing import Any

import pytest

from simulators.chips import sds011 as sds011_chip
from simulators.chips.bme280 import Bme280Sim
from simulators.chips.scd41 import Scd41Sim
from simulators.chips.sds011 import Sds011Sim
from simulators.chips.sen55 import Sen55Sim
from simulators.chips.sensirion import Fault
from simulators.chips.sps30 import Sps30Sim
from simulators.clock import Clock
from simulators.firmware_build import compile_module
from simulators.kernel import Kernel
from simulators.wires import I2cBus, SerialPort, Wire
from simulators.wiring import Wiring
from tests.firmware.compiling import ROOT
from tests.firmware.sensors.air_rig import Air
from tests.simulators.node_bench import node, said

MODULES = ("__init__", "sensors/__init__", *(f"sensors/{name}" for name in ("sensirion", "bme280", "scd41", "sds011")))
MODULES += ("sensors/sen55", "sensors/sps30")
PROGRAM = """
import gc, time
from machine import I2C, UART, Pin
gc.threshold(4096)
i2c = I2C(0, scl=Pin(42), sda=Pin(41), freq=100_000)
rail = Pin(36, Pin.OUT, value=0)

def measure(make):
    rail(1)
    sensor = make()
    ms = sensor.start()
    time.sleep_ms(ms)
    before = time.ticks_ms()
    values = sensor.read()
    took = time.ticks_diff(time.ticks_ms(), before)
    sensor.stop()
    rail(0)
    time.sleep_ms(500)
    for name in sensor.QUANTITIES:
        print(name, values[name])
    print("read within 6 s", took < 6_000)
"""


def run(tmp_path: Path, clock: Clock, wiring: Wiring, program: str) -> tuple[list[str], int]:
    """Compile drivers and program, run them to their end; return what they print and the lowest free heap, bytes."""
    for module in MODULES:
        source = ROOT / "firmware" / f"{module}.py"
        compile_module(source, tmp_path / "firmware0/firmware" / f"{module}.mpy", f"firmware/{module}.py")
    bench = node(clock, tmp_path, PROGRAM + program + "gc.collect()\nprint(gc.mem_free())\n", wiring, heap="64wK")
    with Kernel(clock, [bench]) as kernel:
        bench.power_on()
        kernel.run_until(200_000_000)
        assert bench.statistics.crashes == []
        *lines, free = said(bench)
        return lines, int(free)


def street(_now_us: int) -> Air:
    return Air()


class TestOnTheBoard:
    def test_each_reads_the_air_it_is_in(self, tmp_path: Path) -> None:
        clock = Clock()
        rail = Wire(0)
        port = SerialPort(clock)
        quiet: dict[str, Any] = {"noise_percent": 0}
        chips = {
            "sps30": Sps30Sim(clock, rail, street, **quiet),
            "scd41": Scd41Sim(clock, rail, street, noise_ppm=0),
            "bme280": Bme280Sim(clock, rail, street, noise=0),
            "sds011": Sds011Sim(clock, port, rail, street, **quiet),
        }
        bus = I2cBus(*(chip for chip in chips.values() if not isinstance(chip, Sds011Sim)))
        wiring = Wiring(pins={36: rail}, i2c={0: bus}, uart={1: port})
        program = """
from firmware.sensors.sps30 import Sps30
from firmware.sensors.scd41 import Scd41
from firmware.sensors.bme280 import Bme280
from firmware.sensors.sds011 import BAUD, Sds011
measure(lambda: Sps30(i2c, time))
measure(lambda: Scd41(i2c, time))
measure(lambda: Bme280(i2c, time))
measure(lambda: Sds011(UART(1, BAUD), time))
"""

        lines, free = run(tmp_path, clock, wiring, program)

        assert [line for line in lines if line != "read within 6 s True"] == [
            *("pm1 86", "pm2_5 134", "pm4 162", "pm10 201"),  # 4.5 % from below: 31 s after the start, exp(-3.1)
            "co2 450",  # 452 ppm at 1009.2 hPa, taken for 1013
            *("air_temperature 731", "relative_humidity 7140", "air_pressure 10092"),
            *("pm2_5 131", "pm10 197"),
        ]
        assert [chip.refusals for chip in chips.values()] == [[], [], [], []]
        assert free > 60_000  # of 128 kB of 64-bit words, with all of them loaded

    def test_a_sen55_too_and_its_gases(self, tmp_path: Path) -> None:
        clock = Clock()
        rail = Wire(0)
        chip = Sen55Sim(clock, rail, street, noise_percent=0)
        program = "from firmware.sensors.sen55 import Sen55\nmeasure(lambda: Sen55(i2c, time, gas=True))\n"

        lines, _ = run(tmp_path, clock, Wiring(pins={36: rail}, i2c={0: I2cBus(chip)}), program)

        assert lines[:-1] == [
            *("pm1 90", "pm2_5 140", "pm4 170", "pm10 210"),
            *("relative_humidity 7140", "air_temperature 731", "voc_index 1040", "nox_index 30"),
        ]
        assert chip.refusals == []

    @pytest.mark.parametrize(
        ("fault", "name"),
        [(Fault.ABSENT, "no_answer"), (Fault.BAD_CRC, "bad_answer"), (Fault.STRETCHING, "stuck")],
    )
    def test_faults_have_the_same_names_and_the_others_go_on(self, tmp_path: Path, fault: Fault, name: str) -> None:
        clock = Clock()
        rail = Wire(0)
        port = SerialPort(clock)
        broken = Scd41Sim(clock, rail, street)
        broken.fault = fault
        dust = Sds011Sim(clock, port, rail, street)
        dust.fault = sds011_chip.Fault.ABSENT
        wiring = Wiring(
            pins={36: rail}, i2c={0: I2cBus(broken, Bme280Sim(clock, rail, street, noise=0))}, uart={1: port}
        )
        program = """
from firmware.sensors.scd41 import Scd41
from firmware.sensors.bme280 import Bme280
from firmware.sensors.sds011 import BAUD, Sds011
measure(lambda: Scd41(i2c, time))
measure(lambda: Sds011(UART(1, BAUD), time))
measure(lambda: Bme280(i2c, time))
"""

        lines, _ = run(tmp_path, clock, wiring, program)

        assert lines[0] == f"co2 {name}"
        assert lines[2:4] == ["pm2_5 no_answer", "pm10 no_answer"]
        assert lines[5:8] == ["air_temperature 731", "relative_humidity 7140", "air_pressure 10092"]
