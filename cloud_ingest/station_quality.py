# SPDX-License-Identifier: EUPL-1.2
"""What is to be doubted of an instrument at a station of air quality or traffic, sample by sample, in order of time.

Nothing is changed or left out because of it: a value stays what was measured, with a reason to doubt it beside it.
Times in Unix seconds. Reasons, in the words of QARTOD's flag 3 ("suspect"):

``stuck``: all quantities of the instrument stand still. U.S. EPA, EPA-454/R-99-005 "Meteorological Monitoring Guidance
for Regulatory Modeling Applications", Table 8-4 "Suggested data screening criteria": air that does not vary for 12
consecutive hours. (WMO-No. 488, "minimum required variability", asks that after one hour, of samples a minute apart.)
Nights without traffic are normal, and so are a Sunday and a holiday on a path; zero is doubted on the third day in a
row: "Zero" check of the Southern California Association of Governments' count database, "needs review" from 3 days on.
FHWA's Traffic Monitoring Guide, Appendix J, asks after 7 hours, of main roads whose traffic is known.

``flat``: one quantity alone stands still for three days. A hygrometer in saturated air may stay at 100 % and never come
back, while the thermometer beside it goes on. Rounded to what is sent, one quantity may well rest for a day (simulated
weather: 27 h of pressure); a NOx index rests at 1 in clean air (Sensirion, "What is Sensirion's NOx Index?").

``humid``: an optical sensor without a dryer takes water for dust. Jayaratne et al. (2018), Atmos. Meas. Tech. 11, 4883,
see that from 75 % relative humidity on; by Crilley et al. (2018), Atmos. Meas. Tech. 11, 709, equation 1 with their
kappa of 0.4, it is three times the dry mass at 90 %, which is where we draw the line.

``contradictory``: what is smaller than 2.5 um is part of what is smaller than 10 um; less dust of all sizes than of one
cannot be.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from cloud_ingest.flat_line import FlatLine, followed
from cloud_ingest.quality import SILENT_INTERVALS, STUCK

FLAT, HUMID, CONTRADICTORY = "flat", "humid", "contradictory"
STUCK_AFTER_S = 12 * 3600
STUCK_INTERVALS = 24  # at least so many, however seldom a node samples
EMPTY_AFTER_S = FLAT_AFTER_S = 3 * 86400
HUMID_ABOVE_PERCENT = 90.0
DUST = ("pm1", "pm2_5", "pm4", "pm10")  # each part of the next
_MAY_REST = ("nox_index",)
_ROUNDING_UG = 0.1  # what two values may be apart because each is sent in tenths
_TINY = 1e-6  # of binary fractions


class Sample(NamedTuple):
    """What an instrument said at a time: a value of each of its quantities (of one at least), None for a fault.

    ``humidity``: relative, in %, where its node knows it."""

    at: int
    values: tuple[float | None, ...]
    humidity: float | None


@dataclass(frozen=True)
class Sensor:
    """What judging needs to know of an instrument. ``counts``: zero may be the truth for long."""

    interval_s: int
    quantities: tuple[str, ...]
    counts: bool

    @property
    def silent_after_s(self) -> int:
        return SILENT_INTERVALS * self.interval_s

    @property
    def lookback_s(self) -> int:
        """What was before the beginning of this says nothing new of a line that is not too long by now."""
        return self.flat_after_s + self.silent_after_s

    @property
    def _stuck_after_s(self) -> int:
        return max(STUCK_AFTER_S, STUCK_INTERVALS * self.interval_s)

    def may_last_s(self, values: tuple[float | None, ...]) -> int:
        """How long these values, of all quantities, may stand still."""
        empty = self.counts and not any(values)
        return self.flat_after_s if empty else self._stuck_after_s

    @property
    def flat_after_s(self) -> int:
        """How long one quantity alone may stand still, or nobody come."""
        return max(EMPTY_AFTER_S, FLAT_AFTER_S, self._stuck_after_s)


@dataclass(frozen=True)
class Suspicion:
    """An instrument as of its newest sample with a value; ``since`` says, by reason, since when it is doubted.

    ``lines``: of each quantity alone, with values of that only; ``flat`` those that last too long, and since when."""

    line: FlatLine | None = None
    since: tuple[tuple[str, int], ...] = ()
    lines: tuple[FlatLine | None, ...] = ()
    flat: tuple[tuple[str, int], ...] = ()


def observe(before: Suspicion, sample: Sample, sensor: Sensor) -> Suspicion:
    """The suspicion after one more ``sample``, later than those before."""
    line = followed(before.line, sample.at, sample.values, sensor.silent_after_s)
    goes_on = before.line is not None and sample.at - before.line.until <= sensor.silent_after_s
    known = dict(before.since) if goes_on else {}
    since = []
    if line.lasts_s >= sensor.may_last_s(line.values):
        since.append((STUCK, line.since))
    for reason, holds in ((HUMID, _is_humid(sample, sensor)), (CONTRADICTORY, _is_contradictory(sample, sensor))):
        if holds:
            since.append((reason, known.get(reason, sample.at)))
    if sensor.counts:  # a class of vehicles may never come
        return Suspicion(line, tuple(since))
    lines = tuple(
        old if value is None else followed(old, sample.at, (value,), sensor.silent_after_s)
        for old, value in zip(before.lines or (None,) * len(sample.values), sample.values, strict=True)
    )
    flat = tuple(
        (quantity, one.since)
        for quantity, one in zip(sensor.quantities, lines, strict=True)
        if one is not None
        and one.until == sample.at
        and one.lasts_s >= sensor.flat_after_s
        and quantity not in _MAY_REST
    )
    return Suspicion(line, tuple(since), lines, flat)


def _is_humid(sample: Sample, sensor: Sensor) -> bool:
    is_high = sample.humidity is not None and sample.humidity > HUMID_ABOVE_PERCENT
    return is_high and not set(DUST).isdisjoint(sensor.quantities)


def _is_contradictory(sample: Sample, sensor: Sensor) -> bool:
    known = dict(zip(sensor.quantities, sample.values, strict=True))
    dust = [value for name in DUST if (value := known.get(name)) is not None]
    return any(part > whole + _ROUNDING_UG + _TINY for part, whole in pairwise(dust))
