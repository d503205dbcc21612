# SPDX-License-Identifier: EUPL-1.2
"""What a backhaul and the gateway know of each other, whatever the concentrators speak."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from decoders.lorawan.gps_time import gps_from_unix
from gateway.radio import Order
from gateway.ways_down import Protocol as Speech

# A concentrator's clock that shows less is not set (and the leap seconds that we know do not hold): 2017-01-01
EARLIEST_UNIX_S = 1_483_228_800
EARLIEST_GPS_S = 1_167_264_018
LATEST_UNIX_S = 1 << 32


class Heard(NamedTuple):
    """One received frame as its concentrator reports it, in the units of ``radio.Reception``.

    ``unix_s`` and ``gps_ms`` are None where the concentrator does not know the time.
    """

    tmst_us: int
    frequency_hz: int
    sf: int
    bandwidth_hz: int
    rssi_dbm: float
    snr_db: float
    gps_ms: int | None
    unix_s: float | None
    phy_payload: bytes
    antenna: int = 0

    @property
    def concentrator_gps_ms(self) -> int | None:
        """Its own time in GPS milliseconds."""
        if self.gps_ms is not None or self.unix_s is None:
            return self.gps_ms
        return round(gps_from_unix(self.unix_s) * 1000)


class Backhaul(Protocol):
    """A way down to concentrators."""

    def send(self, order: Order) -> bool:
        """Hand an order over; False where there is no way to its concentrator."""

    def proved(self, concentrator: str) -> None:
        """A frame with a good MIC came from it."""


class Listener(Protocol):
    """The gateway's side. All but ``received`` return at once."""

    def attached(self, concentrator: str, speech: Speech, backhaul: Backhaul) -> None:
        """There is a way to it now."""

    def detached(self, concentrator: str, *, forget: bool = False) -> None:
        """The way to it is gone; ``forget``: and it may never have been one of ours."""

    async def received(self, concentrator: str, speech: Speech, frames: Sequence[Heard]) -> bool:
        """Have frames stored or refused; True when all are. In virtual time they are answered by then."""

    def confirmed(self, concentrator: str, order_id: int, frequency_hz: int | None = None) -> None:
        """It has taken an order, or sent it on that frequency."""

    def refused(self, concentrator: str, order_id: int, reason: str) -> None:
        """It will not send; ``reason`` is one of metrics.FAILURES."""
