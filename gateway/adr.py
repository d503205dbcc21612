# SPDX-License-Identifier: EUPL-1.2
"""Adaptive data rate that knows loss: what a node should send with, from what was heard of it and what was not.

A frame that did not arrive is a sample too: it was below the demodulation floor of what it was sent with. So the share
of transmissions that would fail under a setting is counted, not guessed from a maximum: the heard ones whose SNR, as if
at full power, is below its floor, and the missed ones, fewer of them under a more robust setting as the lower tail of
a Rayleigh channel has it. Of all settings (data rate, repetitions, power) the one wins whose airtime, with a price for
every frame lost and for every gap, is least: robust ones where they pay, fast ones where they do, whatever the node
sends with now. Only settings that work are weighed: a node that nobody hears costs nearly no airtime, and must not win
for that.

Values in, values out; TS001-1.0.4 "Link ADR Commands (LinkADRReq, LinkADRAns)", RP002-1.0.4 "EU863-870".
"""

from bisect import bisect_left
from collections.abc import Callable
from functools import cache
from itertools import accumulate
from math import inf
from struct import Struct
from typing import NamedTuple

from decoders.lorawan.airtime import time_on_air_us
from decoders.lorawan.region import EU868
from gateway.radio import FLOOR_DB

HISTORY = 32  # frames
MAX_DATA_RATE = 5
MAX_POWER = 7  # index: each step 2 dB less. RP002-1.0.4 "EU863-870 TX Power"
MAX_NB_TRANS = 3  # TS001 allows 15; a node that needs more than three has no link

PRICE_US = 800_000  # of a lost frame, in airtime
GAP_US = 1_600_000  # of the last of _REPEATS frames lost in a row: what it told no other one tells
_REPEATS = 4  # hourly uplinks that carry the same reading, or about so: firmware/README.md "Readings that are not lost"
_ENOUGH = 8  # transmissions known before anything is made cheaper
_SETTLED = 12  # frames between a change and a cheaper one
_PROVED = 2  # transmissions that failed, before airtime is spent against it: one may have been a collision
_URGENT_AFTER = 4  # frames between a change and a more robust one
_LESS = 0.85  # of the present cost, or a change is not worth its downlink
_WORKS = 0.5  # of the frames that the most robust setting would bring: no setting with less is advised
_GIVEN_UP = 0.05  # likewise: one with less is left, whatever that costs
_QUIETER = 0.05  # of the airtime: what less power may cost in losses
_RESERVE_DB = 1.0  # what a floor is taken higher for: concentrators differ
_CAUTION_DB = 1.5  # further, for whatever would be cheaper than now
_POWER_STEPS = 2  # less power only if it is this much less
_PHY_BYTES = 32  # for airtimes: a frame of our nodes
_FRAME = Struct("<bBh")  # SNR, transmissions heard and missed, threshold


class Setting(NamedTuple):
    """What a node sends with; ``tx_power`` is the index, 0 full power."""

    data_rate: int
    tx_power: int
    nb_trans: int


class Frame(NamedTuple):
    """One frame: the best SNR in quarters of a dB as if at full power, and how many of its transmissions were heard.

    ``threshold`` is the SNR, likewise, at which it could just be heard.
    """

    snr: int
    heard: int
    missed: int
    threshold: int


class Link(NamedTuple):
    """What is known of one node's link: its setting, the frames since it asked for ADR, oldest first."""

    setting: Setting
    since: int = 0  # frames since the setting changed
    frames: tuple[Frame, ...] = ()


def threshold_db(setting: Setting) -> float:
    """The SNR at full power at which ``setting`` can just be heard."""
    return FLOOR_DB[EU868.data_rates[setting.data_rate].sf] + 2 * setting.tx_power


@cache
def airtime_us(data_rate: int) -> int:
    """Of one transmission of a usual frame."""
    rate = EU868.data_rates[data_rate]
    return time_on_air_us(_PHY_BYTES, rate.sf, rate.bandwidth_hz)


def heard(link: Link, snr_db: float, lost: int = 0) -> Link:
    """The link after one more frame, ``lost`` frames after the one before."""
    at = round(4 * threshold_db(link.setting))
    gaps = (Frame(at, 0, link.setting.nb_trans, at),) * min(lost, HISTORY)
    snr = round(4 * (snr_db + 2 * link.setting.tx_power))
    frames = (*link.frames, *gaps, Frame(max(-120, min(snr, 127)), 1, 0, at))
    return Link(link.setting, min(link.since + 1 + lost, 255), frames[-HISTORY:])


def settled(link: Link, snr_db: float, transmissions: int, expected: int) -> Link:
    """The last frame once all its transmissions are over: its best SNR, and how many of ``expected`` were heard."""
    if not link.frames:
        return link
    last = link.frames[-1]
    snr = max(last.snr, min(127, round(4 * (snr_db + 2 * link.setting.tx_power))))
    final = last._replace(snr=snr, heard=min(transmissions, 15), missed=max(0, min(expected - transmissions, 15)))
    return link._replace(frames=(*link.frames[:-1], final))


def changed(link: Link, setting: Setting) -> Link:
    """The node sends with another setting from now on; what is known of the way to it stays true."""
    return link if setting == link.setting else Link(setting, 0, link.frames)


