# SPDX-License-Identifier: EUPL-1.2
"""What the SDI-12 recorder and the SMT100 on it must do, as functions of the driver's module (broken ones, too).

SPEC = "SDI-12 Version 1.4". Its checksum examples are those of 4.4.12.
"""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from simulators.chips.sdi12_sensor import Fault, Sdi12SensorSim, checksum, smt100_values
from simulators.clock import Clock
from simulators.inprocess import Pin, Time
from simulators.inprocess_buses import Uart
from simulators.wires import Sdi12Line, SerialSettings, Wire

Behaviour = Callable[[ModuleType], None]

SETTINGS = SerialSettings(1200, 7, 0, 1, True)


class Line:
    """A recorder at its end of the wire; nothing on it may take longer than ``limit_ms``."""

    def __init__(self, driver: ModuleType, limit_ms: int = 6_000) -> None:
        self.driver = driver
        self.clock = Clock(3_000_000)
        self.time = Time(self.clock)
        self.drive = Wire(1)
        self.line = Sdi12Line(self.clock, self.drive)
        self.bus: Any = driver.Sdi12(Uart(self.clock, self.line), Pin(self.clock, self.drive), self.time)
        self.clock.at(self.clock.now_us + limit_ms * 1000, self._too_long)

    @staticmethod
    def _too_long() -> None:
        raise AssertionError("the driver takes too long")


class Sensor(Line):
    """The wire with a simulated SMT100, or a sensor that says ``values``."""

    def __init__(
        self,
        driver: ModuleType,
        vwc: float = 23.45,
        celsius: float = 12.34,
        *,
        values: Sequence[str] | None = None,
        fault: Fault | None = None,
        address: str = "0",
        limit_ms: int = 6_000,
        **options: Any,
    ) -> None:
        super().__init__(driver, limit_ms)
        self.power = Wire(0)
        self.sim = Sdi12SensorSim(
            self.clock,
            self.line,
            self.drive,
            self.power,
            lambda _now_us: values or smt100_values(vwc, celsius),
            address,
            **options,
        )
        self.smt100: Any = driver.Smt100Sdi12(self.bus, address.encode())
        self.power.drive(1)
        self.time.sleep_ms(self.smt100.start())
        self.sim.fault = fault

    def read(self) -> tuple[Any, Any]:
        read = self.smt100.read()
        assert set(read) == {"soil_moisture", "soil_temperature", "soil_permittivity"}
        return read["soil_moisture"], read["soil_temperature"]


class Prepared(Line):
    """A sensor that gives prepared answers, one a command; None is silence."""

    def __init__(self, driver: ModuleType, *answers: bytes | None) -> None:
        super().__init__(driver)
        self.line.device = self
        self.commands: list[str] = []
        self.breaks = 0
        self._command = ""
        self._answers = list(answers)

    def byte_received(self, byte: int, settings: SerialSettings) -> None:
        if settings != SETTINGS:
            self.breaks += 1
            return
        self._command += chr(byte)
        if byte == ord("!"):
            self.commands.append(self._command)
            self._command = ""
            answer = self._answers.pop(0) if self._answers else None
            if answer is not None:
                self.line.answer(answer, SETTINGS, 10_000)


def with_checksum(text: str) -> bytes:
    return (text + checksum(text) + "\r\n").encode()


# SPEC 4.4: an SMT100's measurement


def reads_moisture_temperature_and_permittivity(driver: ModuleType) -> None:
    for vwc, celsius, moisture, temperature in (
        (23.45, 12.34, 2_345, 1_234),
        (7.01, -12.34, 701, -1_234),
        (48.0, 0.0, 4_800, 0),
        (0.0, 79.9, 0, 7_990),
    ):
        sensor = Sensor(driver, vwc, celsius)

        assert sensor.read() == (moisture, temperature)
        assert sensor.sim.refusals == []


def takes_the_second_value_for_the_permittivity(driver: ModuleType) -> None:
    sensor = Sensor(driver, values=["+17000", "+12.34", "+23.45", "-1.00", "+12.1"])

    assert sensor.smt100.read() == {"soil_moisture": 2_345, "soil_temperature": -100, "soil_permittivity": 1_234}


def asks_with_a_checksum_and_for_no_more_than_there_is(driver: ModuleType) -> None:
    data = with_checksum("0+17000+12.34+23.45-1.00+12.1")
    sensor = Prepared(driver, b"00005\r\n", data)

    assert sensor.bus.measure(b"0") == ([1_700_000, 1_234, 2_345, -100, 1_210], None)
    assert sensor.commands == ["0MC!", "0D0!"]
    assert sensor.breaks == 2


