# SPDX-License-Identifier: EUPL-1.2
"""The real-time clock and the watchdog of a simulated microcontroller."""

from simulators.clock import Clock
from simulators.node_timers import Rtc, Watchdog

S = 1_000_000


class TestRealTimeClock:
    def test_it_gains_by_its_drift(self) -> None:
        clock = Clock(5 * S)
        rtc = Rtc(clock, drift_ppm=100)

        clock.run_for(10_000 * S)

        assert rtc.now_us() == 10_001 * S

    def test_what_it_is_set_to_counts_from_then_on(self) -> None:
        clock = Clock()
        rtc = Rtc(clock, drift_ppm=-100)
        clock.run_for(7 * S)

        rtc.set(1_000 * S)
        clock.run_for(10_000 * S)

        assert rtc.now_us() == 10_999 * S

    def test_a_fast_one_wakes_too_early(self) -> None:
        assert Rtc(Clock(), drift_ppm=250_000).takes_us(1_000) == 800_000


class TestWatchdog:
    def test_it_bites_once_unless_it_is_fed(self) -> None:
        clock = Clock()
        bites: list[int] = []
        watchdog = Watchdog(clock, lambda: bites.append(clock.now_us))

        watchdog.start(30 * S)
        clock.run_for(29 * S)
        watchdog.feed()
        clock.run_for(100 * S)

        assert bites == [59 * S]

    def test_one_that_is_stopped_does_not_bite(self) -> None:
        clock = Clock()
        bites: list[int] = []
        watchdog = Watchdog(clock, lambda: bites.append(clock.now_us))

        watchdog.start(30 * S)
        watchdog.stop()
        clock.run_for(100 * S)

        assert bites == []
