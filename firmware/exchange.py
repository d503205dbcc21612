# SPDX-License-Identifier: EUPL-1.2
"""One exchange on the air, and what the node does about what comes back."""

from firmware import network_time
from firmware.mac import Accepted, Acknowledged, LinkChecked, NetworkTime
from firmware.node import silence, unload

if False:  # types only
    from firmware.mac import Event, Transmit
    from firmware.wake import Wake


def exchange(wake: "Wake", transmit: "Transmit") -> bool:
    """Whether there was a downlink for us; a radio that errs is counted, and costs this exchange at most."""
    memory = wake.memory
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
    accepted = _heard(wake, events, ended_s)
    unload()
    return accepted


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
        unload()  # what obeyed and stamped makes room
        from firmware import reports

        memory.tries = 0
        if reports.arrived(memory, wake.clock.time()):
            wake.node.restart = True
    return accepted


def _stamp(wake: "Wake") -> None:
    """The time is known: give it to the samples that have been waiting for it."""
    memory = wake.memory
    history = wake.history()
    samples = history.newest(1)[1]
    if history.stamp(memory.gps_less_local_s, samples[0][0] if samples else 0):
        memory.kept = 0xFF  # send them as soon as may be
    wake.schedule()


def _obey(wake: "Wake", f_port: int, payload: bytes) -> None:
    """A downlink of the application: settings."""
    from decoders.settings import F_PORT

    if f_port != F_PORT:
        return
    from decoders.layouts import of
    from firmware.settings import PROBES

    settings = wake.settings
    node = wake.node
    profile = node.identity.profile
    interval_s = settings.interval_s
    probes = settings.probes, settings.slow_below_kmh, settings.fast_above_kmh
    fields = len(of(profile).fields)
    wake.memory.answer = settings.obey(payload, fields, wake.memory.delivery, PROBES[profile])
    wake.memory.tries = 0
    if settings.interval_s != interval_s:
        wake.schedule()
    node.safe = node.safe or bool(settings.safe_mode)
    if node.safe or probes != (settings.probes, settings.slow_below_kmh, settings.fast_above_kmh):
        while node.probes:  # ``listen`` begins with others
            node.probes.pop().stop()
            node.board.sensor_power(False)
