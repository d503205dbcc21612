# SPDX-License-Identifier: EUPL-1.2
"""The radio channel between nodes and concentrators: path loss, noise, sensitivity, collisions, capture.

Everything random is drawn from the seed and from what it belongs to (the link, the transmission), never from a
shared sequence, so a run repeats itself whatever else is added to it. Power in dBm, distance in metres.
"""

import math
import random
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from simulators.clock import Clock


class Position(NamedTuple):
    """Where an antenna stands on the city's plane, metres east and north of its origin."""

    x_m: float
    y_m: float


class PathLoss(NamedTuple):
    """Log-distance model: ``reference_db`` at ``reference_m``, slope, and the two random parts in dB.

    Shadowing belongs to a link and is the same in both directions; fading belongs to one transmission.
    """

    reference_db: float
    reference_m: float
    exponent: float
    shadowing_db: float
    fading_db: float

    def median_db(self, distance_m: float) -> float:
        """Loss over ``distance_m`` without its random parts; nothing is nearer than a metre."""
        return self.reference_db + 10 * self.exponent * math.log10(max(distance_m, 1.0) / self.reference_m)


# Petajajarvi et al., "On the Coverage of LPWANs: Range Evaluation and Channel Attenuation Model for LoRa Technology",
# ITST 2015, land, 868 MHz: 128.95 dB at 1 km, exponent 2.32, shadowing 7.8 dB. The fading of two packets over one
# fixed link is not part of that model: 2 dB is what fixed nodes scatter by.
OULU_2015 = PathLoss(128.95, 1000.0, 2.32, 7.8, 2.0)
STEADY = OULU_2015._replace(shadowing_db=0.0, fading_db=0.0)

# SX1261/2 data sheet Rev 1.2, 6.1.1.1 "Spreading Factor": SNR a demodulator needs, dB, by spreading factor.
SNR_LIMIT_DB = {5: -2.5, 6: -5.0, 7: -7.5, 8: -10.0, 9: -12.5, 10: -15.0, 11: -17.5, 12: -20.0}

# Signal to interference ratio a demodulator needs, dB. Row: the wanted spreading factor, column: the interferer's,
# 7 to 12. Off the diagonal: Croce et al., "Impact of LoRa Imperfect Orthogonality: Analysis of Link-Level
# Performance", IEEE Communications Letters 22(4), 2018. Diagonal (capture): Goursaud and Gorce, "Dedicated networks
# for IoT: PHY/MAC state of the art and challenges", EAI Endorsed Transactions on Internet of Things, 2015.
REJECTION_DB = (
    (6, -8, -9, -9, -9, -9),
    (-11, 6, -11, -12, -13, -13),
    (-15, -13, 6, -13, -14, -15),
    (-19, -18, -17, 6, -17, -18),
    (-22, -22, -21, -20, 6, -20),
    (-25, -25, -25, -24, -23, 6),
)

PREAMBLE_NEEDED = 5  # symbols of a preamble that a receiver must hear to detect it


@dataclass(frozen=True, eq=False, slots=True)
class Transmission:
    """One LoRa packet on the air. ``power_dbm`` is radiated (EIRP); ``sync_word`` as in registers 0x0740/0x0741."""

    start_us: int
    end_us: int
    frequency_hz: int
    sf: int
    bandwidth_hz: int
    power_dbm: float
    iq_inverted: bool
    sync_word: int
    phy_payload: bytes
    crc_on: bool
    preamble_symbols: int
    position: Position
    coding_rate: int = 1  # 4/(4+n)
    implicit_header: bool = False
    low_data_rate: bool = False

    @property
    def symbol_us(self) -> float:
        return (1 << self.sf) * 1e6 / self.bandwidth_hz

    def after_us(self, symbols: float) -> int:
        """When the given number of symbols is out."""
        return self.start_us + round(symbols * self.symbol_us)

    @property
    def preamble_end_us(self) -> int:
        """End of the preamble proper; the sync word and the start of frame (4.25 symbols) follow."""
        return self.after_us(self.preamble_symbols)

    @property
    def header_end_us(self) -> int:
        """End of the eight symbols that carry the explicit header."""
        return self.after_us(self.preamble_symbols + (6.25 if self.sf < 7 else 4.25) + 8)


class Receiver(Protocol):
    """Whatever listens. A receiver attaches itself while it listens and asks for what is on the air already."""

    def heard(self, transmission: Transmission) -> None:
        """A transmission starts now, anywhere, on any channel."""


