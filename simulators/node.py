# SPDX-License-Identifier: EUPL-1.2
"""One node: a board's devices, and the real MicroPython that runs its firmware, through boots, sleeps and power cuts.

The kernel asks a node for its next operation (``receive``, ``due_us``) and lets it happen (``execute``); everything
else (waking, the watchdog, power) is an event of the clock.
"""

from collections import deque
from collections.abc import Callable
from pathlib import Path

from simulators.clock import Clock, Event
from simulators.firmware_build import build_shim
from simulators.flash import Flash, PowerLost
from simulators.micropython import _ops
from simulators.node_link import Operation, answer, operations, type_in
from simulators.node_program import Program
from simulators.node_states import Crash, Moment, NodeStatistics, Port, ResetCause, State
from simulators.node_timers import Rtc, Watchdog
from simulators.process import Worker, WorkerDied
from simulators.wires import ONEWIRE_SLOT_US
from simulators.wiring import Board, Wiring

NEVER_US = 1 << 60
BOOT_US = 300_000  # from reset to the first line of main on an ESP32-S3


def _nothing(_moment: Moment) -> None: ...


class NodeBench:
    """A node on the bench. ``main``: the module that is the program. ``firmware``: image of a ROM file system, or a
    folder of compiled modules, which are then loaded into the heap.

    ``cpu_us``: what a call into machine or time costs. ``rtc_drift_ppm``: how much faster than true time the node's
    RTC runs, which times its sleep. ``ticks_start_us``: ticks at reset (0 on a board; near 2**30 to see them wrap).
    ``heap``: MicroPython's heap; 64wK is what a 32-bit board calls 64 kB. ``gc_pause_us``: how long a collection stops
    everything; the collector then strikes now and then by itself unless it is switched off. ``cut_at_operation``: power
    fails just before the operation of that number (``operations`` counts from 0). ``notice`` is told of each Moment.
    """

    __slots__ = (  # a test that misspells one is told so
        "_bits",
        "_boot_us",
        "_clock",
        "_pending",
        "_port",
        "_program",
        "_rtc",
        "_since_us",
        "_wake",
        "_watchdog",
        "_wiring",
        "_worker",
        "board",
        "cut_at_operation",
        "due_us",
        "flash",
        "index",
        "notice",
        "operations",
        "state",
        "state_changed",
        "statistics",
    )

    def __init__(
        self,
        clock: Clock,
        wiring: Wiring,
        firmware: Path,
        *,
        index: int = 0,
        main: str = "main",
        unique_id: bytes = b"\x24\x0a\xc4\x00\x00\x01",
        flash: Flash | None = None,
        seed: int = 0,
        cpu_us: int = 10,
        boot_us: int = BOOT_US,
        rtc_drift_ppm: int = 0,
        ticks_start_us: int = 0,
        heap: str = "64wK",
        gc_pause_us: int = 0,
        guard_s: float = 60.0,
        port: Port = Port.ESP32,
    ) -> None:
        self._clock = clock
        self._wiring = wiring
        self._program = Program(
            firmware,
            main,
            port,
            unique_id=unique_id,
            cpu_us=cpu_us,
            heap=heap,
            gc_pause_us=gc_pause_us,
            rtc_drift_ppm=rtc_drift_ppm,
            ticks_start_us=ticks_start_us,
        )
        self._boot_us = boot_us
        self._port = port
        self.index = index
        self.flash = Flash() if flash is None else flash
        self.board = Board(clock, wiring, seed, self._edge)
        self.statistics = NodeStatistics()
        self.state = State.OFF
        self.operations = 0
        self.cut_at_operation: int | None = None
        self.state_changed: Callable[[NodeBench, State], None] | None = None
        self.notice: Callable[[Moment], None] = _nothing
        self.due_us = NEVER_US  # when the operation at the head of _pending happens
        self._pending: deque[Operation] = deque()
        self._bits: list[int] = []
        self._worker = Worker(
            f"node {index}", build_shim(), self._program.rom, self.flash.descriptor, guard_s, wiring.console is not None
        )
        self._wake: Event | None = None
        self._rtc = Rtc(clock, rtc_drift_ppm)
        self._watchdog = Watchdog(clock, self._watchdog_bites)
        self._since_us = clock.now_us

    # -- power, reset, sleep ------------------------------------------------------------------------------------------

    def power_on(self) -> None:
        """Connect the supply: the board boots with nothing but its flash."""
        if self.state is State.OFF:
            self._wiring.power.drive(1)
            self._rtc.set(0)
            self._boot(ResetCause.POWER_ON)

    def power_off(self) -> None:
        """Cut the supply, whatever the node is doing."""
        if self.state is not State.OFF:
            self._halt(State.OFF)
            self.board.reset(keep_rtc_memory=False)
            self._wiring.power.drive(0)

    def settle(self) -> None:
        """Bring ``statistics.state_us`` up to the present."""
        now_us = self._clock.now_us
        self.statistics.state_us[self.state] += now_us - self._since_us
        self._since_us = now_us

    def _enter(self, state: State) -> None:
        self.settle()
        before, self.state = self.state, state
        if self.state_changed is not None:
            self.state_changed(self, before)

    def _halt(self, state: State) -> None:
        """Stop the processor at once; a run that has not ended by itself is killed."""
        self._worker.abort()
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        self._watchdog.stop()
        self._pending.clear()
        self._bits.clear()
        self.due_us = NEVER_US
        self._enter(state)

    def _boot(self, cause: ResetCause) -> None:
        self._halt(State.BOOTING)
        self.board.reset()
        self.statistics.boots[cause] += 1
        reset_us = self._clock.now_us
        self._wake = self._clock.after(self._boot_us, lambda: self._run(cause, reset_us))

    def _run(self, cause: ResetCause, reset_us: int) -> None:
        self._enter(State.AWAKE)
        self._program.run(self._worker, self._clock.now_us, reset_us, self.rtc_us(), cause, self.board, self.flash)

    def rtc_us(self) -> int:
        """The node's RTC, us since 2000-01-01 if it has been set, else since power-up."""
        return self._rtc.now_us()

    def _watchdog_bites(self) -> None:
        if self._port is Port.RP2 and self.state is State.LIGHT_SLEEP:
            self._halt(State.STOPPED)
            self._crashed("watchdog", "it struck in light sleep: the chip is dead until power fails (issue 17228)")
        else:
            self._boot(ResetCause.WATCHDOG)

    # -- for the kernel ----------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        return self.state in (State.AWAKE, State.LIGHT_SLEEP)

    @property
    def waiting(self) -> bool:
        """Whether it is known what the node does next."""
        return bool(self._pending)

    def receive(self) -> None:
        """Wait until it is known what the node does next."""
        if self._pending:
            return
        self._pending.extend(operations(self._worker))
        if self._wiring.console is not None and (said := self._worker.said()):
            self._wiring.console.transmit(said)
        self._next()

    def _next(self) -> None:
        """See when the operation now at the head is due."""
        if not self._pending:
            self.due_us = NEVER_US
            return
        head = self._pending[0]
        if head.op == _ops.SYNC and not self.board.edges:
            self.due_us = max(head.argument, head.time_us)
        else:
            self.due_us = head.time_us

    def _edge(self) -> None:
        """A pin with a handler has changed: a node that sleeps in SYNC is told now."""
        if self._pending and self._pending[0].op == _ops.SYNC:
            self.due_us = max(self._pending[0].time_us, self._clock.now_us)

    def execute(self, horizon_us: int) -> None:
        """Let the operation at the head happen now. ``horizon_us``: until then only events of the clock happen."""
        number, self.operations = self.operations, self.operations + 1
        if number == self.cut_at_operation:
            self.power_off()
            return
        pending = self._pending.popleft()
        op = pending.op
        try:
            if op < _ops.PIN_MODE:
                self._answer(pending, horizon_us)
            elif op < _ops.DEEP_SLEEP:
                self.statistics.posts += 1
                self._post(pending)
                self._next()
            else:
                self._last_word(op, pending.argument)
        except PowerLost:
            self.power_off()
        except Exception as e:
            e.add_note(f"node {self.index}, operation {op} on {pending.device} at {self._clock.now_us} us")
            raise

    def _answer(self, pending: Operation, horizon_us: int) -> None:
        op = pending.op
        value, data = 0, b""
        if op == _ops.WAIT and self.state is State.AWAKE:
            self._again(pending, pending.argument)
            self.notice(Moment.LIGHT_SLEEP)
            self._enter(State.LIGHT_SLEEP)
            self.board.uart_clock(False)
            self.board.isolate(self._port is Port.ESP32)
            return
        if op == _ops.ONEWIRE_READ and len(self._bits) < pending.argument:
            self._bits.append(self.board.apply(op, pending.device, 0, b"")[0])
            self._again(pending, self._clock.now_us + ONEWIRE_SLOT_US)
            return
        if op == _ops.WAIT:
            self._enter(State.AWAKE)
            self.board.isolate(False)
            self.board.uart_clock(True)
            self.board.edges.clear()  # in light sleep nothing sees them
        elif op == _ops.ONEWIRE_READ:
            value = sum(bit << n for n, bit in enumerate(self._bits))
            self._bits.clear()
        elif op == _ops.FLASH_PROGRAM:
            self.flash.program(pending.argument, pending.data)
        elif op == _ops.FLASH_ERASE:
            self.flash.erase(pending.argument)
        elif op == _ops.CONSOLE_READ:
            value = type_in(self._worker, self._wiring.console, pending.argument)
        elif op != _ops.SYNC:
            value, data = self.board.apply(op, pending.device, pending.argument, pending.data)
        self.statistics.requests += 1
        now_us = self._clock.now_us
        self.due_us = NEVER_US
        edges = 0 if op == _ops.FLASH_PROGRAM else self.board.take_edges()
        levels = levels_then = self.board.levels
        then_us, change = NEVER_US, self.board.foretold()
        if change is not None:
            then_us, levels_then = change[0].time_us, change[1]
        event_us = self._clock.next_us(besides=None if change is None else change[0])
        horizon = now_us if self.board.edges else horizon_us if event_us is None else min(horizon_us, event_us)
        answer(self._worker, (now_us, horizon, levels, value, edges, then_us, levels_then), data)

    def _again(self, pending: Operation, time_us: int) -> None:
        """An operation that takes its time goes on at ``time_us``."""
        self._pending.appendleft(pending)
        self.due_us = max(time_us, self._clock.now_us)

    def _post(self, pending: Operation) -> None:
        op = pending.op
        if op == _ops.WDT_START:
            self._watchdog.start(pending.argument * 1000)
        elif op == _ops.WDT_FEED:
            self._watchdog.feed()
        elif op == _ops.RTC_SET:
            self._rtc.set(pending.argument)
        elif op == _ops.HEAP_FREE:
            least = self.statistics.heap_free_min
            self.statistics.heap_free_min = pending.argument if least is None else min(least, pending.argument)
        elif op == _ops.HANDLER_FAILED:
            self._crashed(f"GPIO{pending.device}", pending.data.decode(errors="replace"))
        else:
            self.board.apply(op, pending.device, pending.argument, pending.data)

    def _last_word(self, op: int, argument: int) -> None:
        self._worker.leaving()
        if op == _ops.DEEP_SLEEP:
            self.notice(Moment.DEEP_SLEEP)
            self._halt(State.ASLEEP)
            self.board.reset()
            self.notice(Moment.ASLEEP)
            if argument:
                self._wake = self._clock.after(self._rtc.takes_us(argument), lambda: self._boot(ResetCause.DEEP_SLEEP))
        elif op in (_ops.RESET, _ops.SOFT_RESET):
            if op == _ops.RESET:
                self.notice(Moment.RESET)
            self._boot(ResetCause.HARD if op == _ops.RESET else ResetCause.SOFT)
        elif op in (_ops.CRASHED, _ops.RETURNED):
            self._enter(State.STOPPED)
            self.due_us = NEVER_US
            if op == _ops.CRASHED:
                text = self._worker.console()
                self._crashed("main", text[max(text.rfind("Traceback"), 0) :])
            else:
                self.statistics.returned += 1
        else:
            raise WorkerDied(f"node {self.index} ended without a last word ({op}, {argument})", self.console())

    def _crashed(self, where: str, traceback: str) -> None:
        self.statistics.crashes.append(Crash(self._clock.now_us, where, traceback))

    # -- the outside -------------------------------------------------------------------------------------------------

    def console(self) -> str:
        """What the firmware has printed, over all its boots."""
        return self._worker.console()

    @property
    def pid(self) -> int | None:
        return self._worker.pid

    def close(self) -> None:
        """End the node's process; the node is off afterwards."""
        self.power_off()
        self._worker.close()
        self.flash.close()
