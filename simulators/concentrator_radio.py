# SPDX-License-Identifier: EUPL-1.2
"""A gateway's radio at a place on the air: an SX1302-like concentrator, whatever its software speaks to the server.

Who drives it takes what it receives (``take``) and has it transmit.
"""

from collections import Counter
from dataclasses import dataclass, field

from decoders.lorawan.airtime import low_data_rate_optimize
from simulators.air import PREAMBLE_NEEDED, SNR_LIMIT_DB, Air, Position, Transmission, noise_dbm, total_dbm
from simulators.clock import Clock
from simulators.jit_queue import WRAP, Downlink
from simulators.lorawan_frame import SYNC_WORD

# The three join channels and the five that a European join-accept usually adds
EU868_CHANNELS_HZ = (
    868_100_000, 868_300_000, 868_500_000, 867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000,
)  # fmt: skip
BANDWIDTH_HZ = 125_000
DEMODULATORS = 16  # SX1302 data sheet: packets received at the same time
NOISE_FIGURE_DB = 6.0
SNR_REPORT_MAX_DB = 15.0


@dataclass
class Counters:
    """What became of every packet on our channels, and of every downlink."""

    heard: int = 0  # by the antenna, on a channel, of our kind; the next five say why not more came of it
    too_weak: int = 0
    half_duplex: int = 0
    no_demodulator: int = 0
    crc_bad: int = 0
    no_crc: int = 0
    received: int = 0
    delivered: int = 0  # acknowledged by the network server
    asked: int = 0  # PULL_RESP
    sent: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    power_lowered: int = 0


@dataclass(frozen=True)
class Level:
    """How strong a packet was: with the noise, and alone."""

    rssi_dbm: float
    signal_dbm: float
    snr_db: float


class ConcentratorRadio:
    """``position`` in metres; ``counter_at_start``: what the internal counter shows now."""

    def __init__(
        self,
        clock: Clock,
        air: Air,
        position: tuple[float, float],
        *,
        channels_hz: tuple[int, ...],
        demodulators: int,
        antenna_dbi: float,
        counter_at_start: int,
    ) -> None:
        self._clock = clock
        self._air = air
        self._position = Position(*position)
        self._channels_hz = channels_hz
        self._demodulators = demodulators
        self._antenna_dbi = antenna_dbi
        self._counter_offset = counter_at_start - clock.now_us
        self._receiving: set[Transmission] = set()
        self._sending_until_us = 0
        self.counters = Counters()

    @property
    def tmst(self) -> int:
        """The internal counter, us, 32 bits."""
        return (self._clock.now_us + self._counter_offset) % WRAP

    def take(self, transmission: Transmission) -> None:
        """A packet with a good CRC was received, and ends now."""
        raise NotImplementedError

    def _channel(self, frequency_hz: int) -> int | None:
        for n, channel_hz in enumerate(self._channels_hz):
            if abs(frequency_hz - channel_hz) <= BANDWIDTH_HZ // 4:
                return n
        return None

    def _level_dbm(self, t: Transmission) -> float:
        return self._air.level_dbm(t, self._position) + self._antenna_dbi

    def heard(self, transmission: Transmission) -> None:
        t = transmission
        ours = t.bandwidth_hz == BANDWIDTH_HZ and t.sync_word == SYNC_WORD and not t.iq_inverted
        if not ours or t.implicit_header or self._channel(t.frequency_hz) is None:
            return
        self.counters.heard += 1
        if self._level_dbm(t) - noise_dbm(BANDWIDTH_HZ, NOISE_FIGURE_DB) < SNR_LIMIT_DB[t.sf]:
            self.counters.too_weak += 1
            return
        self._look_for(t, self._clock.now_us)

    def _look_for(self, t: Transmission, from_us: int) -> None:
        """Detect the preamble after hearing enough of it from ``from_us`` on."""
        detected = from_us + round(PREAMBLE_NEEDED * t.symbol_us)
        if detected > t.preamble_end_us:
            self.counters.half_duplex += 1
            return
        self._clock.at(detected, lambda: self._detect(t, from_us))

    def _detect(self, t: Transmission, from_us: int) -> None:
        if self._sending_until_us > from_us:
            self._look_for(t, self._sending_until_us)
        elif len(self._receiving) >= self._demodulators:
            self.counters.no_demodulator += 1
        else:
            self._receiving.add(t)
            self._clock.at(t.end_us, lambda: self._received(t))

    def _received(self, t: Transmission) -> None:
        if t not in self._receiving:
            return  # our own transmitter has deafened us since
        self._receiving.remove(t)
        if (
            self._air.was_cut(t)
            or not self._air.survives(t, self._position)
            or t.low_data_rate != low_data_rate_optimize(t.sf, t.bandwidth_hz)
        ):
            self.counters.crc_bad += 1  # forward_crc_error is off
        elif not t.crc_on:
            self.counters.no_crc += 1  # forward_crc_disabled is off
        else:
            self.counters.received += 1
            self.take(t)

    def _measure(self, t: Transmission) -> Level:
        level, noise = self._level_dbm(t), noise_dbm(t.bandwidth_hz, NOISE_FIGURE_DB)
        return Level(total_dbm(level, noise), level, min(level - noise, SNR_REPORT_MAX_DB))

    def transmit(self, downlink: Downlink, start: int) -> None:
        """Send it now; what is being received is lost."""
        self.counters.half_duplex += len(self._receiving)
        self._receiving.clear()
        end = start + downlink.time_on_air_us()
        self._sending_until_us = end
        self.counters.sent += 1
        self._air.transmit(
            Transmission(
                start_us=start,
                end_us=end,
                frequency_hz=downlink.frequency_hz,
                sf=downlink.sf,
                bandwidth_hz=downlink.bandwidth_hz,
                power_dbm=downlink.power_dbm + self._antenna_dbi,
                iq_inverted=downlink.iq_inverted,
                sync_word=SYNC_WORD,
                phy_payload=downlink.phy_payload,
                crc_on=downlink.crc_on,
                preamble_symbols=downlink.preamble,
                position=self._position,
                coding_rate=downlink.coding_rate,
                implicit_header=downlink.implicit_header,
                low_data_rate=low_data_rate_optimize(downlink.sf, downlink.bandwidth_hz),
            )
        )
