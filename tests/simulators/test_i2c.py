# SPDX-License-Identifier: EUPL-1.2
"""I2C: two open-drain lines, byte by byte; UM10204 = NXP "I2C-bus specification and user manual" Rev. 7.0."""

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.clock import Clock
from simulators.inprocess_buses import I2c
from simulators.kernel import Kernel
from simulators.node_states import Port
from simulators.wires import I2cBus, I2cFault, Wire
from simulators.wiring import NotWired, Wiring
from tests.simulators.node_bench import BOOTED_US, node, said

US_PER_BYTE = 90  # 8 bits and the acknowledgement at 100 kHz
TIMED_OUT = 116  # what newlib, the ESP32's C library, calls ETIMEDOUT


class Memory:
    """256 bytes behind a pointer that moves on, as an EEPROM has them; notes how it was addressed.

    ``takes``: how many bytes it acknowledges in one write.
    """

    def __init__(self, clock: Clock, address: int = 0x50, takes: int = 1000, stretch_us: int = 0) -> None:
        self.address = address
        self.cells = bytearray(256)
        self.log: list[str] = []
        self.times: list[int] = []
        self._clock = clock
        self._takes = takes
        self._stretch_us = stretch_us
        self._pointer = 0
        self._count = 0

    def selected(self, read: bool) -> bool:
        self.log.append("read" if read else "write")
        self.times.append(self._clock.now_us)
        self._count = 0
        return True

    def write(self, byte: int) -> bool:
        self._count += 1
        if self._count > self._takes:
            return False
        if self._count == 1:
            self._pointer = byte
        else:
            self.cells[self._pointer] = byte
            self._pointer = (self._pointer + 1) % 256
        return True

    def read(self) -> int:
        byte = self.cells[self._pointer]
        self._pointer = (self._pointer + 1) % 256
        return byte

    def stop(self) -> None:
        self.log.append("stop")

    def stretch_us(self) -> int:
        return self._stretch_us


def raised(call: object, *arguments: object) -> int | None:
    """The number of the OSError that ``call(*arguments)`` raises."""
    assert callable(call)
    try:
        call(*arguments)
    except OSError as e:
        return e.errno
    return None


class TestTransfer:
    """UM10204 "The target address and R/W bit", "Acknowledge (ACK) and Not Acknowledge (NACK)"."""

    def test_what_is_written_is_read_back(self) -> None:
        clock = Clock()
        i2c = I2c(clock, I2cBus(Memory(clock)), 100_000)

        assert i2c.writeto(0x50, b"\x10hello") == 6
        i2c.writeto(0x50, b"\x11")

        assert i2c.readfrom(0x50, 4) == b"ello"

    def test_registers_are_read_with_a_repeated_start_and_written_in_one_go(self) -> None:
        clock = Clock()
        memory = Memory(clock)
        i2c = I2c(clock, I2cBus(memory), 100_000)

        i2c.writeto_mem(0x50, 3, b"\x07\x08")
        memory.log.clear()

        assert i2c.readfrom_mem(0x50, 3, 2) == b"\x07\x08"
        assert memory.log == ["write", "stop", "read", "stop"]

    def test_bytes_take_their_time_at_the_clock_rate(self) -> None:
        clock = Clock()
        i2c = I2c(clock, I2cBus(Memory(clock)), 100_000)

        i2c.readfrom(0x50, 10)

        assert 11 * US_PER_BYTE + 20 <= clock.now_us <= 11 * US_PER_BYTE + 50

    def test_a_faster_clock_takes_less(self) -> None:
        clock = Clock()
        i2c = I2c(clock, I2cBus(Memory(clock)), 400_000)

        i2c.writeto(0x50, bytes(9))

        assert 230 <= clock.now_us <= 260

    def test_nobody_there_is_no_device(self) -> None:
        clock = Clock()
        i2c = I2c(clock, I2cBus(Memory(clock)))

        assert raised(i2c.writeto, 0x51, b"x") == errno.ENODEV
        assert raised(i2c.readfrom, 0x51, 1) == errno.ENODEV

    def test_a_byte_that_is_not_acknowledged_ends_the_transfer(self) -> None:
        clock = Clock()
        memory = Memory(clock, takes=2)
        i2c = I2c(clock, I2cBus(memory))

        assert raised(i2c.writeto, 0x50, b"\x00ab") == errno.ENODEV
        assert memory.cells[:2] == b"a\x00"
        assert memory.log == ["write", "stop"]

    def test_an_rp2_calls_it_an_input_output_error(self) -> None:
        clock = Clock()
        i2c = I2c(clock, I2cBus(), nack=errno.EIO)

        assert raised(i2c.writeto, 0x50, b"") == errno.EIO

    def test_a_scan_finds_who_acknowledges(self) -> None:
        clock = Clock()
        i2c = I2c(clock, I2cBus(Memory(clock, 0x62), Memory(clock, 0x76), Memory(clock, 0x69)))

        assert i2c.scan() == [0x62, 0x69, 0x76]

    @given(st.binary(max_size=40), st.integers(0, 127), st.integers(0, 30))
    def test_any_bytes_to_any_address_are_acknowledged_or_raise(self, data: bytes, address: int, count: int) -> None:
        clock = Clock()
        i2c = I2c(clock, I2cBus(Memory(clock, takes=20)))

        if address == 0x50 and len(data) <= 20:
            assert i2c.writeto(address, data) == len(data)
        else:
            assert raised(i2c.writeto, address, data) == errno.ENODEV
        if address == 0x50:
            assert len(i2c.readfrom(address, count)) == count


