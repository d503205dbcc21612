# SPDX-License-Identifier: EUPL-1.2
"""Sends what is due, listens, and acts on what comes back, for a wake: loaded only then."""

import struct

from firmware import network_time
from firmware.errors import BandBusy
from firmware.mac import Accepted, Acknowledged, LinkChecked, NetworkTime
from firmware.node import CONTINUOUS, silence, unload
from firmware.state import SENT

if False:  # types only
    from firmware.mac import Event, Transmit
    from firmware.wake import Wake

_SILENT_S = 6 * 3600  # a network that is silent for so long is asked
_AWAKE_MS = 4000  # a repetition due sooner is waited for; for a later one the node sleeps deeply
_FOLLOW_S = 15  # least pause before an uplink besides those with a new sample; up to twice that, by DevEUI
_TRIES = 3  # of one, until the network is heard again


def report(wake: "Wake", sampled: bool) -> None:
    """Send what is due most."""
    from firmware import reports

    mac = wake.mac
    memory = wake.memory
    now_s = wake.clock.time()
    room = max(0, mac.room() - 2)  # for two requests of one byte
    identity = wake.node.identity
    message = reports.choose(
        memory, wake.settings, wake.history, identity.profile, room, now_s, sampled, wake.node.safe
    )
    asking = network_time.time_due(memory, now_s)
    if asking:
        mac.ask_time()
    silent = now_s - memory.heard_local_s >= _SILENT_S
    if (message.asks or silent) and (not asking or memory.unanswered):  # a network without time answers that
        asking = True
        mac.ask_link()
    del reports
    unload()
    wake.node.store.reserve(mac, memory, now_s)
    try:
        transmit = mac.uplink(now_s, message.f_port, message.payload, identity.confirmed)
    except BandBusy as busy:
        memory.follow_local_s = now_s + busy.wait_s  # what is to be said is in the history
        return
    memory.follow_local_s = 0
    memory.asking = asking
    memory.sent = struct.pack(SENT, message.kind, message.before_s, message.oldest_s, message.newest_s)
    message.noted(memory, wake.history, now_s)
    del message
    _send(wake, transmit)


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
    if reports.more(memory, wake.settings, wake.history, now_s):
        pause_s = _FOLLOW_S + (wake.spread + mac.session.f_cnt_up * 7) % _FOLLOW_S
        memory.follow_local_s = now_s + max(pause_s, mac.wait_s(now_s) + 1)


def exchange(wake: "Wake", transmit: "Transmit") -> bool:
    """Whether there was a downlink for us; a radio that errs is counted, and costs this exchange at most."""
    memory = wake.memory
    if not wake.airtime_us:
        wake.measured_ms = wake.clock.ticks_diff(wake.clock.ticks_ms(), wake.started_ms)
    wake.airtime_us += transmit.airtime_us
    wake.node.sent = True
    asked = memory.asking and wake.mac.joining is None
    before = None if wake.mac.session is None else wake.mac.session.f_cnt_down
    try:
        fault, ended_s, events = _on_air(wake, transmit)
    except Exception:
        # a frame that we fail on fails us once
        if wake.mac.session is not None and wake.mac.session.f_cnt_down != before:
            wake.node.store.checkpoint(wake.mac, memory, wake.clock.time())
            wake.save()
        raise
    wake.node.board.radio_done()
    unload()  # what was on the air makes room for what it has brought
    if fault:
        memory.counters.radio_faults += 1
        print("radio:", fault)
    memory.counters.asked += asked
    return _heard(wake, events, ended_s)


def _on_air(wake: "Wake", transmit: "Transmit") -> "tuple[str, int, list[Event]]":
    """(what the radio did wrong or "", clock.time() at the end of the uplink, events)."""
    from firmware.link import Link
    from firmware.radio.sx1262 import RadioFault

    board = wake.node.board
    memory = wake.memory
    radio = board.radio()
    events: "list[Event]" = []
    ended_s = 0
    fault = "" if radio.asleep() else "not asleep"  # since the last exchange
    try:
        radio.start()
        light_sleep = None if wake.node.probes else board.light_sleep  # what counts hears nothing in it
        link = Link(radio, wake.clock, board.watchdog_feed, board.antenna_gain_dbi, memory.budget, light_sleep)
        ended_s, events = link.exchange(wake.mac, transmit)
        radio.sleep()
        fault = fault or radio.oddity
        memory.counters.note_free(link.least_free)
    except RadioFault as raised:
        fault = raised.reason
        silence(board)
    return fault, ended_s, events


def _heard(wake: "Wake", events: "list[Event]", ended_s: int) -> bool:
    """Act on what came back; whether there was a downlink for us."""
    memory = wake.memory
    accepted = answered = False
    for event in events:
        if isinstance(event, NetworkTime):
            first = not memory.time_known
            network_time.set_clock(memory, event.gps_s, ended_s)
            if first:
                _stamp(wake)
        if isinstance(event, (NetworkTime, LinkChecked, Acknowledged)):
            answered = True
        if isinstance(event, Accepted):
            accepted = True
            memory.counters.answered += memory.asking
            if event.payload:
                _obey(wake, event.f_port, event.payload)
    if answered:
        from firmware import reports

        memory.tries = 0
        if reports.arrived(memory, wake.clock.time()):
            wake.node.restart = True
    return accepted


def _stamp(wake: "Wake") -> None:
    """The time is known: give it to the samples that have been waiting for it."""
    memory = wake.memory
    samples = wake.history.newest(1)[1]
    if wake.history.stamp(memory.gps_less_local_s, samples[0][0] if samples else 0):
        memory.kept = 0xFF  # send them as soon as may be
    wake.schedule()


def _obey(wake: "Wake", f_port: int, payload: bytes) -> None:
    """A downlink of the application: settings."""
    from decoders.settings import F_PORT

    if f_port != F_PORT:
        return
    from decoders.layouts import of
    from firmware.settings import COUNTERS, READ_ONLY

    settings = wake.settings
    node = wake.node
    profile = node.identity.profile
    interval_s = settings.interval_s
    probes = settings.probes, settings.slow_below_kmh, settings.fast_above_kmh
    fields = len(of(profile).fields)
    known = COUNTERS if profile in CONTINUOUS else READ_ONLY
    wake.memory.answer = settings.obey(payload, fields, wake.memory.delivery, known)
    wake.memory.tries = 0
    if settings.interval_s != interval_s:
        wake.schedule()
    node.safe = node.safe or bool(settings.safe_mode)
    if node.safe or probes != (settings.probes, settings.slow_below_kmh, settings.fast_above_kmh):
        while node.probes:  # ``listen`` begins with others
            node.probes.pop().stop()
            node.board.sensor_power(False)
