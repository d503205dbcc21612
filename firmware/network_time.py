# SPDX-License-Identifier: EUPL-1.2
"""Network time from the node's own clock, whose drift two answers of the network tell. Seconds; no I/O."""

if False:  # types only
    from firmware.state import Memory

_ASK_FIRST_S = 3600  # network time is asked for again: soon at first, daily when the clock's drift is known
_ASK_LAST_S = 86_400
_GOOD_S = 10  # off by no more than that when the time comes: wait longer the next time
_DRIFT_FROM_S = 1800  # a shorter span between two network times says nothing about the drift
_MOST_DRIFT_PPM = 60_000
_DOUBTFUL_S = 1800  # off by more than that, besides the drift: perhaps it is the network that has lost its clock,
_STUBBORN_S = 3 * 86_400  # but not for so long


def set_clock(memory: "Memory", gps_s: int, local_s: int) -> None:
    """It was ``gps_s`` when the local clock stood at ``local_s``; two such pairs tell its drift."""
    memory.ask_every_s = memory.ask_every_s or _ASK_FIRST_S
    if not memory.time_known:
        memory.time_known = True
        memory.drift_ppm = memory.budget.drift_ppm()
    else:
        span_s = local_s - memory.time_set_local_s
        true_s = gps_s - memory.gps_less_local_s - memory.time_set_local_s
        off_s = abs(gps_s - gps_at(memory, local_s))
        if memory.ask_every_s > _ASK_FIRST_S and _DOUBTFUL_S + span_s // 16 < off_s and span_s < _STUBBORN_S:
            return  # two answers agreed with our clock: it goes on, and asks with every uplink until one does again
        if true_s >= _DRIFT_FROM_S:
            drift_ppm = (span_s - true_s) * 1_000_000 // true_s
            memory.drift_ppm = max(-_MOST_DRIFT_PPM, min(_MOST_DRIFT_PPM, drift_ppm))
            every_s = memory.ask_every_s * 4 if off_s <= _GOOD_S else memory.ask_every_s // 4
            memory.ask_every_s = max(_ASK_FIRST_S, min(_ASK_LAST_S, every_s))
    memory.gps_less_local_s = gps_s - local_s
    memory.time_set_local_s = local_s


def gps_at(memory: "Memory", local_s: int) -> int:
    """Network time, GPS seconds, when the local clock stands at ``local_s``; the time must be known."""
    drift_s = (local_s - memory.time_set_local_s) * memory.drift_ppm // (1_000_000 + memory.drift_ppm)
    return local_s + memory.gps_less_local_s - drift_s


def time_due(memory: "Memory", local_s: int) -> bool:
    """Whether to ask the network for the time."""
    return not memory.time_known or local_s - memory.time_set_local_s >= memory.ask_every_s


def until_grid_s(memory: "Memory", local_s: int, phase_s: int, interval_s: int) -> int:
    """Seconds to the node's next place on its grid of network time, at least half an interval away."""
    wait_s = (phase_s - gps_at(memory, local_s)) % interval_s
    if wait_s < interval_s // 2:
        wait_s += interval_s
    return max(1, wait_s + wait_s * memory.drift_ppm // 1_000_000)
