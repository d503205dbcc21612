# SPDX-License-Identifier: EUPL-1.2
"""Joining, for firmware.mac: loaded only while there is no session. TS001 "Over-the-Air Activation"."""

from decoders.lorawan import join_frame
from decoders.lorawan.airtime import time_on_air_us
from decoders.lorawan.data_frame import JOIN_ACCEPT, m_type
from decoders.lorawan.region import JOIN_ACCEPT_DELAY1_MS, JOIN_ACCEPT_DELAY2_MS, parse_cf_list
from firmware.errors import BandBusy
from firmware.mac import Dropped, Joined, OpenWindow
from firmware.mac_channels import band_of, free
from firmware.session import Session

if False:  # types only
    from firmware.mac import Event, Mac, Transmit

_JOIN_DRS = (5, 4, 3, 2, 1, 0)  # one after the other: the fastest that reaches a gateway stays for the data
_REQUEST_LENGTH = 23
# TS001 "Retransmissions back-off", TR007-1.1 "Avoiding Congestion Collapse": since the first request, how long a period
# lasts, its airtime in ms, and the part of it that we spread over the period
_FIRST_HOUR = (3600, 36_000, 100)
_TEN_HOURS = (36_000, 36_000, 1000)
_EACH_DAY = (86_400, 8_700, 10_000)
_SPREAD_S = 3600  # those who wait for the next period do not all start with it


def _period(mac: "Mac", now_s: int) -> "tuple[int, int, tuple[int, int, int]]":
    """(number of the period, 0 to 255; when it ends; the period)."""
    starts_s = mac.join_started_s
    ends_s = starts_s + _FIRST_HOUR[0]
    if now_s < ends_s:
        return 0, ends_s, _FIRST_HOUR
    ends_s += _TEN_HOURS[0]
    if now_s < ends_s:
        return 1, ends_s, _TEN_HOURS
    days = (now_s - ends_s) // _EACH_DAY[0]
    return 2 + days % 254, ends_s + (days + 1) * _EACH_DAY[0], _EACH_DAY


def _account(mac: "Mac", now_s: int, dr: int) -> None:
    """Book a request on the running period; raises BandBusy if it would hold too much."""
    if mac.join_attempts == 0:
        mac.join_started_s = now_s
        mac.join_period = mac.join_spent_ms = 0
    number, ends_s, (_, limit_ms, _) = _period(mac, now_s)
    if number != mac.join_period:
        mac.join_period, mac.join_spent_ms = number, 0
    airtime_ms = _airtime_us(mac, dr) // 1000 + 1
    if mac.join_spent_ms + airtime_ms >= limit_ms:
        raise BandBusy(ends_s - now_s + mac.random(mac.next_dev_nonce, _SPREAD_S))
    mac.join_spent_ms += airtime_ms


def _airtime_us(mac: "Mac", dr: int) -> int:
    rate = mac.plan.data_rates[dr]
    return time_on_air_us(_REQUEST_LENGTH, rate.sf, rate.bandwidth_hz)


def request(mac: "Mac", now_s: int) -> "Transmit":
    """The next join request; raises BandBusy. TS001 "Join-Request frame": a DevNonce is never used twice."""
    dev_nonce = mac.next_dev_nonce
    plan = mac.plan
    channels = free(mac, list(enumerate(plan.default_channels_hz)), now_s)
    _, frequency_hz = channels[mac.random(dev_nonce, len(channels))]
    dr = _JOIN_DRS[mac.join_attempts % len(_JOIN_DRS)]
    _account(mac, now_s, dr)
    join_request = join_frame.JoinRequest(mac.identity.join_eui, mac.identity.dev_eui, dev_nonce)
    phy_payload = join_request.serialize(mac.identity.app_key)
    mac.next_dev_nonce = dev_nonce + 1
    mac.join_attempts += 1
    rx2_hz, rx2_dr = plan.rx2
    windows = [
        OpenWindow(JOIN_ACCEPT_DELAY1_MS * 1000, frequency_hz, plan.rx1_dr(dr, 0)),
        OpenWindow(JOIN_ACCEPT_DELAY2_MS * 1000, rx2_hz, rx2_dr),
    ]
    return mac.transmit_join(now_s, frequency_hz, dr, phy_payload, (dev_nonce, dr), windows)


def back_off_s(mac: "Mac", now_s: int) -> int:
    """How long to wait after an unanswered join request, randomised. TS001 "Retransmissions back-off"."""
    share = _period(mac, now_s)[2][2]
    wait_s = _airtime_us(mac, _JOIN_DRS[(mac.join_attempts - 1) % len(_JOIN_DRS)]) * share // 1_000_000 + 1
    return wait_s + mac.random(mac.next_dev_nonce, wait_s // 2 + 4)


def after_power_up_s(mac: "Mac", now_s: int) -> int:
    """How long to wait if the last request of a series was before a power cut: in its first hour the pause begins anew.

    Later, when pauses take hours, there is none: whoever presses reset beside a node wants to see it join. What its
    period may hold is accounted on flash, so a supply that fails again and again does not send more.
    """
    return back_off_s(mac, now_s) if mac.join_period == 0 else 0


def accept(mac: "Mac", phy_payload: bytes, dev_nonce: int, dr: int) -> "list[Event]":
    """TS001 "Join-Accept frame". Raises RemoteError."""
    if m_type(phy_payload) != JOIN_ACCEPT:
        return [Dropped("m_type")]
    plan = mac.plan
    answer = join_frame.JoinAccept.parse(phy_payload, mac.identity.app_key)
    if answer.join_nonce <= mac.last_join_nonce:
        return [Dropped("join_nonce")]
    rx1_dr_offset = answer.dl_settings >> 4 & 7
    rx2_dr = answer.dl_settings & 0x0F
    if rx1_dr_offset > plan.max_rx1_dr_offset or rx2_dr >= len(plan.data_rates):
        return [Dropped("dl_settings")]
    keys = join_frame.derive_session_keys(mac.identity.app_key, answer.join_nonce, answer.net_id, dev_nonce)
    session = Session(answer.dev_addr, keys[0], keys[1], dr)
    session.rx1_dr_offset = rx1_dr_offset
    session.rx2_dr = rx2_dr
    session.rx_delay_s = (answer.rx_delay & 0x0F) or 1  # TS001 "RXTimingSetupReq": 0 is 1 s
    # The CFList's channels follow the default ones; an unused or unusable frequency leaves its slot empty.
    for n, frequency_hz in enumerate(parse_cf_list(answer.cf_list), len(plan.default_channels_hz)):
        if band_of(plan, frequency_hz) is not None:
            session.channels_hz[n] = frequency_hz
            session.channel_mask |= 1 << n
    mac.last_join_nonce = answer.join_nonce
    mac.session = session
    mac.join_attempts = 0
    mac.all_free_s = 0
    return [Joined(answer.dev_addr)]
