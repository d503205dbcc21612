# SPDX-License-Identifier: EUPL-1.2
"""What of this boot's time is worth keeping, and what is worth telling. No I/O; times are seconds since the boot."""

import math
from typing import NamedTuple

from gateway.boots import SURE, Offset

_KEEP_EVERY_S = 600.0
_STEP_S = 1.0  # of the clock: more is news
_LATE_S = 600.0  # without a sure time: usually it takes seconds


class Note(NamedTuple):
    """To be kept at ``boot_s``. ``event``: clock_unset or clock_set, to be told; "" for nothing."""

    boot_s: float
    offset: Offset | None
    is_news: bool
    event: str


class ClockWatch:
    """Looks at the time of one run of the service, that began at ``boot_s``."""

    def __init__(self, boot_s: float) -> None:
        self._began_s = boot_s
        self._kept: Offset | None = None
        self._kept_s = -math.inf
        self._told = "clock_set"  # nobody need be told what goes without saying

    def look(self, boot_s: float, offset: Offset | None) -> Note | None:
        """What to store now; None for nothing."""
        event = "clock_set" if is_sure(offset) else "clock_unset"
        if event == self._told or (event == "clock_unset" and boot_s - self._began_s < _LATE_S):
            event = ""
        is_news = self._is_news(offset)
        if not is_news and not event and boot_s - self._kept_s < _KEEP_EVERY_S:
            return None
        return Note(boot_s, offset, is_news, event)

    def stored(self, note: Note) -> None:
        """It is on the disk."""
        self._kept, self._kept_s = note.offset or self._kept, note.boot_s
        self._told = note.event or self._told

    def _is_news(self, offset: Offset | None) -> bool:
        if offset is None:
            return False
        kept = self._kept
        return (
            kept is None
            or kept.quality != offset.quality
            or abs(kept.unix_less_boot_s - offset.unix_less_boot_s) > _STEP_S
        )  # fmt: skip


def is_sure(offset: Offset | None) -> bool:
    """Whether the time may be told to others."""
    return offset is not None and offset.quality in SURE
