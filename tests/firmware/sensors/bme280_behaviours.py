# SPDX-License-Identifier: EUPL-1.2
"""What the BME280 driver must do, as functions of the driver's module, so that broken drivers can be tried too.

DS = BST-BME280-DS002 revision 1.6. The worked example is that of the BMP280's datasheet (BST-BMP280-DS001,
"Calculating pressure and temperature"), which computes both alike: 25.08 Cel, 100 653.27 Pa.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from simulators.chips.bme280 import BMP280_ID, Bme280Sim, Calibration, Fault
from simulators.wires import I2cFault
from tests.firmware.sensors.air_rig import Air, Bench, Chip, Values, number

Behaviour = Callable[[ModuleType], None]
NAMES = ("air_temperature", "relative_humidity", "air_pressure")
EXAMPLE = bytes.fromhex("655ac0 7eed00")  # pressure 415148, temperature 519888


class Patched(Bme280Sim):
    """A sensor with registers that are what the test says, whatever it has measured; notes what was written."""

    patches: dict[int, bytes] = {}  # noqa: RUF012
    naks = 0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.writes: list[tuple[int, int]] = []
        super().__init__(*arguments, **options)

    def selected(self, read: bool) -> bool:
        if self.naks:
            self.naks -= 1
            return False
        return super().selected(read)

    def _value(self, register: int) -> int:
        for first, data in self.patches.items():
            if first <= register < first + len(data):
                return data[register - first]
        return super()._value(register)

    def _written(self, register: int, value: int) -> bool:
        self.writes.append((register, value))
        return super()._written(register, value)


def all_are(fault: str) -> Values:
    return dict.fromkeys(NAMES, fault)


def chip(driver: ModuleType, air: Air = Air(), fault: Fault | None = None, **options: Any) -> Chip:  # noqa: B008
    """The driver with a simulated sensor that has just got its supply."""
    rig = Chip(
        driver.Bme280,
        lambda clock, power: Patched(clock, power, lambda _us: air, noise=0, **options),
        address=options.get("address", 0x76),
    )
    rig.sim.fault = fault
    return rig.on()


def patched(driver: ModuleType, patches: dict[int, bytes], **options: Any) -> Values:
    """What the driver reads from a sensor with these registers."""
    rig = chip(driver, **options)
    rig.sim.patches = patches
    return rig.measure()


# Values: DS "Compensation formulas"


def computes_the_worked_example(driver: ModuleType) -> None:
    values = patched(driver, {0xF7: EXAMPLE})

    assert values["air_temperature"] == 2_508
    assert values["air_pressure"] == 10_065  # 1006.53 hPa


def reads_the_air(driver: ModuleType) -> None:
    for celsius, percent, hpa in (
        (7.31, 71.4, 1009.2),
        (-19.96, 88.1, 1038.7),
        (38.44, 17.3, 968.1),
        (0.0, 100.0, 1000.0),
        (-40.0, 30.0, 302.0),
        (85.0, 0.0, 1099.0),
        (21.0, 50.0, 850.0),
    ):
        air = Air(air_temperature=celsius, relative_humidity=percent, air_pressure=hpa)
        rig = chip(driver, air)

        values = rig.measure()

        assert abs(number(values["air_temperature"]) - 100 * celsius) <= 1
        assert abs(number(values["relative_humidity"]) - 100 * percent) <= 3
        assert abs(number(values["air_pressure"]) - 10 * hpa) <= 1
        assert rig.sim.refusals == []


def another_chip_has_other_words(driver: ModuleType) -> None:
    for calibration in (
        Calibration(
            (33100, 26735, 50), (36738, -10635, 3024, 6980, -4, -7, 9900, -10230, 4285), (75, 353, 0, 340, 50, 30)
        ),
        Calibration(
            (27834, 25773, 50), (38255, -10528, 3024, 8262, 142, -7, 9900, -10230, 4285), (99, 391, 12, 270, -55, -30)
        ),
        Calibration(
            (26000, 27000, -900), (35000, -11000, 2500, 3000, 160, 7, 15000, -14000, 5900), (255, 380, 5, -40, 20, 100)
        ),
    ):
        for air in (Air(), Air(air_temperature=-11.0, relative_humidity=40.0), Air(air_temperature=33.0)):
            values = chip(driver, air, calibration=calibration).measure()

            assert abs(number(values["air_temperature"]) - 100 * air.air_temperature) <= 1
            assert abs(number(values["relative_humidity"]) - 100 * air.relative_humidity) <= 5
            assert abs(number(values["air_pressure"]) - 10 * air.air_pressure) <= 1


def humidity_ends_at_its_limits(driver: ModuleType) -> None:
    for counts, least, most in ((20_500, 0, 0), (39_500, 10_000, 10_000), (30_000, 5_030, 5_044)):
        values = patched(driver, {0xF7: EXAMPLE + counts.to_bytes(2, "big")})

        assert least <= number(values["relative_humidity"]) <= most


def fog_is_told_as_it_is(driver: ModuleType) -> None:
    assert chip(driver, Air(relative_humidity=100.0)).measure()["relative_humidity"] in range(9_990, 10_001)


def values_beyond_the_datasheets_limits_are_flagged(driver: ModuleType) -> None:
    def read(pressure: int, temperature: int, humidity: int) -> Values:
        data = (pressure << 4).to_bytes(3, "big") + (temperature << 4).to_bytes(3, "big") + humidity.to_bytes(2, "big")
        return patched(driver, {0xF7: data})

    assert read(415_148, 519_888, 43_000)["relative_humidity"] == "out_of_range"
    assert read(415_148, 519_888, 5_000)["relative_humidity"] == "out_of_range"
    assert read(850_000, 519_888, 30_000)["air_pressure"] == "out_of_range"
    assert read(300_000, 519_888, 30_000)["air_pressure"] == "out_of_range"
    assert read(415_148, 100_000, 30_000) == all_are("out_of_range")
    assert read(415_148, 900_000, 30_000) == all_are("out_of_range")
    for humidity, pressure, temperature in ((43_000, 415_148, 519_888), (30_000, 850_000, 519_888)):
        values = read(pressure, temperature, humidity)
        assert values["air_temperature"] == 2_508
        assert sum(isinstance(value, int) for value in values.values()) == 2


# Modes: DS "Sensor modes", "Register 0xF2"


def measures_once_without_oversampling_or_filter(driver: ModuleType) -> None:
    rig = chip(driver)
    rig.measure()
    rig.stop()

    assert rig.sim.measurements == 1
    assert rig.sim.writes == [(0xE0, 0xB6), (0xF2, 0x01), (0xF4, 0x25)]
    assert rig.sim.charge_uc() < 10


def is_ready_when_start_says_so(driver: ModuleType) -> None:
    assert 9 <= chip(driver).start() <= 12


def waits_for_a_slow_measurement_but_not_for_ever(driver: ModuleType) -> None:
    rig = chip(driver)
    rig.start()
    assert isinstance(rig.read()["air_pressure"], int)  # at once

    before_us = rig.clock.now_us
    assert chip(driver, fault=Fault.NEVER_READY).measure() == all_are("not_ready")
    assert rig.clock.now_us - before_us < 1_000_000


def each_start_measures_anew(driver: ModuleType) -> None:
    seconds: list[int] = []

    def warming(now_us: int) -> Air:
        seconds.append(now_us // 1_000_000)
        return Air(air_temperature=len(seconds))

    rig = Chip(driver.Bme280, lambda clock, power: Bme280Sim(clock, power, warming, noise=0)).on()

    assert [rig.measure()["air_temperature"] for _ in range(3)] == [100, 200, 300]


def what_was_not_measured_is_not_ready(driver: ModuleType) -> None:
    assert patched(driver, {0xF7: bytes.fromhex("800000 7eed00 7530")})["air_pressure"] == "not_ready"
    assert patched(driver, {0xF7: bytes.fromhex("655ac0 7eed00 8000")})["relative_humidity"] == "not_ready"
    assert patched(driver, {0xF7: bytes.fromhex("655ac0 800000 7530")}) == all_are("not_ready")


# Chips


def a_bmp280_has_no_humidity(driver: ModuleType) -> None:
    rig = chip(driver, chip_id=BMP280_ID)

    values = rig.measure()

    assert values["relative_humidity"] == "no_answer"
    assert values["air_temperature"] in (730, 731, 732)
    assert values["air_pressure"] in (10_091, 10_092, 10_093)
    assert rig.sim.refusals == []


def another_chip_is_not_believed(driver: ModuleType) -> None:
    for chip_id in (0x00, 0x55, 0x61, 0xFF):
        assert chip(driver, chip_id=chip_id).measure() == all_are("bad_answer")


def it_may_have_its_other_address(driver: ModuleType) -> None:
    assert isinstance(chip(driver, address=0x77).measure()["air_pressure"], int)


def a_lost_calibration_is_a_bad_answer(driver: ModuleType) -> None:
    assert chip(driver, fault=Fault.BLANK).measure() == all_are("bad_answer")
    assert chip(driver, fault=Fault.ERASED).measure() == all_are("bad_answer")
    assert patched(driver, {0x8E: b"\x00\x00"})["air_pressure"] == "bad_answer"  # dig_P1 is divided by


# Faults


def each_fault_has_its_name(driver: ModuleType) -> None:
    for fault, name in (
        (Fault.ABSENT, "no_answer"),
        (Fault.NACK, "no_answer"),
        (Fault.STUCK, "not_ready"),
        (Fault.OUT_OF_RANGE, "out_of_range"),
    ):
        rig = chip(driver, fault=fault)

        assert rig.measure() == all_are(name), fault
        rig.stop()


def asks_again_after_a_disturbance(driver: ModuleType) -> None:
    for start, read, fine in ((1, 0, True), (2, 0, True), (3, 0, False), (0, 1, True), (0, 2, True), (0, 3, False)):
        rig = chip(driver)
        rig.sim.naks = start
        ms = rig.start()
        assert (ms == 0) == (start == 3)
        rig.time.sleep_ms(ms)
        rig.sim.naks = read

        assert (rig.read() == all_are("no_answer")) != fine


def a_dead_bus_is_told_from_an_absent_sensor(driver: ModuleType) -> None:
    for fault, name in ((I2cFault.SDA_LOW, "stuck"), (I2cFault.SCL_LOW, "stuck"), (I2cFault.NACK, "no_answer")):
        rig = chip(driver)
        rig.bus.fault = fault

        assert rig.start() == 0
        assert rig.read() == all_are(name)


def a_sensor_that_goes_away_is_missed(driver: ModuleType) -> None:
    rig = chip(driver)
    rig.time.sleep_ms(rig.start())
    rig.sim.fault = Fault.ABSENT

    assert rig.read() == all_are("no_answer")


def knows_no_value_before_start_and_after_stop(driver: ModuleType) -> None:
    rig = chip(driver)
    assert rig.read() == all_are("not_ready")
    rig.measure()
    rig.stop()

    assert rig.read() == all_are("not_ready")


def measures_again_after_a_power_cut(driver: ModuleType) -> None:
    rig = chip(driver)
    rig.measure()
    rig.stop()
    rig.off()

    assert isinstance(rig.on().measure()["air_pressure"], int)
    assert rig.sim.refusals == []


def faults_take_little_time(driver: ModuleType) -> None:
    for fault in Fault:
        bench: Bench = chip(driver, fault=fault)
        bench.START_MS, bench.READ_MS = 100, 200

        bench.measure()


BEHAVIOURS: tuple[Behaviour, ...] = (
    computes_the_worked_example,
    reads_the_air,
    another_chip_has_other_words,
    humidity_ends_at_its_limits,
    fog_is_told_as_it_is,
    values_beyond_the_datasheets_limits_are_flagged,
    measures_once_without_oversampling_or_filter,
    is_ready_when_start_says_so,
    waits_for_a_slow_measurement_but_not_for_ever,
    each_start_measures_anew,
    what_was_not_measured_is_not_ready,
    a_bmp280_has_no_humidity,
    another_chip_is_not_believed,
    it_may_have_its_other_address,
    a_lost_calibration_is_a_bad_answer,
    each_fault_has_its_name,
    asks_again_after_a_disturbance,
    a_dead_bus_is_told_from_an_absent_sensor,
    a_sensor_that_goes_away_is_missed,
    knows_no_value_before_start_and_after_stop,
    measures_again_after_a_power_cut,
    faults_take_little_time,
)
