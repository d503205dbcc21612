# SPDX-License-Identifier: EUPL-1.2
"""The probes of a node together: what one of them tells another."""

import pytest

from firmware import profile
from firmware.settings import Settings
from simulators.chips.bme280 import Bme280Sim
from simulators.chips.scd41 import Scd41Sim
from simulators.chips.smt50 import Smt50Sim
from simulators.chips.watermark import Watermark200ssSim
from simulators.clock import Clock
from simulators.inprocess import Adc, I2c, Pin, Time
from simulators.wires import I2cBus, Wire
from tests.firmware.sensors.air_rig import Air

WATERMARK, SMT50, SCD41, BME280 = 1 << 2, 1 << 3, 1 << 6, 1 << 7
HIGH_UP = Air(air_pressure=920.0)  # Air.co2 is 452 ppm


class Board:
    """As much of one as air sensors need; a bench of SCD41 and BME280."""

    def __init__(self, *, without_bme280=False):
        clock = Clock(7_000_000)
        self.clock = Time(clock)
        self.light_sleep = self.clock.sleep_ms
        self.power = Wire(0)
        chips = [Scd41Sim(clock, self.power, lambda _: HIGH_UP, noise_ppm=0.0)]
        if not without_bme280:
            chips.append(Bme280Sim(clock, self.power, lambda _: HIGH_UP))
        self.chips = chips
        self._i2c = I2c(clock, I2cBus(*chips), 100_000)

    def i2c(self):
        return self._i2c

    def sensor_power(self, on):
        self.power.drive(int(on))

    def watchdog_feed(self):
        pass

    def battery_mv(self):
        return 3_900

    def node_temperature(self):
        return 2_000


def measured(board, folder):
    settings = Settings(str(folder), 900)
    settings.probes = SCD41 | BME280
    values = profile.measure(board, "air", settings)
    assert [refusal for chip in board.chips for refusal in chip.refusals] == []
    return values


class TestPressure:
    def test_the_co2_sensor_knows_the_pressure_that_the_one_beside_it_measures(self, tmp_path):
        values = measured(Board(), tmp_path)

        assert values["co2"] == pytest.approx(452, abs=2)
        assert values["air_pressure"] == pytest.approx(9_200, abs=5)

    def test_without_pressure_it_measures_as_if_at_sea_level(self, tmp_path):
        values = measured(Board(without_bme280=True), tmp_path)

        assert values["air_pressure"] == "no_answer"
        assert values["co2"] == pytest.approx(452 * 920 / 1013, abs=2)


class TestProcessorTemperature:
    def test_one_that_no_processor_has_is_a_fault(self, tmp_path):
        board = Board()
        board.node_temperature = lambda: 12_600

        assert measured(board, tmp_path)["node_temperature"] == "out_of_range"

    def test_what_a_processor_can_have_is_told(self, tmp_path):
        assert measured(Board(), tmp_path)["node_temperature"] == 2_000


class SoilBoard:
    """As much of one as soil sensors need: a Watermark and an SMT50 in soil of 40 kPa, 20 % and ``celsius``."""

    def __init__(self, celsius):
        clock = Clock(7_000_000)
        self.clock = Time(clock)
        self.light_sleep = self.clock.sleep_ms
        self.power = Wire(0)
        feed, far = Wire(0), Wire(0)
        self.sim = Watermark200ssSim(clock, feed, far, lambda _: (40.0, celsius))
        self.smt50 = Smt50Sim(clock, self.power, lambda _: (20.0, celsius))
        self._inputs = {
            "soil_moisture": Adc(clock, self.smt50.moisture_uv),
            "soil_temperature": Adc(clock, self.smt50.temperature_uv),
        }
        self._watermark = Pin(clock, feed), Pin(clock, far), Adc(clock, self.sim.read_uv)

    def adc(self, name):
        return self._inputs[name]

    def watermark(self):
        return self._watermark

    def sensor_power(self, on):
        self.power.drive(int(on))

    def watchdog_feed(self):
        pass

    def battery_mv(self):
        return 3_300


class TestSoilTemperature:
    @pytest.mark.parametrize("average", [1, 2])
    def test_the_watermark_knows_the_temperature_of_a_probe_that_comes_after_it_in_the_table(self, tmp_path, average):
        """Without it, it reckons with 24 degrees and says 569 at 8."""
        board, settings = SoilBoard(8.0), Settings(str(tmp_path), 900)
        settings.probes, settings.average = WATERMARK | SMT50, average

        values = profile.measure(board, "tree", settings)

        assert values["soil_temperature"] == pytest.approx(800, abs=10)
        assert values["soil_water_tension"] == pytest.approx(400, abs=8)
        assert board.sim.refusals == board.smt50.refusals == []
