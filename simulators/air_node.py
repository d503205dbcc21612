# SPDX-License-Identifier: EUPL-1.2
"""The air node as it hangs in the street: a board with SPS30, SCD41 and BME280 on its I2C bus."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulators.air import Air
from simulators.board import SOLAR_MV, BoardSim
from simulators.chips.air_state import AirState
from simulators.chips.bme280 import Bme280Sim
from simulators.chips.scd41 import Scd41Sim
from simulators.chips.sps30 import Sps30Sim
from simulators.clock import Clock


class AirNode(BoardSim):
    """``read_truth(now_us)`` is the air around it; options are those of ``BoardSim``."""

    def __init__(
        self,
        clock: Clock,
        air: Air,
        firmware: Path,
        read_truth: Callable[[int], AirState],
        kind: str = "heltec_v3",
        *,
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(clock, air, firmware, kind, seed=seed, **{"battery_mv": SOLAR_MV, **options})
        self.sps30 = Sps30Sim(clock, self.sensor_power, read_truth, seed=seed)
        self.scd41 = Scd41Sim(clock, self.sensor_power, read_truth, seed=seed)
        self.bme280 = Bme280Sim(clock, self.sensor_power, read_truth, seed=seed)
        self.i2c.devices += [self.sps30, self.scd41, self.bme280]
        self.chips += [self.sps30, self.scd41, self.bme280]
