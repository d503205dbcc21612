# SPDX-License-Identifier: EUPL-1.2
"""The downlinks that wait in a LoRa Basics Station, and when each may go: duty cycle, collisions, priorities, RX2.

BS = lorabasics/basicstation 2.0.6, as in basics_station.py. What finds no time is dropped without a word.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from simulators.clock import Clock

# BS src/s2conf.h
TX_MIN_GAP_US = 10_000
TX_AIM_GAP_US = 20_000
TX_MAX_AHEAD_US = 600_000_000
TXCHECK_FUDGE_US = 5_000
CLASS_C_BACKOFF_BY_US = 100_000
CLASS_C_BACKOFF_MAX = 10
# BS src/s2e.h
PRIO_PENALTY_ALTTXTIME = 10


@dataclass
class TxJob:
    """BS src/xq.h: a downlink on its way. Times in the station's microseconds, which are those of the clock."""

    diid: int
    dev_eui: str
    pdu: bytes
    class_c: bool
    priority: int
    tx_us: int
    frequency_hz: int
    data_rate: int
    rx2: tuple[int, int] | None  # frequency_hz, data rate: not yet used
    retries: int = 0
    blocked: list[str] = field(default_factory=list)


class TxQueue:
    """``end_us(job)``: when it would be over. ``drop(reason)``, ``transmit(job)`` and ``on_air(job)`` are called."""

    def __init__(
        self,
        clock: Clock,
        end_us: Callable[[TxJob], int],
        drop: Callable[[str], None],
        transmit: Callable[[TxJob], None],
        on_air: Callable[[TxJob], None],
    ) -> None:
        self._clock = clock
        self._end_us = end_us
        self._drop = drop
        self._transmit = transmit
        self._on_air = on_air
        self._jobs: list[TxJob] = []
        self._sending: TxJob | None = None
        self._sending_until = 0
        self._free_from: dict[int, int] = {}  # duty cycle: 1/rate of a band, and when it is free again
        self._duty_cycle = True

    def restart(self, duty_cycle: bool) -> None:
        """A new session: nothing waits, every band is free."""
        self._duty_cycle = duty_cycle
        self._free_from = dict.fromkeys((10, 100, 1000), self._clock.now_us)
        self._jobs.clear()

    def add(self, job: TxJob) -> None:
        """Find a time for it, or drop it."""
        self._place(job)

    def _place(self, job: TxJob, *, relocate: bool = False) -> None:
        """BS src/s2e.c, ``s2e_addTxjob``: find a time at which it may go, or drop it."""
        earliest = self._clock.now_us + TX_AIM_GAP_US
        if not relocate:
            if job.tx_us > self._clock.now_us + TX_MAX_AHEAD_US:
                self._drop("TOO_FAR_AHEAD")
                return
            if job.tx_us < earliest and not self._later(job, earliest):
                return
        elif not self._later(job, earliest):
            return
        while not self._may(job) or (self._sending and job.tx_us < self._sending_until + TX_MIN_GAP_US):
            if self._may(job):
                job.blocked.append("COLLISION")
            if not self._later(job, earliest):
                return
        self._jobs.append(job)
        self._jobs.sort(key=lambda queued: queued.tx_us)
        self._clock.at(job.tx_us - TX_AIM_GAP_US, lambda at=job.tx_us: self._aim(job, at))  # type: ignore[misc]

    def _later(self, job: TxJob, earliest: int) -> bool:
        """BS src/s2e.c, ``altTxTime``: RX2 a second after RX1; class C also a little later, a few times."""
        why = job.blocked[-1] if job.blocked else "TOO_LATE"
        if job.rx2 is not None:
            (job.frequency_hz, job.data_rate), job.rx2 = job.rx2, None
            job.tx_us = earliest if job.class_c else job.tx_us + 1_000_000
            if job.tx_us >= earliest:
                return True
        elif job.class_c and job.retries < CLASS_C_BACKOFF_MAX:
            job.retries += 1
            job.tx_us = max(job.tx_us + CLASS_C_BACKOFF_BY_US, earliest)
            return True
        self._drop(why)
        return False

    @staticmethod
    def _rate(frequency_hz: int) -> int:
        """BS src/s2e.c, ``freq2band``."""
        if 869_400_000 <= frequency_hz <= 869_650_000:
            return 10
        if 868_000_000 <= frequency_hz <= 868_600_000 or 869_700_000 <= frequency_hz <= 870_000_000:
            return 100
        return 1000

    def _may(self, job: TxJob) -> bool:
        """BS src/s2e.c, ``s2e_canTxEU868``."""
        if not self._duty_cycle or job.tx_us >= self._free_from[self._rate(job.frequency_hz)]:
            return True
        job.blocked.append("NO_DC_IN_BAND")
        return False

    def _aim(self, job: TxJob, at: int) -> None:
        """BS src/s2e.c, ``s2e_nextTxAction``, when it is time to feed the radio."""
        if job not in self._jobs or job.tx_us != at:
            return
        self._jobs.remove(job)
        if not self._may(job):
            self._place(job, relocate=True)
            return
        end = self._end_us(job)
        overlapping = [other for other in self._jobs if other.tx_us - TX_MIN_GAP_US <= end]
        if any(self._priority(job) < self._priority(other) for other in overlapping):
            job.blocked.append("HINDERED")
            self._place(job, relocate=True)
            return
        self._sending, self._sending_until = job, end
        for other in overlapping:
            self._jobs.remove(other)
            other.blocked.append("DISPLACED")
            self._place(other, relocate=True)
        self._clock.at(job.tx_us, lambda: self._transmit(job))
        self._clock.at(job.tx_us + TXCHECK_FUDGE_US, lambda: self._sent(job))
        self._clock.at(end, self._over)

    @staticmethod
    def _priority(job: TxJob) -> int:
        """BS src/s2e.c, ``calcPriority``, with one antenna."""
        alternative = job.rx2 is not None or (job.class_c and job.retries < CLASS_C_BACKOFF_MAX)
        return job.priority - (PRIO_PENALTY_ALTTXTIME if alternative else 0)

    def _sent(self, job: TxJob) -> None:
        """BS src/s2e.c, ``update_DC``."""
        rate = self._rate(job.frequency_hz)
        self._free_from[rate] = job.tx_us + (self._end_us(job) - job.tx_us) * rate
        self._on_air(job)

    def _over(self) -> None:
        if self._sending is not None and self._clock.now_us >= self._sending_until:
            self._sending = None
