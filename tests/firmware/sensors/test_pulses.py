# SPDX-License-Identifier: EUPL-1.2
"""The drivers of pulse inputs; what they must do stands in ``pulses_behaviours``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.firmware.compiling import mpy_bytes, on_micropython
from tests.firmware.mutants import pulses as table
from tests.firmware.mutants.loading import load, sources
from tests.firmware.sensors.pulses_behaviours import BEHAVIOURS, Behaviour
from tests.firmware.sensors.pulses_rig import Contact, Tubes

DRIVER = load(sources(*table.MODULES))
TIMES_MS = st.lists(st.integers(0, 20_000), max_size=80)


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
def test_the_driver(behaviour: Behaviour) -> None:
    behaviour(DRIVER)


@given(TIMES_MS, TIMES_MS)
def test_any_pulses_give_counts_or_one_fault_and_are_used_up(a_ms: list[int], b_ms: list[int]) -> None:
    pair = Tubes(DRIVER)
    pair.pulses(a_ms, b_ms, begin_us=1_000_000)

    pair.run(40)

    counted = pair.read()
    assert counted in ("bad_answer", "stuck") or sum(counted) <= min(len(a_ms), len(b_ms))
    assert pair.driver._have == [0, 0]


@given(st.lists(st.tuples(st.integers(1, 600), st.booleans()), max_size=60))
def test_a_contact_never_counts_more_than_it_rested(edges: list[tuple[int, bool]]) -> None:
    contact = Contact(DRIVER)
    for wait_ms, closed in edges:
        contact.clock.run_until(contact.clock.now_us + wait_ms * 1_000)
        contact.wire.drive(0 if closed else 1)

    counted = contact.read()
    assert counted == "stuck" or counted <= 1 + sum(wait_ms >= 100 for wait_ms, _ in edges)


def test_the_interrupt_handler_allocates_nothing() -> None:
    printed = on_micropython(
        "import micropython, time\n"
        "from firmware.sensors.pulses import Contact\n"
        "class Pin:\n"
        "    IRQ_RISING, IRQ_FALLING = 1, 2\n"
        "    level = 1\n"
        "    def __call__(self):\n"
        "        return self.level\n"
        "    def irq(self, handler=None, trigger=0):\n"
        "        self.handler = handler\n"
        "pin = Pin()\n"
        "contact = Contact(pin, time, 0, 0, 1000, 1000)\n"
        "contact.start()\n"
        "handler = pin.handler\n"
        "def edges():\n"
        "    for _ in range(300):\n"
        "        pin.level ^= 1\n"
        "        handler(pin)\n"
        "micropython.heap_lock()\n"
        "edges()\n"
        "contact._rest_us = 1 << 29\n"
        "edges()\n"
        "micropython.heap_unlock()\n"
        "print(contact.pulses, contact._edges)"
    )

    assert printed == "150 600\n"


@pytest.mark.parametrize(("module", "limit"), [("pulses", 2_400), ("tubes", 3_300)])
def test_they_compile_for_the_node(module: str, limit: int) -> None:
    assert mpy_bytes(f"firmware/sensors/{module}.py") < limit
