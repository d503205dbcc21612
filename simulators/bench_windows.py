# SPDX-License-Identifier: EUPL-1.2
"""Are downlinks received? Every spreading factor, with slow interpreters, pausing collectors and drifting sleep clocks.

The real link and driver on the real MicroPython and the simulated chip: ``windows_node`` exchanges frame after frame,
a network on the air answers each uplink at the delay +-20 us (RP002-1.0.4), in RX1 or RX2, after 1 s or 5 s.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

from firmware.boards import heltec_v3 as pins
from simulators.air import Air, PathLoss, Position, Transmission
from simulators.chips.sx1262 import Sx1262Sim
from simulators.clock import Clock
from simulators.firmware_build import REPOSITORY, build, compile_module
from simulators.kernel import Kernel
from simulators.lorawan_frame import lorawan_frame
from simulators.metric import Metric
from simulators.node import NodeBench
from simulators.wires import Wire
from simulators.wiring import Wiring

RESULTS = REPOSITORY / ".bench" / "windows.json"
SPREADING_FACTORS = (7, 8, 9, 10, 11, 12)
CALLS_US = (100, 300, 1_000, 3_000)
PAUSES_US = (0, 10_000, 100_000)
DRIFTS_PPM = (-5_000, 0, 5_000)
ROUNDS = 100
GOAL = 0.99
RX_MA = 5.0

_FIRMWARE = REPOSITORY / ".build" / "bench-windows"
_JITTER_US = 20
_DOWNLINK = b"\x60" + bytes(16)
_LIMIT_US = 3_600_000_000


class Board(NamedTuple):
    """A slow or unlucky board; the budget claims every one of the matrix.

    ``call_us``: what every call into SPI, pins and time costs the interpreter: measured at each uplink, taken off.
    ``pause_us``: of the collector: claimed because the link keeps it off from the uplink to the last window.
    ``drift_ppm``: of the clock that times light sleep, None: it stays awake. Claimed up to 5,000 either way, with 1 ms.
    """

    call_us: int
    pause_us: int
    drift_ppm: int | None


class Cell(NamedTuple):
    """One spreading factor on one board: downlinks sent and received, and what an exchange's listening took."""

    sf: int
    board: Board
    sent: int
    received: int
    rx_ms: float
    error_us: int  # of RX1 after 1 s, at the end

    @property
    def hit_rate(self) -> float:
        return self.received / self.sent

    @property
    def charge_nah(self) -> float:
        """Per exchange: both windows and the downlink itself, at 5 mA."""
        return self.rx_ms * RX_MA / 3.6


class _Network:
    """Answers what the node's program asks for; keeps how long the chip listened at each spreading factor."""

    def __init__(self, clock: Clock, air: Air, radio: Sx1262Sim, seed: int, off_us: int) -> None:
        self._clock = clock
        self._air = air
        self._radio = radio
        self._random = random.Random(seed)
        self._off_us = off_us
        self.sent: defaultdict[int, int] = defaultdict(int)
        self.rx_us: defaultdict[int, int] = defaultdict(int)
        self._sf = 0
        self._rx_before_us = 0
        air.attach(self)

    def account(self) -> None:
        now_us = self._radio.ledger()["rx"]
        self.rx_us[self._sf] += now_us - self._rx_before_us
        self._rx_before_us = now_us

    def heard(self, transmission: Transmission) -> None:
        if transmission.iq_inverted:
            return
        self.account()
        self._sf, delay_s, window = transmission.phy_payload[1:4]
        sf = self._sf
        self.sent[sf] += 1
        start_us = transmission.end_us + (delay_s + window - 1) * 1_000_000 + self._off_us
        start_us += self._random.randint(-_JITTER_US, _JITTER_US)
        frequency_hz = transmission.frequency_hz if window == 1 else 869_525_000
        down = lorawan_frame(start_us, frequency_hz, sf, _DOWNLINK, Position(500.0, 0.0), down=True)
        self._clock.at(start_us, lambda: self._air.transmit(down))


def firmware(target: Path, rounds: int, spreading_factors: Iterable[int], light: bool) -> Path:
    """The firmware with the bench's program and its plan, in the folder ``target``."""
    build(target)
    compile_module(Path(__file__).with_name("windows_node.py"), target / "windows_node.mpy", "windows_node.py")
    plan = target / "windows_plan.py"
    plan.write_text(f"ROUNDS = {rounds}\nLIGHT = {light}\nSPREADING_FACTORS = {tuple(spreading_factors)}\n")
    compile_module(plan, target / "windows_plan.mpy", "windows_plan.py")
    return target


