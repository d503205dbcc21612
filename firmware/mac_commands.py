# SPDX-License-Identifier: EUPL-1.2
"""What the network may ask of a node, and the answers, for firmware.mac: loaded only when a downlink holds commands.

TS001 "MAC Commands", one function a command that changes something. All requests are executed, in order; the answers
stand in ``session.answers`` in the same order, each whole.
"""

from decoders.lorawan import mac_command_list as mac_commands
from firmware.mac import LinkChecked, NetworkTime
from firmware.mac_channels import band_of

if False:  # types only
    from firmware.mac import Event, Mac
    from firmware.session import Session

_LONGEST = 242  # of the answers: what FPort 0 holds at the fastest data rate
_LEAST_RX_HZ = 863_000_000  # a node may listen where it may not send
_MOST_RX_HZ = 870_000_000
_MOST_POWER = 7  # RP002-1.0.4 "EU863-870 TX Power": 8 to 14 are reserved
_KEEP = 15
_STICKY = (mac_commands.RX_PARAM_SETUP, mac_commands.RX_TIMING_SETUP, mac_commands.DL_CHANNEL)


def whole(answers: bytes, limit: int) -> bytes:
    """TS001 "MAC Commands": what does not fit is left off after the last whole answer that does."""
    end = 0
    while (answer := mac_commands.uplink_at(answers, end)) is not None and end + 1 + len(answer[1]) <= limit:
        end += 1 + len(answer[1])
    return answers[:end]


def sticky(answers: bytes) -> bytes:
    """Those of ``answers`` that stay in every uplink until a class A downlink."""
    kept = bytearray()
    at = 0
    while (answer := mac_commands.uplink_at(answers, at)) is not None:
        length = 1 + len(answer[1])
        if answer[0] in _STICKY:
            kept.extend(answers[at : at + length])
        at += length
    return bytes(kept)


def obey(mac: "Mac", session: "Session", data: bytes, snr_quarter_db: int) -> "list[Event]":
    """Execute ``data``, queue the answers in the session, return the events. What cannot be read ends the list.

    One command after the other: a list of 242 needs more than the heap has left.
    """
    events: "list[Event]" = []
    answers = bytearray()
    full = False
    at = 0
    command = mac_commands.downlink_at(data, 0)
    while command is not None:
        cid, payload = command
        answer = None
        at += 1 + len(payload)
        command = mac_commands.downlink_at(data, at)
        if cid == mac_commands.LINK_ADR:
            block = [payload]
            while command is not None and command[0] == cid:
                block.append(command[1])
                at += 1 + len(command[1])
                command = mac_commands.downlink_at(data, at)
            answer = bytes((cid, _link_adr(mac, session, block))) * len(block)
        elif cid == mac_commands.DEVICE_TIME:
            if mac.asked(cid):  # TS001 "DeviceTimeReq": only the direct answer counts
                events.append(NetworkTime(*mac_commands.parse_device_time_ans(payload)))
        elif cid == mac_commands.LINK_CHECK:
            if mac.asked(cid):
                events.append(LinkChecked(*mac_commands.parse_link_check_ans(payload)))
        elif cid == mac_commands.DUTY_CYCLE:
            session.max_duty = payload[0] & 0x0F
            answer = bytes((cid,))
        elif cid == mac_commands.RX_PARAM_SETUP:
            answer = bytes((cid, _rx_param_setup(mac, session, payload)))
        elif cid == mac_commands.DEV_STATUS:
            if not full:
                answer = bytes((cid, mac.battery_level, max(-32, min(31, snr_quarter_db >> 2)) & 0x3F))
        elif cid == mac_commands.NEW_CHANNEL:
            answer = bytes((cid, _new_channel(mac, session, payload)))
        elif cid == mac_commands.RX_TIMING_SETUP:
            session.rx_delay_s = (payload[0] & 0x0F) or 1
            answer = bytes((cid,))
        elif cid == mac_commands.DL_CHANNEL:
            answer = bytes((cid, _dl_channel(session, payload)))
        # RP002-1.0.4 "EU863-870 ... TXParamSetupReq": not implemented in this region, no answer
        if answer is not None and not full:
            full = len(answers) + len(answer) > _LONGEST
            if not full:
                answers.extend(answer)
    session.answers = bytes(answers)
    return events


