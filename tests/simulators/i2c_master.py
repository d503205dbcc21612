# SPDX-License-Identifier: EUPL-1.2
"""A master that says on the bus exactly what a test tells it, and the street's air around the chips."""

from collections.abc import Callable
from typing import Any

from simulators.clock import Clock
from simulators.inprocess_buses import I2c
from simulators.wires import I2cBus, Wire
from tests.firmware.sensors.air_rig import Air

__all__ = ["Air", "Master"]


class Master:
    """``make(clock, power)`` is the chip; its supply came ``settled_ms`` ago."""

    def __init__(self, make: Callable[[Clock, Wire], Any], settled_ms: int = 2_000) -> None:
        self.clock = Clock(5_000_000)
        self.power = Wire(0)
        self.chip = make(self.clock, self.power)
        self.i2c = I2c(self.clock, I2cBus(self.chip), 100_000)
        self.power.drive(1)
        self.wait(settled_ms)

    def wait(self, ms: int) -> None:
        self.clock.run_until(self.clock.now_us + ms * 1000)

    def send(self, frame: str, wait_ms: int = 0) -> bool:
        """Whether all of ``frame`` (hexadecimal) was acknowledged."""
        try:
            self.i2c.writeto(self.chip.address, bytes.fromhex(frame))
        except OSError:
            return False
        self.wait(wait_ms)
        return True

    def read(self, count: int) -> str | None:
        """So many bytes in hexadecimal, None if the address is not acknowledged."""
        try:
            return self.i2c.readfrom(self.chip.address, count).hex()
        except OSError:
            return None

    def ask(self, frame: str, count: int, wait_ms: int = 0) -> str | None:
        return self.read(count) if self.send(frame, wait_ms) else None
