# SPDX-License-Identifier: EUPL-1.2
"""What the SCD41 driver must do, as functions of the driver's module, so that broken drivers can be tried too.

DS = SCD4x datasheet V1.5; the measurement 01f4 33 6667 a2 5eb9 3c and its meaning, 500 ppm, are DS's own example.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from simulators.chips.scd41 import Scd41Sim
from simulators.chips.sensirion import Fault
from simulators.wires import I2cFault
from tests.firmware.sensors.air_rig import SENSIRION_FAULTS, Air, Chip, Script, number

Behaviour = Callable[[ModuleType], None]
EXAMPLE = bytes.fromhex("01f433 6667a2 5eb93c")


def chip(driver: ModuleType, air: Air = Air(), fault: Fault | None = None, **options: Any) -> Chip:  # noqa: B008
    """The driver with a simulated sensor that has just got its supply; it tells the pressure if ``hpa`` is given."""
    hpa = options.pop("hpa", round(air.air_pressure))
    rig = Chip(driver.Scd41, lambda clock, power: Scd41Sim(clock, power, lambda _us: air, noise_ppm=0, **options))
    rig.sim.fault = fault
    rig.driver.pressure_hpa = hpa
    return rig.on()


def script(driver: ModuleType, answer: Any = EXAMPLE, **answers: Any) -> Script:
    """The driver with a sensor that gives this measurement, unless ``answers`` (xE4B8=...) say otherwise."""
    said: dict[int, Any] = {0xE4B8: (0x8006,), 0xEC05: answer}
    said |= {int(name[1:], 16): answer for name, answer in answers.items()}
    return Script(driver.Scd41, 0x62, said)


# Values


def reads_the_air(driver: ModuleType) -> None:
    for co2 in (412.0, 452.0, 1_800.0, 5_000.0):
        rig = chip(driver, Air(co2=co2))

        assert abs(number(rig.measure()["co2"]) - co2) <= 0.002 * co2 + 1
        assert rig.sim.refusals == []


def decodes_the_datasheets_example(driver: ModuleType) -> None:
    assert script(driver).measure() == {"co2": 500}


def no_air_on_earth_has_so_little(driver: ModuleType) -> None:
    for words, expected in (
        ((0, 0x6667, 0x5EB9), "out_of_range"),
        ((299, 0x6667, 0x5EB9), "out_of_range"),
        ((300, 0x6667, 0x5EB9), 300),
        ((40_000, 0x6667, 0x5EB9), 40_000),
        ((40_001, 0x6667, 0x5EB9), "out_of_range"),
        ((0xFFFF, 0xFFFF, 0xFFFF), "out_of_range"),
    ):
        assert script(driver, words).measure() == {"co2": expected}


def throws_the_first_shot_away(driver: ModuleType) -> None:
    rig = chip(driver)
    rig.measure()

    assert rig.sim.shots == 2


def the_second_reading_needs_no_third_shot(driver: ModuleType) -> None:
    rig = chip(driver)
    rig.measure()

    assert abs(number(rig.read()["co2"]) - 452) <= 2
    assert rig.sim.shots == 3


def knows_the_pressure_of_the_air(driver: ModuleType) -> None:
    high = Air(air_pressure=920.0)

    assert abs(number(chip(driver, high).measure()["co2"]) - 452) <= 2
    assert abs(number(chip(driver, high, hpa=None).measure()["co2"]) - 452 * 920 / 1013) <= 2


def a_pressure_that_the_sensor_would_refuse_is_not_sent(driver: ModuleType) -> None:
    for hpa in (0, 699, 1_201, 65_000):
        rig = chip(driver, hpa=hpa)

        assert isinstance(rig.measure()["co2"], int)
        assert rig.sim.refusals == []
    for hpa in (700, 1_200):
        rig = chip(driver, Air(air_pressure=hpa))
        assert abs(number(rig.measure()["co2"]) - 452) <= 2


# The bus: DS "Command Overview"


def sends_what_the_datasheet_says(driver: ModuleType) -> None:
    rig = script(driver)
    rig.driver.pressure_hpa = 987  # DS "set_ambient_pressure": 98 700 Pa is 03db 42

    rig.measure()
    rig.stop()

    assert rig.sent == ["36f6", "2416000081", "e00003db42", "219d", "219d", "e4b8", "ec05", "36e0"]


def leaves_each_shot_its_five_seconds(driver: ModuleType) -> None:
    rig = script(driver)
    rig.measure()

    shots = [ms for frame, ms in rig.chip.log if frame == "219d"]
    ready = next(ms for frame, ms in rig.chip.log if frame == "e4b8")
    assert 5_000 <= shots[1] - shots[0] <= 5_100
    assert 5_000 <= ready - shots[1] <= 5_100


def sleeps_as_it_is_told_while_a_shot_takes_its_time(driver: ModuleType) -> None:
    slept: list[int] = []
    rig = script(driver)

    def sleep_ms(ms: int) -> None:
        slept.append(ms)
        rig.time.sleep_ms(ms)

    rig.driver = driver.Scd41(rig.driver._sensor._i2c, rig.time, sleep_ms)

    assert rig.measure() == {"co2": 500}
    assert [ms for ms in slept if ms > 1_000] == [5_000]


def takes_no_value_without_its_checksums(driver: ModuleType) -> None:
    for n in range(9):
        wrong = bytes(byte ^ 0x04 if n == m else byte for m, byte in enumerate(EXAMPLE))
        assert script(driver, wrong).measure() == {"co2": "bad_answer"}


def asks_again_after_a_disturbance(driver: ModuleType) -> None:
    assert script(driver, [bytes(9), EXAMPLE]).measure() == {"co2": 500}
    assert script(driver, [None, EXAMPLE]).measure() == {"co2": 500}
    assert script(driver, x219D=[b"", None, b""]).measure() == {"co2": 500}


def only_the_lower_eleven_bits_mean_ready(driver: ModuleType) -> None:
    for word in (0x8000, 0xF800, 0x0000):
        assert script(driver, xE4B8=(word,)).measure() == {"co2": "not_ready"}
    for bit in range(11):
        assert script(driver, xE4B8=(1 << bit,)).measure() == {"co2": 500}


def a_late_shot_is_waited_for_a_little(driver: ModuleType) -> None:
    assert script(driver, xE4B8=[(0x8000,)] * 4 + [(0x8001,)]).measure() == {"co2": 500}


# Power


def never_calibrates_itself(driver: ModuleType) -> None:
    rig = chip(driver)
    rig.measure()
    rig.stop()
    rig.off()
    rig.on().measure()

    assert (rig.sim.shots, rig.sim.asc_shots) == (4, 0)


def waits_until_it_has_powered_up(driver: ModuleType) -> None:
    for power_up_us in (30_000, 1_000_000):
        rig = chip(driver, power_up_us=power_up_us)

        assert rig.start() == 5_000
        assert rig.sim.shots == 1


def sleeps_after_stop_and_wakes_at_start(driver: ModuleType) -> None:
    rig = chip(driver)
    rig.measure()
    rig.stop()
    assert rig.sim.sleeping
    rig.time.sleep_ms(60_000)

    assert abs(number(rig.measure()["co2"]) - 452) <= 2
    assert rig.sim.refusals == []


def knows_no_value_before_start_and_after_stop(driver: ModuleType) -> None:
    rig = chip(driver)
    assert rig.read() == {"co2": "not_ready"}
    rig.measure()
    rig.stop()

    assert rig.read() == {"co2": "not_ready"}
    assert rig.sim.shots == 2


def two_shots_cost_what_the_datasheet_says(driver: ModuleType) -> None:
    rig = chip(driver)
    rig.measure()
    rig.stop()

    assert 2 * 243_000 * 0.95 <= rig.sim.charge_uc() * 3.3 <= 2 * 243_000 * 1.05


# Faults


def each_fault_has_its_name(driver: ModuleType) -> None:
    for fault, name in (*SENSIRION_FAULTS, (Fault.STUCK, "not_ready")):
        rig = chip(driver, fault=fault)

        assert rig.measure() == {"co2": name}, fault
        rig.stop()


def a_dead_bus_is_told_from_an_absent_sensor(driver: ModuleType) -> None:
    for fault, name in ((I2cFault.SDA_LOW, "stuck"), (I2cFault.SCL_LOW, "stuck"), (I2cFault.NACK, "no_answer")):
        rig = chip(driver)
        rig.bus.fault = fault

        assert rig.start() == 0
        assert rig.read() == {"co2": name}
        rig.stop()


def a_sensor_that_goes_away_during_a_shot_is_missed(driver: ModuleType) -> None:
    rig = chip(driver)
    ms = rig.start()
    rig.time.sleep_ms(ms)
    rig.clock.after(2_000_000, lambda: rig.power.drive(0))

    assert rig.read() == {"co2": "no_answer"}


BEHAVIOURS: tuple[Behaviour, ...] = (
    reads_the_air,
    decodes_the_datasheets_example,
    no_air_on_earth_has_so_little,
    throws_the_first_shot_away,
    the_second_reading_needs_no_third_shot,
    knows_the_pressure_of_the_air,
    a_pressure_that_the_sensor_would_refuse_is_not_sent,
    sends_what_the_datasheet_says,
    leaves_each_shot_its_five_seconds,
    sleeps_as_it_is_told_while_a_shot_takes_its_time,
    takes_no_value_without_its_checksums,
    asks_again_after_a_disturbance,
    only_the_lower_eleven_bits_mean_ready,
    a_late_shot_is_waited_for_a_little,
    never_calibrates_itself,
    waits_until_it_has_powered_up,
    sleeps_after_stop_and_wakes_at_start,
    knows_no_value_before_start_and_after_stop,
    two_shots_cost_what_the_datasheet_says,
    each_fault_has_its_name,
    a_dead_bus_is_told_from_an_absent_sensor,
    a_sensor_that_goes_away_during_a_shot_is_missed,
)
