# SPDX-License-Identifier: EUPL-1.2
"""The SDS011 driver, broken one way at a time."""

from tests.firmware.mutants.loading import Mutant

MODULES = ("firmware.sensors.sensirion", "firmware.sensors.sds011")

MUTANTS = (
    Mutant("19200 baud", "BAUD = 9_600", "BAUD = 19_200"),
    Mutant("mode for period", "_PERIOD = 0x08", "_PERIOD = 0x02"),
    Mutant("identity asked for", "_QUERY = 0x04", "_QUERY = 0x05"),
    Mutant("reports unasked", "_ON_REQUEST = 1", "_ON_REQUEST = 0"),
    Mutant("sleeps at start", "_WORK = 1", "_WORK = 0"),
    Mutant("a pause every minute", "_ALWAYS = 0", "_ALWAYS = 1"),
    Mutant("warm-up of 3 s", "_WARM_UP_MS = 28_000", "_WARM_UP_MS = 3_000"),
    Mutant("warm-up beyond the first pause", "_WARM_UP_MS = 28_000", "_WARM_UP_MS = 31_000"),
    Mutant("no patience", "_ANSWER_MS = 200", "_ANSWER_MS = 20"),
    Mutant("endless patience", "_ANSWER_MS = 200", "_ANSWER_MS = 20_000"),
    Mutant("two tries", "_TRIES = 3\n_MOST", "_TRIES = 2\n_MOST"),
    Mutant("four tries", "_TRIES = 3\n_MOST", "_TRIES = 4\n_MOST"),
    Mutant("no limit", "_MOST = 9_999", "_MOST = 0xFFFF"),
    Mutant("limit of 100 ug/m3", "_MOST = 9_999", "_MOST = 999"),
    Mutant("limit one step too high", "_MOST = 9_999", "_MOST = 10_000"),
    Mutant("coarse limit one step too high", "coarse if coarse <= _MOST", "coarse if coarse <= _MOST + 1"),
    Mutant("fine limit alone", "coarse if coarse <= _MOST", "coarse if fine <= _MOST"),
    Mutant("another header", "self._frame[1] = 0xAA, 0xB4", "self._frame[1] = 0xAA, 0xB3"),
    Mutant("one sensor's own", "self._frame[15] = self._frame[16] = 0xFF", "self._frame[15] = self._frame[16] = 0xFE"),
    Mutant("no tail", "        self._frame[18] = 0xAB\n", ""),
    Mutant("not woken", "        self._send(_SLEEP, 1, _WORK)  # after", "        pass  # after"),
    Mutant("asked for work, not told", "self._send(_SLEEP, 1, _WORK)", "self._send(_SLEEP, 0, _WORK)"),
    Mutant("read before start", 'if self._started else "not_ready"', "if True else None"),
    Mutant("settings taken as they are", "fault = self._settings() if", "fault = None if"),
    Mutant("settings written each time", "if fault is None and self._window[4] != value:", "if fault is None:"),
    Mutant("settings never written", "if fault is None and self._window[4] != value:", "if False:"),
    Mutant(
        "mode alone",
        "            if fault is not None:\n                return fault\n        return None\n",
        "            return fault\n        return None\n",
    ),
    Mutant(
        "settings' faults forgotten",
        "            if fault is not None:\n                return fault\n        return None\n",
        "        return None\n",
    ),
    Mutant("high byte first", "window[2] | window[3] << 8", "window[3] | window[2] << 8"),
    Mutant("one byte", "window[4] | window[5] << 8", "window[4]"),
    Mutant("fine and coarse swapped", "fine, coarse = window", "coarse, fine = window"),
    Mutant("zeros taken for clean air", "if not fine and not coarse:", "if False:"),
    Mutant("one zero taken for a dead laser", "if not fine and not coarse:", "if not fine or not coarse:"),
    Mutant("goes on after stop", "        self._ask(_SLEEP, 1, 0)\n", ""),
    Mutant("told once to sleep", "        self._ask(_SLEEP, 1, 0)\n", "        self._send(_SLEEP, 1, 0)\n"),
    Mutant("remembers after stop", "        self._started = False\n        self._ask", "        self._ask"),
    Mutant("checksum over the identity alone", "command + action + value + 0xFE & 0xFF", "0xFE"),
    Mutant(
        "checksum without the identity", "command + action + value + 0xFE & 0xFF", "command + action + value & 0xFF"
    ),
    Mutant("old words taken for the answer", "            self._uart.read()  # what", "            # what"),
    Mutant("silence called bad", 'fault = "no_answer"', 'fault = "bad_answer"'),
    Mutant(
        "noise called silence", '    fault = "bad_answer"\n        return', '    fault = "no_answer"\n        return'
    ),
    Mutant("checksum ignored", " or sum(window[2:8]) & 0xFF != window[8]", ""),
    Mutant("checksum of data alone", "sum(window[2:8])", "sum(window[2:6])"),
    Mutant("head ignored", "window[0] != 0xAA or window[9]", "window[9]"),
    Mutant("tail ignored", "or window[9] != 0xAB or", "or"),
    Mutant("any frame is a report", "return window[1] == _REPORT", "return True"),
    Mutant(
        "any frame is a reply", "return window[1] == _REPLY and window[2] == command", "return window[2] == command"
    ),
    Mutant("a reply to anything", " and window[2] == command", ""),
    Mutant(
        "never in step again",
        "            window[n] = window[n + 1]\n",
        "            window[n] = window[n + 1] if window[0] != 0xAA else window[n]\n",
    ),
)
