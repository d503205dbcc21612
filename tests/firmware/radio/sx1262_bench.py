# SPDX-License-Identifier: EUPL-1.2
"""One SX1262 driver on one simulated chip, an ear that hears all it sends and a mouth that answers."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from simulators.air import Air, PathLoss, Position, Transmission
from simulators.chips.sx1262 import Sx1262Sim
from simulators.chips.sx1262_commands import Modulation, Packet, time_on_air_us
from simulators.clock import Clock
from simulators.inprocess import Pin, Time
from simulators.inprocess_buses import Spi
from simulators.wires import Wire


class CountedSpi(Spi):
    """Keeps what went out, transfer by transfer."""

    sent: list[bytes]

    def write_readinto(self, write: bytes | bytearray, read: bytearray | memoryview) -> None:
        self.sent.append(bytes(write))
        super().write_readinto(write, read)


class BusyPin(Pin):
    """Counts the looks at it; can be jammed high."""

    looks = 0
    jammed = False

    def value(self, level: int | None = None) -> int | None:
        self.looks += 1
        level = super().value(level)
        return 1 if self.jammed else level

    __call__ = value


class Bench:
    """``loss_db`` lies between the chip and the gateway, whatever the distance. The driver is not started yet."""

    def __init__(
        self,
        driver: ModuleType,
        *,
        loss_db: float = 100.0,
        tcxo_start_us: int | None = 1_500,
        now_us: int = 0,
        limit_ms: int = 60_000,
        **options: Any,
    ) -> None:
        self.module = driver
        self.clock = Clock(now_us)
        self.time = Time(self.clock)
        self.air = Air(self.clock, model=PathLoss(loss_db, 1.0, 0.0, 0.0, 0.0))
        self.nss, self.busy_wire, self.dio1, self.reset = Wire(1), Wire(0), Wire(0), Wire(1)
        self.sim = Sx1262Sim(
            self.clock, self.air, self.nss, self.busy_wire, self.dio1, self.reset, tcxo_start_us=tcxo_start_us
        )
        self.spi = CountedSpi(self.clock, self.sim)
        self.spi.sent = []
        self.busy = BusyPin(self.clock, self.busy_wire)
        self.radio: Any = self.another_driver(**options)
        self.heard_on_air: list[Transmission] = []
        self.air.attach(self)
        self.dio1_rose_us: list[int] = []
        self.dio1.watch(lambda level: self.dio1_rose_us.append(self.clock.now_us) if level else None)
        self.clock.at(now_us + limit_ms * 1000, self._too_long)

    def another_driver(self, **options: Any) -> Any:
        """A driver that knows nothing of the chip's past, as after a deep sleep of the node."""
        pins = (Pin(self.clock, wire) for wire in (self.dio1, self.reset))
        return self.module.Sx1262(self.spi, Pin(self.clock, self.nss), self.busy, *pins, self.time, **options)

    @staticmethod
    def _too_long() -> None:
        raise AssertionError("the driver takes too long")

    def heard(self, transmission: Transmission) -> None:
        self.heard_on_air.append(transmission)

    def started(self) -> "Bench":
        self.radio.start()
        return self

    def fault_of(self, action: Callable[[], object]) -> str | None:
        """The reason of the RadioFault that ``action`` ends with, None if it ends with none."""
        try:
            action()
        except self.module.RadioFault as fault:
            return str(fault.reason)
        return None

    def asked(self, opcode: int) -> int:
        """What the chip itself answers to a read command of two bytes, the driver not asked."""
        data = bytearray((opcode, 0, 0, 0))
        self.time.sleep_us(100)
        self.nss.drive(0)
        self.spi.write_readinto(data, data)
        self.nss.drive(1)
        self.time.sleep_us(100)
        return int.from_bytes(data[2:], "big")

    def assert_clean(self) -> None:
        """The chip has refused nothing and nothing was set up to work badly."""
        assert self.sim.refusals == []
        assert self.sim.degradations == []

    # The two exchanges of a class A node

    def stage_uplink(
        self,
        payload: bytes = bytes(range(20)),
        sf: int = 7,
        power_dbm: int = 14,
        frequency_hz: int = 868_100_000,
        bandwidth_hz: int = 125_000,
    ) -> None:
        self.radio.stage_tx(frequency_hz, sf, bandwidth_hz, power_dbm, payload)

    def uplink(
        self, payload: bytes = bytes(range(20)), sf: int = 7, power_dbm: int = 14, **channel: int
    ) -> Transmission:
        """Send from stage to finish; return what was heard on the air."""
        self.stage_uplink(payload, sf, power_dbm, **channel)
        self.radio.launch_tx()
        sent = self.heard_on_air_at_last()
        self.clock.run_until(sent.end_us + 200)
        self.radio.finish_tx()
        return sent

    def heard_on_air_at_last(self) -> Transmission:
        self.time.sleep_us(1_000)
        assert self.heard_on_air, "nothing on the air"
        return self.heard_on_air.pop()

    def downlink(
        self,
        payload: bytes = b"\x60downlink",
        *,
        after_us: int,
        sf: int = 7,
        bandwidth_hz: int = 125_000,
        frequency_hz: int = 868_100_000,
        iq_inverted: bool = True,
        crc_on: bool = False,
        low_data_rate: bool = False,
        sync_word: int = 0x3444,
        power_dbm: float = 14.0,
    ) -> int:
        """Let the gateway send ``after_us`` from now; return when it ends, us."""
        packet = Packet(8, False, len(payload), crc_on, iq_inverted)
        start_us = self.clock.now_us + after_us
        end_us = start_us + time_on_air_us(Modulation(sf, bandwidth_hz, 1, low_data_rate), packet)
        transmission = Transmission(
            start_us, end_us, frequency_hz, sf, bandwidth_hz, power_dbm, iq_inverted, sync_word, payload, crc_on, 8,
            Position(1_000.0, 0.0), low_data_rate=low_data_rate,
        )  # fmt: skip
        self.clock.at(start_us, lambda: self.air.transmit(transmission))
        return end_us

    def listen(
        self, symbols: int = 24, sf: int = 7, frequency_hz: int = 868_100_000, bandwidth_hz: int = 125_000
    ) -> int:
        """Stage and launch a window; return when it was launched, us."""
        self.radio.stage_rx(frequency_hz, sf, bandwidth_hz, symbols)
        self.radio.launch_rx()
        return self.clock.now_us
