# SPDX-License-Identifier: EUPL-1.2
"""The whole node as one device, for test benches of others: what it sends, when it listens, and downlinks to it.

The real firmware on the real MicroPython over the simulated board, in virtual time (integer microseconds since the
device was made). Nothing of our gateway or cloud is in it, and no sockets. The same arguments and the same downlinks
give the same frames. A bench in a few lines is in ``simulators/README.md``::

    with Device("70b3d57ed0000001", "70b3d57ed0ffff00", app_key) as device:
        device.power_on()
        for event in device.events(until_us):
            if isinstance(event, Uplink):
                device.deliver(event.end_us + 5_000_000, event.frequency_hz, event.dr, frame)

DeviceError
    TooLate              time_us, now_us: a downlink that should have started already
    NotLoRa              dr: a data rate that this radio model cannot send
    TooLong              length: more bytes than a LoRa frame holds
    UnknownBoard         board: none of ``simulators.board.KINDS``
"""

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from decoders.lorawan.region import EU868
from simulators.air import Air, PathLoss, Position, Receiver, Transmission
from simulators.air_quality import AirTruth
from simulators.board import KINDS
from simulators.city import Truth
from simulators.clock import Clock
from simulators.faults import RadioFaults
from simulators.firmware_build import DEFAULT_BOARD, REPOSITORY, build_rom
from simulators.kernel import Kernel
from simulators.lorawan_frame import lorawan_frame
from simulators.nodes import World, make_node, provisioned

_CABLE = PathLoss(0.0, 1.0, 0.0, 0.0, 0.0)  # between bench and node stands nothing
_BENCH = Position(0.0, 0.0)
_DR_BY_RATE = {(rate.sf, rate.bandwidth_hz): dr for dr, rate in enumerate(EU868.data_rates)}
_MAX_FRAME_BYTES = 255  # SX1261/2 datasheet, rev. 1.2, "LoRa Frame": its length is one byte
_MILD_AIR = AirTruth(5.0, 7.0, 9.0, 12.0, 425.0, 18.0, 60.0, 1000.0, 100.0, 1.0)
_MILD = World(lambda _now_us: Truth(23.45, 18.2, 21.5, 0.0), lambda _now_us: _MILD_AIR)


class DeviceError(Exception):
    """The bench asked for something impossible."""


class TooLate(DeviceError):
    def __init__(self, time_us: int, now_us: int) -> None:
        super().__init__(f"a downlink at {time_us} us, but it is {now_us} us already")
        self.time_us = time_us
        self.now_us = now_us


class NotLoRa(DeviceError):
    def __init__(self, dr: int) -> None:
        super().__init__(f"DR{dr} is no LoRa data rate of {EU868.name}; there are DR0 to DR{len(EU868.data_rates) - 1}")
        self.dr = dr


class TooLong(DeviceError):
    def __init__(self, length: int) -> None:
        super().__init__(f"a downlink of {length} bytes; a LoRa frame holds {_MAX_FRAME_BYTES}")
        self.length = length


class UnknownBoard(DeviceError):
    def __init__(self, board: str) -> None:
        super().__init__(f"no board {board!r}; there are {', '.join(KINDS)}")
        self.board = board


class Uplink(NamedTuple):
    """A frame that the node starts to send at ``time_us``; its last symbol ends at ``end_us``.

    ``power_dbm`` is radiated (EIRP). ``dr`` is None for a modulation that is no data rate of the region. A node that is
    switched off, or whose radio fails, before ``end_us`` cuts the frame short.
    """

    time_us: int
    end_us: int
    frequency_hz: int
    dr: int | None
    power_dbm: float
    phy_payload: bytes


class Window(NamedTuple):
    """The node starts to listen at ``time_us``, for ``length_us`` if no preamble shows; None: without an end."""

    time_us: int
    length_us: int | None
    frequency_hz: int
    dr: int | None


Event = Uplink | Window


class _Cable(Air):
    """Air that says when somebody begins to listen."""

    def __init__(self, clock: Clock, seed: int) -> None:
        super().__init__(clock, seed, _CABLE)
        self.on_attach: Callable[[Receiver], None] | None = None

    def attach(self, receiver: Receiver) -> None:
        super().attach(receiver)
        if self.on_attach is not None:
            self.on_attach(receiver)