def run_board(
    board: Board,
    spreading_factors: tuple[int, ...] = SPREADING_FACTORS,
    rounds: int = ROUNDS,
    *,
    off_us: int = 0,
    folder: Path = _FIRMWARE,
    change: Callable[[Path], None] | None = None,
) -> list[Cell]:
    """Let one node exchange ``rounds`` frames at each spreading factor.

    ``off_us``: the network is late by that. ``change``: what to do to the compiled firmware in ``folder``.
    """
    firmware(folder, rounds, spreading_factors, board.drift_ppm is not None)
    if change is not None:
        change(folder)
    clock = Clock()
    air = Air(clock, model=PathLoss(100.0, 1.0, 0.0, 0.0, 0.0))
    nss, busy, dio1, reset = Wire(1), Wire(0), Wire(0), Wire(1)
    radio = Sx1262Sim(clock, air, nss, busy, dio1, reset)
    network = _Network(clock, air, radio, seed=7, off_us=off_us)
    wiring = Wiring(
        pins={
            pins.LORA_NSS: nss,
            pins.LORA_BUSY: busy,
            pins.LORA_DIO1: dio1,
            pins.LORA_RESET: reset,
            pins.SENSOR_POWER: Wire(1),
        },
        spi={pins.LORA_SPI: radio},
    )
    bench = NodeBench(
        clock,
        wiring,
        folder,
        main="windows_node",
        cpu_us=board.call_us,
        gc_pause_us=board.pause_us,
        rtc_drift_ppm=board.drift_ppm or 0,
        seed=7,
    )
    with Kernel(clock, [bench]) as kernel:
        bench.power_on()
        while not (bench.statistics.returned or bench.statistics.crashes) and clock.now_us < _LIMIT_US:
            kernel.run_until(clock.now_us + 10_000_000)
        network.account()
        console = bench.console()
        complaints = radio.refusals + radio.degradations + [crash.traceback for crash in bench.statistics.crashes]
    if complaints or not bench.statistics.returned:
        raise RuntimeError(f"{board}: {complaints[:3]} {console[-500:]}")
    return [_cell(sf, board, network, console) for sf in spreading_factors]


def _cell(sf: int, board: Board, network: _Network, console: str) -> Cell:
    lines = [line.split() for line in console.splitlines()]
    mine = [fields for fields in lines if int(fields[0]) == sf]
    received = sum(fields[4] == "heard" for fields in mine)
    return Cell(sf, board, network.sent[sf], received, network.rx_us[sf] / 1000 / len(mine), int(mine[-1][3]))


def boards() -> list[Board]:
    return [Board(*values) for values in product(CALLS_US, PAUSES_US, DRIFTS_PPM)]


def measure(rounds: int = ROUNDS, progress: Callable[[float], None] | None = None) -> Iterator[Cell]:
    """Every cell of the matrix."""
    todo = boards()
    for n, board in enumerate(todo, 1):
        yield from run_board(board, rounds=rounds)
        if progress is not None:
            progress(n / len(todo))


def metrics(cells: Iterable[Cell]) -> list[Metric]:
    """Two rows a cell, for ``.bench/windows.json``."""
    rows = []
    for cell in cells:
        board = cell.board
        name = f"sf{cell.sf}_call_{board.call_us}us_pause_{board.pause_us // 1000}ms_drift_{board.drift_ppm}ppm"
        rows.append(Metric(f"received_{name}", round(cell.hit_rate, 4), "1", None, GOAL, at_least=True))
        rows.append(Metric(f"charge_{name}", round(cell.charge_nah / 1000, 3), "uAh", None, None))
    return rows


def lines(cells: list[Cell]) -> Iterator[str]:
    """The matrix for people: a row a board, a column a spreading factor."""
    yield "received of 100, and uAh for listening (5 mA) per exchange"
    columns = sorted({cell.sf for cell in cells})
    yield "call ms  pause ms  drift %" + "".join(f"{'SF' + str(sf):>14}" for sf in columns)
    for board in dict.fromkeys(cell.board for cell in cells):
        row = {cell.sf: cell for cell in cells if cell.board == board}
        drift = "awake" if board.drift_ppm is None else f"{board.drift_ppm / 10_000:+.1f}"
        marks = "".join(f"{100 * row[sf].hit_rate:>8.1f}{row[sf].charge_nah / 1000:>6.2f}" for sf in columns)
        yield f"{board.call_us / 1000:>7.1f}{board.pause_us // 1000:>10}{drift:>9}{marks}"
    sent, received = sum(cell.sent for cell in cells), sum(cell.received for cell in cells)
    below = sum(cell.hit_rate < GOAL for cell in cells)
    yield f"{received} of {sent} downlinks received; {below} of {len(cells)} cells below {100 * GOAL:g} %"
