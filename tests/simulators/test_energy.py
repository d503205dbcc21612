# SPDX-License-Identifier: EUPL-1.2
"""The energy ledger: literal sums over known times, and what a night of a node costs."""

from pathlib import Path
from typing import ClassVar

import pytest

from simulators.air import Air
from simulators.board import KINDS, BoardSim
from simulators.chips import sx1262_commands as c
from simulators.chips.sps30 import Sps30Sim
from simulators.city import Truth
from simulators.clock import Clock
from simulators.currents import BOARDS, MCU, SENSORS
from simulators.energy import Battery, EnergyLedger
from simulators.firmware_build import compile_module
from simulators.kernel import Kernel
from simulators.node import BOOT_US
from simulators.node_states import State
from simulators.tree_node import TreeNode

S = 1_000_000


@pytest.fixture
def tree(tmp_path):
    """Makes nodes with a program of their own."""
    made = []

    def make(program):
        source = tmp_path / "main.py"
        source.write_text(program)
        compile_module(source, tmp_path / "firmware" / "main.mpy", "main.py")
        clock = Clock()
        node = TreeNode(clock, Air(clock), tmp_path / "firmware", lambda _: Truth(20.0, 15.0, 15.0, 0.0))
        made.append(Kernel(clock, [node.bench]))
        return node, made[-1]

    yield make
    for kernel in made:
        kernel.close()


def spent(node, kernel, until_us):
    ledger = EnergyLedger(node)
    node.bench.power_on()
    kernel.run_until(until_us)
    return ledger.charge_uc()


class TestMicrocontroller:
    def test_boot_and_a_second_awake_then_an_hour_asleep(self, tree):
        node, kernel = tree("import time, machine\ntime.sleep(1)\nmachine.deepsleep(36_000_000)")

        charge = spent(node, kernel, BOOT_US + S + 3600 * S)

        # 0.3 s boot, 1 s, and 91 ms to format the new flash (two erases of 45 ms, two pages)
        assert charge["MCU awake"] == pytest.approx(44_095, rel=1e-4)
        assert charge["MCU deep sleep"] == pytest.approx(8 * 3600, rel=1e-4)
        assert charge["MCU light sleep"] == 0

    def test_light_sleep_costs_less_than_waiting(self, tree):
        node, kernel = tree("import machine\nmachine.lightsleep(10_000)\nmachine.deepsleep()")

        charge = spent(node, kernel, BOOT_US + 20 * S)

        assert charge["MCU light sleep"] == pytest.approx(240 * 10, rel=1e-3)

    def test_without_power_nothing_is_drawn(self, tree):
        node, kernel = tree("pass")
        ledger = EnergyLedger(node)

        kernel.run_until(3600 * S)

        assert set(ledger.charge_uc().values()) == {0}


class TestRadio:
    def test_a_radio_left_in_standby_is_seen(self, tree):
        """As reference designs warn: 600 uA instead of 1 uA empty a cell in months."""
        node, kernel = tree("import machine\nmachine.deepsleep(36_000_000)")

        charge = spent(node, kernel, BOOT_US + 3600 * S)

        assert charge["radio standby"] == pytest.approx(600 * 3600, rel=1e-3)

    def test_a_power_cut_ends_it_and_loses_nothing_of_before(self, tree):
        node, kernel = tree("import machine\nmachine.deepsleep(36_000_000)")
        ledger = EnergyLedger(node)
        node.bench.power_on()
        kernel.run_until(100 * S)

        node.bench.power_off()
        kernel.run_until(200 * S)

        assert ledger.charge_uc()["radio standby"] == pytest.approx(600 * 100)

    def test_without_the_dc_dc_converter_reception_costs_double(self, tree):
        charges = []
        for dc_dc in (False, True):
            node, kernel = tree("import machine\nmachine.deepsleep(36_000_000)")
            ledger = EnergyLedger(node)
            node.bench.power_on()
            kernel.run_until(S)
            core = node.radio.radio
            core.config.dc_dc = dc_dc
            core.enter(c.RX)
            kernel.run_until(11 * S)
            core.enter(c.STBY_RC)
            charges.append(ledger.charge_uc()["radio receive"])

        assert charges == [pytest.approx(92_000), pytest.approx(46_000)]

    @pytest.mark.parametrize(("pa", "charge_uc"), [((2, 2), 45_000), ((4, 7), 118_000)])
    def test_a_second_of_transmission_costs_what_its_pa_setting_draws(self, tree, pa, charge_uc):
        node, kernel = tree("import machine\nmachine.deepsleep(36_000_000)")
        ledger = EnergyLedger(node)
        node.bench.power_on()
        kernel.run_until(S)
        core = node.radio.radio
        core.config.dc_dc, core.config.pa = True, pa

        core.enter(c.TX)
        kernel.run_until(2 * S)

        assert ledger.charge_uc()["radio transmit"] == pytest.approx(charge_uc)


