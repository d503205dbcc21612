# SPDX-License-Identifier: EUPL-1.2
"""What a chip draws from its supply: time under power and charge, by the current of each of its states."""

from collections.abc import Callable

from simulators.clock import Clock
from simulators.wires import Wire


class Supply:
    """``wire`` at level 1 is power. ``switched(on)`` is called at each edge; who is born under power asks ``on``."""

    def __init__(self, clock: Clock, wire: Wire, switched: Callable[[bool], None]) -> None:
        self._clock = clock
        self._switched = switched
        self._since_us: int | None = clock.now_us if wire.level else None
        self._powered_us = 0
        self._drawn_ua_us = 0
        self._ua = 0
        self._ua_since_us = clock.now_us
        wire.watch(self._edge)

    @property
    def on(self) -> bool:
        return self._since_us is not None

    @property
    def on_us(self) -> int:
        """Time since power came; 0 without."""
        return 0 if self._since_us is None else self._clock.now_us - self._since_us

    def draw(self, ua: int) -> None:
        """From now on the chip draws ``ua`` uA."""
        now_us = self._clock.now_us
        self._drawn_ua_us += self._ua * (now_us - self._ua_since_us)
        self._ua, self._ua_since_us = ua, now_us

    def powered_us(self) -> int:
        """Time under power since the simulation began, us."""
        return self._powered_us + self.on_us

    def charge_uc(self) -> float:
        """Charge drawn so far, microcoulomb."""
        return (self._drawn_ua_us + self._ua * (self._clock.now_us - self._ua_since_us)) / 1e6

    def _edge(self, level: int) -> None:
        self.draw(0)
        if level:
            self._since_us = self._clock.now_us
        else:
            self._powered_us += self.on_us
            self._since_us = None
        self._switched(bool(level))


class Powered:
    """A chip that tells what its ``_supply`` has given."""

    _supply: Supply

    def powered_us(self) -> int:
        """Time under power since the simulation began, us."""
        return self._supply.powered_us()

    def charge_uc(self) -> float:
        """Charge drawn so far, microcoulomb."""
        return self._supply.charge_uc()
