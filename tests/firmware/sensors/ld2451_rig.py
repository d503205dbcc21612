# SPDX-License-Identifier: EUPL-1.2
"""The LD2451 driver on its line: with the simulated radar, or with somebody who says what a test gives him.

SP = Hi-Link "HLK-LD2451 Serial communication protocol" V1.03; its example report and its frames stand here as bytes.
"""

from collections.abc import Iterable
from types import ModuleType
from typing import Any

from simulators.chips.ld2451 import SETTINGS, Fault, Ld2451Sim
from simulators.vehicles import Direction, Vehicle
from simulators.wires import SerialSettings, Wire
from tests.firmware.sensors.traffic_rig import RadarLine, S

EMPTY = bytes.fromhex("f4f3f2f1 0000 f8f7f6f5")
EXAMPLE = bytes.fromhex("f4f3f2f1 1100 0301 8a28003c15 8a1e013c0f 765f003c0f f8f7f6f5")


class Radar(RadarLine):
    """The line with a simulated LD2451, powered now; ``vehicles`` are those of its road."""

    def __init__(
        self,
        driver: ModuleType,
        vehicles: Iterable[Vehicle] = (),
        fault: Fault | None = None,
        *,
        sends_empty: bool = True,
        dropout: float = 0.0,
        start_s: float = 5,
        **options: Any,
    ) -> None:
        super().__init__(driver, "Ld2451", **options)
        self.power = Wire(0)
        self.sim = Ld2451Sim(
            self.clock, self.port, self.power, vehicles, dropout=dropout, ghosts=0, sends_empty=sends_empty
        )
        self.sim.fault = fault
        self.power.drive(1)
        self.ready_ms = self.driver.start()
        self.run(start_s)


class Script(RadarLine):
    """The line with somebody who answers commands as SP says and sends what a test gives him."""

    def __init__(self, driver: ModuleType, *, status: int = 0, answers: bool = True, **options: Any) -> None:
        super().__init__(driver, "Ld2451", **options)
        self.port.device = self
        self.sent = bytearray()
        self.status = status
        self.answers = answers
        self.commands: list[bytes] = []
        self.driver.start()

    def byte_received(self, byte: int, settings: SerialSettings) -> None:
        assert settings == SETTINGS
        self.sent.append(byte)
        if self.sent.endswith(b"\x04\x03\x02\x01"):
            assert self.sent.startswith(b"\xfd\xfc\xfb\xfa")
            assert int.from_bytes(self.sent[4:6], "little") == len(self.sent) - 10
            body = bytes(self.sent[6:-4])
            self.sent.clear()
            self.commands.append(body)
            if self.answers:
                rest = b"\x01\x00\x40\x00" if body[0] == 0xFF else b""
                self.say(ack(body[0], self.status, rest))

    def say(self, data: bytes) -> None:
        self.port.answer(data, SETTINGS)

    def reports(self, frames: Iterable[bytes], every_us: int = 100_000) -> None:
        for frame in frames:
            self.say(frame)
            self.run(every_us / S, every_us)

    def configured(self) -> "Script":
        self.reports([EMPTY] * 30)
        self.read()
        return self


def ack(command: int, status: int = 0, rest: bytes = b"") -> bytes:
    body = bytes([command, 1]) + status.to_bytes(2, "little") + rest
    return b"\xfd\xfc\xfb\xfa" + len(body).to_bytes(2, "little") + body + b"\x04\x03\x02\x01"


def report(*targets: tuple[int, int, int, int]) -> bytes:
    """Targets as (metres, km/h, 1 approach or 0 away, degrees)."""
    body = b"".join(bytes([degrees + 0x80, metres, way, kmh, 12]) for metres, kmh, way, degrees in targets)
    body = bytes([len(targets), 1]) + body if targets else b""
    return b"\xf4\xf3\xf2\xf1" + len(body).to_bytes(2, "little") + body + b"\xf8\xf7\xf6\xf5"


def passing(kmh: int, way: int) -> list[bytes]:
    """Reports of one vehicle that drives past."""
    step = kmh / 36
    places = [80 - n * step for n in range(int(72 / step))] if way else [9 + n * step for n in range(int(70 / step))]
    # the SNR of no two reports is the same, but nobody looks at it
    return [report((round(metres), kmh, way, 2)) for metres in places]


def cars(count: int, direction: Direction, kmh: float, begin_us: int = 20 * S) -> list[Vehicle]:
    return [Vehicle(begin_us + n * 15 * S, kmh, direction) for n in range(count)]
