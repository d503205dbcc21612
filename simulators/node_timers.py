# SPDX-License-Identifier: EUPL-1.2
"""What keeps time in a microcontroller while its firmware sleeps or hangs: the real-time clock and the watchdog."""

from collections.abc import Callable

from simulators.clock import Clock, Event


class Rtc:
    """Runs ``drift_ppm`` faster than true time, and times deep sleep."""

    def __init__(self, clock: Clock, drift_ppm: int) -> None:
        self._clock = clock
        self._drift_ppm = drift_ppm
        self.set(0)

    def set(self, us: int) -> None:
        self._us, self._set_us = us, self._clock.now_us

    def now_us(self) -> int:
        """What it shows, us."""
        passed_us = self._clock.now_us - self._set_us
        return self._us + passed_us + passed_us * self._drift_ppm // 1_000_000

    def takes_us(self, ms: int) -> int:
        """How much true time passes, us, until it says that ``ms`` have passed."""
        return ms * 1000 * 1_000_000 // (1_000_000 + self._drift_ppm)


class Watchdog:
    """Calls ``bites`` when it has not been fed for its timeout."""

    def __init__(self, clock: Clock, bites: Callable[[], None]) -> None:
        self._clock = clock
        self._bites = bites
        self._timeout_us = 0
        self._event: Event | None = None

    def start(self, timeout_us: int) -> None:
        self._timeout_us = timeout_us
        self.feed()

    def feed(self) -> None:
        self.stop()
        self._event = self._clock.after(self._timeout_us, self._bites)

    def stop(self) -> None:
        """It runs no more: the chip is off or has been reset."""
        if self._event is not None:
            self._event.cancel()
            self._event = None
