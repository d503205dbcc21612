# SPDX-License-Identifier: EUPL-1.2
"""The tree node as it hangs in the street: a board with SMT100 and DS18B20, wired as hardware/ says.

``provisioned_flash`` is the factory: it writes a node's identity with the node's own MicroPython and file system.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from simulators.air import Air
from simulators.board import BoardSim
from simulators.chips.ds18b20 import Ds18b20Sim
from simulators.chips.smt100 import Smt100Sim
from simulators.city import Truth
from simulators.clock import Clock
from simulators.firmware_build import compile_module
from simulators.flash import Flash
from simulators.kernel import Kernel
from simulators.node import NodeBench
from simulators.wiring import Wiring

_FACTORY_US = 5_000_000


class TreeNode(BoardSim):
    """A board with its probes. ``read_truth(now_us)`` gives what they stand in; options are those of ``BoardSim``."""

    def __init__(
        self,
        clock: Clock,
        air: Air,
        firmware: Path,
        read_truth: Callable[[int], Truth],
        kind: str = "heltec_v3",
        *,
        seed: int = 0,
        noise_percent: float = 0.1,
        **options: Any,
    ) -> None:
        super().__init__(clock, air, firmware, kind, seed=seed, **options)
        self.smt100 = Smt100Sim(
            clock,
            self.rs485(),
            self.sensor_power,
            lambda now_us: read_truth(now_us)[:2],
            seed=seed,
            noise_percent=noise_percent,
        )
        self.ds18b20 = Ds18b20Sim(clock, self.sensor_power, lambda now_us: read_truth(now_us).surface_temperature)
        self.one_wire(self.ds18b20)
        self.chips += [self.smt100, self.ds18b20]


def provisioned_flash(identity: bytes, files: Mapping[str, bytes] | None = None) -> Flash:
    """A flash whose file system holds ``/data/identity.bin`` (and ``files``, by name, beside it), written by the node's
    own MicroPython."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "provision.py")
        source.write_text(
            "".join(
                f"with open('/data/{name}', 'wb') as file:\n    file.write({content!r})\n"
                for name, content in {"identity.bin": identity, **(files or {})}.items()
            )
        )
        compiled = Path(folder, "compiled")
        compile_module(source, compiled / "provision.mpy", "provision.py")
        flash = Flash()
        clock = Clock()
        bench = NodeBench(clock, Wiring(), compiled, main="provision")
        with Kernel(clock, [bench]) as kernel:
            bench.power_on()
            kernel.run_until(_FACTORY_US)
            if bench.statistics.returned != 1:
                raise RuntimeError(f"the factory could not write an identity: {bench.console()}")
            flash.program(0, bench.flash.image())
        return flash
