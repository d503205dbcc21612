# SPDX-License-Identifier: EUPL-1.2
"""One node behind leaves: log-normal shadowing that drifts, Rayleigh fading of every transmission, slow worsening.

Compares rules of adaptive data rate: each sees what a network server sees, and answers with LinkADRReq over a downlink
that fades too. The node obeys TS001-1.0.4 "Adaptive data rate control": without a downlink it asks after 64 frames,
and goes back to full power and slower data rates by itself 32 frames later. Random numbers belong to the frame, so
every rule meets the same channel.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from decoders.lorawan.airtime import time_on_air_us
from decoders.lorawan.region import EU868
from simulators.air import SNR_LIMIT_DB

PHY_BYTES = 32
_ADR_ACK_LIMIT = 64
_ADR_ACK_DELAY = 32
_MOST_SNR_DB = 12.0  # a concentrator reports no more

Setting = tuple[int, int, int]  # data rate, power index, NbTrans


class Rule(Protocol):
    """A rule of ADR for one node. All SNR as reported, in dB."""

    def heard(self, f_cnt: int, snr_db: float, setting: Setting) -> Setting:
        """The first copy of a frame, sent with ``setting`` as far as the server knows; what it should send with."""

    def settled(self, snr_db: float, transmissions: int, expected: int) -> None:
        """All transmissions of the last frame heard are over: how many were heard, and with which SNR at best."""


class Channel(NamedTuple):
    """Median SNR at full power when it begins, the sum of its worsening over the run, and the shadowing, in dB.

    The shadowing forgets itself after about ``coherence`` frames.
    """

    snr_db: float
    worsening_db: float
    shadowing_db: float = 3.0
    coherence: int = 50


class Result(NamedTuple):
    """What a run cost: frames sent and lost, airtime of all uplinks, downlinks sent for the sake of ADR."""

    frames: int
    lost: int
    airtime_us: int
    downlinks: int
    course: tuple[tuple[int, int], ...]  # (lost, airtime_us) of each twentieth of the run


@dataclass
class _Node:
    setting: Setting = (0, 0, 1)
    silent: int = 0  # ADRACKCnt

    def sends(self) -> bool:
        """Count one frame; returns ADRACKReq."""
        self.silent += 1
        over = self.silent - _ADR_ACK_LIMIT
        if over > 0 and over % _ADR_ACK_DELAY == 0:
            data_rate, _, nb_trans = self.setting
            if over == _ADR_ACK_DELAY:
                self.setting = data_rate, 0, nb_trans
            elif data_rate > 0:
                self.setting = data_rate - 1, 0, nb_trans
            else:
                self.setting = 0, 0, 1
        return over >= 0


class _Weather:
    """The SNR of any transmission of the run, up or down, at full power."""

    def __init__(self, channel: Channel, frames: int, seed: int) -> None:
        self._seed = seed
        source = random.Random(seed)
        keep = math.exp(-1 / channel.coherence)
        shadow = source.gauss(0, channel.shadowing_db)
        self._median = []
        for frame in range(frames):
            self._median.append(channel.snr_db + shadow - channel.worsening_db * frame / frames)
            shadow = keep * shadow + math.sqrt(1 - keep * keep) * source.gauss(0, channel.shadowing_db)

    def snr_db(self, frame: int, transmission: int, down: bool = False) -> float:
        power = random.Random((self._seed * 100_003 + frame) * 32 + transmission * 2 + down).expovariate(1.0)
        return self._median[frame] + 10 * math.log10(max(power, 1e-9) / math.log(2))  # the median is 0 dB


def run(rule: Rule, channel: Channel, frames: int, seed: int) -> Result:
    """One node sends ``frames`` frames."""
    weather, node = _Weather(channel, frames, seed), _Node()
    known: Setting = node.setting
    asked: tuple[int, Setting] | None = None  # in which frame the answer to a LinkADRReq stands, and what it takes on
    lost, airtime_us, downlinks = 0, 0, 0
    course: list[tuple[int, int]] = []
    mark_lost = mark_airtime = 0
    for frame in range(frames):
        ack_req = node.sends()
        data_rate, tx_power, nb_trans = used = node.setting
        rate = EU868.data_rates[data_rate]
        snrs: list[float] = []
        answered = False
        for transmission in range(nb_trans):
            airtime_us += time_on_air_us(PHY_BYTES, rate.sf, rate.bandwidth_hz)
            snr = weather.snr_db(frame, transmission) - 2 * tx_power
            if snr < SNR_LIMIT_DB[rate.sf]:
                continue
            snrs.append(min(snr, _MOST_SNR_DB))
            if len(snrs) == 1:
                if asked is not None and asked[0] == frame:
                    known = asked[1]
                elif data_rate != known[0]:  # it has gone back by itself, or its answer was lost
                    known = data_rate, 0, known[2]
                asked = None
                wanted = rule.heard(frame, snrs[0], known)
            if wanted == known and not ack_req:
                continue
            downlinks += 1
            if weather.snr_db(frame, transmission, down=True) >= SNR_LIMIT_DB[rate.sf]:
                node.silent, answered = 0, True
                if wanted != known:
                    node.setting = wanted
                    asked = frame + 1, wanted
                break
        if snrs:
            rule.settled(max(snrs), len(snrs), len(snrs) if answered else used[2])
        else:
            lost += 1
        if (frame + 1) * 20 // frames > len(course):
            course.append((lost - mark_lost, airtime_us - mark_airtime))
            mark_lost, mark_airtime = lost, airtime_us
    return Result(frames, lost, airtime_us, downlinks, tuple(course))


class ChirpStackDefault:
    """ChirpStack's default algorithm, as its documentation and its author's description have it.

    https://www.chirpstack.io/docs/chirpstack/features/adaptive-data-rate.html (inputs of an algorithm: the highest
    SNR of each of the last 20 uplinks, required SNR, installation margin of 10 dB) and
    https://forum.chirpstack.io/t/adr-algorithm-and-configuration/1638: margin / 3 is the number of steps; positive
    ones go to the data rate, then to less power; negative ones to more power, and never to a lower data rate.
    NbTrans by the share of frames missing among the last 20.
    """

    _HISTORY = 20
    _MARGIN_DB = 10.0
    # NbTrans by loss below 5, 10, 30 percent and above, and by NbTrans now
    _NB_TRANS = ((5, (1, 1, 2)), (10, (1, 2, 3)), (30, (2, 3, 3)), (101, (3, 3, 3)))

    def __init__(self) -> None:
        self._history: list[list[float]] = []  # [FCnt, SNR, power index]
        self._data_rate = -1

    def heard(self, f_cnt: int, snr_db: float, setting: Setting) -> Setting:
        data_rate, tx_power, nb_trans = setting
        if data_rate != self._data_rate and self._data_rate > data_rate:
            self._history.clear()
        self._data_rate = data_rate
        self._history = [*self._history, [f_cnt, snr_db, tx_power]][-self._HISTORY :]
        nb_trans = self._repetitions(nb_trans)
        best = max(snr for _, snr, power in self._history if power == tx_power)
        steps = int((best - SNR_LIMIT_DB[EU868.data_rates[data_rate].sf] - self._MARGIN_DB) / 3)
        if steps < 0:
            if sum(power == tx_power for _, _, power in self._history) == self._HISTORY:
                tx_power = max(0, tx_power + steps)
            return data_rate, tx_power, nb_trans
        faster = min(steps, 5 - data_rate) if data_rate < 5 else 0
        return data_rate + faster, min(7, tx_power + steps - faster), nb_trans

    def settled(self, snr_db: float, transmissions: int, expected: int) -> None:
        if self._history:
            self._history[-1][1] = max(self._history[-1][1], snr_db)

    def _repetitions(self, nb_trans: int) -> int:
        if len(self._history) < self._HISTORY:
            return nb_trans
        sent = self._history[-1][0] - self._history[0][0] + 1
        percent = 100 * (sent - self._HISTORY) / sent
        row = next(row for limit, row in self._NB_TRANS if percent < limit)
        return row[min(nb_trans, 3) - 1]


def compare(
    rules: dict[str, Callable[[], Rule]], nodes: int, frames: int, seed: int
) -> dict[str, list[tuple[Channel, Result]]]:
    """The same nodes under each rule: near and far ones, every other one getting worse by 8 dB."""
    results: dict[str, list[tuple[Channel, Result]]] = {name: [] for name in rules}
    for node in range(nodes):
        source = random.Random(seed * 1009 + node)
        channel = Channel(source.uniform(-12, 15), 8.0 if node % 2 else 0.0)
        for name, rule in rules.items():
            results[name].append((channel, run(rule(), channel, frames, seed * 7919 + node)))
    return results
