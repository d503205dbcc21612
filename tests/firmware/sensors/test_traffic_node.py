# SPDX-License-Identifier: EUPL-1.2
"""The traffic drivers on the real MicroPython, over the replaced ``machine``, with a radio exchange in between."""

from pathlib import Path
from textwrap import dedent

import pytest

from simulators.chips.ld2451 import Ld2451Sim
from simulators.chips.ops243 import Ops243Sim
from simulators.chips.pulse_source import LoopSim, PirSim, TubesSim
from simulators.clock import Clock
from simulators.firmware_build import compile_module
from simulators.kernel import Kernel
from simulators.node import NodeBench
from simulators.vehicles import Direction, Kind, Vehicle
from simulators.wires import SerialPort, Wire
from simulators.wiring import Wiring

ROOT = Path(__file__).parents[3]
S = 1_000_000
MODULES = (
    "tracking",
    "sensors/ld2451",
    "sensors/ops243",
    "sensors/pulses",
    "sensors/tubes",
    "__init__",
    "sensors/__init__",
)
# Twice in the two minutes nobody polls for 7 s, as when a join waits for its second window.
LOOP = """
driver.start()
for second in range(120):
    if second % 60 in range(30, 37):
        time.sleep_ms(1000)
    else:
        for _ in range(5):
            time.sleep_ms(200)
            driver.poll()
values = driver.read()
print([values[name] for name in driver.QUANTITIES], max(len(str(v)) for v in values.values()))
"""


def run(folder: Path, source: str, wiring: Wiring, clock: Clock, until_s: int = 130) -> str:
    """What ``source`` prints as the program of a node whose file system holds the drivers."""
    firmware = folder / "firmware"
    for module in MODULES:
        compile_module(ROOT / "firmware" / f"{module}.py", firmware / "firmware" / f"{module}.mpy", f"{module}.py")
    main = folder / "main.py"
    main.write_text(dedent(source))
    compile_module(main, firmware / "main.mpy", "main.py")
    bench = NodeBench(clock, wiring, firmware, heap="64wK")
    with Kernel(clock, [bench]) as kernel:
        bench.power_on()
        kernel.run_until(until_s * S)
        assert bench.statistics.crashes == []
        assert bench.statistics.returned == 1, bench.console()
        return bench.console()


def road() -> list[Vehicle]:
    """One in each direction every 10 s, so some of them while nobody polls."""
    coming = [Vehicle(20 * S + n * 10 * S, 45.0, Direction.APPROACHING) for n in range(9)]
    going = [Vehicle(24 * S + n * 10 * S, 60.0, Direction.RECEDING) for n in range(9)]
    return sorted([*coming, *going], key=lambda vehicle: vehicle.time_us)


def test_the_ld2451_counts_on_micropython(tmp_path: Path) -> None:
    clock = Clock()
    port = SerialPort(clock)
    wiring = Wiring(uart={1: port})
    sim = Ld2451Sim(clock, port, wiring.power, road(), ghosts=0)

    printed = run(
        tmp_path,
        "import time, machine\n"
        "from firmware.sensors import ld2451\n"
        "uart = machine.UART(1, ld2451.BAUD, rxbuf=ld2451.RXBUF)\n"
        "driver = ld2451.Ld2451(uart, time)\n" + LOOP,
        wiring,
        clock,
    )

    assert printed == "[0, 9, 0, 0, 0, 9] 1\n"
    assert sim.refusals == []
    assert sim.detection.direction == 2
    assert (port.rxbuf, port.lost) == (4096, 0)


def test_the_ld2451_says_that_it_lost_reports_in_a_buffer_too_small(tmp_path: Path) -> None:
    clock = Clock()
    port = SerialPort(clock)
    wiring = Wiring(uart={1: port})
    Ld2451Sim(clock, port, wiring.power, road(), ghosts=0)

    printed = run(
        tmp_path,
        "import time, machine\n"
        "from firmware.sensors import ld2451\n"
        "ld2451.RXBUF = 256\n"
        "driver = ld2451.Ld2451(machine.UART(1, ld2451.BAUD), time)\n" + LOOP,
        wiring,
        clock,
    )

    assert printed.startswith("['bad_answer', 'bad_answer'")
    assert port.lost > 0


def test_the_ops243_counts_on_micropython(tmp_path: Path) -> None:
    clock = Clock()
    port = SerialPort(clock)
    wiring = Wiring(uart={1: port})
    sim = Ops243Sim(clock, port, wiring.power, [v for v in road() if v.direction is Direction.APPROACHING], ghosts=0)

    printed = run(
        tmp_path,
        "import time, machine\n"
        "from firmware.sensors import ops243\n"
        "driver = ops243.Ops243(machine.UART(1, ops243.BAUD, rxbuf=ops243.RXBUF), time)\n" + LOOP,
        wiring,
        clock,
    )

    assert printed == "[0, 9, 0, 0, 0, 0] 1\n"
    assert sim.refusals == []
    assert port.lost == 0


def test_the_tubes_count_on_micropython(tmp_path: Path) -> None:
    clock = Clock()
    a, b = Wire(1), Wire(1)
    TubesSim(clock, a, b, road())

    printed = run(
        tmp_path,
        "import time, machine\n"
        "from firmware.sensors.tubes import TubePair\n"
        "pins = [machine.Pin(n, machine.Pin.IN, machine.Pin.PULL_UP) for n in (4, 5)]\n"
        "driver = TubePair(pins[0], pins[1], time)\n" + LOOP,
        Wiring(pins={4: a, 5: b}),
        clock,
    )

    assert printed == "[0, 9, 0, 0, 0, 9] 1\n"


@pytest.mark.parametrize(("name", "kind"), [("Loop", Kind.CAR), ("BikeLoop", Kind.BICYCLE), ("Pir", Kind.PEDESTRIAN)])
def test_single_contacts_count_on_micropython(tmp_path: Path, name: str, kind: Kind) -> None:
    clock = Clock()
    wire = Wire(int(name == "Pir") ^ 1)
    wiring = Wiring(pins={4: wire})
    passers = [Vehicle(80 * S + n * 7 * S, 12.0, Direction.APPROACHING, kind, 1_800) for n in range(5)]
    if name == "Pir":
        PirSim(clock, wire, wiring.power, passers)
    else:
        LoopSim(clock, wire, passers, bicycles=kind is Kind.BICYCLE)

    printed = run(
        tmp_path,
        "import time, machine\n"
        "from firmware.sensors import pulses\n"
        f"driver = pulses.{name}(machine.Pin(4, machine.Pin.IN), time)\n" + LOOP,
        wiring,
        clock,
    )

    assert printed == "[5] 1\n"
