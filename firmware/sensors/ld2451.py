# SPDX-License-Identifier: EUPL-1.2
"""Hi-Link HLK-LD2451 24 GHz radar."""

from firmware.tracking import FAST_ABOVE_KMH, SLOW_BELOW_KMH, VEHICLE_COUNTS, SpeedCounts, Tracker

if False:  # types only
    from firmware.hal import Clock, Uart, Values

BAUD = 115_200
RXBUF = 4096  # bytes of UART buffer the board must give: 11 s of full frames


class Ld2451:
    """The radar on ``uart``, opened with ``BAUD`` and ``RXBUF``."""

    QUANTITIES = VEHICLE_COUNTS

    def __init__(
        self,
        uart: "Uart",
        clock: "Clock",
        *,
        slow_below_kmh: int = SLOW_BELOW_KMH,
        fast_above_kmh: int = FAST_ABOVE_KMH,
        line_m: int = 30,
        snr: int = 4,
        swapped: bool = False,
    ) -> None:
        self._uart = uart
        self._clock = clock
        self._counts = SpeedCounts(slow_below_kmh, fast_above_kmh)
        self._tracker = Tracker(self._counts, line_m)

    def start(self) -> int:
        return 3_000

    def poll(self) -> None:
        self._uart.read()

    def read(self) -> "Values":
        return self._counts.take("not_ready")

    def stop(self) -> None:
        pass
