# SPDX-License-Identifier: EUPL-1.2
"""How well radar, tubes and their drivers count a simulated hour. Bounds are literal; firmware/README.md has figures.

A class is compared where the hour had at least 20 vehicles in it: of 5 slow ones 10 % is nobody.
"""

from typing import Any

import pytest

from firmware.sensors.ld2451 import BAUD, RXBUF, Ld2451
from firmware.sensors.ops243 import BAUD as OPS_BAUD
from firmware.sensors.ops243 import RXBUF as OPS_RXBUF
from firmware.sensors.ops243 import Ops243
from firmware.sensors.tubes import TubePair
from simulators.chips.ld2451 import Ld2451Sim
from simulators.chips.ops243 import Ops243Sim
from simulators.chips.pulse_source import TubesSim
from simulators.clock import Clock
from simulators.inprocess import Pin, Time
from simulators.inprocess_buses import Uart
from simulators.vehicles import Vehicle
from simulators.wires import SerialPort, Wire
from tests.firmware.street import street, truth

POLL_US = 250_000
S = 1_000_000


def hour(clock: Clock, driver: Any, vehicles: list[Vehicle]) -> list[int]:
    driver.start()
    while clock.now_us < vehicles[-1].time_us + 60 * S:
        clock.run_until(clock.now_us + POLL_US)
        driver.poll()
    return list(driver.read().values())


def ld2451(vehicles: list[Vehicle], *, seed: int, dropout: float, ghosts: int = 10) -> list[int]:
    clock = Clock()
    port = SerialPort(clock)
    port.rxbuf = RXBUF
    Ld2451Sim(clock, port, Wire(1), vehicles, seed=seed, dropout=dropout, ghosts=ghosts)
    uart = Uart(clock, port)
    uart.init(BAUD)
    return hour(clock, Ld2451(uart, Time(clock)), vehicles)


def ops243(vehicles: list[Vehicle], *, seed: int) -> list[int]:
    clock = Clock()
    port = SerialPort(clock)
    port.rxbuf = OPS_RXBUF
    Ops243Sim(clock, port, Wire(1), vehicles, seed=seed)
    uart = Uart(clock, port)
    uart.init(OPS_BAUD)
    return hour(clock, Ops243(uart, Time(clock)), vehicles)


def tubes(vehicles: list[Vehicle], *, seed: int, miss: float = 0.0) -> list[int]:
    clock = Clock()
    a, b = Wire(1), Wire(1)
    TubesSim(clock, a, b, vehicles, seed=seed, miss=miss)
    return hour(clock, TubePair(Pin(clock, a), Pin(clock, b), Time(clock)), vehicles)


def off(counted: int, true: int) -> float:
    return abs(counted - true) / true


def within(counted: list[int], true: list[int], direction: float, per_class: float) -> None:
    assert off(sum(counted[:3]), sum(true[:3])) <= direction
    assert off(sum(counted[3:]), sum(true[3:])) <= direction
    for one, of in zip(counted, true, strict=True):
        assert of < 20 or off(one, of) <= per_class


class TestLd2451:
    """At most 5 % off per direction and 10 % per class: one echo in 20 lost, or 1 in 5 and 1 ghost in 5 frames."""

    def test_an_hour_of_a_street(self) -> None:
        vehicles = street(11, 400)
        assert 300 <= len(vehicles) <= 600

        within(ld2451(vehicles, seed=11, dropout=0.05), truth(vehicles), 0.05, 0.10)

    def test_a_radar_that_sees_badly(self) -> None:
        vehicles = street(12, 600)[:300]

        within(ld2451(vehicles, seed=12, dropout=0.2, ghosts=200), truth(vehicles), 0.05, 0.10)

    def test_a_crowd_on_four_lanes_is_counted_worse(self) -> None:
        vehicles = street(14, 3_000, lanes=2, headway_s=1.0)[:800]

        within(ld2451(vehicles, seed=14, dropout=0.1), truth(vehicles), 0.08, 0.20)


class TestTubes:
    """At most 3 % off per direction."""

    @pytest.mark.parametrize(("per_hour", "seed", "miss"), [(320, 21, 0.01), (600, 22, 0.0)])
    def test_an_hour_of_a_street(self, per_hour: int, seed: int, miss: float) -> None:
        vehicles = street(seed, per_hour)

        within(tubes(vehicles, seed=seed, miss=miss), truth(vehicles), 0.03, 0.10)

    def test_a_crowd_is_counted_worse(self) -> None:
        vehicles = street(23, 1_500)

        within(tubes(vehicles, seed=23), truth(vehicles), 0.05, 0.15)


class TestOps243:
    """It tells no distance, so it is the coarse one: 10 % in a quiet street, and worse in a busy one."""

    def test_an_hour_of_a_quiet_street(self) -> None:
        vehicles = street(31, 200)

        within(ops243(vehicles, seed=31), truth(vehicles), 0.10, 0.15)

    def test_an_hour_of_a_busy_street(self) -> None:
        vehicles = street(32, 600)[:300]

        within(ops243(vehicles, seed=32), truth(vehicles), 0.20, 0.25)
