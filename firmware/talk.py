# SPDX-License-Identifier: EUPL-1.2
"""Sends what is due, and again what must be repeated, for a wake: loaded only then."""

import struct

from firmware import network_time
from firmware.errors import BandBusy
from firmware.exchange import exchange
from firmware.node import unload
from firmware.state import SENT

if False:  # types only
    from firmware.mac import Transmit
    from firmware.wake import Wake

_SILENT_S = 6 * 3600  # a network that is silent for so long is asked
_AWAKE_MS = 4000  # a repetition due sooner is waited for; for a later one the node sleeps deeply
_FOLLOW_S = 15  # least pause before an uplink besides those with a new sample; up to twice that, by DevEUI
_TRIES = 3  # of one, until the network is heard again


def report(wake: "Wake", sampled: bool) -> None:
    """Send what is due most."""
    transmit = _uplink(wake, sampled)  # apart: what its frame holds must have gone before the exchange
    unload()
    if transmit is not None:
        _send(wake, transmit)


def _uplink(wake: "Wake", sampled: bool) -> "Transmit | None":
    """None: the duty cycle forbids it."""
    from firmware import reports

    mac = wake.mac
    memory = wake.memory
    now_s = wake.clock.time()
    room = max(0, mac.room() - 2)  # for two requests of one byte
    identity = wake.node.identity
    message = reports.choose(
        memory, wake.settings, wake.history(), identity.profile, room, now_s, sampled, wake.node.safe
    )
    asking = network_time.time_due(memory, now_s)
    if asking:
        mac.ask_time()
    silent = now_s - memory.heard_local_s >= _SILENT_S
    if (message.asks or silent) and (not asking or memory.unanswered):  # a network without time answers that
        asking = True
        mac.ask_link()
    wake.node.store.reserve(mac, memory, now_s)
    try:
        transmit = mac.uplink(now_s, message.f_port, message.payload, identity.confirmed)
    except BandBusy as busy:
        memory.follow_local_s = now_s + busy.wait_s  # what is to be said is in the history
        return None
    memory.follow_local_s = 0
    memory.asking = asking
    memory.sent = struct.pack(SENT, message.kind, message.before_s, message.oldest_s, message.newest_s)
    message.noted(memory, wake.history(), now_s)
    return transmit


def repeat(wake: "Wake") -> None:
    """Send the last uplink once more, as soon as the duty cycle allows."""
    try:
        transmit = wake.mac.repeat(wake.clock.time())
    except BandBusy:
        return
    _send(wake, transmit)


def _send(wake: "Wake", transmit: "Transmit") -> None:
    """The uplink, and its repetitions if they are due soon; note what came back."""
    mac = wake.mac
    memory = wake.memory
    clock = wake.clock
    while True:
        wake.save()  # the counter is spent, whatever happens now
        if exchange(wake, transmit):
            wake.node.heard = True
            # a network that is there and does not tell the time: see reports.choose
            memory.unanswered = 0 if memory.time_known else memory.unanswered + memory.asking
            memory.heard_local_s = clock.time()
            # so that a downlink replayed after a power cut is known
            wake.node.store.checkpoint(mac, memory, clock.time())
            break
        wait_ms = mac.repeat_wait_ms(clock.time())
        if wait_ms is None:
            if memory.asking:
                memory.unanswered += 1
                memory.tries += 1
            if memory.asking or wake.node.identity.confirmed:
                memory.budget.missed()  # perhaps the windows were too narrow
            break
        if wait_ms > _AWAKE_MS:
            break
        clock.sleep_ms(wait_ms)
        wake.node.board.watchdog_feed()
        try:
            transmit = mac.repeat(clock.time())
        except BandBusy:
            break
    _follow(wake)
    wake.save()


def _follow(wake: "Wake") -> None:
    """Say when the next uplink besides those with new samples is due, if there is anything to say."""
    from firmware import reports

    memory = wake.memory
    mac = wake.mac
    if mac.session is None or memory.follow_local_s:
        return
    if memory.tries >= _TRIES:
        reports.give_up(memory)
    now_s = wake.clock.time()
    if reports.more(memory, wake.settings, wake.history(), now_s):
        pause_s = _FOLLOW_S + (wake.spread + mac.session.f_cnt_up * 7) % _FOLLOW_S
        memory.follow_local_s = now_s + max(pause_s, mac.wait_s(now_s) + 1)
