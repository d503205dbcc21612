# SPDX-License-Identifier: EUPL-1.2
"""Which frame counters of a session are used up: ``last`` and all before it but the recent ones not yet seen.

Concentrators deliver in their own time, so the first copy of a frame may come after that of the next. ``seen`` is a
bitmap of the ``WINDOW`` counters before ``last``, bit 0 for ``last`` - 1, as in RFC 4303 "Anti-Replay Service".
"""

WINDOW = 32
_MASK = (1 << WINDOW) - 1


def is_late_first(last: int, seen: int, f_cnt: int) -> bool:
    """Whether ``f_cnt`` lies in the window before ``last`` and has not been seen."""
    behind = last - f_cnt
    return 1 <= behind <= WINDOW and not seen >> (behind - 1) & 1


def seen_after(last: int, seen: int, f_cnt: int) -> tuple[int, int]:
    """(last, seen) once ``f_cnt``, a new or late first one, is accepted."""
    if f_cnt < last:
        return last, seen | 1 << (last - f_cnt - 1)
    if last < 0:
        return f_cnt, 0
    return f_cnt, (seen << 1 | 1) << min(f_cnt - last - 1, WINDOW) & _MASK
