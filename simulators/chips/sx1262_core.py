# SPDX-License-Identifier: EUPL-1.2
"""SX1262: settings, modes, oscillator, timer and interrupts; transmitter and receiver build on it.

DS = Semtech DS_SX1261-2_V2.1. What the chip would refuse goes into ``refusals``; what it would obey, but so that the
radio link suffers, goes into ``degradations`` and costs signal.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from simulators.chips import sx1262_commands as c
from simulators.chips import sx1262_registers as r
from simulators.chips.sx1262_registers import Registers
from simulators.clock import Clock, Event

STEP_US = 15.625  # DS 13.1.4 "SetTx": unit of all timeouts
NO_SWITCH_DB = 60.0  # the antenna switch rests in isolation
KEPT = 1000  # entries kept of each list of complaints


@dataclass(eq=False)
class Config:
    """What a cold start forgets. Reset values of DS 13 and 12."""

    lora: bool = False
    frequency_hz: int | None = None
    modulation: c.Modulation | None = None
    packet: c.Packet | None = None
    pa: tuple[int, int] | None = None
    tx_power: int | None = None
    ramp_us: int = 10
    fallback: str = c.STBY_RC
    timer_stops_on_preamble: bool = False
    irq_mask: int = 0
    dio1_mask: int = 0
    tx_base: int = 0
    rx_base: int = 0
    symbol_timeout: int = 0
    rf_switch: bool = False
    tcxo: tuple[float, int] | None = None  # V, delay in us
    dc_dc: bool = False
    calibrated: int = 0  # bits of Calibrate done with a running oscillator
    image_mhz: tuple[int, int] = (902, 928)
    registers: Registers = field(default_factory=Registers)


class Core:
    """Modes and everything two halves of a radio share. ``busy_us`` and ``dio1`` are how it moves its pins."""

    def __init__(
        self, clock: Clock, tcxo_start_us: int | None, busy_us: Callable[[int], None], dio1: Callable[[int], None]
    ) -> None:
        self.clock = clock
        self.on_leave: list[Callable[[], None]] = []  # the halves stop what they do when the mode changes
        self.config = Config()
        self.buffer = bytearray(256)
        self.irq = 0
        self.irq_lost = False  # Fault.IRQ_LOST
        self.errors = 0
        self.command_status = c.ACCEPTED
        self.refusals: list[str] = []
        self.degradations: list[str] = []
        self.mode = c.RESET
        self.busy_us = busy_us
        self._dio1 = dio1
        self._tcxo_start_us = tcxo_start_us
        self._since_us = clock.now_us
        self._ledger = dict.fromkeys(c.MODES, 0)
        self._pending: list[Event] = []  # what happens next unless the mode is left
        self._rtc: Event | None = None  # the timer of SetTx and SetRx

    # --- complaints, time, interrupts

    def refuse(self, why: str, status: int = c.PROCESSING_ERROR) -> None:
        self.command_status = status
        if len(self.refusals) < KEPT:
            self.refusals.append(why)

    def degrade(self, why: str) -> None:
        if len(self.degradations) < KEPT:
            self.degradations.append(why)

    def ledger(self) -> dict[str, int]:
        """Microseconds spent in each mode up to now."""
        spent = dict(self._ledger)
        spent[self.mode] += self.clock.now_us - self._since_us
        return spent

    def enter(self, mode: str) -> None:
        """Change the mode; whatever was under way in the old one ends."""
        for event in self._pending:
            event.cancel()
        self._pending.clear()
        for leave in self.on_leave:
            leave()
        self._ledger[self.mode] += self.clock.now_us - self._since_us
        self.mode, self._since_us = mode, self.clock.now_us

    def later(self, time_us: int, action: Callable[[], None]) -> Event:
        event = self.clock.at(time_us, action)
        self._pending.append(event)
        return event

    def raise_irq(self, bits: int) -> None:
        if self.irq_lost:
            return
        self.irq |= bits & self.config.irq_mask
        self.update_dio1()

    def update_dio1(self) -> None:
        self._dio1(1 if self.irq & self.config.dio1_mask else 0)

    def set_timer(self, steps: int, from_us: int) -> None:
        """Start the RTC timer; 0 stops it."""
        self.stop_timer()
        if steps:
            self._rtc = self.clock.at(from_us + round(steps * STEP_US), self._timer_expired)

    @property
    def timer_us(self) -> int | None:
        return None if self._rtc is None else self._rtc.time_us

    def stop_timer(self) -> None:
        if self._rtc is not None:
            self._rtc.cancel()
            self._rtc = None

    def _timer_expired(self) -> None:
        """DS 15.3 "Implicit Header Mode Timeout Behavior": a timer left running strikes in any later mode."""
        self._rtc = None
        self.end_by_timeout()

    def end_by_timeout(self) -> None:
        if self.mode in (c.TX, c.RX, c.FS, c.STBY_XOSC):
            self.enter(c.STBY_RC)
        self.raise_irq(c.TIMEOUT)

    # --- power states

    def start(self, from_mode: str) -> int:
        """Begin to start up after reset or sleep; return how long it takes, us. DS 8.1, 9.3."""
        if from_mode != c.SLEEP_WARM:
            self.config = Config()
            self.buffer = bytearray(256)
            self.irq = 0
            self.update_dio1()
            self.stop_timer()
            crystal = self._tcxo_start_us is None
            self.errors = 0 if crystal else c.XOSC_START_ERR  # DS 13.6.1: expected with a TCXO
            self.config.calibrated = 0x7F if crystal else 0
        else:
            self.config.registers.warm_start()
        self.command_status = c.ACCEPTED
        self.enter(c.STARTUP)
        wake = c.SWITCH_US[c.SLEEP_WARM if from_mode == c.SLEEP_WARM else c.SLEEP_COLD, c.STBY_RC]
        self.later(self.clock.now_us + wake, lambda: self.enter(c.STBY_RC))
        return wake

    def oscillator_us(self) -> int | None:
        """How long the 32 MHz oscillator takes to run; None if it never will. DS 13.3.6 "SetDIO3AsTcxoCtrl"."""
        if self.mode in (c.STBY_XOSC, c.FS, c.TX, c.RX):
            return 0
        tcxo = self.config.tcxo
        if self._tcxo_start_us is None:
            return None if tcxo else 0
        if tcxo is None or tcxo[1] < self._tcxo_start_us or not 1.7 <= tcxo[0] <= 1.9:
            return None
        return tcxo[1]

    def oscillator_failed(self, command: str) -> None:
        """DS 13.6.1: the command fails, the chip is back in STDBY_RC, the error is flagged."""
        self.errors |= c.XOSC_START_ERR
        self.refuse(f"{command}: the 32 MHz oscillator does not start", c.EXECUTION_FAILURE)
        if self.mode != c.STBY_RC:
            self.enter(c.STBY_RC)
        self.busy_us((self.config.tcxo or (0, 0))[1] + c.COMMAND_US)

    def go(self, command: str, mode: str, then: Callable[[], None] | None = None, extra_us: int = 0) -> int | None:
        """Switch to ``mode`` with the oscillator; return when it is reached, us, or None if it never is."""
        oscillator = self.oscillator_us()
        if oscillator is None:
            self.oscillator_failed(command)
            return None
        start = self.mode if self.mode in c.STANDBY or self.mode == c.FS else c.FS
        switch = c.SWITCH_US.get((self.mode, mode)) or c.SWITCH_US.get((start, mode), c.COMMAND_US)
        self.enter(c.STBY_XOSC if start == c.STBY_RC else start)
        ready = self.clock.now_us + oscillator + switch + extra_us

        def reached() -> None:
            self.enter(mode)
            if then is not None:
                then()

        self.later(ready, reached)
        self.busy_us(ready - self.clock.now_us)
        return ready

    # --- what both halves ask before they start

    def ready_to(self, command: str) -> bool:
        config = self.config
        missing = [
            name
            for name, value in (
                ("SetPacketType", config.lora or None),
                ("SetRfFrequency", config.frequency_hz),
                ("SetModulationParams", config.modulation),
                ("SetPacketParams", config.packet),
            )
            if value is None
        ]
        if missing:
            self.refuse(f"{command} without {' and '.join(missing)}", c.EXECUTION_FAILURE)
        return not missing

    def loss_db(self, command: str) -> float:
        """Signal lost to the set-up, dB, and a word on each cause."""
        config = self.config
        modulation, packet = config.modulation, config.packet
        assert modulation is not None
        assert packet is not None
        assert config.frequency_hz is not None
        loss = 0.0
        if not config.rf_switch:
            self.degrade(f"{command}: DIO2 does not drive the antenna switch")
            loss += NO_SWITCH_DB
        low, high = config.image_mhz
        if not low <= config.frequency_hz / 1e6 <= high:
            self.degrade(f"{command}: image calibrated for {low}-{high} MHz, not for {config.frequency_hz} Hz")
            loss += 6 if command == "SetRx" else 0
        if config.calibrated & 0x3F != 0x3F:
            self.degrade(f"{command}: blocks not calibrated with the oscillator running")
            loss += 6
        if bool(config.registers[r.IQ_POLARITY] & 0x04) == packet.iq_inverted:
            self.degrade(f"{command}: IQ polarity 0x0736 bit 2 does not fit (DS 15.4)")
            loss += 3
        if modulation.low_data_rate != (modulation.symbol_us >= 16_380):
            self.degrade(f"{command}: low data rate optimisation does not fit the symbol time")
        return loss
