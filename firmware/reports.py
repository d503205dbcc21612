# SPDX-License-Identifier: EUPL-1.2
"""What the next uplink says; loaded to write it and unloaded before the exchange.

In this order: the answer to settings; while the time is unknown, diagnostics; with a new sample, that and older ones;
otherwise what the gateway lacks, then diagnostics if they are due.
"""

import struct

from firmware import diagnostics
from firmware.network_time import gps_at
from firmware.state import SENT

if False:  # types only
    from decoders.payload import Raw
    from firmware.history import History
    from firmware.settings import Settings
    from firmware.state import Memory

# What it is
_NOTHING = 0
_READINGS = 1
_AGAIN = 2
_ANSWER = 3
_DIAGNOSTICS = 4
_UNDATED = 5
_LEAST_SAMPLES = 8  # in a message: 0.4 to the power of 6 is what must be lost before one goes missing
_COVERED_S = 4 * 3600
_BLOCK = 48  # samples of history at most in one uplink: what a small heap can pack
_NO_TIME_AFTER = 4  # requests for the time in a row without an answer
_FURTHEST_S = 0xFFFF
_OUTAGE_S = 4 * 86_400


class Report:
    """An uplink to be: its payload, and what the node knows once it has arrived."""

    def __init__(self, kind: int, f_port: int, payload: bytes, asks: bool) -> None:
        self.kind = kind
        self.f_port = f_port
        self.payload = payload
        self.asks = asks  # it matters whether it arrives
        self.before_s = self.oldest_s = self.newest_s = 0
        self.count = 0  # of samples without their times

    def noted(self, memory: "Memory", history: "History", now_s: int) -> None:
        """It is about to be sent."""
        if self.kind in (_READINGS, _UNDATED):
            memory.kept = 0
        if self.kind == _UNDATED:
            # sent once, as "so long ago": sent again they would be other readings; without room they are lost
            memory.counters.readings_lost += history.drop_local() - self.count
        if self.kind == _DIAGNOSTICS:
            memory.next_diagnostics_local_s = now_s + diagnostics.AGAIN_S


def choose(
    memory: "Memory",
    settings: "Settings",
    history: "History",
    profile: str,
    room: int,
    now_s: int,
    sampled: bool,
    safe: bool,
) -> Report:
    """What to send in ``room`` bytes; ``sampled``: there is a new sample."""
    if memory.answer and len(memory.answer) <= room:
        from decoders.settings import F_PORT

        return Report(_ANSWER, F_PORT, memory.answer, True)
    if safe:
        return _diagnostics(memory, room, now_s)
    if not memory.time_known:
        if _never_tells(memory, settings):
            return _undated(memory, history, profile, room, now_s)
        return _diagnostics(memory, room, now_s)
    if not sampled and memory.kept < settings.send_every:
        if memory.delivery.wants():
            report = _again(memory, history, profile, room)
            if report is not None:
                return report
        if now_s >= memory.next_diagnostics_local_s:
            return _diagnostics(memory, room, now_s)
    return _readings(memory, settings, history, profile, room)


def _never_tells(memory: "Memory", settings: "Settings") -> bool:
    """Whether to send samples without their times. A network that has told it before is waited for if it is silent."""
    if memory.unanswered < _NO_TIME_AFTER:
        return False
    if memory.tries == 0 or not memory.delivery.known_s:  # it answers all else, or never told it
        return True
    return memory.unanswered * settings.interval_s >= _OUTAGE_S


def _diagnostics(memory: "Memory", room: int, now_s: int) -> Report:
    from decoders.layouts.diagnostics import LAYOUT
    from decoders.payload_encoder import fit

    mask, raws = LAYOUT.raws(memory.counters.values(memory.drift_ppm, memory.version))
    if memory.time_known:
        payload = fit(LAYOUT, mask, [(gps_at(memory, now_s), raws)], room)[0]
    else:
        payload = fit(LAYOUT, mask, [(0, raws)], room, False)[0]
    return Report(_DIAGNOSTICS, LAYOUT.f_port, payload, True)


def _undated(memory: "Memory", history: "History", profile: str, room: int, now_s: int) -> Report:
    from decoders.layouts import of
    from decoders.payload_encoder import fit

    layout = of(profile)
    mask, samples = history.newest(_BLOCK, local=True)
    samples = [(time_s - now_s, raws) for time_s, raws in samples if now_s - time_s <= _FURTHEST_S]
    if not samples:
        return _diagnostics(memory, room, now_s)
    payload, count = fit(layout, mask, samples, room, False)
    report = Report(_UNDATED if count else _NOTHING, layout.f_port, payload, True)
    report.count = count
    return report


