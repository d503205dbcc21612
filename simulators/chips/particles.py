# SPDX-License-Identifier: EUPL-1.2
"""An optical particle counter: fan, laser, one value a second, and the time that it takes to believe them.

SPS30 = Sensirion SPS30 datasheet V1.0 D1 (March 2020), "Specification Overview": sampling interval 1 s; start-up time
8 s above 200 particles/cm3, 16 s above 100, 30 s above 50. Assumed: the number of particles is 7 a cm3 for each ug/m3
of PM2.5 (what the datasheet's own example values give), and values approach the truth exponentially from below, 5 %
away at the end of the start-up time.
"""

import math
import random
from collections.abc import Callable

from simulators.chips.air_state import AirState

SAMPLE_US = 1_000_000
CLEANING_US = 10_000_000  # SPS30 "Fan Auto Cleaning": the fan at full speed for about 10 s
_PER_CM3 = 7.0
_SETTLES = 3.0  # exp(-3) is 5 %
_STARTS = ((200.0, 8.0), (100.0, 16.0), (0.0, 30.0))


class Particles:
    """Counts while started. ``masses`` of second n: PM1, PM2.5, PM4, PM10 in ug/m3."""

    def __init__(self, read_truth: Callable[[int], AirState], seed: int, noise_percent: float) -> None:
        self._read_truth = read_truth
        self._seed = seed
        self._noise = noise_percent / 100
        self._started_us: int | None = None
        self._cleaned_until_us = 0
        self._clean_since_us = 0

    @property
    def running(self) -> bool:
        return self._started_us is not None

    def start(self, now_us: int) -> None:
        self._started_us = now_us
        self._cleaned_until_us = self._clean_since_us = now_us

    def stop(self) -> None:
        self._started_us = None

    def clean(self, now_us: int) -> None:
        """Full speed for 10 s, in which nothing is measured."""
        if not self.cleaning(now_us):
            self._clean_since_us, self._cleaned_until_us = now_us, now_us + CLEANING_US

    def cleaning(self, now_us: int) -> bool:
        return self.running and now_us < self._cleaned_until_us

    def second(self, now_us: int) -> int:
        """Number of the latest complete second since the start, not counting while it was cleaned; 0: none yet."""
        if self._started_us is None:
            return 0
        until_us = self._clean_since_us if self.cleaning(now_us) else now_us
        return (until_us - self._started_us) // SAMPLE_US

    def masses(self, second: int) -> tuple[float, ...]:
        """What was measured in that second."""
        assert self._started_us is not None
        ended_us = self._started_us + second * SAMPLE_US
        truth = self._read_truth(ended_us)
        per_cm3 = _PER_CM3 * truth.pm2_5
        start_s = next(start_s for least, start_s in _STARTS if per_cm3 >= least)
        believed = 1 - math.exp(-_SETTLES * second / start_s)
        noise = random.Random(self._seed << 32 | second)
        return tuple(
            max(0.0, value * believed * (1 + noise.uniform(-self._noise, self._noise)))
            for value in (truth.pm1, truth.pm2_5, truth.pm4, truth.pm10)
        )