def collects_values_from_more_than_one_answer(driver: ModuleType) -> None:
    many = ["+1.11", "+22222.22", "+33333.33", "+44444.44", "+55555.55", "-66666.66", "+7", "+8.8", "-9.99"]
    sensor = Sensor(driver, values=many)

    values, fault = sensor.bus.measure(b"0")

    assert fault is None
    assert values == [111, 2222222, 3333333, 4444444, 5555555, -6666666, 700, 880, -999]
    assert sensor.sim.refusals == []


def asks_the_address_it_was_given(driver: ModuleType) -> None:
    assert Sensor(driver, address="k").read() == (2_345, 1_234)


def waits_for_the_service_request_and_no_longer(driver: ModuleType) -> None:
    sensor = Sensor(driver, measuring_us=2_300_000)
    started_us = sensor.clock.now_us

    assert sensor.read() == (2_345, 1_234)
    assert 2_300_000 < sensor.clock.now_us - started_us < 3_300_000
    assert sensor.sim.refusals == []


def goes_on_when_the_service_request_gets_lost(driver: ModuleType) -> None:
    sensor = Sensor(driver, fault=Fault.NO_REQUEST)

    assert sensor.read() == (2_345, 1_234)


def a_measurement_that_takes_no_time_is_asked_for_at_once(driver: ModuleType) -> None:
    sensor = Sensor(driver, measuring_us=0)
    started_us = sensor.clock.now_us

    assert sensor.read() == (2_345, 1_234)
    assert sensor.clock.now_us - started_us < 800_000


# SPEC 7 "SDI-12 Timing": the simulator refuses what is too short or too long


def every_command_follows_a_break(driver: ModuleType) -> None:
    sensor = Prepared(driver)

    assert sensor.bus.ask(b"0", b"I") == (b"", "no_answer")
    assert sensor.commands == ["0I!"] * 3
    assert sensor.breaks == 3


def lets_the_line_go(driver: ModuleType) -> None:
    sensor = Sensor(driver)
    assert sensor.drive.level == 0

    assert sensor.bus.ask(b"0", b"I") == (b"14TRUEBNERSMT100100", None)
    assert sensor.drive.level == 0
    assert sensor.sim.refusals == []


def hears_the_earliest_and_the_latest_answer(driver: ModuleType) -> None:
    for after_us in (8_000, 15_400):
        sensor = Prepared(driver)
        assert sensor.line.device is sensor

        def speak(sensor: Prepared = sensor, after_us: int = after_us) -> None:
            sensor.line.answer(b"0\r\n", SETTINGS, after_us)

        original = sensor.byte_received

        def heard(byte: int, settings: SerialSettings, original: Any = original, speak: Any = speak) -> None:
            original(byte, settings)
            if byte == ord("!") and settings == SETTINGS:
                speak()

        sensor.byte_received = heard  # type: ignore[method-assign]

        assert sensor.bus.ask(b"0", b"") == (b"", None)
        assert sensor.commands == ["0!"]


# Faults by name


def a_missing_sensor_gives_no_answer(driver: ModuleType) -> None:
    sensor = Sensor(driver, fault=Fault.ABSENT)

    assert sensor.read() == ("no_answer", "no_answer")


def a_command_that_is_missed_is_given_again(driver: ModuleType) -> None:
    sensor = Sensor(driver, fault=Fault.DEAF_ONCE)

    assert sensor.read() == (2_345, 1_234)


def wrong_checksums_noise_and_broken_cables_are_bad_answers(driver: ModuleType) -> None:
    for fault in (Fault.WRONG_CRC, Fault.NOISE, Fault.CABLE_BREAK):
        assert Sensor(driver, fault=fault).read() == ("bad_answer", "bad_answer"), fault


def every_single_wrong_bit_is_noticed(driver: ModuleType) -> None:
    good = with_checksum("0+3.14+2.71")
    for bit in range(8 * (len(good) - 2)):
        if bit % 8 == 7:
            continue  # seven bits
        wrong = (int.from_bytes(good, "little") ^ 1 << bit).to_bytes(len(good), "little")
        sensor = Prepared(driver, wrong, wrong, wrong)

        assert sensor.bus.ask(b"0", b"D0", True) == (b"", "bad_answer")


def the_third_try_still_counts(driver: ModuleType) -> None:
    sensor = Prepared(driver, None, b"0+3.14xxx\r\n", b"0+3.14OqZ\r\n")

    assert sensor.bus.ask(b"0", b"D0", True) == (b"+3.14", None)


def the_last_tries_fault_is_told(driver: ModuleType) -> None:
    assert Prepared(driver, b"0+3", None, None).bus.ask(b"0", b"D0") == (b"", "no_answer")
    assert Prepared(driver, None, None, b"0+3").bus.ask(b"0", b"D0") == (b"", "bad_answer")


