# SPDX-License-Identifier: EUPL-1.2
"""What the drivers of battery and processor must do, as functions of their module, so that broken ones can be tried."""

import random
from collections.abc import Callable
from types import ModuleType
from typing import Any

from simulators.chips.battery import BatterySim, Fault
from simulators.clock import Clock

Behaviour = Callable[[ModuleType], None]


class Board:
    """What the drivers need of one."""

    def __init__(self, millivolts: float = 3_300, *, fault: Fault | None = None, noise_uv: float = 0.0) -> None:
        dice = random.Random(3)
        self.sim = BatterySim(Clock(), lambda _: millivolts, noise=lambda: dice.gauss(0.0, noise_uv))
        self.sim.fault = fault
        self.battery_mv = self.sim.battery_mv
        self.celsius: Any = 2_150

    def node_temperature(self) -> Any:
        return self.celsius


class Prepared(Board):
    """Readings as given."""

    def __init__(self, *readings: int) -> None:
        super().__init__()
        self.left = list(readings)
        self.battery_mv = self._next

    def _next(self) -> int:
        assert self.left, "one reading too many"
        return self.left.pop(0)


def voltage(driver: ModuleType, board: Board) -> Any:
    battery = driver.Battery(board)
    assert battery.start() == 0
    values = battery.read()
    battery.stop()
    assert tuple(values) == driver.Battery.QUANTITIES == ("battery_voltage",)
    return values["battery_voltage"]


def temperature(driver: ModuleType, celsius: Any) -> Any:
    board = Board()
    board.celsius = celsius
    sensor = driver.NodeTemperature(board)
    assert sensor.start() == 0
    values = sensor.read()
    sensor.stop()
    assert tuple(values) == driver.NodeTemperature.QUANTITIES == ("node_temperature",)
    return values["node_temperature"]


def measures_the_cell(driver: ModuleType) -> None:
    for millivolts in (2_000, 2_800, 3_300, 4_200, 5_500):
        value = voltage(driver, Board(millivolts))

        assert isinstance(value, int), value
        assert abs(value - millivolts) <= 2


def takes_the_middle_one_of_three(driver: ModuleType) -> None:
    for readings in ((3_100, 3_300, 3_200), (3_200, 3_100, 3_300), (3_300, 3_200, 3_100)):
        board = Prepared(*readings)

        assert voltage(driver, board) == 3_200
        assert board.left == []


def noise_is_no_fault(driver: ModuleType) -> None:
    for _ in range(20):
        assert abs(voltage(driver, Board(noise_uv=5_000.0)) - 3_300) < 40


def a_divider_that_is_not_connected_is_an_open_circuit(driver: ModuleType) -> None:
    assert voltage(driver, Board(fault=Fault.DIVIDER_OPEN)) == "open_circuit"


def a_loose_contact_is_a_bad_answer(driver: ModuleType) -> None:
    assert voltage(driver, Board(fault=Fault.LOOSE)) == "bad_answer"
    assert voltage(driver, Prepared(3_300, 3_300, 3_049)) == "bad_answer"
    assert voltage(driver, Prepared(3_050, 3_300, 3_300)) == 3_300


def what_runs_no_node_is_out_of_range(driver: ModuleType) -> None:
    for readings, value in (
        ((1_999, 2_000, 2_000), "out_of_range"),
        ((5_500, 5_501, 5_500), "out_of_range"),
        ((1_000, 1_000, 1_000), "out_of_range"),
        ((2_000, 2_000, 2_000), 2_000),
    ):
        assert voltage(driver, Prepared(*readings)) == value
    assert voltage(driver, Board(fault=Fault.SHORT)) == "out_of_range"  # twice as much as there is


def knows_the_processors_temperature(driver: ModuleType) -> None:
    for celsius, value in (
        (2_150, 2_150),
        (-4_000, -4_000),
        (-4_001, "out_of_range"),
        (12_500, 12_500),
        (12_501, "out_of_range"),
        ("no_answer", "no_answer"),
    ):
        assert temperature(driver, celsius) == value


BEHAVIOURS: list[Behaviour] = [
    measures_the_cell,
    takes_the_middle_one_of_three,
    noise_is_no_fault,
    a_divider_that_is_not_connected_is_an_open_circuit,
    a_loose_contact_is_a_bad_answer,
    what_runs_no_node_is_out_of_range,
    knows_the_processors_temperature,
]
