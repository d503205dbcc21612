# SPDX-License-Identifier: EUPL-1.2
"""SX1262: the receiver. DS = Semtech DS_SX1261-2_V2.1."""

import random

from simulators.air import PREAMBLE_NEEDED, SNR_LIMIT_DB, Air, Position, Transmission, noise_dbm, total_dbm
from simulators.chips import sx1262_commands as c
from simulators.chips import sx1262_registers as r
from simulators.chips.sx1262_core import NO_SWITCH_DB, Core

NOISE_FIGURE_DB = 6.0  # with boosted gain; the sensitivities of DS 3 follow from it
POWER_SAVING_DB = 3.0  # what the boosted gain is worth
SNR_REPORT_MAX_DB = 15.0  # the estimate saturates on strong signals
LONGER_PACKET = 32  # bytes; DS 15.4 says only that "longer packets" suffer


class Receiver:
    """SetRx, from the command to RxDone or Timeout."""

    def __init__(self, core: Core, air: Air, position: Position, antenna_dbi: float, seed: int) -> None:
        self._core = core
        self._air = air
        self._position = position
        self._antenna_dbi = antenna_dbi
        self._random = random.Random(seed)
        self._loss_db = 0.0
        self._noise_figure_db = NOISE_FIGURE_DB
        self._locked: Transmission | None = None
        self._continuous = False
        self._write_at = 0
        self.rx_status = (0, 0)  # length, start
        self.packet_status = (0, 0, 0)
        self.stats = [0, 0, 0]  # received, CRC errors, header errors
        core.on_leave.append(self._leave)

    def _leave(self) -> None:
        self._locked = None
        self._air.detach(self)

    def start(self, steps: int) -> None:
        """DS 13.1.5 "SetRx": 0 = until one packet, 0xFFFFFF = for ever, else a timer."""
        if not self._core.ready_to("SetRx"):
            return
        self._continuous = steps == 0xFFFFFF
        self._write_at = self._core.config.rx_base
        begins = self._core.go("SetRx", c.RX, self._listen)
        if begins is not None:
            self._core.set_timer(0 if self._continuous else steps, begins)

    def _listen(self) -> None:
        modulation = self._core.config.modulation
        assert modulation is not None
        registers = self._core.config.registers
        self._loss_db = self._core.loss_db("SetRx")
        self._noise_figure_db = NOISE_FIGURE_DB
        if registers[r.RX_GAIN] != r.RX_BOOSTED:
            self._noise_figure_db += POWER_SAVING_DB
        if registers[r.ANA_LNA] & 0x01 == 0 or registers[r.ANA_MIXER] & 0x80 == 0:
            self._core.degrade("SetRx: front end left switched off after drawing random numbers")
            self._loss_db += NO_SWITCH_DB
        if self._core.config.symbol_timeout and not self._continuous:
            window = round(self._core.config.symbol_timeout * modulation.symbol_us)
            self._core.later(self._core.clock.now_us + window, self._symbols_passed)
        self._air.attach(self)
        for transmission in self._air.ongoing():
            self.heard(transmission)

    def _symbols_passed(self) -> None:
        """DS 13.4.9 "SetLoRaSymbNumTimeout": nothing detected in that many symbols."""
        if self._locked is None:
            self._core.stop_timer()
            self._core.end_by_timeout()

    def _fits(self, t: Transmission) -> bool:
        """Whether the demodulator can see this signal at all."""
        modulation, packet, frequency = (
            self._core.config.modulation,
            self._core.config.packet,
            self._core.config.frequency_hz,
        )
        assert modulation is not None
        assert packet is not None
        assert frequency is not None
        return (
            (t.sf, t.bandwidth_hz, t.iq_inverted) == (modulation.sf, modulation.bandwidth_hz, packet.iq_inverted)
            and abs(t.frequency_hz - frequency) <= modulation.bandwidth_hz // 4
            and self._snr_db(t) >= SNR_LIMIT_DB[t.sf]
        )

    def _level_dbm(self, t: Transmission) -> float:
        return self._air.level_dbm(t, self._position) + self._antenna_dbi - self._loss_db

    def _snr_db(self, t: Transmission) -> float:
        return self._level_dbm(t) - noise_dbm(t.bandwidth_hz, self._noise_figure_db)

    def heard(self, transmission: Transmission) -> None:
        """Detect the preamble if enough of it is left. DS 6.1.1.1: the more of it, the better; five symbols do."""
        t = transmission
        if not self._fits(t):
            return
        detected = max(self._core.clock.now_us, t.start_us) + round(PREAMBLE_NEEDED * t.symbol_us)
        if detected <= t.preamble_end_us:
            self._core.later(detected, lambda: self._detect(t))

    def _detect(self, t: Transmission) -> None:
        if self._locked is not None or self._air.was_cut(t):
            return
        self._locked = t
        if self._core.config.timer_stops_on_preamble:
            self._core.stop_timer()
        self._core.raise_irq(c.PREAMBLE_DETECTED)
        self._core.later(t.header_end_us, lambda: self._header(t))

    def _header(self, t: Transmission) -> None:
        registers, packet = self._core.config.registers, self._core.config.packet
        assert packet is not None
        word = registers[r.SYNC_WORD] << 8 | registers[r.SYNC_WORD + 1]
        if word != t.sync_word or t.implicit_header != packet.implicit_header:
            self._locked = None  # someone else's packet: search on
            return
        if not packet.implicit_header:
            if not self._air.survives(t, self._position) or self._air.was_cut(t):
                self.stats[2] += 1
                self._packet_over(c.HEADER_ERR)
                return
            self._core.stop_timer()
            self._core.raise_irq(c.HEADER_VALID)
        self._core.later(t.end_us, lambda: self._received(t))

    def _received(self, t: Transmission) -> None:
        modulation, packet = self._core.config.modulation, self._core.config.packet
        assert modulation is not None
        assert packet is not None
        good = self._air.survives(t, self._position) and not self._air.was_cut(t)
        good = good and t.low_data_rate == modulation.low_data_rate
        polarity_wrong = bool(self._core.config.registers[r.IQ_POLARITY] & 0x04) == packet.iq_inverted
        good = good and not (polarity_wrong and len(t.phy_payload) > LONGER_PACKET)
        data, crc_on = t.phy_payload, t.crc_on
        if packet.implicit_header:  # nothing on the air tells the receiver what to expect
            good = good and (t.coding_rate, t.crc_on) == (modulation.coding_rate, packet.crc_on)
            data, crc_on = (data + bytes(packet.length))[: packet.length], packet.crc_on
        if not good:
            data = bytes(byte ^ self._random.randrange(256) for byte in data)
        for n, byte in enumerate(data):
            self._core.buffer[(self._write_at + n) % 256] = byte
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
            self._core.enter(self._core.config.fallback)
        if bits & c.RX_DONE:
            self._core.command_status = c.DATA_AVAILABLE
        self._core.raise_irq(bits)

    def rssi_now(self) -> int:
        """DS 13.5.4 "GetRssiInst"."""
        assert self._core.config.modulation is not None
        assert self._core.config.frequency_hz is not None
        bandwidth = self._core.config.modulation.bandwidth_hz
        levels = [
            self._level_dbm(t)
            for t in self._air.ongoing()
            if abs(t.frequency_hz - self._core.config.frequency_hz) * 2 < bandwidth + t.bandwidth_hz
        ]
        return _rssi(total_dbm(noise_dbm(bandwidth, self._noise_figure_db), *levels))

    def random_byte(self) -> int:
        """DS 12.1 "RandomNumberGen": noise of the receiver, so there is none without it."""
        if self._core.mode != c.RX:
            self._core.degrade("random number read while not receiving")
            return 0
        return self._random.randrange(256)


def _rssi(level_dbm: float) -> int:
    """DS 13.5.3 "GetPacketStatus": minus half a dBm a step."""
    return max(0, min(255, round(-2 * level_dbm)))
