# SPDX-License-Identifier: EUPL-1.2
"""What the SMT100 driver must do, as functions of the driver's module, so that broken drivers can be tried too.

AN002 = Truebner "SMT100 Modbus Quickstart Guide", SPEC = "MODBUS over Serial Line" V1.02, APP = "MODBUS Application
Protocol" V1.1b3. Frames are those of the specification's and of public examples, with their published CRCs.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from simulators.chips.smt100 import Fault, Smt100Sim, crc16
from simulators.clock import Clock
from simulators.inprocess import Pin, Time
from simulators.inprocess_buses import Uart
from simulators.wires import Rs485, SerialSettings, Wire

Behaviour = Callable[[ModuleType], None]

SETTINGS = SerialSettings(9600, 8, 0, 1)  # AN002: 8E1
CHARACTER_US = 1_146
SILENCE_US = 4_011  # SPEC 2.5.1.1: 3.5 characters of 11 bits at 9600 baud


class Line:
    """A driver at its end of an RS485 line; nothing on it may take longer than ``limit_ms``."""

    def __init__(self, driver: ModuleType, limit_ms: int, address: int = 1, uart: type[Uart] = Uart) -> None:
        self.clock = Clock(7_000_000)
        self.time = Time(self.clock)
        self.de = Wire(1)
        self.edges: list[tuple[int, int]] = []
        self.port = Rs485(self.clock, self.de)
        self.driver: Any = driver.Smt100(uart(self.clock, self.port), Pin(self.clock, self.de), self.time, address)
        self.de.watch(lambda level: self.edges.append((level, self.clock.now_us)))
        self.clock.at(self.clock.now_us + limit_ms * 1000, self._too_long)

    @staticmethod
    def _too_long() -> None:
        raise AssertionError("the driver takes too long")

    def read(self) -> tuple[int | str, int | str]:
        values: dict[str, int | str] = self.driver.read()
        assert set(values) == {"soil_moisture", "soil_temperature", "soil_permittivity"}
        return values["soil_moisture"], values["soil_temperature"]


class Sensor(Line):
    """The line with a simulated SMT100 at its far end, powered for as long as the driver asks."""

    def __init__(
        self,
        driver: ModuleType,
        vwc: float = 23.45,
        celsius: float = 12.34,
        fault: Fault | None = None,
        address: int = 1,
    ) -> None:
        super().__init__(driver, limit_ms=2_500, address=address)
        self.power = Wire(0)
        self.sim = Smt100Sim(
            self.clock, self.port, self.power, lambda _now_us: (vwc, celsius), address, noise_percent=0.0
        )
        self.sim.fault = fault
        self.power.drive(1)
        self.time.sleep_ms(self.driver.start())


class Slave(Line):
    """The line with a slave that gives prepared answers, one a request; None is silence."""

    def __init__(
        self,
        driver: ModuleType,
        *answers: bytes | None,
        after_us: int = 5_000,
        limit_ms: int = 2_000,
        uart: type[Uart] = Uart,
    ) -> None:
        super().__init__(driver, limit_ms, uart=uart)
        self.port.device = self
        self.requests: list[bytes] = []
        self.began_us: list[int] = []
        self.ended_us: list[int] = []
        self._answers = list(answers)
        self._after_us = after_us
        self._request = b""

    def byte_received(self, byte: int, settings: SerialSettings) -> None:
        assert settings == SETTINGS
        if not self._request:
            self.began_us.append(self.clock.now_us - CHARACTER_US)
        self._request += bytes([byte])
        if len(self._request) == 8:
            self.requests.append(self._request)
            self.ended_us.append(self.clock.now_us)
            self._request = b""
            answer = self._answers.pop(0) if self._answers else None
            if answer is not None:
                self.port.answer(answer, SETTINGS, self._after_us)


def frame(body: str) -> bytes:
    """Slave, function and data in hexadecimal, with the CRC behind (the simulator's, tested on its own)."""
    data = bytes.fromhex(body)
    return data + crc16(data).to_bytes(2, "little")


GOOD = frame("01 03 06 2af8 0929 04d2")  # 11000 - 10000 = 10.00 degrees; 23.45 %; permittivity 12.34


# AN002, registers 0 and 1


def reads_moisture_and_temperature(driver: ModuleType) -> None:
    for vwc, celsius, moisture, temperature in (
        (23.45, 12.34, 2_345, 1_234),
        (7.01, -12.34, 701, -1_234),
        (48.0, 0.0, 4_800, 0),
        (0.0, 79.9, 0, 7_990),
        (99.9, -39.9, 9_990, -3_990),
    ):
        sensor = Sensor(driver, vwc, celsius)

        read_moisture, read_temperature = sensor.read()

        assert read_moisture in range(moisture - 1, moisture + 2)
        assert read_temperature in range(temperature - 2, temperature + 3)
        assert sensor.sim.refusals == []


def decodes_the_registers_of_a_known_frame(driver: ModuleType) -> None:
    for body, values in (
        ("01 03 06 2af8 0929 04d2", (2_345, 1_000)),
        ("01 03 06 2710 0000 04d2", (0, 0)),
        ("01 03 06 1770 2710 04d2", (10_000, -4_000)),
        ("01 03 06 4650 0001 04d2", (1, 8_000)),
        ("01 03 06 1388 06c6 04d2", (1_734, "out_of_range")),
        ("01 03 06 176f 06c6 04d2", (1_734, "out_of_range")),
        ("01 03 06 4651 06c6 04d2", (1_734, "out_of_range")),
        ("01 03 06 2af8 2711 04d2", ("out_of_range", 1_000)),
        ("01 03 06 2af8 ffff 04d2", ("out_of_range", 1_000)),
    ):
        assert Slave(driver, frame(body)).read() == values


def asks_once_for_registers_0_to_2_when_all_is_well(driver: ModuleType) -> None:
    slave = Slave(driver, GOOD)

    slave.read()

    assert slave.requests == [bytes.fromhex("01 03 0000 0003 05cb")]


def asks_the_address_it_was_given(driver: ModuleType) -> None:
    sensor = Sensor(driver, address=247)

    assert isinstance(sensor.read()[0], int)
    assert sensor.sim.refusals == []


def a_broken_blade_is_out_of_range(driver: ModuleType) -> None:
    assert Sensor(driver, fault=Fault.OUT_OF_RANGE).read() == ("out_of_range", "out_of_range")


def a_blade_in_the_air_is_out_of_range_and_not_dry(driver: ModuleType) -> None:
    moisture, temperature = Sensor(driver, fault=Fault.IN_AIR).read()

    assert moisture == "out_of_range"
    assert temperature in range(1_230, 1_239)
    dust_dry = Sensor(driver, vwc=0.0).read()[0]  # Topp: a permittivity of 1.9
    assert isinstance(dust_dry, int)


def asks_as_in_the_published_example(driver: ModuleType) -> None:
    slave = Slave(driver, bytes.fromhex("11 03 06 ae41 5652 4340 49ad"))
    modbus = driver.Modbus(Uart(slave.clock, slave.port), Pin(slave.clock, slave.de), slave.time)

    registers, fault = modbus.read_holding_registers(0x11, 0x006B, 3)

    assert (registers, fault) == ([0xAE41, 0x5652, 0x4340], None)
    assert slave.requests == [bytes.fromhex("11 03 006b 0003 7687")]


# SPEC 2.5.1.1 "MODBUS Message RTU Framing" and the transceiver


def drives_the_line_only_while_it_sends(driver: ModuleType) -> None:
    slave = Slave(driver, GOOD)
    assert slave.de.level == 0

    slave.read()

    (up, risen_us), (down, fallen_us) = slave.edges
    assert (up, down) == (1, 0)
    assert risen_us <= slave.began_us[0]
    assert slave.ended_us[0] <= fallen_us < slave.ended_us[0] + 1_000


def lets_go_in_time_for_the_fastest_answer(driver: ModuleType) -> None:
    slave = Slave(driver, GOOD, after_us=SILENCE_US)

    assert slave.read() == (2_345, 1_000)
    assert len(slave.requests) == 1


def lets_go_even_if_the_uart_never_finishes(driver: ModuleType) -> None:
    class Hung(Uart):
        def txdone(self) -> bool:
            super().txdone()
            return False

    slave = Slave(driver, None, uart=Hung)

    slave.read()

    assert slave.de.level == 0


def keeps_silence_before_each_request(driver: ModuleType) -> None:
    slave = Slave(driver, frame("01 83 02"), frame("01 83 02"), frame("01 83 02"))
    started_us = slave.clock.now_us

    slave.read()

    assert slave.began_us[0] >= started_us + SILENCE_US
    for ended_us, began_us in zip(slave.ended_us, slave.began_us[1:], strict=False):
        assert began_us >= ended_us + 5_000 + 5 * CHARACTER_US + SILENCE_US


def forgets_what_was_on_the_line_before(driver: ModuleType) -> None:
    slave = Slave(driver, GOOD)
    slave.port.received.extend(b"\x00\xff\x00")

    assert slave.read() == (2_345, 1_000)
    assert len(slave.requests) == 1


def waits_for_a_slow_answer_and_for_all_of_it(driver: ModuleType) -> None:
    slave = Slave(driver, GOOD, after_us=250_000)

    assert slave.read() == (2_345, 1_000)
    assert len(slave.requests) == 1


# Faults by name


def a_missing_sensor_gives_no_answer_after_three_tries(driver: ModuleType) -> None:
    slave = Slave(driver)
    started_us = slave.clock.now_us

    assert slave.read() == ("no_answer", "no_answer")

    assert len(slave.requests) == 3
    assert 900_000 <= slave.clock.now_us - started_us < 1_100_000


def an_unpowered_sensor_gives_no_answer(driver: ModuleType) -> None:
    sensor = Sensor(driver)
    sensor.power.drive(0)

    assert sensor.read() == ("no_answer", "no_answer")


def a_sensor_that_never_gets_ready_gives_no_answer(driver: ModuleType) -> None:
    assert Sensor(driver, fault=Fault.NEVER_READY).read() == ("no_answer", "no_answer")


def swapped_lines_give_no_answer(driver: ModuleType) -> None:
    assert Sensor(driver, fault=Fault.LINES_SWAPPED).read() == ("no_answer", "no_answer")


def a_sensor_is_ready_after_the_start_time(driver: ModuleType) -> None:
    sensor = Sensor(driver)

    sensor.read()

    assert sensor.sim.refusals == []
    assert sensor.sim.powered_us() < 1_000_000


def the_third_try_still_counts(driver: ModuleType) -> None:
    slave = Slave(driver, None, b"\x01\x03\x06", GOOD)

    assert slave.read() == (2_345, 1_000)


def the_last_tries_fault_is_told(driver: ModuleType) -> None:
    assert Slave(driver, GOOD[:-1], None, None).read() == ("no_answer", "no_answer")
    assert Slave(driver, None, None, GOOD[:-1]).read() == ("bad_answer", "bad_answer")


def a_wrong_crc_is_a_bad_answer(driver: ModuleType) -> None:
    assert Sensor(driver, fault=Fault.WRONG_CRC).read() == ("bad_answer", "bad_answer")


def every_single_wrong_bit_is_noticed(driver: ModuleType) -> None:
    for bit in range(88):
        wrong = (int.from_bytes(GOOD, "little") ^ 1 << bit).to_bytes(11, "little")

        assert Slave(driver, wrong, wrong, wrong).read() == ("bad_answer", "bad_answer")


def a_broken_cable_is_a_bad_answer(driver: ModuleType) -> None:
    assert Sensor(driver, fault=Fault.CABLE_BREAK).read() == ("bad_answer", "bad_answer")


def an_answer_of_the_wrong_kind_is_bad_even_with_a_right_crc(driver: ModuleType) -> None:
    for body in (
        "02 03 06 2af8 0929 04d2",  # another slave's
        "01 04 06 2af8 0929 04d2",  # another function's
        "01 03 04 2af8 0929",  # too few registers
        "01 03 08 2af8 0929 04d2 0000",  # too many
        "01 03 08 2af8 0929 04d2",  # fewer than it says
        "01 03 06 2af8 0929 04d2 00",  # more than it says
        "01 03 06 2af8 0929",  # less than it says
        "01 03",
        "01 83 02",  # APP 7, exception ILLEGAL DATA ADDRESS
        "02 83 06",
    ):
        answer = frame(body)

        assert Slave(driver, answer, answer, answer).read() == ("bad_answer", "bad_answer")


def a_busy_sensor_is_not_ready(driver: ModuleType) -> None:
    busy = frame("01 83 06")  # APP 7, exception SERVER DEVICE BUSY

    assert Slave(driver, busy, busy, busy).read() == ("not_ready", "not_ready")
    assert Slave(driver, busy, GOOD).read() == (2_345, 1_000)


def a_babbling_line_is_left_alone(driver: ModuleType) -> None:
    babble = bytes(2_000)  # 2.3 s without a pause

    assert Slave(driver, babble, limit_ms=500).read() == ("bad_answer", "bad_answer")


def knows_the_permittivity(driver: ModuleType) -> None:
    for raw, permittivity, moisture in (
        ("04d2", 1_234, 2_345),
        ("008c", 140, 2_345),
        ("008b", "out_of_range", "out_of_range"),  # the moisture is reckoned from it
        ("2710", 10_000, 2_345),
        ("2711", "out_of_range", "out_of_range"),
    ):
        slave = Slave(driver, frame(f"01 03 06 2af8 0929 {raw}"))

        values = slave.driver.read()
        assert (values["soil_permittivity"], values["soil_moisture"]) == (permittivity, moisture)
        assert values.get("soil_temperature") == 1_000


def it_has_the_shape_of_every_driver(driver: ModuleType) -> None:
    slave = Slave(driver)

    assert slave.driver.start() == 400
    assert set(slave.driver.read()) == set(driver.Smt100.QUANTITIES)
    slave.driver.stop()


BEHAVIOURS: list[Behaviour] = [
    it_has_the_shape_of_every_driver,
    knows_the_permittivity,
    decodes_the_registers_of_a_known_frame,
    reads_moisture_and_temperature,
    asks_once_for_registers_0_to_2_when_all_is_well,
    asks_the_address_it_was_given,
    a_broken_blade_is_out_of_range,
    a_blade_in_the_air_is_out_of_range_and_not_dry,
    asks_as_in_the_published_example,
    drives_the_line_only_while_it_sends,
    lets_go_in_time_for_the_fastest_answer,
    lets_go_even_if_the_uart_never_finishes,
    keeps_silence_before_each_request,
    forgets_what_was_on_the_line_before,
    waits_for_a_slow_answer_and_for_all_of_it,
    a_missing_sensor_gives_no_answer_after_three_tries,
    an_unpowered_sensor_gives_no_answer,
    a_sensor_that_never_gets_ready_gives_no_answer,
    swapped_lines_give_no_answer,
    a_sensor_is_ready_after_the_start_time,
    the_third_try_still_counts,
    the_last_tries_fault_is_told,
    a_wrong_crc_is_a_bad_answer,
    every_single_wrong_bit_is_noticed,
    a_broken_cable_is_a_bad_answer,
    an_answer_of_the_wrong_kind_is_bad_even_with_a_right_crc,
    a_busy_sensor_is_not_ready,
    a_babbling_line_is_left_alone,
]
