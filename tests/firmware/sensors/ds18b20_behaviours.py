# SPDX-License-Identifier: EUPL-1.2
"""What the DS18B20 driver must do, as functions of the driver's module, so that broken drivers can be tried too.

DS = DS18B20 data sheet 19-7487 Rev 6. Expected values are the data sheet's own or follow from the simulator's truth.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from simulators.chips.ds18b20 import Ds18b20Sim, Fault, crc8
from simulators.clock import Clock
from simulators.inprocess import Time
from simulators.inprocess_buses import OneWire
from simulators.wires import OneWireDevice, Wire

Behaviour = Callable[[ModuleType], None]


class Bench:
    """A driver on a bus with one chip; nothing on it may take longer than ``limit_ms``."""

    def __init__(
        self,
        driver: ModuleType,
        celsius: float = 21.5,
        *,
        now_us: int = 0,
        limit_ms: int = 1_500,
        chip: type[Ds18b20Sim] = Ds18b20Sim,
        on_the_bus: OneWireDevice | None = None,
    ) -> None:
        self.clock = Clock(now_us)
        self.time = Time(self.clock)
        self.power = Wire(1)
        self.sim = chip(self.clock, self.power, lambda _now_us: celsius)
        self.bus = OneWire(self.clock, on_the_bus or self.sim)
        self.driver: Any = driver.Ds18b20(self.bus, self.time)
        self.clock.at(now_us + limit_ms * 1000, self._too_long)

    @staticmethod
    def _too_long() -> None:
        raise AssertionError("the driver takes too long")

    def store(self, registers: bytes) -> None:
        """TH, TL and configuration, to EEPROM: what the chip has after each power-up. DS "Function Commands"."""
        for command in (b"\xcc\x4e" + registers, b"\xcc\x48"):
            self.bus.reset()
            self.bus.write(command)
        self.time.sleep_ms(11)

    def measure(self) -> int | str:
        self.driver.start()
        return self.read()

    def read(self) -> int | str:
        (value,) = self.driver.read().values()
        assert isinstance(value, int | str)
        return value


# DS "Measuring Temperature", Table 1 "Temperature/Data Relationship"


def reads_the_temperatures_of_the_data_sheets_table(driver: ModuleType) -> None:
    table = {
        125.0: 12_500,
        25.0625: 2_500,  # an odd sixteenth, which 11 bits do not tell
        10.125: 1_013,
        0.5: 50,
        0.0: 0,
        -0.5: -50,
        -10.125: -1_012,
        -25.0625: -2_512,
        -55.0: -5_500,
    }
    for celsius, centi_cel in table.items():
        bench = Bench(driver, celsius)

        assert bench.measure() == centi_cel
        assert bench.sim.refusals == []


def rejects_what_no_ds18b20_can_measure(driver: ModuleType) -> None:
    for raw in (125 * 16 + 2, -55 * 16 - 1 & 0xFFFF, 0x7FFF, 0x8000):

        class Mad(Ds18b20Sim):
            def scratchpad(self, raw: int = raw) -> bytes:
                body = raw.to_bytes(2, "little") + super().scratchpad()[2:8]
                return body + bytes([crc8(body)])

        assert Bench(driver, chip=Mad).measure() == "out_of_range"


# DS "Temperature Register Format": "for 11-bit resolution, bit 0 is undefined"


def what_the_undefined_bit_says_is_not_believed(driver: ModuleType) -> None:
    class Odd(Ds18b20Sim):
        def scratchpad(self) -> bytes:
            data = super().scratchpad()
            body = bytes([data[0] | 1]) + data[1:8]
            return body + bytes([crc8(body)])

    for celsius, centi_cel in ((21.5, 2_150), (125.0, 12_500), (-10.125, -1_012)):
        assert Bench(driver, celsius, chip=Odd).measure() == centi_cel


# DS "Measuring Temperature": "The power-on reset value of the temperature register is +85 C"


def a_true_85_degrees_is_a_reading(driver: ModuleType) -> None:
    assert Bench(driver, 85.0).measure() == 8_500


def the_power_on_value_after_a_brown_out_is_not(driver: ModuleType) -> None:
    bench = Bench(driver)
    bench.sim.fault = Fault.BROWNS_OUT

    assert bench.measure() == "not_ready"


def the_power_on_value_of_a_chip_that_was_set_to_11_bits_is_not(driver: ModuleType) -> None:
    bench = Bench(driver)
    bench.store(b"\x4b\x46\x5f")  # the factory's TH and TL
    bench.sim.fault = Fault.BROWNS_OUT

    assert bench.measure() == "not_ready"


def the_power_on_value_after_a_power_cut_is_not(driver: ModuleType) -> None:
    bench = Bench(driver)
    bench.driver.start()
    bench.power.drive(0)
    bench.time.sleep_ms(10)
    bench.power.drive(1)

    assert bench.read() == "not_ready"


def the_power_on_value_of_a_chip_that_did_not_convert_is_not(driver: ModuleType) -> None:
    class Deaf(Ds18b20Sim):
        def _function_command(self, command: int) -> None:
            if command != 0x44:
                super()._function_command(command)

    assert Bench(driver, chip=Deaf).measure() == "not_ready"


# DS "Configuration Register" and "AC Electrical Characteristics": 11 bits in at most 375 ms


def waits_for_the_conversion_itself(driver: ModuleType) -> None:
    bench = Bench(driver, now_us=10_000_000)

    value = bench.measure()

    assert value == 2_150
    assert 10_375_000 <= bench.clock.now_us < 10_425_000


def leaves_the_conversion_time_to_its_caller(driver: ModuleType) -> None:
    bench = Bench(driver)

    bench.driver.start()
    assert bench.clock.now_us < 20_000
    bench.time.sleep_ms(400)
    started_us = bench.clock.now_us
    assert bench.read() == 2_150

    assert bench.clock.now_us - started_us < 20_000


def waits_the_same_over_a_wrap_of_the_clock(driver: ModuleType) -> None:
    bench = Bench(driver, now_us=((1 << 30) - 300) * 1000)

    assert bench.measure() == 2_150


def asks_for_11_bits_of_a_chip_that_was_set_to_9(driver: ModuleType) -> None:
    bench = Bench(driver, 21.4375)
    bench.store(b"\x00\x00\x1f")

    assert bench.measure() == 2_138


def leaves_the_eeprom_alone(driver: ModuleType) -> None:
    bench = Bench(driver)
    bench.measure()
    bench.power.drive(0)
    bench.power.drive(1)

    assert bench.sim.scratchpad()[2:5] == b"\x4b\x46\x7f"  # DS "Memory": factory values


# Faults by name


def a_missing_chip_gives_no_answer(driver: ModuleType) -> None:
    bench = Bench(driver)
    bench.sim.fault = Fault.ABSENT

    assert bench.measure() == "no_answer"


def a_chip_that_is_unplugged_while_converting_gives_no_answer(driver: ModuleType) -> None:
    bench = Bench(driver)
    bench.driver.start()
    bench.sim.fault = Fault.ABSENT

    assert bench.read() == "no_answer"


def a_conversion_without_end_is_given_up_after_half_a_second(driver: ModuleType) -> None:
    bench = Bench(driver)
    bench.sim.fault = Fault.NEVER_CONVERTS

    assert bench.measure() == "not_ready"
    assert 500_000 <= bench.clock.now_us < 600_000


def a_wrong_crc_is_a_bad_answer(driver: ModuleType) -> None:
    bench = Bench(driver)
    bench.sim.fault = Fault.WRONG_CRC

    assert bench.measure() == "bad_answer"


def every_single_wrong_bit_is_noticed(driver: ModuleType) -> None:
    for bit in range(72):

        class Noisy(Ds18b20Sim):
            def scratchpad(self, bit: int = bit) -> bytes:
                return (int.from_bytes(super().scratchpad(), "little") ^ 1 << bit).to_bytes(9, "little")

        assert Bench(driver, chip=Noisy).measure() == "bad_answer"


def noise_in_the_first_transfers_is_read_again(driver: ModuleType) -> None:
    for disturbed, expected in ((1, 2_150), (2, 2_150), (3, "bad_answer")):
        transfers: list[int] = []

        class Noisy(Ds18b20Sim):
            def scratchpad(self, disturbed: int = disturbed, transfers: list[int] = transfers) -> bytes:
                transfers.append(1)
                data = super().scratchpad()
                return b"\x00" + data[1:] if len(transfers) <= disturbed else data

        assert Bench(driver, chip=Noisy).measure() == expected


def a_bus_held_low_is_no_temperature(driver: ModuleType) -> None:
    class Short:
        """From a given read slot on, the wire touches ground, which also looks like presence."""

        def __init__(self, conversion: list[int]) -> None:
            self._slots = iter(conversion)

        def reset(self) -> bool:
            return True

        def write_bit(self, bit: int) -> None: ...

        def read_bit(self) -> int:
            return next(self._slots, 0)

    assert Bench(driver, on_the_bus=Short([])).measure() == "not_ready"
    assert Bench(driver, on_the_bus=Short([0, 1])).measure() == "bad_answer"


def it_has_the_shape_of_every_driver(driver: ModuleType) -> None:
    bench = Bench(driver, limit_ms=2_000)

    assert bench.driver.start() == 375
    assert bench.driver.read() == {"surface_temperature": 2_150}
    assert tuple(driver.Ds18b20.QUANTITIES) == ("surface_temperature",)
    bench.driver.stop()

    deep: Any = driver.Ds18b20(bench.bus, bench.time, "soil_temperature")
    deep.start()
    assert deep.read() == {"soil_temperature": 2_150}
    assert deep.QUANTITIES == ("soil_temperature",)


def a_reading_is_given_once(driver: ModuleType) -> None:
    bench = Bench(driver)

    assert bench.read() == "not_ready"
    assert bench.measure() == 2_150
    assert bench.read() == "not_ready"


BEHAVIOURS: list[Behaviour] = [
    reads_the_temperatures_of_the_data_sheets_table,
    rejects_what_no_ds18b20_can_measure,
    what_the_undefined_bit_says_is_not_believed,
    a_true_85_degrees_is_a_reading,
    the_power_on_value_after_a_brown_out_is_not,
    the_power_on_value_of_a_chip_that_was_set_to_11_bits_is_not,
    the_power_on_value_after_a_power_cut_is_not,
    the_power_on_value_of_a_chip_that_did_not_convert_is_not,
    waits_for_the_conversion_itself,
    leaves_the_conversion_time_to_its_caller,
    waits_the_same_over_a_wrap_of_the_clock,
    asks_for_11_bits_of_a_chip_that_was_set_to_9,
    leaves_the_eeprom_alone,
    a_missing_chip_gives_no_answer,
    a_chip_that_is_unplugged_while_converting_gives_no_answer,
    a_conversion_without_end_is_given_up_after_half_a_second,
    a_wrong_crc_is_a_bad_answer,
    every_single_wrong_bit_is_noticed,
    noise_in_the_first_transfers_is_read_again,
    a_bus_held_low_is_no_temperature,
    it_has_the_shape_of_every_driver,
    a_reading_is_given_once,
]
