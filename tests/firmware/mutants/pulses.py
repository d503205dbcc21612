# SPDX-License-Identifier: EUPL-1.2
"""The drivers of pulse inputs, broken one way at a time."""

from tests.firmware.mutants.loading import Mutant

MODULES = ("firmware.tracking", "firmware.sensors.pulses", "firmware.sensors.tubes")

MUTANTS = (
    Mutant("no debounce", "rested = self._ticks_diff(now, self._last_us) >= self._rest_us", "rested = True"),
    Mutant(
        "rest from the first edge",
        "        self._last_us = now\n        if not rested",
        "        if rested:\n            self._last_us = now\n        if not rested",
    ),
    Mutant("rest of a millisecond", "_REST_US = 100_000", "_REST_US = 100"),
    Mutant("rest of a second", "_REST_US = 100_000", "_REST_US = 1_000_000"),
    Mutant(
        "opening counts",
        "            self._level = 1 - self._closed\n        else:",
        "            self._level = 1 - self._closed\n            self.pulses += 1\n        else:",
    ),
    Mutant("level not followed", "            self._level = pin()  # right", "            pass  # right"),
    Mutant(
        "level not looked at when all is quiet",
        "        if idle_us >= self._rest_us:\n            self._level = self._pin()\n",
        "",
    ),
    Mutant(
        "only closing seen", "trigger=self._pin.IRQ_RISING | self._pin.IRQ_FALLING", "trigger=self._pin.IRQ_FALLING"
    ),
    Mutant("time of the pulse not kept", "            self.times[self.pulses & self._mask] = now", "            pass"),
    Mutant("last edge not aged", "if idle_us > _LONG_AGO_US or idle_us < 0:", "if False:"),
    Mutant("held for a minute is stuck", "_HELD_MS = 600_000", "_HELD_MS = 60_000"),
    Mutant("a PIR held for nine seconds is stuck", "_HELD_MS = 900_000", "_HELD_MS = 9_000"),
    Mutant("a PIR that flickers counts", "_MOST_HZ = 4", "_MOST_HZ = 400"),
    Mutant(
        "open at the start, whatever it is",
        "        self._level = self._pin()\n        self._pin.irq",
        "        self._level = 1 - self._closed\n        self._pin.irq",
    ),
    Mutant("held is never stuck", "> self._held_ms", "> 1 << 29"),
    Mutant(
        "open for long is stuck",
        "if self._level != self._closed or edges != self._seen_edges:",
        "if edges != self._seen_edges:",
    ),
    Mutant("chatter not seen", "chatters = (edges - self._window_edges) * 1000 > self._most_hz * passed_ms", "pass"),
    Mutant("chatter in ms", "(edges - self._window_edges) * 1000 >", "(edges - self._window_edges) >"),
    Mutant("window not moved", "            self._window_ms, self._window_edges = now_ms, edges\n", ""),
    Mutant(
        "stuck is a zero",
        '            self._fault = "stuck"\n        if not self._warm',
        "            pass\n        if not self._warm",
    ),
    Mutant("stuck for ever", "self._taken, self._fault = pulses, None", "self._taken = pulses"),
    Mutant("counts kept", "self._taken, self._fault = pulses, None", "self._fault = None"),
    Mutant(
        "number in spite of a fault",
        "{self.QUANTITIES[0]: count if fault is None else fault}",
        "{self.QUANTITIES[0]: count}",
    ),
    Mutant("PIR closes to ground", "    _CLOSED = 1\n", "    _CLOSED = 0\n"),
    Mutant("PIR does not warm up", "_WARM_UP_MS = 60_000", "_WARM_UP_MS = 1"),
    Mutant(
        "warming up counts",
        "            self._warm = True\n            self._taken = self._contact.pulses\n",
        "            self._warm = True\n",
    ),
    Mutant("loops count bicycles", 'QUANTITIES = ("bicycle_count",)', 'QUANTITIES = ("vehicle_count",)'),
    Mutant("stop goes on listening", "        self._contact.stop()\n", ""),
    Mutant("a stopped counter says zero", '        self._fault = "not_ready"\n\n    def poll', "\n    def poll"),
    Mutant(
        "start counts what was before",
        "        self._taken = self._contact.pulses\n        self._fault = None\n",
        "        self._fault = None\n",
    ),
    Mutant("directions swapped", "(1, 0) if swapped else (0, 1)", "(0, 1) if swapped else (1, 0)"),
    Mutant("swapped ignored", "(1, 0) if swapped else (0, 1)", "(0, 1)"),
    Mutant("classes not passed on", "SpeedCounts(slow_below_kmh, fast_above_kmh)", "SpeedCounts()"),
    Mutant("spacing ignored", "self._spacing = spacing_mm", "self._spacing = 1_000"),
    Mutant("speed of half", "72 * self._spacing, both", "36 * self._spacing, both"),
    Mutant("speed in m/s", "72 * self._spacing, both", "20 * self._spacing, both"),
    Mutant("speed of one axle in m/s", "36 * self._spacing, dt", "10 * self._spacing, dt"),
    Mutant("every axle a vehicle", "        if best < 1 << 29:\n", "        if False:\n"),
    Mutant("nearest pulse instead of best", "off * _TOLERANCE <= dt and off * 1000 // dt < best", "best == 1 << 29"),
    Mutant("no tolerance", "_TOLERANCE = 8 ", "_TOLERANCE = 8_000 "),
    Mutant("bicycles count", "if base >= _BICYCLE_BASE:", "if True:"),
    Mutant("motorcycles do not count", "_BICYCLE_BASE = 1_250", "_BICYCLE_BASE = 1_600"),
    Mutant("trucks have two axles", "            last = self._more_axles(one, last, both)\n", "            pass\n"),
    Mutant("trailers count", "_TRAILER = 12_500", "_TRAILER = 0"),
    Mutant("single axles never count", "if self._last_tube != one or not 0 < behind", "if not 0 < behind"),
    Mutant(
        "no axle may be lost",
        "        self._counts.add(self._receding[one], 36 * self._spacing, dt)\n",
        "        pass\n",
    ),
    Mutant("any speed is possible", "            if dt < self._least_dt:\n                continue\n", ""),
    Mutant("as slow as you like", "            if dt > self._most_dt:\n                break\n", ""),
    Mutant("orphans ignored", "self._orphans += 1", "pass"),
    Mutant("two orphans are a fault", "self._orphans >= 8", "self._orphans >= 2"),
    Mutant(
        "orphans kept",
        "        self._fault = None\n        self._begin()\n        return",
        "        self._fault = None\n        return",
    ),
    Mutant(
        "a stuck tube is a zero",
        '            if contact.stuck():\n                self._fault = "stuck"\n',
        "            contact.stuck()\n",
    ),
    Mutant("vehicle judged too early", "_QUIET = 15_000", "_QUIET = 500"),
    Mutant("a queue is never judged", "pressed = now_at - oldest > _WAITING or", "pressed = False and"),
    Mutant("time not begun anew", "        if passed > _WAITING:\n", "        if False:\n"),
    Mutant("pulses not moved with the time", "                self._axles[tube][n] -= by\n", "                pass\n"),
    Mutant("tubes listen on", "        for contact in self._contacts:\n            contact.stop()\n", ""),
)
