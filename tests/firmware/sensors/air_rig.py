# SPDX-License-Identifier: EUPL-1.2
"""Air sensors' drivers on a bench: one with the simulated chip, one whose chip says what the test wants it to say."""

from collections.abc import Callable
from typing import Any, NamedTuple

from simulators.chips.sensirion import Fault, encode
from simulators.clock import Clock, Event
from simulators.inprocess import Time
from simulators.inprocess_buses import I2c
from simulators.wires import I2cBus, I2cDevice, Wire

Values = dict[str, int | str]


SENSIRION_FAULTS = (
    (Fault.ABSENT, "no_answer"),
    (Fault.NACK, "no_answer"),
    (Fault.BAD_CRC, "bad_answer"),
    (Fault.BAD_DATA, "bad_answer"),
    (Fault.NEVER_READY, "not_ready"),
    (Fault.OUT_OF_RANGE, "out_of_range"),
    (Fault.STRETCHING, "stuck"),
)


def number(value: int | str) -> int:
    """A value that must be one, not a fault's name."""
    assert isinstance(value, int), value
    return value


class Air(NamedTuple):
    """As ``simulators.chips.air_state`` wants it: a street in March."""

    pm1: float = 9.0
    pm2_5: float = 14.0
    pm4: float = 17.0
    pm10: float = 21.0
    co2: float = 452.0
    air_temperature: float = 7.31
    relative_humidity: float = 71.4
    air_pressure: float = 1009.2
    voc_index: float = 104.0
    nox_index: float = 3.0


class Bench:
    """A driver, time, and a limit for each thing that the driver does."""

    START_MS = 1_500
    READ_MS = 7_000
    STOP_MS = 1_500
    driver: Any

    def __init__(self, now_us: int = 7_000_000) -> None:
        self.clock = Clock(now_us)
        self.time = Time(self.clock)

    def within(self, ms: int, call: Callable[[], Any]) -> Any:
        """What ``call`` returns, if virtual time has not moved on by more than ``ms`` by then."""
        limit: Event = self.clock.after(ms * 1000, self._too_long)
        result = call()
        limit.cancel()
        return result

    @staticmethod
    def _too_long() -> None:
        raise AssertionError("the driver takes too long")

    def start(self) -> int:
        ms: int = self.within(self.START_MS, self.driver.start)
        return ms

    def read(self) -> Values:
        values: Values = self.within(self.READ_MS, self.driver.read)
        assert set(values) == set(self.driver.QUANTITIES)
        return values

    def stop(self) -> None:
        self.within(self.STOP_MS, self.driver.stop)

    def measure(self) -> Values:
        """Start, wait as long as it says, read."""
        self.time.sleep_ms(self.start())
        return self.read()


class Chip(Bench):
    """``driver(i2c, clock)`` with the chip that ``sim(clock, power)`` makes; power comes with ``on``."""

    def __init__(
        self,
        driver: Callable[..., Any],
        sim: Callable[[Clock, Wire], Any],
        *others: I2cDevice,
        nack: int = 19,
        **options: Any,
    ) -> None:
        super().__init__()
        self.power = Wire(0)
        self.sim = sim(self.clock, self.power)
        self.bus = I2cBus(self.sim, *others)
        self.i2c = I2c(self.clock, self.bus, 100_000, nack=nack)
        self.driver = driver(self.i2c, self.time, **options)

    def on(self) -> "Chip":
        self.power.drive(1)
        return self

    def off(self) -> None:
        self.power.drive(0)
        self.time.sleep_ms(100)


class Says:
    """A chip at ``address`` that gives prepared answers: words by command, or bytes, or None for no acknowledgement.

    A list gives one answer after the other and stays with its last. ``log``: what was written, in hexadecimal, with
    the time, ms.
    """

    def __init__(self, clock: Clock, address: int, answers: dict[int, Any]) -> None:
        self.address = address
        self.answers = answers
        self.log: list[tuple[str, int]] = []
        self._clock = clock
        self._written = b""
        self._writing = False
        self._answer = b""

    def selected(self, read: bool) -> bool:
        self._writing = not read
        if not read:
            self._written = b""
            return True
        return self._answer != b""

    def write(self, byte: int) -> bool:
        self._written += bytes([byte])
        return len(self._written) != 2 or self._next()

    def _next(self) -> bool:
        answer = self.answers.get(int.from_bytes(self._written, "big"), b"")
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        self._answer = encode(answer) if isinstance(answer, tuple) else answer or b""
        return answer is not None

    def read(self) -> int:
        byte, self._answer = (self._answer or b"\xff")[0], self._answer[1:]
        return byte

    def stop(self) -> None:
        if self._writing:
            self.log.append((self._written.hex(), self._clock.now_us // 1000))

    def stretch_us(self) -> int:
        return 0


class Script(Bench):
    """``driver(i2c, clock)`` with a chip that ``Says``."""

    def __init__(self, driver: Callable[..., Any], address: int, answers: dict[int, Any], **options: Any) -> None:
        super().__init__()
        self.chip = Says(self.clock, address, answers)
        self.driver = driver(I2c(self.clock, I2cBus(self.chip), 100_000), self.time, **options)

    @property
    def sent(self) -> list[str]:
        return [frame for frame, _ in self.chip.log]
