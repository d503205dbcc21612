# SPDX-License-Identifier: EUPL-1.2
"""What the SPS30 driver must do, as functions of the driver's module, so that broken drivers can be tried too.

DS = SPS30 datasheet V1.0 D1. Frames and floats are written out by hand; the checksum 0xAC is DS's own.
"""

import struct
from collections.abc import Callable
from types import ModuleType
from typing import Any

from simulators.chips.sensirion import Fault, encode
from simulators.chips.sps30 import Sps30Sim
from tests.firmware.sensors.air_rig import Air, Chip, Script, number
from tests.firmware.sensors.dust_behaviours import DustSensor

Behaviour = Callable[[ModuleType], None]
NAMES = ("pm1", "pm2_5", "pm4", "pm10")


def chip(driver: ModuleType, air: Air = Air(), fault: Fault | None = None, **options: Any) -> Chip:  # noqa: B008
    """The driver with a simulated sensor that has just got its supply."""
    rig = Chip(driver.Sps30, lambda clock, power: Sps30Sim(clock, power, lambda _us: air, noise_percent=0, **options))
    rig.sim.fault = fault
    rig.READ_MS = 2_500
    return rig.on()


def floats(*values: float) -> tuple[int, ...]:
    """The words of ten floats, the last six zeros."""
    packed = struct.pack(">10f", *values, *(0.0,) * (10 - len(values)))
    return struct.unpack(">20H", packed)


def script(driver: ModuleType, *values: float, **answers: Any) -> Script:
    """The driver with a sensor that says these four masses, unless ``answers`` (x0300=...) say otherwise."""
    said: dict[int, Any] = {0xD206: (0, 0), 0x0202: (1,), 0x0300: floats(*(values or (1.0, 2.0, 3.0, 4.0)))}
    said |= {int(name[1:], 16): answer for name, answer in answers.items()}
    return Script(driver.Sps30, 0x69, said)


SENSOR = DustSensor(NAMES, chip, script, pm10=40)
all_are = SENSOR.all_are


# Values


def reads_the_dust_in_the_air(driver: ModuleType) -> None:
    for air in (Air(), Air(4.0, 6.0, 7.0, 7.5), Air(300.0, 450.0, 520.0, 610.0), Air(1.0, 1.5, 1.7, 2.0)):
        rig = chip(driver, air)

        values = rig.measure()

        for name, truth in zip(NAMES, air[:4], strict=True):
            assert 0.9 * truth * 10 - 1 <= number(values[name]) <= 1.05 * truth * 10 + 1
        assert rig.sim.refusals == []


def decodes_floats_to_tenths(driver: ModuleType) -> None:
    for masses, expected in (
        ((1.0, 2.5, 4.04, 10.06), (10, 25, 40, 101)),
        ((0.0, 0.04, 0.05, 0.5), (0, 0, 1, 5)),
        ((999.94, 1000.0, 123.4, 0.1), (9_999, 10_000, 1_234, 1)),
        ((1.0, 1000.1, float("nan"), float("inf")), (10, "out_of_range", "out_of_range", "out_of_range")),
        ((-0.1, 2.0, 3e38, -1e-3), ("out_of_range", 20, "out_of_range", "out_of_range")),
    ):
        assert tuple(script(driver, *masses).measure()[name] for name in NAMES) == expected


def no_dust_at_all_is_a_dead_laser(driver: ModuleType) -> None:
    assert script(driver, 0.0, 0.0, 0.0, 0.0).measure() == all_are("stuck")
    assert script(driver, 0.0, 0.0, 0.0, 0.1).measure()["pm10"] == 1


def fog_and_smoke_are_told_as_they_are(driver: ModuleType) -> None:
    values = chip(driver, Air(180.0, 420.0, 610.0, 790.0, relative_humidity=99.5)).measure()

    assert all(isinstance(value, int) for value in values.values())


# The bus: DS "I2C Commands"


def sends_what_the_datasheet_says(driver: ModuleType) -> None:
    rig = script(driver)

    rig.measure()
    rig.stop()

    assert rig.sent == ["1103", "1103", "00100300ac", "d206", "0202", "0300", "0202", "0300", "0104", "1001"]


def leaves_commands_their_time(driver: ModuleType) -> None:
    rig = script(driver)
    rig.measure()
    rig.stop()

    at = dict(rig.chip.log)
    ended = rig.clock.now_us // 1000

    assert 20 <= at["1001"] - at["0104"] <= 40
    assert 5 <= ended - at["1001"] <= 40
    assert at["00100300ac"] - at["1103"] >= 5


def takes_no_value_without_its_checksums(driver: ModuleType) -> None:
    good = encode(floats(1.0, 1.0, 1.0, 1.0)[:8])

    assert script(driver, x0300=good).measure() == dict.fromkeys(NAMES, 10)
    for n in range(24):
        wrong = bytes(byte ^ 0x20 if n == m else byte for m, byte in enumerate(good))
        assert script(driver, x0300=wrong).measure() == all_are("bad_answer")


def asks_again_after_a_disturbance_but_not_for_ever(driver: ModuleType) -> None:
    good = floats(1.0, 2.0, 3.0, 4.0)
    once = script(driver, x0300=[b"\x00" * 24, good])
    twice = script(driver, x0300=[b"\x00" * 24, b"\xff" * 24, good])
    always = script(driver, x0300=b"\x00" * 24)

    assert once.measure()["pm10"] == 40
    assert twice.measure()["pm10"] == 40
    assert always.measure() == all_are("bad_answer")
    assert always.sent.count("0300") == 3