def advise(link: Link, allowed: Callable[[Setting], bool] = lambda _setting: True) -> Setting:
    """What the node should send with; the present setting where a change is not worth it, or not yet.

    ``allowed`` says no to what the node has refused.
    """
    now = link.setting
    if link.since < _URGENT_AFTER:
        return now
    loss = _Loss(link.frames)
    best = _best(loss, now, _CAUTION_DB, allowed)
    if loss.failed(now) < _PROVED and _airtime(best) > _airtime(now):
        return now
    if threshold_db(best) < threshold_db(now) or (best.nb_trans > now.nb_trans and best.data_rate <= now.data_rate):
        given_up = loss.of(now) > loss.bearable(_GIVEN_UP, allowed)
        return best if given_up or _cost(loss, best) < _LESS * _cost(loss, now) else now
    if link.since < _SETTLED or loss.known < _ENOUGH:
        return now
    cheaper = _cost(loss, best, _CAUTION_DB) < _LESS * _cost(loss, now)
    quieter = best[0] == now[0] and best[2] == now[2] and best.tx_power >= now.tx_power + _POWER_STEPS
    return best if cheaper or quieter else now


class _Loss:
    """Shares of lost frames under any setting, from a history."""

    def __init__(self, frames: tuple[Frame, ...]) -> None:
        by_snr = sorted((frame.snr, frame.heard) for frame in frames if frame.heard)
        self._snr = [snr for snr, _ in by_snr]
        self._below = [0, *accumulate(count for _, count in by_snr)]
        self._missed: dict[int, int] = {}
        for frame in frames:
            if frame.missed:
                self._missed[frame.threshold] = self._missed.get(frame.threshold, 0) + frame.missed
        self.known = self._below[-1] + sum(self._missed.values())
        self._failing = cache(self._count)

    def of(self, setting: Setting, caution_db: float = 0.0) -> float:
        """Share of frames lost; never 0, however many have arrived: a few say little."""
        failing = self._failing(round(4 * (threshold_db(setting) + caution_db)))
        return float(((failing + 0.5) / (self.known + 1)) ** setting.nb_trans)

    def bearable(self, share: float, allowed: Callable[[Setting], bool], caution_db: float = 0.0) -> float:
        """The most that a setting may lose that brings ``share`` of what the most robust one would."""
        robust = (Setting(data_rate, 0, MAX_NB_TRANS) for data_rate in range(MAX_DATA_RATE + 1))
        most_robust = next(filter(allowed, robust), None)
        return 1.0 if most_robust is None else 1 - share * (1 - self.of(most_robust, caution_db))

    def failed(self, setting: Setting) -> float:
        """How many transmissions of those known have failed or would have."""
        return self._failing(round(4 * threshold_db(setting)))

    def _count(self, threshold: int) -> float:
        failing = float(self._below[bisect_left(self._snr, threshold + round(4 * _RESERVE_DB))])
        for at, missed in self._missed.items():  # power below x in a Rayleigh channel: proportional to x, for small x
            failing += missed * min(1.0, 10 ** ((threshold - at) / 40))
        return failing


def _airtime(setting: Setting) -> int:
    return airtime_us(setting.data_rate) * setting.nb_trans


_BY_AIRTIME = sorted(
    (Setting(dr, 0, nb_trans) for dr in range(MAX_DATA_RATE + 1) for nb_trans in range(1, MAX_NB_TRANS + 1)),
    key=_airtime,
)


def _best(loss: _Loss, now: Setting, caution_db: float, allowed: Callable[[Setting], bool]) -> Setting:
    """The cheapest that works, its losses counted in airtime; then with the least power that makes it no dearer."""
    best, enough, bearable = now, inf, loss.bearable(_WORKS, allowed, caution_db)
    for setting in _BY_AIRTIME:
        if _airtime(setting) >= enough:  # and so are all that follow
            break
        if not allowed(setting) or loss.of(setting, caution_db) > bearable:
            continue
        if (cost := _cost(loss, setting, caution_db)) < enough:
            best, enough = setting, cost
    if enough == inf:
        enough = _cost(loss, best, caution_db)
    for tx_power in range(MAX_POWER, 0, -1):
        quieter = best._replace(tx_power=tx_power)
        if not allowed(quieter) or loss.of(quieter, caution_db) > bearable:
            continue
        if _cost(loss, quieter, caution_db) <= enough + _QUIETER * _airtime(best):
            return quieter
    return best


def _cost(loss: _Loss, setting: Setting, caution_db: float = 0.0) -> float:
    lost = loss.of(setting, caution_db)
    return _airtime(setting) + PRICE_US * lost + GAP_US * lost**_REPEATS


def serialize(link: Link) -> bytes:
    """For the database: setting and age in four bytes, then four a frame."""
    head = bytes([*link.setting, link.since])
    return head + b"".join([_FRAME.pack(snr, ok << 4 | missed, at) for snr, ok, missed, at in link.frames])


def parse(data: bytes) -> Link:
    """What ``serialize`` wrote."""
    frames = tuple([Frame(snr, counts >> 4, counts & 0x0F, at) for snr, counts, at in _FRAME.iter_unpack(data[4:])])
    return Link(Setting(data[0], data[1], data[2]), data[3], frames)


class Pilot:
    """The rule for one node in one object, for simulations: they find it by the entry point ``stadtfunk.adr``."""

    def __init__(self) -> None:
        self._link: Link | None = None
        self._f_cnt = -1

    def heard(self, f_cnt: int, snr_db: float, setting: tuple[int, int, int]) -> tuple[int, int, int]:
        """The first copy of a frame, sent with ``setting``; what the node should send with."""
        now = Setting(*setting)
        link = Link(now) if self._link is None else changed(self._link, now)
        self._link = heard(link, snr_db, f_cnt - self._f_cnt - 1 if self._link else 0)
        self._f_cnt = f_cnt
        return advise(self._link)

    def settled(self, snr_db: float, transmissions: int, expected: int) -> None:
        """All transmissions of that frame are over."""
        if self._link is not None:
            self._link = settled(self._link, snr_db, transmissions, expected)
