# SPDX-License-Identifier: EUPL-1.2
"""Every soil sensor at a board's own lines, its driver on the real MicroPython: right values, no refusal, no leak."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simulators.air import Air
from simulators.board import KINDS, BoardSim
from simulators.chips.ds18b20 import Ds18b20Sim
from simulators.chips.sdi12_sensor import Sdi12SensorSim, smt100_values
from simulators.chips.smt50 import Smt50Sim
from simulators.chips.smt100 import Smt100Sim
from simulators.chips.watermark import Watermark200ssSim
from simulators.clock import Clock
from simulators.firmware_build import build, compile_module

S = 1_000_000
PROGRAM = """
from firmware.boards import this
board = this.Board(this)
board.watchdog_start()
radio = board.radio()
radio.start()
radio.sleep()
for _ in range(2):
    board.sensor_power(True)
    {make}
    board.clock.sleep_ms(driver.start())
    values = driver.read()
    driver.stop()
    board.sensor_power(False)
    print(*[str(values[name]) for name in driver.QUANTITIES])
board.deep_sleep(600_000)
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        board = KINDS[kind].firmware
        if board not in made:
            made[board] = build(tmp_path_factory.mktemp(board), board=board)
        return made[board]

    return folder


Measure = Callable[..., list[list[str]]]


@pytest.fixture
def measure(compiled: Callable[[str], Path], tmp_path: Path) -> Iterator[Measure]:
    """Connect a sensor to a board, measure twice with the driver that ``make`` makes; return what it said."""
    kernels = []

    def run(kind: str, connect: Callable[[BoardSim], object], make: str, **options: float) -> list[list[str]]:
        (tmp_path / "soil.py").write_text(PROGRAM.format(make=make))
        compile_module(tmp_path / "soil.py", compiled(kind) / "soil.mpy", "soil.py")
        clock = Clock()
        sim = BoardSim(clock, Air(clock), compiled(kind), kind, main="soil", **{"adc_noise_uv": 0.0, **options})  # type: ignore[arg-type]
        connect(sim)
        kernels.append(sim.kernel())
        sim.bench.power_on()
        kernels[-1].run_until(30 * S)

        assert sim.complaints() == [], sim.bench.console()
        return [line.split() for line in sim.bench.console().splitlines()]

    yield run
    for kernel in kernels:
        kernel.close()


@pytest.mark.parametrize("kind", ["heltec_v3", "lilygo_t3s3", "xiao_esp32s3", "pico_waveshare"])
class TestOnEveryBoard:
    def test_the_watermark_gets_no_direct_current(self, measure: Measure, kind: str) -> None:
        def connect(sim: BoardSim) -> None:
            feed, far = sim.wire("WATERMARK_A"), sim.wire("WATERMARK_B")
            sensor = Watermark200ssSim(sim.clock, feed, far, lambda _: (40.0, 24.0))
            sim.analog("WATERMARK_ADC", sensor.read_uv)
            sim.chips.append(sensor)

        make = "from firmware.sensors.watermark import Watermark; driver = Watermark(*board.watermark(), board.clock)"
        for (said,) in measure(kind, connect, make):
            assert int(said) == pytest.approx(400, abs=8)

    def test_the_smt100_answers_on_rs485(self, measure: Measure, kind: str) -> None:
        def connect(sim: BoardSim) -> None:
            line = sim.rs485()
            sim.chips.append(
                Smt100Sim(sim.clock, line, sim.sensor_power, lambda _: (23.45, -1.5), noise_percent=0, noise_celsius=0)
            )

        make = "from firmware.sensors.smt100 import Smt100; driver = Smt100(*board.rs485(), board.clock)"
        for moisture, temperature, permittivity in measure(kind, connect, make):
            assert int(moisture) == pytest.approx(2_345, abs=1)
            assert temperature == "-150"
            assert 1_000 < int(permittivity) < 1_500

    def test_the_smt100_answers_on_sdi_12(self, measure: Measure, kind: str) -> None:
        def connect(sim: BoardSim) -> None:
            line = sim.sdi12()
            values = smt100_values(23.45, -1.5)
            sim.chips.append(
                Sdi12SensorSim(sim.clock, line, sim.wire("SDI12_DRIVE"), sim.sensor_power, lambda _: values)
            )

        make = "from firmware.sensors.sdi12 import Sdi12, Smt100Sdi12; "
        make += "driver = Smt100Sdi12(Sdi12(*board.sdi12(), board.clock))"
        said = measure(kind, connect, make)

        assert [line[:2] for line in said] == [["2345", "-150"]] * 2

    def test_the_smt50_shows_its_voltages(self, measure: Measure, kind: str) -> None:
        def connect(sim: BoardSim) -> None:
            sensor = Smt50Sim(sim.clock, sim.sensor_power, lambda _: (23.45, 12.3))
            sim.analog("soil_moisture", sensor.moisture_uv)
            sim.analog("soil_temperature", sensor.temperature_uv)
            sim.chips.append(sensor)

        make = "from firmware.sensors.smt50 import Smt50; "
        make += "driver = Smt50(board.adc('soil_moisture'), board.adc('soil_temperature'), board.clock)"
        for moisture, temperature in measure(kind, connect, make):
            assert int(moisture) == pytest.approx(2_345, abs=2)
            assert int(temperature) == pytest.approx(1_230, abs=10)

    def test_the_thermometer_answers_on_its_wire(self, measure: Measure, kind: str) -> None:
        def connect(sim: BoardSim) -> None:
            sensor = Ds18b20Sim(sim.clock, sim.sensor_power, lambda _: 21.5)
            sim.one_wire(sensor)
            sim.chips.append(sensor)

        make = "from firmware.sensors.ds18b20 import Ds18b20; driver = Ds18b20(board.one_wire(), board.clock)"

        assert measure(kind, connect, make) == [["2150"]] * 2

    def test_battery_and_processor_are_there(self, measure: Measure, kind: str) -> None:
        make = "from firmware.sensors.onboard import Battery as Driver; driver = Driver(board)"
        for (said,) in measure(kind, lambda sim: None, make, adc_noise_uv=1_500.0):
            assert int(said) == pytest.approx(3_300, abs=25)

        make = "from firmware.sensors.onboard import NodeTemperature as Driver; driver = Driver(board)"
        for (said,) in measure(kind, lambda sim: None, make):
            assert int(said) == pytest.approx(2_000, abs=60)


class TestASlowInterpreter:
    def test_a_watermark_refuses_a_board_that_is_too_slow_for_it(self, measure: Measure) -> None:
        """The bench itself would notice: a call of 200 us is a direct current."""

        def connect(sim: BoardSim) -> None:
            feed, far = sim.wire("WATERMARK_A"), sim.wire("WATERMARK_B")
            sensor = Watermark200ssSim(sim.clock, feed, far, lambda _: (40.0, 24.0))
            sim.analog("WATERMARK_ADC", sensor.read_uv)
            sim.chips.append(sensor)

        make = "from firmware.sensors.watermark import Watermark; driver = Watermark(*board.watermark(), board.clock)"
        with pytest.raises(AssertionError, match="direct current"):
            measure("heltec_v3", connect, make, cpu_us=200)
