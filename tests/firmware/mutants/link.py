# SPDX-License-Identifier: EUPL-1.2
"""The link and its timing, broken one way at a time."""

from tests.firmware.mutants.loading import Mutant

MODULES = ("firmware.timing", "firmware.link")

MUTANTS = (
    # the window's form
    Mutant("wrong sign of the offset", "opening.early_us)\n", "-opening.early_us)\n"),
    Mutant("error not doubled", "lead_us + 2 * error_us", "lead_us + error_us"),
    Mutant("window as long as the error early", "self.early_us = lead_us + error_us", "self.early_us = lead_us"),
    Mutant("lead of the receiver left out", "self.early_us = lead_us + error_us", "self.early_us = error_us"),
    Mutant("no symbols for the preamble", "// symbol_us) + _PREAMBLE_SYMBOLS", "// symbol_us)"),
    Mutant("a symbol too few", "_PREAMBLE_SYMBOLS = 6", "_PREAMBLE_SYMBOLS = 5"),
    Mutant("whole preamble waited for", "_PREAMBLE_SYMBOLS = 6", "_PREAMBLE_SYMBOLS = 8"),
    Mutant(
        "symbols rounded down", "-(-(lead_us + 2 * error_us) // symbol_us)", "(lead_us + 2 * error_us) // symbol_us"
    ),
    Mutant("more symbols than the chip counts", "_MOST_SYMBOLS = 248", "_MOST_SYMBOLS = 500"),
    # when
    Mutant(
        "off by a millisecond",
        "opens = clock.ticks_add(ended, after_us",
        "opens = clock.ticks_add(ended, 1_000 + after_us",
    ),
    Mutant("start of the transmitter left out", "TX_START_US + transmit.airtime_us", "transmit.airtime_us - 300"),
    Mutant("time on air left out", "TX_START_US + transmit.airtime_us", "TX_START_US"),
    Mutant("counted from the launch", "ticks_add(launched, TX_START_US", "ticks_add(asked, TX_START_US"),
    Mutant(
        "ticks subtracted plainly",
        "clock.ticks_diff(ticks, clock.ticks_us())\n        may_us",
        "ticks - clock.ticks_us()\n        may_us",
    ),
    Mutant("own launch left out", "self._launch_us = clock.ticks_diff(launched, asked)", "self._launch_us = 0"),
    Mutant(
        "staging takes no time",
        "self._stage_us = clock.ticks_diff(staged, started)",
        "self._stage_us = 0 * clock.ticks_diff(staged, started) + 0",
    ),
    Mutant("RX2 where RX1 is", "radio.stage_rx(window.frequency_hz", "radio.stage_rx(868_300_000"),
    Mutant(
        "RX2 a second late", "ended, after_us + budget", "ended, after_us // 1_500_000 * 1_000_000 + after_us + budget"
    ),
    Mutant(
        "windows at the uplink's data rate",
        "rate = self._plan.data_rates[window.dr]\n        symbol",
        "rate = self._plan.data_rates[3]\n        symbol",
    ),
    Mutant(
        "RX2 opened in any case",
        "                if length:\n",
        "                if length and len(mac.windows) < 2:\n",
    ),
    Mutant(
        "late window opened all the same", "if clock.ticks_diff(clock.ticks_us(), ready) > opening.us:", "if False:"
    ),
    Mutant("window never late", "clock.ticks_us(), ready) > opening.us:", "clock.ticks_us(), ready) > -40_000:"),
    Mutant("windows waited for awake", "min(symbols, _QUIET_SYMBOLS) * symbol)", "0 * symbol)"),
    Mutant("slept through a header", "_QUIET_SYMBOLS = 12", "_QUIET_SYMBOLS = 248"),
    Mutant("slept through a window's end", "min(symbols, _QUIET_SYMBOLS)", "(min(symbols, _QUIET_SYMBOLS) + 2)"),
    # the collector
    Mutant("collector left on", "            gc.disable()\n            asked", "            asked"),
    Mutant(
        "collector left off while a frame is judged",
        "                    gc.enable()",
        "                    gc.disable()",
    ),
    Mutant("collector left on after a frame", "                    gc.disable()\n", ""),
    Mutant("collector left off", "            gc.enable()\n", ""),
    Mutant("collector runs whether there is time or not", "if collecting and clock", "if collecting or clock"),
    Mutant(
        "collector runs when there is none",
        "clock.ticks_diff(ready, clock.ticks_us()) >= self._collect_us // 2",
        "True",
    ),
    Mutant("collection not reckoned with", "clock.ticks_add(ready, -collecting)", "ready"),
    Mutant("heap collected when it need not be", "self._free() < _SCARCE", "True"),
    Mutant("quick collector never used", "_QUICK_US = 50_000", "_QUICK_US = 1"),
    Mutant("heap never collected in between", "self._free() < _SCARCE", "False"),
    # light sleep and drift
    Mutant("drift's sign", "self._asleep_us) - opening.early_us", "-self._asleep_us) - opening.early_us"),
    Mutant("drift not taken off", "after_us + budget.correction_us(self._asleep_us) - opening", "after_us - opening"),
    Mutant("drift learned twice", "due_us += self._budget.correction_us(self._asleep_us)", "due_us += 0"),
    Mutant("drift learned the wrong way", "self._drift_ppm + step", "self._drift_ppm - step"),
    Mutant("sleep planned without the drift", "- budget.correction_us(most_us) + RX_START_US", "+ RX_START_US"),
    Mutant(
        "sleep planned with the drift upside down",
        "- budget.correction_us(most_us) + RX_START_US",
        "+ budget.correction_us(most_us) + RX_START_US",
    ),
    Mutant("sleep not counted", "self._asleep_us += light_ms * 1000", "self._asleep_us += 0"),
    Mutant(
        "sleep counted on from the last exchange",
        "            self._asleep_us = 0\n            ended",
        "            ended",
    ),
    Mutant("sleep costs no error", "error_us += asleep_us // 1000 * self._spread_ppm // 1000", "error_us += 0"),
    Mutant("light sleep up to the last moment", "_WAKE_US = 10_000", "_WAKE_US = -30_000"),
    Mutant("radio awake all the time", "            self._radio.sleep(True)\n", "            self._radio.wake()\n"),
    Mutant("processor awake all the time", "_LIGHT_FROM_US = 25_000", "_LIGHT_FROM_US = 5_000_000"),
    Mutant("sleep although the drift is unknown", "_UNKNOWN_SLEEP_US = 600_000", "_UNKNOWN_SLEEP_US = 6_000_000"),
    Mutant("no sleep while the drift is unknown", "_UNKNOWN_SLEEP_US = 600_000", "_UNKNOWN_SLEEP_US = 60_000"),
    Mutant("no sleep because the drift was once unknown", "if self._spread_ppm >= CLAIMED_PPM else 1 << 30", ""),
    Mutant("uplink's end missed by a fast clock", "ended, self._budget.correction_us(most_us)", "ended, 0"),
    Mutant(
        "a first drift widens for ever",
        "            if unknown:\n                return",
        "            if False:\n                return",
    ),
    Mutant("no drift beyond two percent", "_MOST_PPM = 60_000", "_MOST_PPM = 20_000"),
    Mutant("first drift half believed", "_UNKNOWN_PPM = 1_000_000", "_UNKNOWN_PPM = CLAIMED_PPM"),
    # the budget
    Mutant("starts narrow", "AWAKE_US = 20_000", "AWAKE_US = 10_000"),
    Mutant("starts narrow asleep", "ASLEEP_US = 50_000", "ASLEEP_US = 20_000"),
    Mutant("a miss changes nothing", "if self._misses:", "if False:"),
    Mutant("a miss is for ever", "        self._misses = 0\n        late_us", "        late_us"),
    Mutant("a wrong drift is kept for ever", "_FORGETS_AFTER = 2", "_FORGETS_AFTER = 200"),
    Mutant("one miss forgets all", "_FORGETS_AFTER = 2", "_FORGETS_AFTER = 1"),
    Mutant("never narrower", "wanted_us = (wanted_us + self._fixed_us) // 2", "wanted_us = self._fixed_us"),
    Mutant("too narrow", "LEAST_US = 5_000", "LEAST_US = 500"),
    Mutant("early is not late", "2 * abs(late_us) + _NOISE_US", "2 * late_us + _NOISE_US"),
    Mutant("just as wide as it was off", "2 * abs(late_us) + _NOISE_US", "abs(late_us)"),
    Mutant("crystals left out", "_CRYSTALS_PPM = 40", "_CRYSTALS_PPM = 0"),
    Mutant("learns from the neighbours", "if not isinstance(told[0], Dropped):", "if True:"),
    Mutant("stored without its drift", "self._fixed_us // 2, self._drift_ppm", "self._fixed_us // 2, 0"),
    Mutant("stored wide", "max(LEAST_US, min(LOST_US, 2 * fixed))", "max(LEAST_US, min(LOST_US, 4 * fixed))"),
    Mutant(
        "arrival taken at the start of the frame",
        "after_us + time_on_air_us(length,",
        "after_us + 0 * time_on_air_us(length,",
    ),
    Mutant("arrival of a frame with CRC", "time_on_air_us(length, rate", "time_on_air_us(length + 2, rate"),
    # faults
    Mutant("learns from an odd reception", "if done is not None and not self._radio.oddity:", "if done is not None:"),
    Mutant("waits for ever", "if late and state == RX_WAITING:", "if False:"),
    Mutant("gives up without asking", "state = radio.rx_state(late)", "state = radio.rx_state()"),
    Mutant("longest frame not waited for", "opening.us + longest + _LATEST_END_US", "opening.us + _LATEST_END_US"),
)
