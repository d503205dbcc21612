# SPDX-License-Identifier: EUPL-1.2
"""What the drivers of Sensirion's particle sensors must do alike, whatever commands and numbers they have."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from simulators.chips.sensirion import Fault
from simulators.wires import I2cFault
from tests.firmware.sensors.air_rig import SENSIRION_FAULTS, Chip, Script, Values


class DustSensor:
    """One of them: ``names`` of its values; ``chip`` and ``script`` put its driver on the bench, see air_rig.

    ``pm10``: what ``script`` lets it say.
    """

    def __init__(
        self, names: tuple[str, ...], chip: Callable[..., Chip], script: Callable[..., Script], pm10: int
    ) -> None:
        self.names = names
        self._chip = chip
        self._script = script
        self._pm10 = pm10

    def all_are(self, fault: str) -> Values:
        return dict.fromkeys(self.names, fault)

    def waits_for_a_new_second(self, driver: ModuleType) -> None:
        rig = self._script(driver, x0202=[(0,)] * 9 + [(1,)])

        assert rig.measure()["pm10"] == self._pm10
        assert rig.sent.count("0202") == 11  # and of the next second, for the first may be as old as the warm-up
        assert self._script(driver, x0202=(0,)).measure() == self.all_are("not_ready")

    def one_that_measures_already_is_started_anew(self, driver: ModuleType) -> None:
        rig = self._chip(driver)
        rig.start()  # and then the node was reset

        assert isinstance(rig.measure()["pm2_5"], int)

    def each_fault_has_its_name(self, driver: ModuleType, **options: Any) -> None:
        for fault, name in SENSIRION_FAULTS:
            rig = self._chip(driver, fault=fault, **options)

            assert rig.measure() == self.all_are(name), fault
            rig.stop()

    def an_engine_that_stands_still_gives_no_old_values(self, driver: ModuleType) -> None:
        assert self._chip(driver, fault=Fault.STUCK).measure() == self.all_are("not_ready")

        rig = self._chip(driver)
        rig.measure()
        rig.sim.fault = Fault.STUCK
        assert rig.read() == self.all_are("not_ready")

    def the_first_value_alone_may_be_old(self, driver: ModuleType) -> None:
        rig = self._script(driver)
        rig.time.sleep_ms(rig.start())
        for count in (2, 3):
            rig.read()
            assert rig.sent.count("0202") == count
        rig.stop()
        rig.measure()
        assert rig.sent.count("0202") == 5

    def a_dead_bus_is_told_from_an_absent_sensor(self, driver: ModuleType) -> None:
        for fault, name in ((I2cFault.SDA_LOW, "stuck"), (I2cFault.SCL_LOW, "stuck"), (I2cFault.NACK, "no_answer")):
            rig = self._chip(driver)
            rig.bus.fault = fault

            assert rig.start() == 0
            assert rig.read() == self.all_are(name)
            rig.stop()

    def a_sensor_that_goes_away_while_it_warms_up_is_missed(self, driver: ModuleType) -> None:
        rig = self._chip(driver)
        ms = rig.start()
        rig.sim.fault = Fault.ABSENT
        rig.time.sleep_ms(ms)

        assert rig.read() == self.all_are("no_answer")
        rig.stop()