def a_command_that_is_not_acknowledged_is_sent_again(driver: ModuleType) -> None:
    assert script(driver, x0010=[None, b""]).measure()["pm10"] == 40
    assert script(driver, x0300=[None, floats(1.0, 2.0, 3.0, 4.0)]).measure()["pm10"] == 40


def gives_a_second_only_once(driver: ModuleType) -> None:
    rig = chip(driver)
    rig.measure()
    before_us = rig.clock.now_us

    assert isinstance(rig.read()["pm10"], int)
    assert rig.clock.now_us - before_us > 500_000


# Power


def a_value_can_be_trusted_when_start_says_so(driver: ModuleType) -> None:
    assert 25_000 <= chip(driver).start() <= 31_000


def sleeps_after_stop_and_wakes_at_start(driver: ModuleType) -> None:
    rig = chip(driver)
    rig.measure()
    rig.stop()
    assert rig.sim.sleeping
    before_uc = rig.sim.charge_uc()
    rig.time.sleep_ms(3_600_000)
    assert rig.sim.charge_uc() - before_uc < 150_000  # 38 uA

    assert isinstance(rig.measure()["pm2_5"], int)
    assert rig.sim.refusals == []


def is_ready_at_once_after_the_rail_is_switched(driver: ModuleType) -> None:
    rig = chip(driver)
    rig.measure()
    rig.stop()
    rig.off()

    assert isinstance(rig.on().measure()["pm2_5"], int)


def old_firmware_has_no_sleep_and_no_status(driver: ModuleType) -> None:
    rig = chip(driver, firmware=(1, 0))

    values = rig.measure()
    rig.stop()

    assert isinstance(values["pm2_5"], int)
    assert not rig.sim.measuring
    assert set(rig.sim.refusals) <= {"unknown command 0x1103", "unknown command 0xd206", "unknown command 0x1001"}


def knows_no_value_before_start_and_after_stop(driver: ModuleType) -> None:
    rig = chip(driver)
    assert rig.read() == all_are("not_ready")
    rig.measure()
    rig.stop()

    assert rig.read() == all_are("not_ready")


def cleans_and_then_settles_again(driver: ModuleType) -> None:
    rig = chip(driver, Air())
    rig.time.sleep_ms(rig.start())

    ms = rig.driver.clean()
    rig.time.sleep_ms(2_000)
    assert rig.sim._particles.cleaning(rig.clock.now_us)
    rig.time.sleep_ms(ms - 2_000)

    assert 40_000 <= ms <= 45_000
    assert isinstance(rig.read()["pm2_5"], int)
    assert rig.sim.refusals == []


# Faults


def each_fault_has_its_name(driver: ModuleType) -> None:
    SENSOR.each_fault_has_its_name(driver)
    for fault in (Fault.FAN, Fault.FAN_SPEED, Fault.LASER):
        rig = chip(driver, fault=fault)

        assert rig.measure() == all_are("bad_answer"), fault
        rig.stop()


def each_bit_of_the_status_that_means_broken_counts_and_no_other(driver: ModuleType) -> None:
    for bit in range(32):
        rig = script(driver, xD206=(1 << bit >> 16, 1 << bit & 0xFFFF))

        assert (rig.measure() == all_are("bad_answer")) == (bit in (4, 5, 21)), bit


def a_dead_fan_is_noticed_without_a_status_register(driver: ModuleType) -> None:
    assert chip(driver, fault=Fault.FAN, firmware=(2, 1)).measure() == all_are("stuck")


def the_numbers_of_other_ports_are_known(driver: ModuleType) -> None:
    rig = Chip(driver.Sps30, lambda clock, power: Sps30Sim(clock, power, lambda _us: Air()), nack=5)

    assert rig.measure() == all_are("no_answer")


def another_sensor_on_the_bus_is_left_alone(driver: ModuleType) -> None:
    rig = chip(driver, fault=Fault.ABSENT)
    other = script(driver).chip
    other.address = 0x62
    rig.bus.devices.append(other)

    rig.measure()
    rig.stop()

    assert other.log == []


BEHAVIOURS: tuple[Behaviour, ...] = (
    reads_the_dust_in_the_air,
    decodes_floats_to_tenths,
    no_dust_at_all_is_a_dead_laser,
    fog_and_smoke_are_told_as_they_are,
    sends_what_the_datasheet_says,
    leaves_commands_their_time,
    takes_no_value_without_its_checksums,
    asks_again_after_a_disturbance_but_not_for_ever,
    a_command_that_is_not_acknowledged_is_sent_again,
    SENSOR.waits_for_a_new_second,
    gives_a_second_only_once,
    a_value_can_be_trusted_when_start_says_so,
    sleeps_after_stop_and_wakes_at_start,
    is_ready_at_once_after_the_rail_is_switched,
    old_firmware_has_no_sleep_and_no_status,
    SENSOR.one_that_measures_already_is_started_anew,
    knows_no_value_before_start_and_after_stop,
    cleans_and_then_settles_again,
    each_fault_has_its_name,
    each_bit_of_the_status_that_means_broken_counts_and_no_other,
    a_dead_fan_is_noticed_without_a_status_register,
    SENSOR.an_engine_that_stands_still_gives_no_old_values,
    SENSOR.the_first_value_alone_may_be_old,
    SENSOR.a_dead_bus_is_told_from_an_absent_sensor,
    the_numbers_of_other_ports_are_known,
    SENSOR.a_sensor_that_goes_away_while_it_warms_up_is_missed,
    another_sensor_on_the_bus_is_left_alone,
)
