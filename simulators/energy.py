# SPDX-License-Identifier: EUPL-1.2
"""What a node draws from its battery, by component: currents as data (``currents.py``), times from the simulated parts.

Charge in microcoulombs (uA * s). It works for any board and whatever sensors hang on it.
"""

from collections import defaultdict
from typing import NamedTuple, Protocol

from simulators.board import BoardSim
from simulators.chips import sx1262_commands as c
from simulators.chips import sx1262_registers as r
from simulators.currents import (
    AWAKE,
    BOARDS,
    DEEP,
    LDO_FACTOR,
    LIGHT,
    MCU,
    RADIO,
    REGULATORS,
    RX_BOOSTED,
    SENSORS,
    STEP_UP_IDLE,
    STEP_UP_RATIO,
    TCXO,
    TRANSCEIVER,
    TRANSMIT,
    TX_SOURCE,
    WITH_OSCILLATOR,
    Current,
    Fed,
)
from simulators.node import State

_UC_PER_MAH = 3_600_000
_WITHOUT_SENSORS = (AWAKE, LIGHT, DEEP, TRANSMIT, "radio receive", "radio standby", "radio sleep")


class Battery(NamedTuple):
    """``usable``: share of the capacity until the voltage is too low; ``self_discharge``: share lost in a year."""

    capacity_mah: float = 2_500.0
    usable: float = 0.85
    self_discharge: float = 0.02

    def days(self, mah_per_day: float) -> float:
        """How long it lasts."""
        return self.capacity_mah * self.usable / (mah_per_day + self.capacity_mah * self.self_discharge / 365)

    def assumptions(self) -> str:
        return (
            f"{self.capacity_mah:.0f} mAh, {self.usable:.0%} of it usable, "
            f"{self.self_discharge:.0%} self-discharge a year, no ageing, no cold"
        )


class Metered(Protocol):
    """A simulated sensor that counts what it has drawn from its own supply."""

    def charge_uc(self) -> float: ...


class EnergyLedger:
    """Follows one node from now on; ``charge_uc()`` is what it has drawn since, by component."""

    def __init__(self, node: BoardSim) -> None:
        self._node = node
        self._radio = node.radio.radio
        self._board = BOARDS[node.kind.firmware]
        self._sensors: list[tuple[Fed, Metered]] = [
            (SENSORS[type(chip).__name__], chip)  # type: ignore[misc]  # all of them but the radio are metered
            for chip in node.chips
            if chip is not node.radio
        ]
        self._radio_uc: defaultdict[str, float] = defaultdict(float)
        self._rail_us = 0
        self._since_us = self._radio.clock.now_us
        self._radio.on_leave.append(self._changes)
        self._powered = bool(node.board_power.level)  # up to now: the chips hear of a power cut before we do
        self._rail_on = bool(node.sensor_power.level)
        node.board_power.watch(self._power_changes)
        node.sensor_power.watch(self._rail_changes)
        node.bench.settle()
        self._before = self._other_uc()

    @property
    def components(self) -> tuple[str, ...]:
        """The lines of the table, in order."""
        return (*_WITHOUT_SENSORS, *dict.fromkeys(fed.component for fed, _ in self._sensors), REGULATORS)

    def _changes(self) -> None:
        """Something is about to change, or just has; until now all was as we know it."""
        passed_us = self._radio.clock.now_us - self._since_us
        self._since_us += passed_us
        if self._rail_on:
            self._rail_us += passed_us
        if self._powered and passed_us:
            for current in self._radio_currents():
                self._radio_uc[current.component] += current.ua * passed_us / 1e6

    def _power_changes(self, level: int) -> None:
        self._changes()
        self._powered = bool(level)

    def _rail_changes(self, level: int) -> None:
        self._changes()
        self._rail_on = bool(level)

    def _radio_currents(self) -> list[Current]:
        mode, config = self._radio.mode, self._radio.config
        if mode == c.TX:
            _, tx_ma = c.PA_CONFIG[config.pa] if config.pa is not None else (0, 0)
            current = Current(TRANSMIT, tx_ma * 1000, TX_SOURCE)
        elif mode == c.RX and config.registers[r.RX_GAIN] == r.RX_BOOSTED:
            current = RX_BOOSTED
        else:
            current = RADIO[mode]
        if not config.dc_dc and mode in (c.FS, c.RX, c.TX):
            current = current._replace(ua=current.ua * LDO_FACTOR)
        if mode in WITH_OSCILLATOR and config.tcxo is not None:
            return [current, TCXO._replace(component=current.component)]
        return [current]

    def _other_uc(self) -> dict[str, float]:
        """All but the radio, since the node was made (the rail: since we follow it)."""
        node, spent = self._node, defaultdict[str, float](float)
        for state, us in node.bench.statistics.state_us.items():
            if state is not State.OFF:
                mcu = MCU[node.kind.port][state]
                spent[mcu.component] += mcu.ua * us / 1e6
                spent[REGULATORS] += self._board.ua * us / 1e6
        if any(fed.at_5v for fed, _ in self._sensors):
            spent[REGULATORS] += STEP_UP_IDLE.ua * self._rail_us / 1e6
        if any(fed.rs485 for fed, _ in self._sensors):
            spent[REGULATORS] += TRANSCEIVER.ua * self._rail_us / 1e6
        for fed, sensor in self._sensors:
            spent[fed.component] += sensor.charge_uc() * (STEP_UP_RATIO if fed.at_5v else 1.0)
        return spent

    def charge_uc(self) -> dict[str, float]:
        """By component, in the order of ``components``, up to now."""
        self._node.bench.settle()
        self._changes()
        other = self._other_uc()
        return {
            name: self._radio_uc.get(name, 0.0) + other.get(name, 0.0) - self._before.get(name, 0.0)
            for name in self.components
        }

    def charge_mah(self) -> dict[str, float]:
        """The same in milliampere-hours."""
        return {name: uc / _UC_PER_MAH for name, uc in self.charge_uc().items()}
