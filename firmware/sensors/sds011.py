# SPDX-License-Identifier: EUPL-1.2
"""Nova Fitness SDS011 particulate matter sensor on a UART. DS = "Laser Dust Sensor Control Protocol" V1.3.

It keeps its settings without power; they are written only if they are not what they should be.
"""

from firmware.sensors.sensirion import same

if False:  # types only
    from firmware.hal import Clock, Uart, Values

BAUD = 9_600  # 8N1

_MODE = 0x02  # DS "Command"
_QUERY = 0x04
_SLEEP = 0x06
_PERIOD = 0x08
_REPLY = 0xC5
_REPORT = 0xC0
_ON_REQUEST = 1
_WORK = 1
_ALWAYS = 0
_WARM_UP_MS = 28_000  # 30 s are advised; one that is set to work now and then stops after 30 s
_ANSWER_MS = 200
_TRIES = 3
_MOST = 9_999  # 0.1 ug/m3, product specification: 0.0 to 999.9


class Sds011:
    """The sensor on ``uart``, opened with ``BAUD``; ``clock``: the time module. 5 V."""

    QUANTITIES = ("pm2_5", "pm10")

    def __init__(self, uart: "Uart", clock: "Clock") -> None:
        self._uart = uart
        self._clock = clock
        self._started = False
        self._frame = bytearray(19)
        self._frame[0], self._frame[1] = 0xAA, 0xB4
        self._frame[15] = self._frame[16] = 0xFF  # whoever it is
        self._frame[18] = 0xAB
        self._window = bytearray(10)
        self._byte = bytearray(1)

    def start(self) -> int:
        """Wake it, in case it sleeps; return the ms until a value can be trusted."""
        self._send(_SLEEP, 1, _WORK)  # after power-on it works anyway, and answers only a second later
        self._started = True
        return _WARM_UP_MS

    def read(self) -> "Values":
        """Ask for the latest second, in 0.1 ug/m3."""
        fault = self._settings() if self._started else "not_ready"
        fault = fault or self._ask(_QUERY, 0, 0)
        if fault is not None:
            return same(self.QUANTITIES, fault)
        window = self._window
        fine, coarse = window[2] | window[3] << 8, window[4] | window[5] << 8
        if not fine and not coarse:  # outdoors there is always some dust: fan or laser is dead
            return same(self.QUANTITIES, "stuck")
        return {
            "pm2_5": fine if fine <= _MOST else "out_of_range",
            "pm10": coarse if coarse <= _MOST else "out_of_range",
        }

    def stop(self) -> None:
        """Fan and laser off."""
        self._started = False
        self._ask(_SLEEP, 1, 0)

    def _settings(self) -> "str | None":
        """Silent until asked, and at work without pauses; return a fault or None."""
        for command, value in ((_MODE, _ON_REQUEST), (_PERIOD, _ALWAYS)):
            fault = self._ask(command, 0, 0)
            if fault is None and self._window[4] != value:
                fault = self._ask(command, 1, value)
            if fault is not None:
                return fault
        return None

    def _send(self, command: int, action: int, value: int) -> None:
        frame = self._frame
        frame[2], frame[3], frame[4] = command, action, value
        frame[17] = command + action + value + 0xFE & 0xFF  # DS: sum of bytes 2 to 16
        self._uart.write(frame)

    def _ask(self, command: int, action: int, value: int) -> "str | None":
        """Send a command, three times at most, until its answer is in ``_window``; return a fault or None."""
        clock = self._clock
        for _ in range(_TRIES):
            fault = "no_answer"
            self._uart.read()  # what it said unasked
            self._send(command, action, value)
            began = clock.ticks_ms()
            while clock.ticks_diff(clock.ticks_ms(), began) < _ANSWER_MS:
                if not self._uart.readinto(self._byte):
                    clock.sleep_ms(5)
                elif self._answers(command):
                    return None
                else:
                    fault = "bad_answer"
        return fault

    def _answers(self, command: int) -> bool:
        """Move the window on by one byte; True if the whole answer is in it now."""
        window = self._window
        for n in range(9):
            window[n] = window[n + 1]
        window[9] = self._byte[0]
        if window[0] != 0xAA or window[9] != 0xAB or sum(window[2:8]) & 0xFF != window[8]:
            return False
        if command == _QUERY:
            return window[1] == _REPORT
        return window[1] == _REPLY and window[2] == command
