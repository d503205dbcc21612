# SPDX-License-Identifier: EUPL-1.2
"""Where and when the MAC core may transmit: channel choice, power, and the duty cycle.

ETSI EN 300 220-2 V3.1.1 "Duty cycle" is kept by a pause after each transmission. The frames that begin within
an hour and their pauses fill no more than that hour, the last one not counted; so the pauses share out what the hour
allows less the longest frame: at 1 % (36 s) a sub-band rests until 115 times the length of a frame have passed since
its start, by a clock that may run 6 % fast, as ``firmware.timing`` has it. The longest frame of the data rate bounds
what can be owed: a node that has lost its clock owes just that.
"""

from decoders.lorawan.airtime import time_on_air_us
from firmware.errors import BandBusy

if False:  # types only
    from decoders.lorawan.region import Plan
    from firmware.mac import Mac
    from firmware.session import Session

_LONGEST_US = 2_800_000  # no frame takes longer: 64 bytes at SF12, 2.793 s
_HOUR_S = 3816  # by a clock that runs 6 % fast
_PHY_OVERHEAD = 5  # MHDR and MIC around the MACPayload


def band_of(plan: "Plan", frequency_hz: int) -> "int | None":
    """Number of the sub-band, None where a node must not transmit."""
    for n, band in enumerate(plan.sub_bands):
        if band.low_hz <= frequency_hz < band.high_hz:
            return n
    return None


def free(mac: "Mac", channels: "list[tuple[int, int]]", now_s: int) -> "list[tuple[int, int]]":
    """Those of ``channels``, (number, frequency_hz), that may be used now; raises BandBusy if none may."""
    least_s = 1 << 31
    found = []
    for channel in channels:
        band: int = band_of(mac.plan, channel[1])  # type: ignore[assignment]  # only such channels are ever defined
        free_s = max(mac.band_free_s[band] if mac.duty_cycle else 0, mac.all_free_s)
        if free_s <= now_s:
            found.append(channel)
        least_s = min(least_s, free_s - now_s)
    if not found:
        raise BandBusy(least_s)
    return found


def enabled(session: "Session", plan: "Plan") -> "list[tuple[int, int]]":
    """(number, frequency_hz) of the channels for the session's data rate; the default ones again if there are none."""
    for _ in (0, 1):
        found = []
        for n, frequency_hz in enumerate(session.channels_hz):
            if session.channel_mask >> n & 1 and session.allows(n, session.dr):
                found.append((n, frequency_hz))
        if found:
            break
        session.channel_mask |= (1 << len(plan.default_channels_hz)) - 1
        session.dr = min(session.dr, session.dr_ranges[0] >> 4)
    return found


def choose(mac: "Mac", session: "Session", now_s: int, counter: int) -> "tuple[int, int]":
    """(number, frequency_hz): pseudo-random, every usable channel once before one again; raises BandBusy.

    RP002-1.0.4 "Regional Parameter Channel Plan Common Names", and TS001 "Retransmissions": repetitions hop as well.
    """
    usable = free(mac, enabled(session, mac.plan), now_s)
    fresh = [channel for channel in usable if not session.used_mask >> channel[0] & 1]
    if not fresh:
        session.used_mask = 0
        fresh = usable
    channel = fresh[mac.random(counter, len(fresh))]
    session.used_mask |= 1 << channel[0]
    return channel


def book(mac: "Mac", now_s: int, frequency_hz: int, dr: int, length: int) -> "tuple[int, int]":
    """Spend the airtime of a frame of ``length`` bytes; return (airtime_us, eirp_dbm)."""
    rate = mac.plan.data_rates[dr]
    airtime_us = time_on_air_us(length, rate.sf, rate.bandwidth_hz)
    number: int = band_of(mac.plan, frequency_hz)  # type: ignore[assignment]  # only such channels are ever defined
    _rest(mac, now_s, number, airtime_us)
    # ERP is relative to a dipole, EIRP 2.15 dB more: a whole dB is lost to rounding, on the safe side
    power = 0 if mac.session is None or mac.joining is not None else mac.session.power
    return airtime_us, min(mac.plan.max_eirp_dbm - 2 * power, mac.plan.sub_bands[number].max_erp_dbm + 2)


def _rest(mac: "Mac", now_s: int, number: int, airtime_us: int) -> None:
    hour_us = mac.plan.sub_bands[number].duty_permille * 3_600_000 - _LONGEST_US
    # 2 s more: whole seconds round both the clock and the pause down
    mac.band_free_s[number] = now_s + 2 + airtime_us * _HOUR_S // hour_us
    if mac.session is not None and mac.session.max_duty:
        # TS001 "End-Device Transmit Duty Cycle (DutyCycleReq, DutyCycleAns)": aggregated over all channels
        mac.all_free_s = now_s + 2 + (airtime_us << mac.session.max_duty) // 1_000_000


def assume_spent(mac: "Mac", now_s: int) -> None:
    """The clock was lost: rest as after the longest frame that may have been sent just before."""
    session = mac.session
    if session is None:
        return
    rate = mac.plan.data_rates[session.dr]
    airtime_us = time_on_air_us(rate.max_payload + _PHY_OVERHEAD, rate.sf, rate.bandwidth_hz)
    for _, frequency_hz in enabled(session, mac.plan):
        number: int = band_of(mac.plan, frequency_hz)  # type: ignore[assignment]  # only such channels are ever defined
        _rest(mac, now_s, number, airtime_us)
