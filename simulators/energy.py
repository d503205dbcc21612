# SPDX-License-Identifier: EUPL-1.2
"""What a node draws from its battery, by component: currents as data (``currents.py``), times from the simulated parts.

Charge in microcoulombs (uA * s). It works for any board and whatever sensors hang on it.
"""

from collections import Counter, defaultdict
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
from simulators.node_states import State

UC_PER_MAH = 3_600_000
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


class Draw(NamedTuple):
    """What flowed: a current, for how long, and the charge; for a sensor ``current.ua`` is the mean of that time."""

    current: Current
    us: int
    uc: float


class Metered(Protocol):
    """A simulated sensor that counts what it has drawn from its own supply."""

    def charge_uc(self) -> float: ...


class EnergyLedger:
    """Follows one node from now on. What it has drawn since: ``charge_uc()`` by component, ``draws()`` by current."""

    def __init__(self, node: BoardSim) -> None:
        self._node = node
        self._radio = node.radio.radio
        self._board = BOARDS[node.kind.firmware]
        self._sensors: list[tuple[Fed, Metered]] = [
            (SENSORS[type(chip).__name__], chip)  # type: ignore[misc]  # all of them but the radio are metered
            for chip in node.chips
            if chip is not node.radio
        ]
        self._flowed_us: Counter[Current] = Counter()
        self._rail_us = 0
        self._since_us = self._radio.clock.now_us
        self._radio.on_leave.append(self._changes)
        self._powered = bool(node.board_power.level)  # up to now: the chips hear of a power cut before we do
        self._rail_on = bool(node.sensor_power.level)
        node.board_power.watch(self._power_changes)
        node.sensor_power.watch(self._rail_changes)
        node.bench.settle()
        self._before_us, self._before_uc = self._always_us(), self._sensed_uc()

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
                self._flowed_us[current] += passed_us

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

    def _always_us(self) -> Counter[Current]:
        """What needs no following, since the node was made: processor and board."""
        flowed: Counter[Current] = Counter()
        for state, us in self._node.bench.statistics.state_us.items():
            if state is not State.OFF:
                flowed[MCU[self._node.kind.port][state]] += us
                flowed[self._board] += us
        return flowed

    def _sensed_uc(self) -> dict[Current, float]:
        """What the sensors have drawn since the node was made, each under a current without a figure."""
        spent = defaultdict[Current, float](float)
        for fed, sensor in self._sensors:
            source = f"mean while the sensors' rail is on, of {type(sensor).__module__.replace('.', '/')}.py"
            spent[Current(fed.component, 0, source)] += sensor.charge_uc() * (STEP_UP_RATIO if fed.at_5v else 1.0)
        return spent

    def draws(self) -> list[Draw]:
        """What has flowed since we follow the node, up to now."""
        self._node.bench.settle()
        self._changes()
        flowed = self._flowed_us + self._always_us()
        flowed.subtract(self._before_us)
        if any(fed.at_5v for fed, _ in self._sensors):
            flowed[STEP_UP_IDLE] += self._rail_us
        if any(fed.rs485 for fed, _ in self._sensors):
            flowed[TRANSCEIVER] += self._rail_us
        found = [Draw(current, us, current.ua * us / 1e6) for current, us in flowed.items() if us]
        for current, uc in self._sensed_uc().items():
            spent_uc = uc - self._before_uc.get(current, 0.0)
            mean_ua = spent_uc * 1e6 / self._rail_us if self._rail_us else 0.0
            found.append(Draw(current._replace(ua=mean_ua), self._rail_us, spent_uc))
        return found

    def charge_uc(self) -> dict[str, float]:
        """By component, in the order of ``components``, up to now."""
        spent = dict.fromkeys(self.components, 0.0)
        for draw in self.draws():
            spent[draw.current.component] += draw.uc
        return spent

    def charge_mah(self) -> dict[str, float]:
        """The same in milliampere-hours."""
        return {name: uc / UC_PER_MAH for name, uc in self.charge_uc().items()}
