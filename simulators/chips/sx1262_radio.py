# SPDX-License-Identifier: EUPL-1.2
"""SX1262: the radio behind the command interpreter: modes, timers, transmitter and receiver.

DS = Semtech DS_SX1261-2_V2.1. What the chip would refuse goes into ``refusals``; what it would obey, but so that the
radio link suffers, goes into ``degradations`` and costs signal.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from simulators.air import PREAMBLE_NEEDED, SNR_LIMIT_DB, Air, Position, Transmission, noise_dbm, total_dbm
from simulators.chips import sx1262_commands as c
from simulators.chips import sx1262_registers as r
from simulators.chips.sx1262_registers import Registers
from simulators.clock import Clock, Event

STEP_US = 15.625  # DS 13.1.4 "SetTx": unit of all timeouts
NOISE_FIGURE_DB = 6.0  # with boosted gain; DS 3.5.2 "Receive Mode" sensitivities follow from it
POWER_SAVING_DB = 3.0  # what the boosted gain is worth
SNR_REPORT_MAX_DB = 15.0  # the estimate saturates on strong signals
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


class Radio:
    """Modes and the air. ``busy_us`` and ``dio1`` are how it moves its pins."""

    def __init__(
        self,
        clock: Clock,
        air: Air,
        position: Position,
        antenna_dbi: float,
        tcxo_start_us: int | None,
        busy_us: Callable[[int], None],
        dio1: Callable[[int], None],
        seed: int,
    ) -> None:
        self._clock = clock
        self._air = air
        self.position = position
        self._antenna_dbi = antenna_dbi
        self._tcxo_start_us = tcxo_start_us
        self._busy_us = busy_us
        self._dio1 = dio1
        self._random = random.Random(seed)
        self.config = Config()
        self.buffer = bytearray(256)
        self.irq = 0
        self.errors = 0
        self.command_status = c.ACCEPTED
        self.refusals: list[str] = []
        self.degradations: list[str] = []
        self.mode = c.RESET
        self._since_us = clock.now_us
        self._ledger = dict.fromkeys(c.MODES, 0)
        self._pending: list[Event] = []  # what happens next unless the mode is left
        self._rtc: Event | None = None  # the timer of SetTx and SetRx
        self._sending: Transmission | None = None
        self._locked: Transmission | None = None
        self._continuous = False
        self._header_us: int | None = None
        self._write_at = 0
        self.rx_status = (0, 0)
        self.packet_status = (0, 0, 0)
        self.stats = [0, 0, 0]

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
        spent[self.mode] += self._clock.now_us - self._since_us
        return spent

    def enter(self, mode: str) -> None:
        """Change the mode; whatever was under way in the old one ends."""
        for event in self._pending:
            event.cancel()
        self._pending.clear()
        if self._sending is not None:
            self._air.cut(self._sending)
            self._sending = None
        self._locked = None
        if self.mode == c.RX:
            self._air.detach(self)
        self._ledger[self.mode] += self._clock.now_us - self._since_us
        self.mode, self._since_us = mode, self._clock.now_us

    def _later(self, time_us: int, action: Callable[[], None]) -> Event:
        event = self._clock.at(time_us, action)
        self._pending.append(event)
        return event

    def raise_irq(self, bits: int) -> None:
        self.irq |= bits & self.config.irq_mask
        self.update_dio1()

    def update_dio1(self) -> None:
        self._dio1(1 if self.irq & self.config.dio1_mask else 0)

    def set_timer(self, steps: int, from_us: int) -> None:
        """Start the RTC timer; 0 stops it."""
        self.stop_timer()
        if steps:
            self._rtc = self._clock.at(from_us + round(steps * STEP_US), self._timer_expired)

    def stop_timer(self) -> None:
        if self._rtc is not None:
            self._rtc.cancel()
            self._rtc = None

    def _timer_expired(self) -> None:
        """DS 15.3 "Implicit Header Mode Timeout Behavior": a timer left running strikes in any later mode."""
        self._rtc = None
        self._end_by_timeout()

    def _end_by_timeout(self) -> None:
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
        self._later(self._clock.now_us + wake, lambda: self.enter(c.STBY_RC))
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
        self._busy_us((self.config.tcxo or (0, 0))[1] + c.COMMAND_US)

    def go(self, command: str, mode: str, then: Callable[[], None] | None = None, extra_us: int = 0) -> int | None:
        """Switch to ``mode`` with the oscillator; return when it is reached, us, or None if it never is."""
        oscillator = self.oscillator_us()
        if oscillator is None:
            self.oscillator_failed(command)
            return None
        start = self.mode if self.mode in c.STANDBY or self.mode == c.FS else c.FS
        switch = c.SWITCH_US.get((self.mode, mode)) or c.SWITCH_US.get((start, mode), c.COMMAND_US)
        self.enter(c.STBY_XOSC if start == c.STBY_RC else start)
        ready = self._clock.now_us + oscillator + switch + extra_us

        def reached() -> None:
            self.enter(mode)
            if then is not None:
                then()

        self._later(ready, reached)
        self._busy_us(ready - self._clock.now_us)
        return ready

    # --- transmitter

    def start_tx(self, steps: int) -> None:
        """DS 13.1.4 "SetTx"."""
        ready = self._ready_to("SetTx")
        if ready and (self.config.pa is None or self.config.tx_power is None):
            self.refuse("SetTx without SetPaConfig and SetTxParams", c.EXECUTION_FAILURE)
            ready = False
        if not ready:
            return
        begins = self.go("SetTx", c.TX, self._transmit, self.config.ramp_us)
        if begins is not None:
            self.set_timer(steps, begins)

    def _ready_to(self, command: str) -> bool:
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

    def _transmit(self) -> None:
        config = self.config
        modulation, packet, frequency = config.modulation, config.packet, config.frequency_hz
        assert modulation is not None
        assert packet is not None
        assert frequency is not None
        payload = bytes(self.buffer[(config.tx_base + n) % 256] for n in range(packet.length))
        now = self._clock.now_us
        registers = config.registers
        self._sending = Transmission(
            start_us=now,
            end_us=now + c.time_on_air_us(modulation, packet),
            frequency_hz=frequency,
            sf=modulation.sf,
            bandwidth_hz=modulation.bandwidth_hz,
            power_dbm=self._output_dbm() + self._antenna_dbi - self._loss_db("SetTx"),
            iq_inverted=packet.iq_inverted,
            sync_word=registers[r.SYNC_WORD] << 8 | registers[r.SYNC_WORD + 1],
            phy_payload=payload,
            crc_on=packet.crc_on,
            preamble_symbols=packet.preamble,
            position=self.position,
            coding_rate=modulation.coding_rate,
            implicit_header=packet.implicit_header,
            low_data_rate=modulation.low_data_rate,
        )
        self._later(self._sending.end_us, self._transmitted)
        self._air.transmit(self._sending)

    def _output_dbm(self) -> float:
        """Power at the pin. DS 13.1.14 and 13.4.4; DS 15.2 "Better Resistance to Antenna Mismatch"; DS 5.3.2 OCP."""
        assert self.config.pa is not None
        assert self.config.tx_power is not None
        registers = self.config.registers
        most_dbm, most_ma = c.PA_CONFIG[self.config.pa]
        power = most_dbm - (22 - self.config.tx_power)
        if registers[r.TX_CLAMP] & 0x1E != 0x1E:
            self.degrade("SetTx: TX clamp 0x08D8 bits 4:1 not set (DS 15.2)")
            power -= 5
        if registers[r.OCP] * 2.5 < most_ma and self.config.tx_power == 22:
            self.degrade("SetTx: over-current protection 0x08E7 below what the PA draws")
            power -= 6
        modulation = self.config.modulation
        assert modulation is not None
        if (registers[r.TX_MODULATION] & 0x04 == 0) != (modulation.bandwidth_hz == 500_000):
            self.degrade("SetTx: TX modulation 0x0889 bit 2 does not fit the bandwidth (DS 15.1)")
            power -= 3
        return power

    def _transmitted(self) -> None:
        self._sending = None
        self.stop_timer()
        self._fall_back()
        self.command_status = c.TX_IS_DONE
        self.raise_irq(c.TX_DONE)

    def _fall_back(self) -> None:
        self.enter(self.config.fallback)

    # --- what a wrong set-up costs, both ways

    def _loss_db(self, command: str) -> float:
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

    # --- receiver

    def start_rx(self, steps: int) -> None:
        """DS 13.1.5 "SetRx": 0 = until one packet, 0xFFFFFF = for ever, else a timer."""
        if not self._ready_to("SetRx"):
            return
        self._continuous = steps == 0xFFFFFF
        self._write_at = self.config.rx_base
        begins = self.go("SetRx", c.RX, self._listen)
        if begins is not None:
            self.set_timer(0 if self._continuous else steps, begins)

    def _listen(self) -> None:
        modulation = self.config.modulation
        assert modulation is not None
        registers = self.config.registers
        self._rx_loss_db = self._loss_db("SetRx")
        self._noise_figure_db = NOISE_FIGURE_DB
        if registers[r.RX_GAIN] != r.RX_BOOSTED:
            self._noise_figure_db += POWER_SAVING_DB
        if registers[r.ANA_LNA] & 0x01 == 0 or registers[r.ANA_MIXER] & 0x80 == 0:
            self.degrade("SetRx: front end left switched off after drawing random numbers")
            self._rx_loss_db += NO_SWITCH_DB
        if self.config.symbol_timeout and not self._continuous:
            window = round(self.config.symbol_timeout * modulation.symbol_us)
            self._later(self._clock.now_us + window, self._symbols_passed)
        self._air.attach(self)
        for transmission in self._air.ongoing():
            self.heard(transmission)

    def _symbols_passed(self) -> None:
        """DS 13.4.9 "SetLoRaSymbNumTimeout": nothing detected in that many symbols."""
        if self._locked is None:
            self.stop_timer()
            self._end_by_timeout()

    def _fits(self, t: Transmission) -> bool:
        """Whether the demodulator can see this signal at all."""
        modulation, packet, frequency = self.config.modulation, self.config.packet, self.config.frequency_hz
        assert modulation is not None
        assert packet is not None
        assert frequency is not None
        return (
            (t.sf, t.bandwidth_hz, t.iq_inverted) == (modulation.sf, modulation.bandwidth_hz, packet.iq_inverted)
            and abs(t.frequency_hz - frequency) <= modulation.bandwidth_hz // 4
            and self._snr_db(t) >= SNR_LIMIT_DB[t.sf]
        )

    def _level_dbm(self, t: Transmission) -> float:
        return self._air.level_dbm(t, self.position) + self._antenna_dbi - self._rx_loss_db

    def _snr_db(self, t: Transmission) -> float:
        return self._level_dbm(t) - noise_dbm(t.bandwidth_hz, self._noise_figure_db)

    def heard(self, transmission: Transmission) -> None:
        """Detect the preamble if enough of it is left. DS 6.1.1.1: the more of it, the better; five symbols do."""
        t = transmission
        if not self._fits(t):
            return
        detected = max(self._clock.now_us, t.start_us) + round(PREAMBLE_NEEDED * t.symbol_us)
        if detected <= t.preamble_end_us:
            self._later(detected, lambda: self._detect(t))

    def _detect(self, t: Transmission) -> None:
        if self._locked is not None or self._air.was_cut(t):
            return
        self._locked = t
        if self.config.timer_stops_on_preamble:
            self.stop_timer()
        self.raise_irq(c.PREAMBLE_DETECTED)
        self._later(t.header_end_us, lambda: self._header(t))

    def _header(self, t: Transmission) -> None:
        registers, packet = self.config.registers, self.config.packet
        assert packet is not None
        word = registers[r.SYNC_WORD] << 8 | registers[r.SYNC_WORD + 1]
        if word != t.sync_word or t.implicit_header != packet.implicit_header:
            self._locked = None  # someone else's packet: search on
            return
        if not packet.implicit_header:
            if not self._air.survives(t, self.position, t.header_end_us) or self._air.was_cut(t):
                self.stats[2] += 1
                self._packet_over(c.HEADER_ERR)
                return
            self.stop_timer()
            self.raise_irq(c.HEADER_VALID)
        self._later(t.end_us, lambda: self._received(t))

    def _received(self, t: Transmission) -> None:
        modulation, packet = self.config.modulation, self.config.packet
        assert modulation is not None
        assert packet is not None
        good = self._air.survives(t, self.position) and not self._air.was_cut(t)
        good = good and t.low_data_rate == modulation.low_data_rate
        polarity_wrong = bool(self.config.registers[r.IQ_POLARITY] & 0x04) == packet.iq_inverted
        good = good and not (polarity_wrong and len(t.phy_payload) > 32)  # DS 15.4: "longer packets" are lost
        data, crc_on = t.phy_payload, t.crc_on
        if packet.implicit_header:  # nothing on the air tells the receiver what to expect
            good = good and (t.coding_rate, t.crc_on) == (modulation.coding_rate, packet.crc_on)
            data, crc_on = (data + bytes(packet.length))[: packet.length], packet.crc_on
        if not good:
            data = bytes(byte ^ self._random.randrange(256) for byte in data)
        for n, byte in enumerate(data):
            self.buffer[(self._write_at + n) % 256] = byte
        self.rx_status = (len(data), self._write_at)
        self._write_at = (self._write_at + len(data)) % 256
        level, snr = self._level_dbm(t), self._snr_db(t)
        channel = total_dbm(level, noise_dbm(t.bandwidth_hz, self._noise_figure_db))
        snr = max(min(snr, SNR_REPORT_MAX_DB), -32.0)
        self.packet_status = (_rssi(channel), round(snr * 4) & 0xFF, _rssi(level))
        self.stats[0] += 1
        bits = c.RX_DONE
        if crc_on and not good:
            self.stats[1] += 1
            bits |= c.CRC_ERR
        self._packet_over(bits)

    def _packet_over(self, bits: int) -> None:
        self._locked = None
        if not self._continuous:
            self._fall_back()
        if bits & c.RX_DONE:
            self.command_status = c.DATA_AVAILABLE
        self.raise_irq(bits)

    def rssi_now(self) -> int:
        """DS 13.5.4 "GetRssiInst"."""
        assert self.config.modulation is not None
        assert self.config.frequency_hz is not None
        bandwidth = self.config.modulation.bandwidth_hz
        levels = [
            self._level_dbm(t)
            for t in self._air.ongoing()
            if abs(t.frequency_hz - self.config.frequency_hz) * 2 < bandwidth + t.bandwidth_hz
        ]
        return _rssi(total_dbm(noise_dbm(bandwidth, self._noise_figure_db), *levels))

    def random_byte(self) -> int:
        """DS 12.1 "RandomNumberGen": noise of the receiver, so there is none without it."""
        if self.mode != c.RX:
            self.degrade("random number read while not receiving")
            return 0
        return self._random.randrange(256)


def _rssi(level_dbm: float) -> int:
    """DS 13.5.3 "GetPacketStatus": minus half a dBm a step."""
    return max(0, min(255, round(-2 * level_dbm)))
