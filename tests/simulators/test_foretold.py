# SPDX-License-Identifier: EUPL-1.2
"""An event that only moves a pin is told to the node beforehand: it sees the edge as exactly, with fewer requests."""

from collections.abc import Callable
from pathlib import Path

import pytest

from simulators.clock import Clock, Event
from simulators.faults import Line
from simulators.kernel import Kernel
from simulators.wires import Wire
from simulators.wiring import Wiring
from tests.simulators.node_bench import node, said

RISES, FALLS = 1_002_000, 1_005_003  # long after the boot
POLL = """
    import time
    from machine import Pin
    pin = Pin(4, Pin.IN)
    while not pin(): pass
    start = time.ticks_us()
    while pin(): pass
    print(time.ticks_diff(time.ticks_us(), start))
"""


class Pulse:
    """A chip whose line goes up at RISES and down at FALLS."""

    def __init__(self, clock: Clock, wire: Wire, *, foretells: bool) -> None:
        self.wire = wire
        self.falls: Event | None = None
        self._clock = clock
        clock.at(RISES, self._rise)
        if foretells:
            wire.foretell = lambda: self.falls if self.falls is not None and self.falls.action is not None else None

    def _rise(self) -> None:
        self.wire.drive(1)
        self.falls = self._clock.at(FALLS, lambda: self.wire.drive(0))


@pytest.fixture
def polled(tmp_path: Path) -> Callable[..., tuple[list[str], int]]:
    def run(
        meanwhile: Callable[[Clock, Line, Wire], object] | None = None, *, foretells: bool = True, source: str = POLL
    ) -> tuple[list[str], int]:
        """What the firmware said, and how many requests it took."""
        clock, chip, board = Clock(), Wire(), Wire()
        line = Line(clock, chip, board)
        Pulse(clock, chip, foretells=foretells)
        if meanwhile is not None:
            meanwhile(clock, line, chip)
        bench = node(clock, tmp_path, source, Wiring(pins={4: board}))
        with Kernel(clock, [bench]) as kernel:
            bench.power_on()
            kernel.run_until(1_100_000)
            assert bench.statistics.crashes == []
            return said(bench), bench.statistics.requests

    return run


class TestForetold:
    def test_the_node_sees_the_edge_at_the_same_time_with_a_request_less(self, polled) -> None:
        told, told_requests = polled()
        asked, asked_requests = polled(foretells=False)

        assert told == asked == ["3010"]  # looks at 10, 20 ... us; the line is up for 3003
        assert told_requests == asked_requests - 1

    def test_an_edge_with_a_handler_is_not_skipped(self, polled) -> None:
        source = """
            import time
            from machine import Pin
            pin = Pin(4, Pin.IN)
            start = time.ticks_us()
            pin.irq(lambda pin: print(time.ticks_us() - start), Pin.IRQ_FALLING)
            while time.ticks_diff(time.ticks_us(), start) < 800_000: pass
        """

        told, asked = polled(source=source), polled(source=source, foretells=False)

        assert told == asked
        assert len(told[0]) == 1

    def test_who_also_watches_the_line_may_do_anything_so_nothing_is_foretold(self, polled) -> None:
        def sticks_again(clock: Clock, line: Line, chip: Wire) -> None:
            chip.watch(lambda level: None if level else line.stick(1))
            clock.at(FALLS + 10_000, line.release)

        assert polled(sticks_again)[0] == ["13010"]

    @pytest.mark.parametrize("foretells", [False, True])
    def test_a_line_that_sticks_meanwhile_stays_up(self, polled, foretells: bool) -> None:
        def sticks(clock: Clock, line: Line, _chip: Wire) -> None:
            clock.at(FALLS - 1_000, lambda: line.stick(1))
            clock.at(FALLS + 1_000, line.release)

        assert polled(sticks, foretells=foretells)[0] == ["4010"]


class TestNextEvent:
    def test_one_event_can_be_left_out(self) -> None:
        clock = Clock()
        first, second, third = (clock.at(us, lambda: None) for us in (5, 6, 7))
        clock.at(9, lambda: None)

        assert clock.next_us() == 5
        assert clock.next_us(besides=first) == 6
        assert clock.next_us(besides=third) == 5
        second.cancel()
        assert clock.next_us(besides=first) == 7
        third.cancel()
        assert clock.next_us(besides=first) == 9

    def test_nothing_may_be_left(self) -> None:
        clock = Clock()
        only = clock.at(5, lambda: None)

        assert clock.next_us(besides=only) is None
