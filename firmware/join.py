# SPDX-License-Identifier: EUPL-1.2
"""Joins the network, for a wake: loaded only then."""

from firmware.errors import BandBusy
from firmware.exchange import exchange
from firmware.wake import EMPTY

if False:  # types only
    from firmware.wake import Wake


def if_due(wake: "Wake") -> None:
    """Join if battery, back-off and duty cycle allow."""
    memory = wake.memory
    now_s = wake.clock.time()
    if memory.power == EMPTY or now_s < memory.next_join_local_s:
        return
    try:
        _join(wake)
    except BandBusy as busy:
        memory.next_join_local_s = now_s + busy.wait_s


def _join(wake: "Wake") -> None:
    """One join request and its windows. Raises BandBusy."""
    mac = wake.mac
    memory = wake.memory
    store = wake.node.store
    clock = wake.clock
    before = mac.session
    if mac.join_attempts:
        memory.budget.missed()  # perhaps that was why
    transmit = mac.join_request(clock.time())
    store.checkpoint(mac, memory, clock.time())  # the DevNonce is spent, whatever happens now
    wake.save()
    exchange(wake, transmit)
    now_s = clock.time()
    if mac.session is not before:
        store.checkpoint(mac, memory, now_s)
        memory.unanswered = 0
        memory.next_join_local_s = 0
        memory.heard_local_s = now_s
        memory.ask_every_s = 0  # ask again, whatever the clock says
        memory.follow_local_s = now_s + max(1, mac.wait_s(now_s))
    else:
        wait_s = mac.join_back_off_s(now_s)
        if mac.session is not None:  # every other wake at most: reports go on
            wait_s = max(wait_s, wake.interval_s() * 3 // 2)
        memory.next_join_local_s = now_s + wait_s
    wake.save()
