# SPDX-License-Identifier: EUPL-1.2
"""OmniPreSense OPS243-A 24 GHz Doppler radar."""

from firmware.tracking import FAST_ABOVE_KMH, SLOW_BELOW_KMH, VEHICLE_COUNTS, SpeedCounts

if False:  # types only
    from firmware.hal import Clock, Uart, Values

BAUD = 19_200
RXBUF = 2048


class Ops243:
    """The radar on ``uart``, opened with ``BAUD`` and ``RXBUF``."""

    QUANTITIES = VEHICLE_COUNTS

    def __init__(
        self,
        uart: "Uart",
        clock: "Clock",
        *,
        slow_below_kmh: int = SLOW_BELOW_KMH,
        fast_above_kmh: int = FAST_ABOVE_KMH,
        swapped: bool = False,
    ) -> None:
        self._uart = uart
        self._clock = clock
        self._counts = SpeedCounts(slow_below_kmh, fast_above_kmh)

    def start(self) -> int:
        return 3_000

    def poll(self) -> None:
        self._uart.read()

    def read(self) -> "Values":
        return self._counts.take("not_ready")

    def stop(self) -> None:
        pass
