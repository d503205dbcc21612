# SPDX-License-Identifier: EUPL-1.2
"""What the SMT50 driver must do, as functions of the driver's module, so that broken drivers can be tried too.

DS = SMT50 data sheet: % = U * 50 / 3, Cel = (U - 0.5) * 100.
"""

import random
from collections.abc import Callable
from types import ModuleType
from typing import Any

from simulators.chips.smt50 import Fault, Smt50Sim
from simulators.clock import Clock
from simulators.inprocess import Adc, Time
from simulators.wires import Wire

Behaviour = Callable[[ModuleType], None]


class Bench:
    """A driver with one sensor, switched on when the driver is started."""

    def __init__(
        self,
        driver: ModuleType,
        vwc: float = 23.45,
        celsius: float = 12.3,
        *,
        fault: Fault | None = None,
        noise_uv: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.clock = Clock(1_000_000)
        self.time = Time(self.clock)
        self.power = Wire(0)
        self.sim = Smt50Sim(self.clock, self.power, lambda _now_us: (vwc, celsius))
        self.sim.fault = fault
        dice = random.Random(seed)
        inputs = [
            Adc(self.clock, read_uv, lambda: dice.gauss(0.0, noise_uv))
            for read_uv in (self.sim.moisture_uv, self.sim.temperature_uv)
        ]
        self.driver: Any = driver.Smt50(*inputs, self.time)

    def measure(self) -> tuple[Any, Any]:
        self.power.drive(1)
        self.time.sleep_ms(self.driver.start())
        values = self.driver.read()
        assert tuple(values) == ("soil_moisture", "soil_temperature")
        return values["soil_moisture"], values["soil_temperature"]


def reads_what_the_data_sheets_formulas_say(driver: ModuleType) -> None:
    # 0.06 V, 1.5 V, 3 V; 0.1 V, 0.5 V, 0.62 V, 1.3 V
    for vwc, centi_percent in ((1.0, 100), (25.0, 2_500), (50.0, 5_000)):
        for celsius, centi_cel in ((-40.0, -4_000), (0.0, 0), (12.0, 1_200), (80.0, 8_000)):
            bench = Bench(driver, vwc, celsius)

            assert bench.measure() == (centi_percent, centi_cel)
            assert bench.sim.refusals == []


def is_right_to_a_step_of_the_converter_between_them(driver: ModuleType) -> None:
    for vwc, celsius in ((7.31, -3.2), (33.33, 21.7), (48.9, 39.9)):
        moisture, temperature = Bench(driver, vwc, celsius).measure()

        assert abs(moisture - vwc * 100) <= 1
        assert abs(temperature - celsius * 100) <= 5


def averages_the_converters_noise(driver: ModuleType) -> None:
    for seed in range(12):
        moisture, temperature = Bench(driver, 30.0, 20.0, noise_uv=20_000.0, seed=seed).measure()

        assert abs(moisture - 3_000) < 40
        assert abs(temperature - 2_000) < 250


def waits_until_the_outputs_hold_and_no_longer(driver: ModuleType) -> None:
    bench = Bench(driver)
    bench.measure()

    assert bench.sim.refusals == []
    assert bench.sim.powered_us() < 500_000


def a_sensor_that_is_not_there_is_an_open_circuit(driver: ModuleType) -> None:
    for fault in (Fault.ABSENT, Fault.SUPPLY_REVERSED):
        assert Bench(driver, fault=fault).measure() == ("open_circuit", "open_circuit")


def a_moisture_wire_that_is_cut_is_no_dry_soil_and_the_other_goes_on(driver: ModuleType) -> None:
    for vwc in (5.0, 45.0):
        assert Bench(driver, vwc, fault=Fault.MOISTURE_WIRE_CUT).measure() == ("open_circuit", 1_230)
    assert Bench(driver, 0.45).measure()[0] == "open_circuit"  # 27 mV: no soil is so dry, a converter may be so wrong
    assert Bench(driver, 0.6).measure()[0] in (59, 60, 61)


def an_output_at_the_supply_is_a_short_circuit_and_the_other_goes_on(driver: ModuleType) -> None:
    assert Bench(driver, fault=Fault.MOISTURE_SHORT).measure() == ("short_circuit", 1_230)
    assert Bench(driver, fault=Fault.TEMPERATURE_SHORT).measure() == (2_345, "short_circuit")


def what_no_soil_can_have_is_out_of_range(driver: ModuleType) -> None:
    assert Bench(driver, 20.0, 85.0).measure() == (2_000, "out_of_range")
    bench = Bench(driver, 50.0)
    bench.driver._inputs = (Adc(bench.clock, lambda: 3_040_000), bench.driver._inputs[1])
    assert bench.measure()[0] == "out_of_range"
    bench.driver._inputs = (Adc(bench.clock, lambda: 3_010_000), bench.driver._inputs[1])
    assert bench.measure()[0] == 5_000


def nothing_is_read_before_the_start_or_after_the_stop(driver: ModuleType) -> None:
    bench = Bench(driver)
    nothing = {"soil_moisture": "not_ready", "soil_temperature": "not_ready"}

    assert bench.driver.read() == nothing
    bench.measure()
    bench.driver.stop()
    assert bench.driver.read() == nothing


BEHAVIOURS: list[Behaviour] = [
    reads_what_the_data_sheets_formulas_say,
    is_right_to_a_step_of_the_converter_between_them,
    averages_the_converters_noise,
    waits_until_the_outputs_hold_and_no_longer,
    a_sensor_that_is_not_there_is_an_open_circuit,
    a_moisture_wire_that_is_cut_is_no_dry_soil_and_the_other_goes_on,
    an_output_at_the_supply_is_a_short_circuit_and_the_other_goes_on,
    what_no_soil_can_have_is_out_of_range,
    nothing_is_read_before_the_start_or_after_the_stop,
]
