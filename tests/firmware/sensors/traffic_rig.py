# SPDX-License-Identifier: EUPL-1.2
"""A driver that counts traffic, in virtual time: polled as the node does it, read as six counts or as one fault."""

from types import ModuleType
from typing import Any

from simulators.clock import Clock
from simulators.inprocess import Time
from simulators.inprocess_buses import Uart
from simulators.wires import SerialPort

S = 1_000_000
NAMES = [
    "vehicle_count_approaching_slow",
    "vehicle_count_approaching_medium",
    "vehicle_count_approaching_fast",
    "vehicle_count_receding_slow",
    "vehicle_count_receding_medium",
    "vehicle_count_receding_fast",
]


class Counting:
    """Whoever builds on it gives it ``driver``."""

    driver: Any

    def __init__(self) -> None:
        self.clock = Clock(7 * S)

    def run(self, seconds: float, every_us: int = 200_000) -> None:
        end_us = self.clock.now_us + round(seconds * S)
        while self.clock.now_us < end_us:
            self.clock.run_until(min(self.clock.now_us + every_us, end_us))
            self.driver.poll()

    def read(self) -> Any:
        """The six counts, or the one fault that stands for all of them."""
        values = self.driver.read()
        assert list(values) == NAMES
        faults = {value for value in values.values() if isinstance(value, str)}
        if not faults:
            return list(values.values())
        assert len(faults) == 1
        assert set(values.values()) == faults
        return faults.pop()


class RadarLine(Counting):
    """The driver ``chip`` of its module at its end of the line; the board's UART keeps as much as it asks for."""

    def __init__(self, driver: ModuleType, chip: str, **options: Any) -> None:
        super().__init__()
        self.port = SerialPort(self.clock)
        self.port.rxbuf = driver.RXBUF
        self.uart = Uart(self.clock, self.port)
        self.uart.init(driver.BAUD)
        self.driver = getattr(driver, chip)(self.uart, Time(self.clock), **options)