class TestOpenDrain:
    """UM10204 "SDA and SCL signals": the lines are a wired AND; whoever pulls low wins."""

    def test_two_of_one_address_talk_at_once(self) -> None:
        clock = Clock()
        one, other = Memory(clock), Memory(clock)
        one.cells[:3], other.cells[:3] = b"\xf0\xff\x0f", b"\x3c\x81\xf0"
        i2c = I2c(clock, I2cBus(one, other))

        i2c.writeto(0x50, b"\x00")

        assert i2c.readfrom(0x50, 3) == b"\x30\x81\x00"

    def test_both_of_them_hear_what_is_written(self) -> None:
        clock = Clock()
        one, other = Memory(clock), Memory(clock, takes=1)
        i2c = I2c(clock, I2cBus(one, other))

        i2c.writeto(0x50, b"\x00xy")

        assert one.cells[:2] == b"xy"
        assert other.log == ["write", "stop"]

    @pytest.mark.parametrize("fault", [I2cFault.SDA_LOW, I2cFault.SCL_LOW])
    def test_a_line_at_ground_times_out(self, fault: I2cFault) -> None:
        clock = Clock()
        bus = I2cBus(Memory(clock))
        bus.fault = fault
        i2c = I2c(clock, bus, timeout=50_000)

        assert raised(i2c.readfrom, 0x50, 1) == TIMED_OUT
        assert 50_000 <= clock.now_us <= 51_000

    def test_pull_ups_without_supply_leave_the_lines_low(self) -> None:
        clock = Clock()
        rail = Wire(0)
        i2c = I2c(clock, I2cBus(Memory(clock), pull_up=rail))

        assert raised(i2c.writeto, 0x50, b"") == TIMED_OUT
        rail.drive(1)
        assert i2c.writeto(0x50, b"") == 0

    def test_a_broken_wire_is_nobody(self) -> None:
        clock = Clock()
        bus = I2cBus(Memory(clock))
        bus.fault = I2cFault.NACK

        assert raised(I2c(clock, bus).readfrom, 0x50, 1) == errno.ENODEV


class TestClockStretching:
    """UM10204 "Clock stretching"."""

    def test_the_master_waits(self) -> None:
        clock = Clock()
        i2c = I2c(clock, I2cBus(Memory(clock, stretch_us=7_000)))

        i2c.writeto(0x50, b"")

        assert 7_000 <= clock.now_us <= 7_100

    def test_but_not_for_ever(self) -> None:
        clock = Clock()
        i2c = I2c(clock, I2cBus(Memory(clock, stretch_us=80_000)), timeout=50_000)

        assert raised(i2c.writeto, 0x50, b"") == TIMED_OUT
        assert 50_000 <= clock.now_us <= 51_000


