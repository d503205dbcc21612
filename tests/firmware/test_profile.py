# SPDX-License-Identifier: EUPL-1.2
"""The probes of a node together: what one of them tells another."""

import pytest

from decoders.layouts import of
from decoders.settings_message import Answer, decode, encode
from firmware import profile
from firmware.delivery import Delivery
from firmware.sensors import (
    bme280,
    ds18b20,
    ld2451,
    ops243,
    pulses,
    scd41,
    sdi12,
    sds011,
    sen55,
    smt50,
    smt100,
    sps30,
    tubes,
    watermark,
)
from firmware.settings import PROBES, Settings
from simulators.chips.bme280 import Bme280Sim
from simulators.chips.scd41 import Scd41Sim
from simulators.chips.smt50 import Fault as Smt50Fault
from simulators.chips.smt50 import Smt50Sim
from simulators.chips.watermark import Watermark200ssSim
from simulators.clock import Clock
from simulators.inprocess import Adc, Pin, Time
from simulators.inprocess_buses import I2c
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
        """With 24 degrees it would say 569 at 8."""
        board, settings = SoilBoard(8.0), Settings(str(tmp_path), 900)
        settings.probes, settings.average = WATERMARK | SMT50, average

        values = profile.measure(board, "tree", settings)

        assert values["soil_temperature"] == pytest.approx(800, abs=10)
        assert values["soil_water_tension"] == pytest.approx(400, abs=8)
        assert board.sim.refusals == board.smt50.refusals == []

    def test_a_watermark_beside_a_thermometer_that_has_failed_has_its_fault(self, tmp_path):
        board, settings = SoilBoard(8.0), Settings(str(tmp_path), 900)
        board.smt50.fault = Smt50Fault.ABSENT
        settings.probes = WATERMARK | SMT50

        values = profile.measure(board, "tree", settings)

        assert values["soil_temperature"] == values["soil_water_tension"] == "open_circuit"


DRIVERS = {
    "smt100": smt100.Smt100,
    "ds18b20": ds18b20.Ds18b20,
    "watermark": watermark.Watermark,
    "smt50": smt50.Smt50,
    "smt100_sdi12": sdi12.Smt100Sdi12,
    "sps30": sps30.Sps30,
    "scd41": scd41.Scd41,
    "bme280": bme280.Bme280,
    "sen55": sen55.Sen55,
    "sds011": sds011.Sds011,
    "ld2451": ld2451.Ld2451,
    "ops243": ops243.Ops243,
    "pir": pulses.Pir,
    "loop": pulses.Loop,
    "bike_loop": pulses.BikeLoop,
    "tubes": tubes.TubePair,
}


def asked(folder, kind, *names):
    """What a node of this kind answers to a setting of these probes."""
    mask = sum(1 << profile.PROBES.index(name) for name in names)
    layout = of(kind)
    message = encode(1, layout, [("probes", mask)])
    answer = Settings(str(folder), 900).obey(message, len(layout.fields), Delivery(), PROBES[kind])
    return decode(layout, answer)[1], mask


class TestSettingOfProbes:
    @pytest.mark.parametrize("kind", ["tree", "air", "traffic"])
    @pytest.mark.parametrize("name", profile.PROBES)
    def test_a_node_takes_those_whose_quantities_it_sends_and_no_other(self, tmp_path, kind, name):
        sent = {field.name for field in of(kind).fields}
        fits = set(DRIVERS[name].QUANTITIES) <= sent

        answers, mask = asked(tmp_path, kind, name)

        assert answers == [Answer("probes", "done" if fits else "out_of_range", (mask if fits else 0,))]

    @pytest.mark.parametrize(
        ("kind", "names"),
        [
            ("air", ("sps30", "sen55")),  # both at 0x69
            ("traffic", ("ld2451", "ops243")),  # one UART
            ("traffic", ("pir", "loop")),  # one input
            ("traffic", ("loop", "bike_loop")),
            ("traffic", ("tubes", "pir", "ld2451")),
        ],
    )
    def test_two_on_one_line_are_refused(self, tmp_path, kind, names):
        assert asked(tmp_path, kind, *names)[0] == [Answer("probes", "contradicts_another", (0,))]

    @pytest.mark.parametrize(
        ("kind", "names"),
        [
            ("tree", ("smt100", "ds18b20", "watermark", "smt50", "smt100_sdi12")),
            ("air", ("sps30", "scd41", "bme280", "sds011")),
            ("air", ("sen55", "scd41", "bme280", "sds011")),
            ("traffic", ("ld2451", "pir")),
        ],
    )
    def test_those_on_lines_of_their_own_are_taken(self, tmp_path, kind, names):
        answers, mask = asked(tmp_path, kind, *names)

        assert answers == [Answer("probes", "done", (mask,))]