def noise_dbm(bandwidth_hz: int, noise_figure_db: float) -> float:
    """Thermal noise at 290 K in the bandwidth, seen through a receiver of that noise figure."""
    return -174 + 10 * math.log10(bandwidth_hz) + noise_figure_db


def total_dbm(*levels_dbm: float) -> float:
    """Power of several uncorrelated signals together."""
    return 10 * math.log10(sum(10 ** (level / 10) for level in levels_dbm))


class Air:
    """All that is on the air, and how loud it is where."""

    def __init__(self, clock: Clock, seed: int = 0, model: PathLoss = OULU_2015) -> None:
        self._clock = clock
        self._seed = seed
        self._model = model
        self._receivers: dict[Receiver, None] = {}
        self._recent: list[Transmission] = []
        self._cut: dict[Transmission, int] = {}
        self._losses: dict[tuple[Position, Position], float] = {}
        self.transmitted = 0

    def attach(self, receiver: Receiver) -> None:
        self._receivers[receiver] = None

    def detach(self, receiver: Receiver) -> None:
        self._receivers.pop(receiver, None)

    def transmit(self, transmission: Transmission) -> None:
        """Put ``transmission`` on the air; its start is now. Every attached receiver hears of it."""
        now = self._clock.now_us
        oldest = min((t.start_us for t in self._recent if self.end_us(t) >= now), default=now)
        self._recent = [t for t in self._recent if self.end_us(t) >= oldest]
        self._cut = {t: at for t, at in self._cut.items() if at >= oldest}
        self._recent.append(transmission)
        self.transmitted += 1
        for receiver in list(self._receivers):
            receiver.heard(transmission)

    def cut(self, transmission: Transmission) -> None:
        """The sender stops before the packet is out."""
        if self._clock.now_us < transmission.end_us:
            self._cut[transmission] = self._clock.now_us

    def was_cut(self, transmission: Transmission) -> bool:
        return transmission in self._cut

    def end_us(self, transmission: Transmission) -> int:
        return self._cut.get(transmission, transmission.end_us)

    def ongoing(self) -> list[Transmission]:
        """What is on the air now, in the order in which it started."""
        return [t for t in self._recent if t.start_us <= self._clock.now_us < self.end_us(t)]

    def path_loss_db(self, a: Position, b: Position) -> float:
        """Loss between two places, shadowing included; the same in both directions."""
        link = (a, b) if a <= b else (b, a)
        loss = self._losses.get(link)
        if loss is None:
            loss = self._model.median_db(math.dist(a, b))
            loss += self._draw(f"shadowing {link}", self._model.shadowing_db)
            self._losses[link] = loss
        return loss

    def _draw(self, of: str, deviation_db: float) -> float:
        return random.Random(f"{self._seed} {of}").gauss(0.0, deviation_db) if deviation_db else 0.0

    def level_dbm(self, transmission: Transmission, position: Position) -> float:
        """Power of ``transmission`` at an isotropic antenna at ``position``."""
        which = f"fading {transmission.start_us} {transmission.frequency_hz} {transmission.position} {position}"
        fading = self._draw(which, self._model.fading_db)
        return transmission.power_dbm - self.path_loss_db(transmission.position, position) + fading

    def survives(self, wanted: Transmission, position: Position) -> bool:
        """Whether ``wanted`` could be told so far from everything else on its channel.

        What ends before the last symbols of the preamble that a receiver needs does no harm (Bor et al., "Do LoRa
        Low-Power Wide-Area Networks Scale?", MSWiM 2016).
        """
        from_us = wanted.after_us(wanted.preamble_symbols - PREAMBLE_NEEDED)
        level = None
        for other in self._recent:
            if other is wanted or other.start_us >= wanted.end_us or self.end_us(other) <= from_us:
                continue
            if abs(other.frequency_hz - wanted.frequency_hz) * 2 >= other.bandwidth_hz + wanted.bandwidth_hz:
                continue
            if level is None:
                level = self.level_dbm(wanted, position)
            if level - self.level_dbm(other, position) < self._needed_db(wanted, other):
                return False
        return True

    @staticmethod
    def _needed_db(wanted: Transmission, other: Transmission) -> float:
        alike = other.iq_inverted == wanted.iq_inverted and other.bandwidth_hz == wanted.bandwidth_hz
        if alike and min(wanted.sf, other.sf) >= 7:
            return REJECTION_DB[wanted.sf - 7][other.sf - 7]
        if alike and wanted.sf == other.sf:
            return 6
        return SNR_LIMIT_DB[wanted.sf]  # chirps of another slope or direction despread to noise
