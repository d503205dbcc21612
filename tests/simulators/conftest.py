# SPDX-License-Identifier: EUPL-1.2
"""Virtual time, an air in which nothing fades; chips, nodes and concentrators that end with their test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simulators.air import STEADY, Air
from simulators.clock import Clock
from simulators.concentrator import Concentrator
from simulators.kernel import Kernel
from simulators.node import NodeBench
from simulators.wiring import Wiring
from tests.simulators.gwmp_server import EPOCH, EUI, Server
from tests.simulators.node_bench import S, node
from tests.simulators.sx1262_host import Host


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def air(clock: Clock) -> Air:
    return Air(clock, 0, STEADY)


@pytest.fixture
def run(clock: Clock, tmp_path: Path) -> Iterator[Callable[..., NodeBench]]:
    """Power on a node with this firmware and let it live for so many seconds."""
    benches = []

    def start(source: str, wiring: Wiring | None = None, *, seconds: int = 10, **options: int) -> NodeBench:
        bench = node(clock, tmp_path, source, wiring, **options)
        benches.append(bench)
        bench.power_on()
        Kernel(clock, [bench]).run_until(seconds * S)
        return bench

    yield start
    for bench in benches:
        bench.close()


@pytest.fixture
def host(clock, air):
    """Set up for 868 MHz; STDBY_RC."""
    host = Host(clock, air)
    host.power_up()
    host.wait()
    return host


@pytest.fixture
def server():
    with Server() as server:
        yield server


@pytest.fixture
def build(clock, air, server):
    built = []

    def build(**options):
        options = {"epoch_unix_s": EPOCH, "lockstep": True, **options}
        built.append(Concentrator(clock, air, EUI, server.address, **options))
        return built[-1]

    yield build
    for concentrator in built:
        concentrator.close()
