# SPDX-License-Identifier: EUPL-1.2
"""What the SEN55 driver must do, as functions of the driver's module, so that broken drivers can be tried too.

DS = SEN5x datasheet V2. Words are written out by hand: value times the scale factor of DS "Read Measured Values".
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from simulators.chips.sen55 import Sen55Sim
from simulators.chips.sensirion import Fault
from tests.firmware.sensors.air_rig import Air, Chip, Script, number
from tests.firmware.sensors.dust_behaviours import DustSensor

Behaviour = Callable[[ModuleType], None]
DUST = ("pm1", "pm2_5", "pm4", "pm10")
CLIMATE = ("relative_humidity", "air_temperature")
GASES = ("voc_index", "nox_index")
NAMES = DUST + CLIMATE + GASES
GOOD = (90, 140, 170, 210, 7_140, 1_462, 1_040, 30)  # 9.0, 14.0, 17.0, 21.0 ug/m3; 71.40 %; 7.31 Cel; 104; 3


def chip(driver: ModuleType, air: Air = Air(), fault: Fault | None = None, **options: Any) -> Chip:  # noqa: B008
    """The driver with a simulated sensor that has just got its supply."""
    rig = Chip(driver.Sen55, lambda clock, power: Sen55Sim(clock, power, lambda _us: air, noise_percent=0), **options)
    rig.sim.fault = fault
    rig.READ_MS = 2_500
    return rig.on()


def script(driver: ModuleType, *words: int, **answers: Any) -> Script:
    """The driver with a sensor that says these eight words, unless ``answers`` (x03C4=...) say otherwise."""
    said: dict[int, Any] = {0xD210: (0, 0), 0x0202: (1,), 0x03C4: words or GOOD, 0x6181: (1, 2, 3, 4)}
    said |= {int(name[1:], 16): answer for name, answer in answers.items()}
    return Script(driver.Sen55, 0x69, said)


SENSOR = DustSensor(NAMES, chip, script, pm10=210)
all_are = SENSOR.all_are


# Values


def reads_the_air(driver: ModuleType) -> None:
    for air in (
        Air(),
        Air(300.0, 450.0, 520.0, 610.0, 452.0, -12.34, 99.2),
        Air(1.0, 1.5, 1.7, 2.0, 452.0, 38.5, 12.0),
    ):
        rig = chip(driver, air, gas=True)

        values = rig.measure()

        for name, truth in zip(DUST, air[:4], strict=True):
            assert 0.9 * truth * 10 - 1 <= number(values[name]) <= 1.05 * truth * 10 + 1
        assert abs(number(values["relative_humidity"]) - 100 * air.relative_humidity) <= 1
        assert abs(number(values["air_temperature"]) - 100 * air.air_temperature) <= 1
        assert (values["voc_index"], values["nox_index"]) == (1_040, 30)
        assert rig.sim.refusals == []


def decodes_the_scale_factors(driver: ModuleType) -> None:
    assert tuple(script(driver).measure().values()) == (90, 140, 170, 210, 7_140, 731, 1_040, 30)
    for n, word, expected in (
        (0, 0, 0),
        (3, 10_000, 10_000),
        (3, 10_001, "out_of_range"),
        (1, 0xFFFE, "out_of_range"),
        (2, 0xFFFF, "not_ready"),
        (4, 0, 0),
        (4, 10_000, 10_000),
        (4, 10_001, "out_of_range"),
        (4, 0xFFFF, "out_of_range"),
        (4, 0x7FFF, "not_ready"),
        (5, 0x10000 - 2_000, -1_000),
        (5, 0x10000 - 8_000, -4_000),
        (5, 0x10000 - 8_002, "out_of_range"),
        (5, 14_000, 7_000),
        (5, 14_002, "out_of_range"),
        (5, 0x7FFF, "not_ready"),
        (6, 5_000, 5_000),
        (6, 5_001, "out_of_range"),
        (6, 10, 10),
        (6, 9, "out_of_range"),
        (6, 0, "not_ready"),
        (7, 0x7FFF, "not_ready"),
        (7, 0xFFFF, "out_of_range"),
    ):
        words = tuple(word if n == m else good for m, good in enumerate(GOOD))

        values = script(driver, *words).measure()

        assert values[NAMES[n]] == expected, (n, word)
        assert sum(isinstance(value, int) for value in values.values()) >= 7


def indices_are_not_ready_after_half_a_minute(driver: ModuleType) -> None:
    values = chip(driver).measure()

    assert (values["voc_index"], values["nox_index"]) == ("not_ready", "not_ready")
    assert isinstance(values["pm2_5"], int)


def fog_and_smoke_are_told_as_they_are(driver: ModuleType) -> None:
    values = chip(driver, Air(180.0, 420.0, 610.0, 790.0, relative_humidity=100.0)).measure()

    assert all(isinstance(values[name], int) for name in DUST)
    assert values["relative_humidity"] == 10_000


# The bus: DS "I2C Commands"


def sends_what_the_datasheet_says(driver: ModuleType) -> None:
    rig = script(driver)

    rig.measure()
    rig.stop()

    assert rig.sent == ["0104", "0021", "d210", "0202", "03c4", "0202", "03c4", "6181", "0104"]


def leaves_commands_their_time(driver: ModuleType) -> None:
    rig = script(driver)
    rig.measure()
    rig.stop()

    at = [ms for _, ms in rig.chip.log]
    ended = rig.clock.now_us // 1000

    assert 200 <= at[1] - at[0] <= 230  # stop
    assert at[2] - at[1] >= 50 + 25_000  # start
    assert all(20 <= at[n + 1] - at[n] <= 40 for n in (2, 3, 4, 5, 6, 7))
    assert 200 <= ended - at[8] <= 230


def takes_no_value_without_its_checksums(driver: ModuleType) -> None:
    for n in range(8):
        wrong = bytes(range(24))
        assert script(driver, x03C4=wrong[n:] + wrong[:n]).measure() == all_are("bad_answer")
    assert script(driver, xD210=b"\x00\x00\x80\x00\x00\x81").measure() == all_are("bad_answer")


def asks_again_after_a_disturbance(driver: ModuleType) -> None:
    assert script(driver, x03C4=[bytes(24), GOOD]).measure()["pm10"] == 210
    assert script(driver, x03C4=[None, GOOD]).measure()["pm10"] == 210


def only_bit_0_means_ready(driver: ModuleType) -> None:
    assert script(driver, x0202=(0x0100,)).measure() == all_are("not_ready")


# Power, learning


def a_value_can_be_trusted_when_start_says_so(driver: ModuleType) -> None:
    assert 25_000 <= chip(driver).start() <= 31_000
    assert 50_000 <= chip(driver, gas=True).start() <= 61_000


def stops_fan_and_laser(driver: ModuleType) -> None:
    rig = chip(driver)
    rig.measure()
    rig.stop()

    assert not rig.sim.measuring
    assert rig.read() == all_are("not_ready")


def asks_nothing_after_stop(driver: ModuleType) -> None:
    rig = script(driver)
    rig.measure()
    rig.stop()
    rig.chip.log.clear()

    assert rig.read() == all_are("not_ready")
    assert rig.sent == []


def measures_again_after_stop_and_after_a_power_cut(driver: ModuleType) -> None:
    rig = chip(driver)
    rig.measure()
    rig.stop()
    assert isinstance(rig.measure()["pm2_5"], int)

    rig.off()
    assert isinstance(rig.on().measure()["pm2_5"], int)
    assert rig.sim.refusals == []


def one_that_measures_already_is_started_anew(driver: ModuleType) -> None:
    rig = chip(driver)
    rig.start()  # and then the node was reset

    assert isinstance(rig.measure()["pm2_5"], int)
    assert rig.sim.refusals == []


def what_it_has_learnt_outlives_a_power_cut(driver: ModuleType) -> None:
    rig = chip(driver)
    rig.measure()
    assert rig.sim.restored_voc is None
    rig.stop()
    learnt = rig.driver.voc_state
    rig.off()

    rig.on().start()

    assert list(learnt) == rig.sim.restored_voc
    assert learnt[1] >= 25  # seconds that it has measured
    assert rig.sim.refusals == []


def a_state_that_was_not_read_is_not_kept(driver: ModuleType) -> None:
    rig = script(driver)
    rig.measure()
    rig.stop()
    assert rig.driver.voc_state == (1, 2, 3, 4)

    rig = script(driver, x6181=b"\x00" * 12)
    rig.measure()
    rig.stop()

    assert rig.driver.voc_state is None


def knows_no_value_before_start(driver: ModuleType) -> None:
    assert chip(driver).read() == all_are("not_ready")


def cleans_and_then_settles_again(driver: ModuleType) -> None:
    rig = chip(driver)
    rig.measure()

    ms = rig.driver.clean()
    rig.time.sleep_ms(3_000)
    values = rig.read()
    assert {values[name] for name in DUST} == {"not_ready"}
    assert isinstance(values["air_temperature"], int)
    rig.time.sleep_ms(ms - 3_000)

    assert 40_000 <= ms <= 45_000
    assert isinstance(rig.read()["pm2_5"], int)
    assert rig.sim.refusals == []


# Faults


def each_fault_has_its_name(driver: ModuleType) -> None:
    SENSOR.each_fault_has_its_name(driver, gas=True)


def a_broken_part_spoils_only_what_depends_on_it(driver: ModuleType) -> None:
    for fault, broken in (
        (Fault.FAN, DUST),
        (Fault.FAN_SPEED, DUST),
        (Fault.LASER, DUST),
        (Fault.RHT, CLIMATE + GASES),
        (Fault.GAS, GASES),
    ):
        values = chip(driver, fault=fault, gas=True).measure()

        for name in NAMES:
            assert (values[name] == "bad_answer") == (name in broken), (fault, name)
            assert isinstance(values[name], int) or name in broken


def each_bit_of_the_status_has_its_meaning_and_no_other(driver: ModuleType) -> None:
    meaning = {4: DUST, 5: DUST, 6: CLIMATE + GASES, 7: GASES, 21: DUST}
    for bit in range(32):
        values = script(driver, xD210=(1 << bit >> 16, 1 << bit & 0xFFFF)).measure()

        broken = tuple(name for name in NAMES if values[name] == "bad_answer")
        waiting = tuple(name for name in NAMES if values[name] == "not_ready")
        assert broken == meaning.get(bit, ()), bit
        assert waiting == (DUST if bit == 19 else ()), bit


def an_error_that_is_over_is_forgotten(driver: ModuleType) -> None:
    rig = chip(driver, fault=Fault.LASER)
    assert rig.measure()["pm10"] == "bad_answer"
    rig.sim.fault = None
    rig.time.sleep_ms(1_000)

    assert isinstance(rig.read()["pm10"], int)


BEHAVIOURS: tuple[Behaviour, ...] = (
    reads_the_air,
    decodes_the_scale_factors,
    indices_are_not_ready_after_half_a_minute,
    fog_and_smoke_are_told_as_they_are,
    sends_what_the_datasheet_says,
    leaves_commands_their_time,
    takes_no_value_without_its_checksums,
    asks_again_after_a_disturbance,
    SENSOR.waits_for_a_new_second,
    only_bit_0_means_ready,
    a_value_can_be_trusted_when_start_says_so,
    stops_fan_and_laser,
    asks_nothing_after_stop,
    measures_again_after_stop_and_after_a_power_cut,
    one_that_measures_already_is_started_anew,
    what_it_has_learnt_outlives_a_power_cut,
    a_state_that_was_not_read_is_not_kept,
    knows_no_value_before_start,
    cleans_and_then_settles_again,
    each_fault_has_its_name,
    a_broken_part_spoils_only_what_depends_on_it,
    each_bit_of_the_status_has_its_meaning_and_no_other,
    an_error_that_is_over_is_forgotten,
    SENSOR.an_engine_that_stands_still_gives_no_old_values,
    SENSOR.the_first_value_alone_may_be_old,
    SENSOR.a_dead_bus_is_told_from_an_absent_sensor,
    SENSOR.a_sensor_that_goes_away_while_it_warms_up_is_missed,
)
