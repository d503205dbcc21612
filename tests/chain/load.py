# SPDX-License-Identifier: EUPL-1.2
"""A town under load around a test: started, its wire tapped where that is wanted, judged, and stopped in any case."""

from collections.abc import Iterator
from contextlib import contextmanager

from simulators.chaos_proxy import ChaosProxy
from simulators.load_town import LoadTown, Verdict
from tests.chain.wire import Wire


@contextmanager
def standing(town: LoadTown) -> Iterator[None]:
    """Its services run."""
    try:
        town.start_services()
        yield
    finally:
        town.stop()


@contextmanager
def tapped(town: LoadTown) -> Iterator[Wire]:
    """The same, and all that its gateway gets through to the broker is kept."""
    wire = Wire()
    with ChaosProxy(town.mqtt_port, tap=wire.tap) as proxy:
        town.through("gateway", proxy.port)
        with standing(town):
            yield wire


def settled(town: LoadTown) -> Verdict:
    """What became of all uplinks once they have drained; an endless load ends first."""
    town.end_load()
    town.drain()
    return town.judge()