def _link_adr(mac: "Mac", session: "Session", block: "list[bytes]") -> int:
    """TS001 "Link ADR Commands (LinkADRReq, LinkADRAns)": one atomic block; return the status of all its answers.

    With ADR off the network decides on channels and NbTrans alone; data rate and power are the node's own.
    """
    defined = session.defined_mask()
    mask = 0
    mask_ok = True
    for payload in block:
        control = payload[3] >> 4 & 7
        if control == 0:
            mask = payload[1] | payload[2] << 8
            mask_ok = mask_ok and not mask & ~defined
        elif control == 6:
            mask = defined
        else:
            mask_ok = False
    mask_ok = mask_ok and mask != 0
    dr, power = block[-1][0] >> 4, block[-1][0] & 0x0F
    dr = session.dr if dr == _KEEP else dr
    power = session.power if power == _KEEP else power
    dr_ok = power_ok = True
    if mac.adr:
        power_ok = power <= _MOST_POWER
        dr_ok = dr < len(mac.plan.data_rates) and _possible(session, mask if mask_ok else session.channel_mask, dr)
        accepted = mask_ok and dr_ok and power_ok
        if accepted:
            session.dr, session.power = dr, power
    else:
        dr_ok, power_ok = dr == session.dr, power == session.power
        accepted = mask_ok
    if accepted:
        session.channel_mask = mask
        session.nb_trans = (block[-1][3] & 0x0F) or 1  # 0 is the default
    return mask_ok | dr_ok << 1 | power_ok << 2


def _possible(session: "Session", mask: int, dr: int) -> bool:
    """Whether some channel of ``mask`` allows ``dr``."""
    return any(mask >> n & 1 and session.allows(n, dr) for n in range(len(session.channels_hz)))


def _rx_param_setup(mac: "Mac", session: "Session", payload: bytes) -> int:
    """TS001 "Receive Windows Parameters (RXParamSetupReq, RXParamSetupAns)": all or nothing."""
    offset = payload[0] >> 4 & 7
    dr = payload[0] & 0x0F
    frequency_hz = int.from_bytes(payload[1:4], "little") * 100
    channel_ok = _LEAST_RX_HZ <= frequency_hz <= _MOST_RX_HZ
    dr_ok = dr < len(mac.plan.data_rates)
    offset_ok = offset <= mac.plan.max_rx1_dr_offset
    if channel_ok and dr_ok and offset_ok:
        session.rx1_dr_offset, session.rx2_dr, session.rx2_frequency_hz = offset, dr, frequency_hz
    return channel_ok | dr_ok << 1 | offset_ok << 2


def _new_channel(mac: "Mac", session: "Session", payload: bytes) -> int:
    """TS001 "Creation and Modification of a Channel (NewChannelReq, NewChannelAns)"."""
    n = payload[0]
    if not len(mac.plan.default_channels_hz) <= n < len(session.channels_hz):
        return 0  # the default channels are read-only
    frequency_hz = int.from_bytes(payload[1:4], "little") * 100
    if frequency_hz == 0:
        session.channels_hz[n] = session.rx1_channels_hz[n] = 0
        session.channel_mask &= ~(1 << n)
        return 3
    lowest, highest = payload[4] & 0x0F, payload[4] >> 4
    frequency_ok = band_of(mac.plan, frequency_hz) is not None
    range_ok = lowest <= highest < len(mac.plan.data_rates)
    if frequency_ok and range_ok:
        session.channels_hz[n] = frequency_hz
        session.rx1_channels_hz[n] = 0
        session.dr_ranges[n] = payload[4]
        session.channel_mask |= 1 << n
        session.used_mask &= ~(1 << n)
    return frequency_ok | range_ok << 1


def _dl_channel(session: "Session", payload: bytes) -> int:
    """TS001 "Modification of a Downlink Channel (DlChannelReq, DlChannelAns)"."""
    n = payload[0]
    frequency_hz = int.from_bytes(payload[1:4], "little") * 100
    frequency_ok = _LEAST_RX_HZ <= frequency_hz <= _MOST_RX_HZ
    uplink_ok = n < len(session.channels_hz) and session.channels_hz[n] != 0
    if frequency_ok and uplink_ok:
        session.rx1_channels_hz[n] = frequency_hz
    return frequency_ok | uplink_ok << 1
