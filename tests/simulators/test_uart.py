# SPDX-License-Identifier: EUPL-1.2
"""A UART's receive buffer, in plain Python and under the real MicroPython: what does not fit is lost, and counted."""

from pathlib import Path

import pytest

from simulators.clock import Clock
from simulators.inprocess_buses import Uart
from simulators.kernel import Kernel
from simulators.wires import SerialPort, SerialSettings
from simulators.wiring import Wiring
from tests.simulators.node_bench import BOOTED_US, S, node, said

SETTINGS = SerialSettings(115_200)


class TestBuffer:
    def test_it_keeps_256_bytes_unless_told_otherwise(self) -> None:
        clock = Clock()
        port = SerialPort(clock)
        uart = Uart(clock, port)
        uart.init(115_200)
        port.answer(bytes(range(200)) * 2, SETTINGS)
        clock.run_until(S)

        assert uart.any() == 256
        assert uart.read() == (bytes(range(200)) * 2)[:256]
        assert port.lost == 144

        uart.init(115_200, rxbuf=4096)
        port.answer(bytes(5_000), SETTINGS)
        clock.run_until(2 * S)
        assert (uart.any(), port.lost) == (4_096, 144 + 904)

    def test_reading_makes_room(self) -> None:
        clock = Clock()
        port = SerialPort(clock)
        uart = Uart(clock, port)
        uart.init(115_200)
        buffer = bytearray(100)
        port.answer(bytes([7]) * 1_000, SETTINGS)
        for n in range(1, 20):
            clock.run_until(n * 5_000)  # 57 bytes
            uart.readinto(buffer)

        assert port.lost == 0
        assert buffer[:57] == bytes([7]) * 57
        assert uart.readinto(buffer) in (None, *range(101))


class TestOnMicroPython:
    def test_the_buffer_has_the_size_it_was_given(self, tmp_path: Path) -> None:
        clock = Clock()
        ports = {n: SerialPort(clock) for n in (1, 2)}
        source = """
            import machine, time
            small = machine.UART(1, 115200)
            large = machine.UART(2, 115200, rxbuf=2000)
            time.sleep_ms(1000)
            print(small.any(), large.any(), len(large.read()), large.any())
            for size in (128, 40000):
                try:
                    machine.UART(1, 115200, rxbuf=size)
                except ValueError as fault:
                    print(fault)
        """
        bench = node(clock, tmp_path, source, Wiring(uart=ports))
        with Kernel(clock, [bench]) as kernel:
            bench.power_on()
            kernel.run_until(BOOTED_US + S // 10)
            for port in ports.values():
                port.answer(bytes(3_000), SETTINGS)
            kernel.run_until(3 * S)

            assert said(bench) == ["256 2000 2000 0", "rxbuf", "rxbuf"]
            assert [port.lost for port in ports.values()] == [2_744, 1_000]

    @pytest.mark.parametrize(("how", "heard"), [("time.sleep_ms(1000)", 100), ("machine.lightsleep(1000)", 0)])
    def test_light_sleep_hears_nothing(self, tmp_path: Path, how: str, heard: int) -> None:
        clock = Clock()
        port = SerialPort(clock)
        source = f"import machine, time\nuart = machine.UART(1, 115200)\n{how}\nprint(uart.any())\n"
        bench = node(clock, tmp_path, source, Wiring(uart={1: port}))
        with Kernel(clock, [bench]) as kernel:
            bench.power_on()
            kernel.run_until(BOOTED_US + S // 10)
            port.answer(bytes(100), SETTINGS)
            kernel.run_until(3 * S)

            assert said(bench) == [str(heard)]
            assert port.lost == 100 - heard