class TestBoard:
    def test_sensors_cost_only_while_their_rail_is_on(self, tree):
        node, kernel = tree(
            "import time\nfrom machine import Pin, deepsleep\n"
            "rail = Pin(36, Pin.OUT, value=0)\ntime.sleep(10)\nrail(1)\ndeepsleep(36_000_000)"
        )

        charge = spent(node, kernel, 3600 * S)

        # 5 mA for 10 s and 35 mA more for one measurement of 50 ms, at 5 V through a converter of 90 %, from 3.3 V;
        # converter and transceiver 1 mA each
        assert charge["sensor SMT100"] == pytest.approx(87_121, rel=1e-3)
        assert charge["regulators"] == pytest.approx(20_000 + 16 * 3600, rel=1e-3)

    def test_the_table_names_every_component(self, tree):
        node, kernel = tree("import machine\nmachine.deepsleep(1000)")

        assert tuple(spent(node, kernel, 5 * S)) == (
            "MCU awake",
            "MCU light sleep",
            "MCU deep sleep",
            "radio transmit",
            "radio receive",
            "radio standby",
            "radio sleep",
            "sensor SMT100",
            "sensor DS18B20",
            "regulators",
        )


class TestOtherBoards:
    """Any board of firmware/boards, with whatever hangs on it."""

    def board(self, tmp_path, kind, program):
        source = tmp_path / "main.py"
        source.write_text(program)
        compile_module(source, tmp_path / "firmware" / "main.mpy", "main.py")
        clock = Clock()
        return BoardSim(clock, Air(clock), tmp_path / "firmware", kind)

    def test_a_pico_never_sleeps_below_what_its_lightsleep_draws(self, tmp_path):
        node = self.board(tmp_path, "pico_waveshare", "import machine\nmachine.lightsleep(3_600_000)")

        with node.kernel() as kernel:
            charge = spent(node, kernel, BOOT_US + 3600 * S)

        assert charge["MCU light sleep"] == pytest.approx(1_300 * 3600, rel=1e-3)
        assert charge["regulators"] == pytest.approx(71 * 3600, rel=1e-3)

    def test_sensors_at_5_volts_cost_the_converter_and_what_it_loses(self, tmp_path):
        rail_on = "import time\nfrom machine import Pin, deepsleep\nrail = Pin(36, Pin.OUT, value=0)\ntime.sleep(10)"
        node = self.board(tmp_path, "heltec_v3", f"{rail_on}\nrail(1)\ndeepsleep(36_000_000)")
        node.chips.append(Sps30Sim(node.clock, node.sensor_power, lambda _: None))

        with node.kernel() as kernel:
            charge = spent(node, kernel, 3600 * S)

        # 10 s of 330 uA in idle mode, at 5 V through a converter of 90 %, from 3.3 V; the converter alone 1 mA
        assert charge["sensor SPS30"] == pytest.approx(3_300 * 5 / 2.97, rel=1e-3)
        assert charge["regulators"] == pytest.approx(10_000 + 16 * 3600, rel=1e-3)

    def test_every_board_and_processor_has_its_currents(self):
        assert {kind.firmware for kind in KINDS.values()} == set(BOARDS)
        assert all(set(states) == set(State) - {State.OFF} for states in MCU.values())

    def test_a_chip_without_a_known_supply_is_refused_rather_than_taken_for_nothing(self, tmp_path):
        class Unheard:
            refusals: ClassVar[list[str]] = []

        node = self.board(tmp_path, "heltec_v3", "pass")
        node.chips.append(Unheard())

        with pytest.raises(KeyError, match="Unheard"), node.kernel():
            EnergyLedger(node)

    @pytest.mark.parametrize("name", SENSORS)
    def test_every_figure_is_of_a_chip_that_exists(self, name):
        assert any(f"class {name}" in path.read_text() for path in Path("simulators/chips").glob("*.py"))


class TestBattery:
    def test_days_follow_from_usable_capacity_and_self_discharge(self):
        # 2125 mAh usable; 1 mAh a day and 50 mAh a year of self-discharge
        assert Battery().days(1.0) == pytest.approx(1868.97, abs=0.01)

    def test_its_assumptions_are_said(self):
        assert Battery().assumptions().startswith("2500 mAh, 85% of it usable, 2% self-discharge a year")
