# SPDX-License-Identifier: EUPL-1.2
"""What the Watermark driver must do, as functions of the driver's module, so that broken drivers can be tried too.

IRR = Irrometer, "200SS WATERMARK Sensor: Reading with Other Devices": its table of resistances at 24 degrees Celsius.
"""

import gc
from collections.abc import Callable
from types import ModuleType
from typing import Any, ClassVar

from simulators.chips.watermark import Fault, Watermark200ssSim
from simulators.clock import Clock
from simulators.inprocess import Adc, Pin, Time
from simulators.wires import Wire

Behaviour = Callable[[ModuleType], None]


class Bench:
    """A driver with one sensor in soil of so many kPa and degrees."""

    def __init__(
        self,
        driver: ModuleType,
        kpa: float = 30.0,
        celsius: float = 24.0,
        *,
        ohm: float | None = None,
        supply_uv: int = 3_300_000,
        fault: Fault | None = None,
        now_us: int = 1_000_000,
    ) -> None:
        self.clock = Clock(now_us)
        self.time = Time(self.clock)
        self.feed, self.far = Wire(0), Wire(0)
        self.sim = Watermark200ssSim(
            self.clock, self.feed, self.far, lambda _now_us: (kpa, celsius), supply_uv=supply_uv
        )
        self.sim.ohm = ohm
        self.sim.fault = fault
        pins = Pin(self.clock, self.feed), Pin(self.clock, self.far)
        self.driver: Any = driver.Watermark(*pins, Adc(self.clock, self.sim.read_uv), self.time)
        self.clock.at(now_us + 1_500_000, self._too_long)

    @staticmethod
    def _too_long() -> None:
        raise AssertionError("the driver takes too long")

    def tension(self, soil_temperature: int | None = None) -> int:
        value = self.measure(soil_temperature)
        assert isinstance(value, int), value
        return value

    def measure(self, soil_temperature: int | str | None = None) -> int | str:
        self.time.sleep_ms(self.driver.start())
        self.driver.soil_temperature = soil_temperature
        values: dict[str, int | str] = self.driver.read()
        self.driver.stop()
        self.time.sleep_ms(5)
        assert list(values) == ["soil_water_tension"]
        return values["soil_water_tension"]


# IRR: check values at 24 degrees Celsius


def reads_the_tensions_of_the_makers_curve(driver: ModuleType) -> None:
    for ohm, deci_kpa in (
        (300, 0),
        (549, 0),
        (560, 2),
        (1_000, 104),
        (2_500, 177),
        (6_000, 358),
        (8_000, 471),
        (8_001, 485),
        (20_000, 1_340),
        (28_000, 2_019),
    ):
        assert abs(driver.tension_deci_kpa(ohm, 2_400) - deci_kpa) <= deci_kpa // 1_000, ohm


def warms_and_cools_the_curve_as_the_maker_does(driver: ModuleType) -> None:
    # (0.8 * 23.156 - 12.736) * 0.748; (3.213 * 4 + 4.093) / (1 - 0.038932 - 0.1205); the same with 0.3615; 7.896 kOhm
    for ohm, centi_cel, deci_kpa in ((800, 1_000, 43), (4_000, 1_000, 202), (4_000, 3_000, 283), (12_000, 500, 478)):
        assert abs(driver.tension_deci_kpa(ohm, centi_cel) - deci_kpa) <= 1, (ohm, centi_cel)


def measures_soil_from_wet_to_dry(driver: ModuleType) -> None:
    for kpa in (0.0, 5.0, 12.0, 25.0, 40.0, 60.0, 100.0, 180.0):
        bench = Bench(driver, kpa)

        assert abs(bench.tension() - kpa * 10) <= max(3, kpa * 10 * 0.03), kpa
        assert bench.sim.refusals == []


def measures_the_same_whatever_the_supply_is(driver: ModuleType) -> None:
    for supply_uv in (2_800_000, 3_000_000, 3_300_000):
        assert abs(Bench(driver, 40.0, supply_uv=supply_uv).tension() - 400) <= 8


def takes_the_soils_temperature_into_account(driver: ModuleType) -> None:
    assert abs(Bench(driver, 40.0, 8.0).tension(800) - 400) <= 8
    assert Bench(driver, 40.0, 8.0).tension() > 480  # nobody said how cold it was


def without_a_thermometer_it_reckons_with_24_degrees(driver: ModuleType) -> None:
    assert abs(Bench(driver, 40.0, 24.0).tension(None) - 400) <= 8