class Device:
    """One node. ``dev_eui`` and ``join_eui`` are hex, ``app_key`` 16 bytes, ``interval_s`` between uplinks.

    ``profile`` is tree, air or traffic; ``world`` says what its sensors are exposed to, ``board`` is one of
    ``simulators.board.KINDS``; ``confirmed``: its uplinks. ``firmware`` is an image or a folder (``NodeBench``); None
    builds this repository's image. ``on_transmit`` and ``on_listen`` are called when it happens, in virtual time.
    Raises UnknownBoard.
    """

    def __init__(
        self,
        dev_eui: str,
        join_eui: str,
        app_key: bytes,
        *,
        interval_s: int = 900,
        seed: int = 0,
        rtc_drift_ppm: int = 0,
        cpu_us: int = 10,
        heap: str = "64wK",
        profile: str = "tree",
        world: World = _MILD,
        confirmed: bool = False,
        board: str = "heltec_v3",
        firmware: Path | None = None,
        on_transmit: Callable[[Uplink], None] | None = None,
        on_listen: Callable[[Window], None] | None = None,
    ) -> None:
        self.on_transmit = on_transmit
        self.on_listen = on_listen
        if board not in KINDS:
            raise UnknownBoard(board)
        self._clock = Clock()
        self._air = _Cable(self._clock, seed)
        if firmware is None:
            table = KINDS[board].firmware
            name = "firmware" if table == DEFAULT_BOARD else f"firmware-{table}"
            firmware = build_rom(REPOSITORY / ".build" / name, board=table)
        self.node = make_node(
            profile,
            self._clock,
            self._air,
            firmware,
            world,
            board,
            position=_BENCH,
            flash=provisioned(dev_eui, join_eui, app_key, interval_s, profile, world.probes, confirmed),
            seed=seed,
            rtc_drift_ppm=rtc_drift_ppm,
            cpu_us=cpu_us,
            heap=heap,
        )
        self._kernel = Kernel(self._clock, [self.node.bench])
        self._air.attach(self)
        self._air.on_attach = self._listens

    # --- time, power and faults

    @property
    def faults(self) -> RadioFaults:
        """What can be broken between processor and radio."""
        return self.node.radio_faults

    @property
    def now_us(self) -> int:
        return self._clock.now_us

    def power_on(self) -> None:
        """Connect the battery: the node boots."""
        self.node.bench.power_on()

    def power_off(self) -> None:
        """Cut the supply, whatever the node is doing; only its flash remembers."""
        self.node.bench.power_off()

    def run_until(self, time_us: int) -> None:
        """Let the node live until ``time_us``; the callbacks hear of what it does."""
        self._kernel.run_until(time_us)

    def at(self, time_us: int, action: Callable[[], None]) -> None:
        """Call ``action`` at that virtual time."""
        self._clock.at(time_us, action)

    def events(self, until_us: int) -> Iterator[Event]:
        """What the node does until then, one by one, each at its own time: ``now_us`` stands at the event."""
        seen: deque[Event] = deque()
        before = self.on_transmit, self.on_listen

        def note(event: Event, callback: Callable[..., None] | None) -> None:
            seen.append(event)
            if callback is not None:
                callback(event)

        self.on_transmit = lambda event: note(event, before[0])
        self.on_listen = lambda event: note(event, before[1])
        try:
            while True:
                self._kernel.run_until(until_us, stop=lambda: bool(seen))
                if not seen:
                    return
                yield seen.popleft()
        finally:
            self.on_transmit, self.on_listen = before

    def close(self) -> None:
        """End the node's process."""
        self._kernel.close()

    def __enter__(self) -> "Device":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    # --- the radio link

    def deliver(
        self, time_us: int, frequency_hz: int, dr: int, phy_payload: bytes, *, power_dbm: float = -80.0
    ) -> None:
        """Put a downlink on the air whose first symbol starts at ``time_us``; the node gets it if it listens then.

        ``power_dbm`` is what an isotropic antenna at the node's place receives. Raises TooLate, NotLoRa, TooLong.
        """
        if time_us < self._clock.now_us:
            raise TooLate(time_us, self._clock.now_us)
        if not 0 <= dr < len(EU868.data_rates):
            raise NotLoRa(dr)
        if len(phy_payload) > _MAX_FRAME_BYTES:
            raise TooLong(len(phy_payload))
        rate = EU868.data_rates[dr]
        down = lorawan_frame(
            time_us,
            frequency_hz,
            rate.sf,
            phy_payload,
            _BENCH,
            bandwidth_hz=rate.bandwidth_hz,
            power_dbm=power_dbm,
            down=True,
        )
        self._clock.at(time_us, lambda: self._air.transmit(down))

    def heard(self, transmission: Transmission) -> None:
        """Called by the air for every transmission, our own downlinks included."""
        t = transmission
        if t.iq_inverted or self.on_transmit is None:
            return
        dr = _DR_BY_RATE.get((t.sf, t.bandwidth_hz))
        self.on_transmit(Uplink(t.start_us, t.end_us, t.frequency_hz, dr, t.power_dbm, t.phy_payload))

    def _listens(self, _receiver: Receiver) -> None:
        config = self.node.radio.config
        if self.on_listen is None or config.modulation is None or config.frequency_hz is None:
            return
        modulation, now_us = config.modulation, self._clock.now_us
        ends = [] if self.node.radio.timer_us is None else [self.node.radio.timer_us - now_us]
        if config.symbol_timeout:
            ends.append(round(config.symbol_timeout * modulation.symbol_us))
        dr = _DR_BY_RATE.get((modulation.sf, modulation.bandwidth_hz))
        self.on_listen(Window(now_us, min(ends, default=None), config.frequency_hz, dr))
