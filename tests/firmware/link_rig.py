# SPDX-License-Identifier: EUPL-1.2
"""A link (the module is a parameter, so that a broken one can be tried) on the real driver, chip and MAC core."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NamedTuple

import firmware.radio.sx1262 as driver
from firmware.mac import Dropped
from simulators import inprocess
from simulators.air import Transmission
from simulators.chips.sx1262_commands import Modulation, Packet, time_on_air_us
from tests.firmware.radio.sx1262_bench import Bench


class SleepyTime(inprocess.Time):
    """Ticks go on in light sleep by a clock that is ``drift_ppm`` fast."""

    gained_us = 0

    def ticks_us(self) -> int:
        return (super().ticks_us() + self.gained_us) % inprocess.TICKS_PERIOD


class Watched:
    """The driver, with the instants of its launches and what the collector was allowed to do then."""

    def __init__(self, radio: Any, rig: "Rig") -> None:
        self._radio = radio
        self._rig = rig
        self.launches: list[tuple[str, int]] = []
        self.collecting: list[bool] = []
        self.staged: list[tuple[int, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._radio, name)

    def _note(self, what: str) -> None:
        self.launches.append((what, self._rig.bench.clock.now_us))
        self.collecting.append(self._rig.gc.enabled)

    def stage_rx(self, *window: int) -> int:
        self.staged.append(window)
        symbols: int = self._radio.stage_rx(*window)
        return symbols

    def launch_tx(self) -> int:
        launched: int = self._radio.launch_tx()
        self._note("tx")
        return launched

    def launch_rx(self) -> int:
        launched: int = self._radio.launch_rx()
        self._note("rx")
        return launched


class Rig:
    """``drift_ppm``: this board offers light sleep, and that much drift with it."""

    def __init__(self, link: ModuleType, *, drift_ppm: int | None = None, **options: Any) -> None:
        self.bench = Bench(driver, **options)
        self.bench.time = self.time = SleepyTime(self.bench.clock)
        self.bench.radio = self.bench.another_driver()
        self.bench.started()
        self.radio = Watched(self.bench.radio, self)
        self.fed = 0
        self.light_sleeps: list[tuple[int, str]] = []  # ms, the chip's mode meanwhile
        self._drift_ppm = drift_ppm
        self.gc = PausingGc(self.time)
        link.gc = self.gc  # type: ignore[attr-defined]
        self.budget = link.WindowBudget()
        self.link = link.Link(
            self.radio,
            self.time,
            self._feed,
            antenna_gain_dbi=2,
            budget=self.budget,
            light_sleep=None if drift_ppm is None else self._light_sleep,
        )
        self.ended_us = 0

    def _feed(self) -> None:
        self.fed += 1

    def _light_sleep(self, ms: int) -> None:
        """Nothing sees an edge meanwhile."""
        true_us = ms * 1000 * 1_000_000 // (1_000_000 + (self._drift_ppm or 0))
        dio1 = self.bench.radio._dio1
        dio1._handler, handler = None, dio1._handler
        self.time.sleep_us(true_us)
        dio1._handler = handler
        self.light_sleeps.append((ms, self.bench.sim.mode))
        self.time.gained_us += ms * 1000 - true_us

    def after_uplink(self, then: Callable[[Transmission], None]) -> None:
        """Call ``then`` when the next uplink starts."""
        air = self.bench.air
        rig = self

        class Ear:
            def heard(self, sent: Transmission) -> None:
                air.detach(self)
                rig.ended_us = sent.end_us
                then(sent)

        air.attach(Ear())

    def answer(self, phy_payload: bytes, after_us: int, sf: int = 7, frequency_hz: int | None = None) -> None:
        """Let the network send so long after the end of the next uplink; None: on its frequency."""

        def send(sent: Transmission) -> None:
            wait_us = sent.end_us - self.bench.clock.now_us + after_us
            self.bench.downlink(
                phy_payload, after_us=wait_us, sf=sf, frequency_hz=frequency_hz or sent.frequency_hz,
                low_data_rate=sf >= 11,
            )  # fmt: skip

        self.after_uplink(send)

    def exchange(self, mac: Any, transmit: Any = None) -> list[Any]:
        self.bench.heard_on_air.clear()
        self.radio.launches.clear()
        _, events = self.link.exchange(mac, transmit or mac.transmit)
        self.bench.assert_clean()
        return list(events)

    def opened_us(self) -> list[int]:
        """When the receiver was launched, from the end of the uplink on the air, not from what the driver saw."""
        end_us = next(sent.end_us for sent in self.bench.heard_on_air if not sent.iq_inverted)
        return [at_us - end_us for what, at_us in self.radio.launches if what == "rx"]


class OpenWindow(NamedTuple):
    after_us: int
    frequency_hz: int
    dr: int


class Transmit(NamedTuple):
    frequency_hz: int
    dr: int
    eirp_dbm: int
    phy_payload: bytes
    airtime_us: int


class ScriptedMac:
    """A MAC core that listens RX1 on the uplink's channel and RX2 at 869.525 MHz; what starts with 0x60 is for it."""

    def __init__(self, sf: int = 7, *, rx1_us: int = 1_000_000, rx2_sf: int = 12, between_us: int = 1_000_000) -> None:
        modulation, packet = Modulation(sf, 125_000, 1, sf >= 11), Packet(8, False, 23, True, False)
        airtime_us = time_on_air_us(modulation, packet)
        self.transmit = Transmit(868_300_000, 12 - sf, 16, bytes(23), airtime_us)
        self.windows = [
            OpenWindow(rx1_us, 868_300_000, 12 - sf),
            OpenWindow(rx1_us + between_us, 869_525_000, 12 - rx2_sf),
        ]
        self.snr_quarter_db: int | None = None

    def next_window(self) -> OpenWindow | None:
        return self.windows[0] if self.windows else None

    def window_closed(self) -> None:
        del self.windows[0]

    def received(self, phy_payload: bytes, snr_quarter_db: int) -> list[Any]:
        self.snr_quarter_db = snr_quarter_db
        if phy_payload[0] != 0x60:
            self.window_closed()
            return [Dropped("dev_addr")]
        self.windows = []
        return [phy_payload]


@contextmanager
def each_call_takes(us: int) -> Iterator[None]:
    """A slow interpreter: what every call into ``machine`` and ``time`` costs."""
    before, inprocess.CALL_US = inprocess.CALL_US, us
    try:
        yield
    finally:
        inprocess.CALL_US = before


class PausingGc:
    """MicroPython's collector, which takes its time, on a heap of which ``free`` bytes are left."""

    def __init__(self, time: inprocess.Time, pause_us: int = 0, free: int = 100_000) -> None:
        self._time = time
        self._pause_us = pause_us
        self._free = free
        self.collected_us: list[int] = []
        self.enabled = True

    def collect(self) -> None:
        self._time.sleep_us(self._pause_us)
        self.collected_us.append(self._time._clock.now_us)

    def mem_free(self) -> int:
        return self._free

    def disable(self) -> None:
        self.enabled = False

    def enable(self) -> None:
        self.enabled = True