def a_thermometer_that_has_failed_leaves_no_tension_but_its_fault(driver: ModuleType) -> None:
    assert Bench(driver, 40.0, 8.0).measure("no_answer") == "no_answer"
    assert Bench(driver, 40.0, 8.0).measure("bad_answer") == "bad_answer"
    assert Bench(driver, ohm=40_000.0).measure("no_answer") == "open_circuit"


# IRR: excitation


def alternates_the_current_and_keeps_it_short(driver: ModuleType) -> None:
    bench = Bench(driver)
    bench.measure()

    assert bench.sim.refusals == []
    assert bench.sim.readings == 3
    assert 300 <= bench.sim.powered_us() <= 6 * 200


def leaves_both_ends_low(driver: ModuleType) -> None:
    bench = Bench(driver)
    bench.feed.drive(1)
    bench.far.drive(1)

    bench.driver.start()
    assert (bench.feed.level, bench.far.level) == (0, 0)
    bench.time.sleep_ms(100)
    bench.driver.read()

    assert (bench.feed.level, bench.far.level) == (0, 0)


def reads_no_collection_into_the_current(driver: ModuleType) -> None:
    class Watching(Adc):
        collecting: ClassVar[list[bool]] = []

        def read_uv(self) -> int:
            self.collecting.append(gc.isenabled())
            return super().read_uv()

    bench = Bench(driver)
    bench.driver._adc = Watching(bench.clock, bench.sim.read_uv)
    gc.enable()
    try:
        bench.measure()

        assert Watching.collecting
        assert not any(Watching.collecting)
        assert gc.isenabled()
    finally:
        gc.enable()


# Faults by name


def an_open_cable_and_a_bridged_one_are_told_apart(driver: ModuleType) -> None:
    assert Bench(driver, fault=Fault.OPEN).measure() == "open_circuit"
    assert Bench(driver, fault=Fault.SHORT).measure() == "short_circuit"
    for ohm, value in ((36_000, "open_circuit"), (250, "short_circuit"), (320, 0)):
        assert Bench(driver, ohm=ohm).measure() == value


def soil_drier_than_the_sensor_can_tell_is_out_of_range(driver: ModuleType) -> None:
    assert Bench(driver, ohm=33_500).measure() == "out_of_range"
    assert isinstance(Bench(driver, ohm=31_000).measure(), int)


def an_input_that_sees_nothing_is_a_bad_answer(driver: ModuleType) -> None:
    assert Bench(driver, fault=Fault.INPUT_LOOSE).measure() == "bad_answer"


def an_input_at_the_supply_is_a_bad_answer(driver: ModuleType) -> None:
    assert Bench(driver, fault=Fault.INPUT_AT_SUPPLY).measure() == "bad_answer"


def nothing_is_read_before_the_start_or_after_the_stop(driver: ModuleType) -> None:
    bench = Bench(driver)

    assert bench.driver.read() == {"soil_water_tension": "not_ready"}
    bench.measure()
    assert bench.driver.read() == {"soil_water_tension": "not_ready"}
    assert bench.sim.readings == 3


def it_may_have_another_name(driver: ModuleType) -> None:
    bench = Bench(driver)
    pins = Pin(bench.clock, bench.feed), Pin(bench.clock, bench.far)
    deep: Any = driver.Watermark(*pins, Adc(bench.clock, bench.sim.read_uv), bench.time, "soil_water_tension_2")

    bench.time.sleep_ms(deep.start())

    assert list(deep.read()) == ["soil_water_tension_2"] == list(deep.QUANTITIES)


BEHAVIOURS: list[Behaviour] = [
    reads_the_tensions_of_the_makers_curve,
    warms_and_cools_the_curve_as_the_maker_does,
    measures_soil_from_wet_to_dry,
    measures_the_same_whatever_the_supply_is,
    takes_the_soils_temperature_into_account,
    without_a_thermometer_it_reckons_with_24_degrees,
    a_thermometer_that_has_failed_leaves_no_tension_but_its_fault,
    alternates_the_current_and_keeps_it_short,
    leaves_both_ends_low,
    reads_no_collection_into_the_current,
    an_open_cable_and_a_bridged_one_are_told_apart,
    soil_drier_than_the_sensor_can_tell_is_out_of_range,
    an_input_that_sees_nothing_is_a_bad_answer,
    an_input_at_the_supply_is_a_bad_answer,
    nothing_is_read_before_the_start_or_after_the_stop,
    it_may_have_another_name,
]
