# SPDX-License-Identifier: EUPL-1.2
"""What a node draws from its battery, by component: currents as data, times from the simulated parts.

Currents in microamperes at the battery, charge in microcoulombs (uA * s). Nothing here has been measured on our node:
each current says where it comes from, and what is assumed says so.
"""

from collections import defaultdict
from typing import NamedTuple

from simulators.chips import sx1262_commands as c
from simulators.chips import sx1262_registers as r
from simulators.node import State
from simulators.tree_node import TreeNode

_UC_PER_MAH = 3_600_000


class Current(NamedTuple):
    """``ua`` at the battery while it flows; ``component`` is the line of the table; ``source`` of the figure."""

    component: str
    ua: float
    source: str


_ESP32 = 'ESP32-S3 Series Datasheet, "Current Consumption in Low-Power Modes"'
_SX1262 = 'DS_SX1261-2_V2.1, "Power Consumption"'

# The processor. It waits at full current unless the firmware says otherwise.
MCU = {
    State.BOOTING: Current("MCU awake", 31_700, "ESP32-S3 at 160 MHz without Wi-Fi, measured by lucidar.me at 3.3 V"),
    State.AWAKE: Current("MCU awake", 31_700, "the same"),
    State.STOPPED: Current("MCU awake", 31_700, "the same: main has ended, the REPL waits"),
    State.LIGHT_SLEEP: Current("MCU light sleep", 240, f"{_ESP32}; boards have been seen at up to 2 mA"),
    State.ASLEEP: Current("MCU deep sleep", 8, f"{_ESP32}: RTC timer and RTC memory"),
}

# The radio with its DC-DC converter; what the LDO costs instead is _LDO_FACTOR.
RADIO = {
    c.RESET: Current("radio standby", 600, "assumed: as STDBY_RC"),
    c.STARTUP: Current("radio standby", 600, "assumed: as STDBY_RC"),
    c.SLEEP_COLD: Current("radio sleep", 0.6, "measured by users on a Wio-SX1262 (Seeed forum 294956)"),
    c.SLEEP_WARM: Current("radio sleep", 1.2, "measured by users on a Wio-SX1262 (Seeed forum 294956)"),
    c.STBY_RC: Current("radio standby", 600, _SX1262),
    c.STBY_XOSC: Current("radio standby", 800, _SX1262),
    c.FS: Current("radio standby", 2_100, _SX1262),
    c.RX: Current("radio receive", 4_600, f"{_SX1262}: LoRa 125 kHz"),
}
RX_BOOSTED = Current("radio receive", 5_300, f"{_SX1262}: LoRa 125 kHz, boosted gain")
_TRANSMIT = "radio transmit"  # c.PA_CONFIG has the currents; a lower SetTxParams is counted as its PA setting's full
TCXO = Current("radio standby", 1_500, "assumed: what a 1.8 V TCXO on DIO3 draws while it is supplied")
_LDO_FACTOR = 2.0  # DS_SX1261-2_V2.1, "Choice between DC-DC and LDO Regulation": the LDO about doubles it
_WITH_OSCILLATOR = (c.STBY_XOSC, c.FS, c.RX, c.TX)

BOARD = Current("regulators", 16, "Heltec V3 asleep with Vext off: 25 uA (WiFi_Kit_series issue 6) less MCU and radio")
STEP_UP_IDLE = Current("regulators", 1_000, "assumed: the 5 V converter without load, while the sensors' rail is on")
TRANSCEIVER = Current("regulators", 1_000, "assumed: RS485 transceiver enabled, while the sensors' rail is on")
STEP_UP_RATIO = 5.0 / (3.3 * 0.9)  # current into the converter for current out of it; Pololu: "over 90 %"
_SMT100, _DS18B20 = "sensor SMT100", "sensor DS18B20"

COMPONENTS = (
    "MCU awake",
    "MCU light sleep",
    "MCU deep sleep",
    "radio transmit",
    "radio receive",
    "radio standby",
    "radio sleep",
    _SMT100,
    _DS18B20,
    "regulators",
)


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


class EnergyLedger:
    """Follows one node from now on; ``charge_uc()`` is what it has drawn since, by component."""

    def __init__(self, node: TreeNode) -> None:
        self._node = node
        self._radio = node.radio.radio
        self._radio_uc: defaultdict[str, float] = defaultdict(float)
        self._since_us = self._radio.clock.now_us
        self._radio.on_leave.append(self._radio_changes)
        self._powered = bool(node.board_power.level)  # up to now: the chips hear of a power cut before we do
        node.board_power.watch(self._power_changes)
        node.bench.settle()
        self._before = self._other_uc()

    def _radio_changes(self) -> None:
        """The chip is about to leave its mode; its settings are still those of that mode."""
        self._book()

    def _power_changes(self, level: int) -> None:
        self._book()
        self._powered = bool(level)

    def _book(self) -> None:
        passed_us = self._radio.clock.now_us - self._since_us
        self._since_us += passed_us
        if self._powered and passed_us:
            for current in self._radio_currents():
                self._radio_uc[current.component] += current.ua * passed_us / 1e6

    def _radio_currents(self) -> list[Current]:
        mode, config = self._radio.mode, self._radio.config
        if mode == c.TX:
            _, tx_ma = c.PA_CONFIG[config.pa] if config.pa is not None else (0, 0)
            current = Current(_TRANSMIT, tx_ma * 1000, _SX1262)
        elif mode == c.RX and config.registers[r.RX_GAIN] == r.RX_BOOSTED:
            current = RX_BOOSTED
        else:
            current = RADIO[mode]
        if not config.dc_dc and mode in (c.FS, c.RX, c.TX):
            current = current._replace(ua=current.ua * _LDO_FACTOR)
        if mode in _WITH_OSCILLATOR and config.tcxo is not None:
            return [current, TCXO._replace(component=current.component)]
        return [current]

    def _other_uc(self) -> dict[str, float]:
        """All but the radio, since the node was made."""
        node, spent = self._node, defaultdict[str, float](float)
        for state, us in node.bench.statistics.state_us.items():
            if state is not State.OFF:
                spent[MCU[state].component] += MCU[state].ua * us / 1e6
                spent[BOARD.component] += BOARD.ua * us / 1e6
        spent[STEP_UP_IDLE.component] += (STEP_UP_IDLE.ua + TRANSCEIVER.ua) * node.smt100.powered_us() / 1e6
        spent[_SMT100] += node.smt100.charge_uc() * STEP_UP_RATIO
        spent[_DS18B20] += node.ds18b20.charge_uc()
        return spent

    def charge_uc(self) -> dict[str, float]:
        """By component, in the order of COMPONENTS, up to now."""
        self._node.bench.settle()
        self._radio_changes()
        other = self._other_uc()
        return {
            name: self._radio_uc.get(name, 0.0) + other.get(name, 0.0) - self._before.get(name, 0.0)
            for name in COMPONENTS
        }

    def charge_mah(self) -> dict[str, float]:
        """The same in milliampere-hours."""
        return {name: uc / _UC_PER_MAH for name, uc in self.charge_uc().items()}