def a_sensor_that_gets_no_values_is_not_ready(driver: ModuleType) -> None:
    assert Sensor(driver, fault=Fault.NEVER_READY).read() == ("not_ready", "not_ready")
    assert Prepared(driver, b"00000\r\n").bus.measure(b"0") == ([], "not_ready")


def a_sensor_that_wants_minutes_is_not_waited_for(driver: ModuleType) -> None:
    for answer in (b"00115\r\n", b"09995\r\n"):
        sensor = Prepared(driver, answer)

        assert sensor.bus.measure(b"0") == ([], "bad_answer")
        assert sensor.clock.now_us < 4_000_000
    assert Sensor(driver, measuring_us=9_900_000, limit_ms=12_000).read() == (2_345, 1_234)


def a_broken_blade_is_out_of_range(driver: ModuleType) -> None:
    assert Sensor(driver, fault=Fault.OUT_OF_RANGE).read() == ("out_of_range", "out_of_range")


def a_blade_in_the_air_is_out_of_range(driver: ModuleType) -> None:
    sensor = Sensor(driver, values=["+18500", "+1.02", "+0.00", "+21.00", "+12.1"])

    assert sensor.read() == ("out_of_range", 2_100)


def another_sensor_is_no_smt100(driver: ModuleType) -> None:
    assert Sensor(driver, values=["+1", "+2"]).read() == ("bad_answer", "bad_answer")


def an_answer_of_the_wrong_kind_is_bad(driver: ModuleType) -> None:
    for answer in (b"0001\r\n", b"000+5\r\n", b"0000055\r\n"):
        assert Prepared(driver, answer).bus.measure(b"0") == ([], "bad_answer"), answer
    for data in ("0+3.14+x", "0+3.14", "0+1+2+3"):
        sensor = Prepared(driver, b"00002\r\n", with_checksum(data), with_checksum("0"))
        assert sensor.bus.measure(b"0")[1] in ("bad_answer", "not_ready"), data
    assert Prepared(driver, *[b"10012\r\n"] * 3).bus.measure(b"0") == ([], "bad_answer")


def a_babbling_line_is_left_alone(driver: ModuleType) -> None:
    babble = b"0" * 130

    assert Prepared(driver, babble, babble, babble).bus.ask(b"0", b"I")[1] in ("bad_answer", "no_answer")


# SPEC 4.4 "Send Data Command" and 4.4.12 "Cyclic Redundancy Check (CRC)"


def reads_values_as_the_standard_writes_them(driver: ModuleType) -> None:
    for text, values in (
        (b"+3.14", [314]),
        (b"-0.005", [-1]),
        (b"+0.004", [0]),
        (b"+1234567", [123_456_700]),
        (b"+.5-.25", [50, -25]),
        (b"+25", [2_500]),
        (b"", []),
        (b"+", None),
        (b"3.14", None),
        (b"+3.", None),
        (b"+3.1.4", None),
        (b"+12345678", None),
        (b"+1e5", None),
        (b"++1", None),
    ):
        assert driver.hundredths(text) == values, text


def knows_the_standards_checksums(driver: ModuleType) -> None:
    for text, printed in (("0+3.14", "OqZ"), ("0+3.14+2.718+1.414", "Ipz"), ("0+7.77+8.88+9.99", "IvW")):
        crc = driver.crc16(text.encode())

        assert chr(0x40 | crc >> 12) + chr(0x40 | crc >> 6 & 0x3F) + chr(0x40 | crc & 0x3F) == printed


BEHAVIOURS: list[Behaviour] = [
    knows_the_standards_checksums,
    reads_values_as_the_standard_writes_them,
    reads_moisture_temperature_and_permittivity,
    takes_the_second_value_for_the_permittivity,
    asks_with_a_checksum_and_for_no_more_than_there_is,
    collects_values_from_more_than_one_answer,
    asks_the_address_it_was_given,
    waits_for_the_service_request_and_no_longer,
    goes_on_when_the_service_request_gets_lost,
    a_measurement_that_takes_no_time_is_asked_for_at_once,
    every_command_follows_a_break,
    lets_the_line_go,
    hears_the_earliest_and_the_latest_answer,
    a_missing_sensor_gives_no_answer,
    a_command_that_is_missed_is_given_again,
    wrong_checksums_noise_and_broken_cables_are_bad_answers,
    every_single_wrong_bit_is_noticed,
    the_third_try_still_counts,
    the_last_tries_fault_is_told,
    a_sensor_that_gets_no_values_is_not_ready,
    a_sensor_that_wants_minutes_is_not_waited_for,
    a_broken_blade_is_out_of_range,
    a_blade_in_the_air_is_out_of_range,
    another_sensor_is_no_smt100,
    an_answer_of_the_wrong_kind_is_bad,
    a_babbling_line_is_left_alone,
]