HEAD = "from machine import I2C, Pin\nimport time\ni2c = I2C(0, scl=Pin(42), sda=Pin(41), freq=100_000)\n"
FAILING = """
def number(call, *arguments):
    try:
        call(*arguments)
    except OSError as e:
        return e.errno
"""


class TestOnTheRealMicroPython:
    """``machine.I2C`` of MicroPython over the same bus; ports/esp32/machine_i2c.c for what it raises."""

    @staticmethod
    def run(tmp_path: Path, source: str, bus: I2cBus, clock: Clock, pins: dict[int, Wire] | None = None) -> list[str]:
        bench = node(clock, tmp_path, HEAD + FAILING + source, Wiring(i2c={0: bus}, pins=pins or {}))
        with Kernel(clock, [bench]) as kernel:
            bench.power_on()
            kernel.run_until(5_000_000)
            return said(bench)

    def test_it_writes_reads_scans_and_raises(self, tmp_path: Path) -> None:
        clock = Clock()
        source = """
print(i2c.writeto(0x50, b"\\x10hello"), i2c.readfrom_mem(0x50, 0x10, 5))
i2c.writeto_mem(0x50, 0x20, b"ab")
buffer = bytearray(3)
i2c.readfrom_mem_into(0x50, 0x1f, buffer)
print(bytes(buffer), i2c.scan())
print(number(i2c.writeto, 0x51, b"x"), number(i2c.readfrom, 0x51, 1), number(i2c.writeto, 0x62, b"xyz"))
"""

        lines = self.run(tmp_path, source, I2cBus(Memory(clock), Memory(clock, 0x62, takes=2)), clock)

        assert lines == ["6 b'hello'", "b'\\x00ab' [80, 98]", "19 19 19"]

    def test_bytes_take_their_time_and_a_stuck_line_its_timeout(self, tmp_path: Path) -> None:
        clock = Clock()
        bus = I2cBus(Memory(clock))
        source = """
before = time.ticks_us()
i2c.readfrom(0x50, 10)
print((time.ticks_us() - before) // 100)
"""

        assert self.run(tmp_path, source, bus, clock) == ["10"]

        bus.fault = I2cFault.SDA_LOW
        source = "before = time.ticks_us()\nprint(number(i2c.readfrom, 0x50, 1), (time.ticks_us() - before) // 1000)"
        clock = Clock()
        assert self.run(tmp_path, source, bus, clock) == [f"{TIMED_OUT} 50"]

    def test_the_device_sees_the_same_bytes_at_the_same_time_as_in_process(self, tmp_path: Path) -> None:
        clock, other_clock = Clock(), Clock(BOOTED_US)
        real, in_process = Memory(clock), Memory(other_clock)
        i2c = I2c(other_clock, I2cBus(in_process), 100_000)

        self.run(tmp_path, 'i2c.writeto(0x50, b"\\x01abc")\ni2c.readfrom(0x50, 2)', I2cBus(real), clock)
        i2c.writeto(0x50, b"\x01abc")
        i2c.readfrom(0x50, 2)

        assert real.log == in_process.log
        assert real.cells == in_process.cells
        spent = [times[1] - times[0] for times in (real.times, in_process.times)]
        assert abs(spent[0] - spent[1]) <= 20  # a call into machine costs 10 us here and 2 there

    def test_an_rp2_has_other_numbers(self, tmp_path: Path) -> None:
        clock = Clock()
        bus = I2cBus(Memory(clock))
        source = (HEAD + FAILING).replace("42", "5").replace("41", "4") + "print(number(i2c.writeto, 0x51, b'x'))\n"
        bench = node(clock, tmp_path, source, Wiring(i2c={0: bus}), port=Port.RP2)
        with Kernel(clock, [bench]) as kernel:
            bench.power_on()
            kernel.run_until(5_000_000)

            assert said(bench) == [str(errno.EIO)]

    def test_a_bus_that_is_not_wired_is_an_error_of_the_bench(self, tmp_path: Path) -> None:
        clock = Clock()
        bench = node(clock, tmp_path, HEAD + 'i2c.writeto(0x50, b"")', Wiring())

        with Kernel(clock, [bench]) as kernel:
            bench.power_on()
            with pytest.raises(NotWired, match=r"I2C\(0\)"):
                kernel.run_until(5_000_000)