def _readings(memory: "Memory", settings: "Settings", history: "History", profile: str, room: int) -> Report:
    from decoders.layouts import of
    from decoders.payload_encoder import fit, pauses

    layout = of(profile)
    most = settings.history or max(_LEAST_SAMPLES, _COVERED_S // settings.interval_s)
    mask, samples = history.newest(min(most, _BLOCK) + 1)
    for n in pauses(samples)[:1]:
        samples = samples[:n]
    payload, count = fit(layout, mask, samples[:-1] if len(samples) > most else samples, room)
    report = Report(_READINGS, layout.f_port, payload, False)
    if not count:
        report.kind = _NOTHING  # answers to the network need all the room, or there is no sample
        return report
    report.newest_s, report.oldest_s = samples[0][0], samples[count - 1][0]
    before = samples[count:] or history.between(0, report.oldest_s, 1)[1]
    report.before_s = before[0][0] if before else 0
    fresh = len([1 for time_s, _ in samples[:count] if time_s > memory.delivery.top_s()])
    report.asks = 3 * fresh >= 2 * count  # there are some more uplinks before what may be missing is in none
    return report


def _again(memory: "Memory", history: "History", profile: str, room: int) -> "Report | None":
    """The oldest that the gateway lacks, or None if there is nothing in the gap."""
    from decoders.layouts import of
    from decoders.payload_encoder import encode, pauses

    mask, samples = _lacking(memory, history, _BLOCK)
    if not samples:
        return None
    for n in pauses(samples)[-1:]:
        samples = samples[n:]
    layout = of(profile)
    count = len(samples)
    payload = b""
    while count:
        payload = encode(layout, mask, samples[-count:])
        if len(payload) <= room:
            break
        count = min(count - 1, count * room // len(payload) + 1)
    report = Report(_AGAIN, layout.f_port, payload if count else b"", True)
    if not count:
        report.kind = _NOTHING
        return report
    report.oldest_s, report.newest_s = samples[-1][0], samples[-count][0]
    return report


def _lacking(memory: "Memory", history: "History", most: int) -> "tuple[int, list[Raw]]":
    while memory.delivery.wants():
        after_s, before_s = memory.delivery.gap()
        mask, samples = history.between(after_s, before_s, most, oldest=True)
        if samples:
            return mask, samples
        memory.delivery.closed()
    return 0, []


def arrived(memory: "Memory", now_s: int) -> bool:
    """The network has answered the uplink that is in ``memory.sent``; return whether to start anew, as asked."""
    kind, before_s, oldest_s, newest_s = struct.unpack(SENT, memory.sent)
    memory.sent = struct.pack(SENT, _NOTHING, 0, 0, 0)
    delivery = memory.delivery
    if kind == _READINGS:
        delivery.arrived(before_s, oldest_s, newest_s)
    elif kind == _AGAIN:
        delivery.filled(newest_s)
    elif kind == _DIAGNOSTICS:
        memory.counters.clear()
        memory.next_diagnostics_local_s = now_s + diagnostics.EVERY_S
    elif kind == _ANSWER:
        return _answered(memory)
    return False


def _answered(memory: "Memory") -> bool:
    """The answer has arrived: whether it promised a new start."""
    from decoders.settings import DONE, REBOOT

    answer, memory.answer = memory.answer, b""
    at = 1
    while at + 3 <= len(answer):
        if answer[at] == REBOOT.id and answer[at + 1] == DONE:
            return True
        at += 3 + answer[at + 2]
    return False


def give_up(memory: "Memory") -> None:
    """Nobody answers: the answer to settings is dropped; all else waits until the network is heard again."""
    memory.answer = b""


def more(memory: "Memory", settings: "Settings", history: "History", now_s: int) -> bool:
    """Whether there is more to say than new samples, and somebody to hear it."""
    if memory.answer:
        return True
    if memory.tries:
        return memory.tries < 3 and struct.unpack(SENT, memory.sent)[0] == _AGAIN
    if memory.time_known and memory.kept >= settings.send_every:
        return True  # samples that have got their time just now, or had no room
    return bool(_lacking(memory, history, 1)[1]) or now_s >= memory.next_diagnostics_local_s
