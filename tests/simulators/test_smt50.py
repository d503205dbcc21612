# SPDX-License-Identifier: EUPL-1.2
"""The simulated SMT50 by itself: its data sheet's voltages, and what it refuses."""

import pytest

from simulators.chips.smt50 import Fault, Smt50Sim
from simulators.clock import Clock
from simulators.wires import Wire


def settled(vwc: float, celsius: float) -> Smt50Sim:
    clock = Clock()
    sim = Smt50Sim(clock, Wire(1), lambda _: (vwc, celsius))
    clock.run_until(300_000)
    return sim


@pytest.mark.parametrize(
    ("vwc", "celsius", "moisture_uv", "temperature_uv"),
    [(0.0, 0.0, 0, 500_000), (25.0, 25.0, 1_500_000, 750_000), (50.0, -40.0, 3_000_000, 100_000)],
)
def test_the_data_sheets_voltages(vwc: float, celsius: float, moisture_uv: int, temperature_uv: int) -> None:
    sim = settled(vwc, celsius)

    assert (sim.moisture_uv(), sim.temperature_uv()) == (moisture_uv, temperature_uv)
    assert sim.refusals == []


def test_whoever_reads_too_early_is_refused_and_reads_too_little() -> None:
    clock = Clock()
    sim = Smt50Sim(clock, Wire(1), lambda _: (30.0, 20.0))
    clock.run_until(150_000)

    assert sim.moisture_uv() == 900_000
    assert sim.refusals == ["read 150 ms after power-on"]


def test_without_a_supply_there_is_nothing() -> None:
    sim = Smt50Sim(Clock(), Wire(0), lambda _: (30.0, 20.0))

    assert sim.moisture_uv() == 0
    assert sim.refusals == ["read without a supply"]


def test_faults_show_as_voltages() -> None:
    sim = settled(30.0, 20.0)
    shown = {}
    for fault in Fault:
        sim.fault = fault
        shown[fault] = (sim.moisture_uv(), sim.temperature_uv())

    assert shown[Fault.ABSENT] == shown[Fault.SUPPLY_REVERSED] == (0, 0)
    assert shown[Fault.MOISTURE_WIRE_CUT] == (0, 700_000)
    assert shown[Fault.MOISTURE_SHORT] == (3_300_000, 700_000)
    assert shown[Fault.TEMPERATURE_SHORT] == (1_800_000, 3_300_000)


def test_charge_is_time_at_2_7_ma() -> None:
    sim = settled(30.0, 20.0)

    assert sim.charge_uc() == pytest.approx(0.3 * 2_700)
