# SPDX-License-Identifier: EUPL-1.2
"""What one concentrator may still send: never two frames at once, never more than its share of any hour. No I/O.

ETSI EN 300 220-2 V3.1.1 gives each sub-band a duty cycle over one hour, for gateways as for nodes. The hour slides: the
sum is exact for every hour that ends with a transmission, and no other can be worse. A packet forwarder also keeps
frames apart (``gap_us``), and Basics Station blocks a band after each frame (``StationBlocking``). All times are
microseconds of the concentrator's own counter, unwrapped.
"""

from bisect import bisect_left, insort
from typing import NamedTuple

from decoders.lorawan.region import EU868
from gateway.radio import Priority

HOUR_US = 3_600_000_000
# How much of a sub-band's hour each may use up, per mille: what is left is for those that matter more
_LIMIT_PERMILLE = {Priority.APPLICATION: 750, Priority.MAC: 900, Priority.ACK: 950, Priority.JOIN_ACCEPT: 1000}


class Booking(NamedTuple):
    """One frame, sent or to be sent."""

    start_us: int
    end_us: int
    frequency_hz: int

    @property
    def airtime_us(self) -> int:
        return self.end_us - self.start_us


class SlidingHour:
    """The airtime of one sub-band: ``fits`` tells whether one more leaves every hour within ``budget_us``."""

    def __init__(self) -> None:
        self._spans: list[tuple[int, int]] = []  # (end, start), by end; they never overlap

    def used_us(self, until_us: int) -> int:
        """On air in the hour that ends at ``until_us``."""
        since_us = until_us - HOUR_US
        total = 0
        for end, start in reversed(self._spans):
            if end <= since_us:
                break
            total += max(0, min(end, until_us) - max(start, since_us))
        return total

    def fits(self, start_us: int, end_us: int, budget_us: int) -> bool:
        """Usage of an hour that slides only peaks where it ends with a transmission: at this one's end or a later's."""
        ends = [end_us]
        for end, _ in reversed(self._spans):
            if end <= end_us:
                break
            ends.append(end)
        return all(
            self.used_us(end) + max(0, end_us - max(start_us, end - HOUR_US)) <= budget_us
            for end in ends
            if end - HOUR_US < end_us
        )

    def add(self, start_us: int, end_us: int) -> None:
        insort(self._spans, (end_us, start_us))

    def remove(self, start_us: int, end_us: int) -> None:
        self._spans.remove((end_us, start_us))

    def forget(self, before_us: int) -> None:
        del self._spans[: bisect_left(self._spans, (before_us, 0))]


class StationBlocking:
    """Basics Station's own duty cycle for EU868, which production builds cannot switch off.

    lorabasics/basicstation, src/s2e.c, ``freq2band``, ``update_DC`` and ``s2e_canTxEU868``: after a frame the band is
    blocked from its start for its airtime times the rate, and a frame that starts within is dropped without a word.
    """

    def __init__(self) -> None:
        self._sent: list[Booking] = []

    @staticmethod
    def rate(frequency_hz: int) -> int:
        """1 / duty cycle; also the name of the band."""
        if 869_400_000 <= frequency_hz <= 869_650_000:
            return 10
        if 868_000_000 <= frequency_hz <= 868_600_000 or 869_700_000 <= frequency_hz <= 870_000_000:
            return 100
        return 1000  # 865 to 868 MHz too, of which ETSI would allow ten times as much

    def blocks(self, booking: Booking) -> bool:
        """Whether it would be dropped, or would have another one dropped."""
        rate = self.rate(booking.frequency_hz)
        for other in self._sent:
            if self.rate(other.frequency_hz) != rate:
                continue
            first, second = sorted((booking, other))
            if second.start_us < first.start_us + first.airtime_us * rate:
                return True
        return False

    def add(self, booking: Booking) -> None:
        self._sent.append(booking)

    def remove(self, booking: Booking) -> None:
        self._sent.remove(booking)

    def forget(self, before_us: int) -> None:
        self._sent = [
            booking
            for booking in self._sent
            if booking.start_us + booking.airtime_us * self.rate(booking.frequency_hz) > before_us
        ]


class AirtimeBudget:
    """The transmitter of one concentrator. ``blocking``: it is a Basics Station."""

    def __init__(self, *, gap_us: int = 45_000, blocking: bool = False) -> None:
        self._gap_us = gap_us
        self._bookings: list[Booking] = []
        self._hours: dict[int, SlidingHour] = {}
        self._blocking = StationBlocking() if blocking else None
        self._forget_at_us = 0

    def obstacle(self, booking: Booking, priority: Priority) -> str:
        """Why it cannot be sent: overlap, duty_cycle or blocked; "" if it can."""
        if any(
            booking.start_us < other.end_us + self._gap_us and other.start_us < booking.end_us + self._gap_us
            for other in self._bookings
        ):
            return "overlap"
        budget_us = _budget_us(booking.frequency_hz) * _LIMIT_PERMILLE[priority] // 1000
        if not self._hour(booking).fits(booking.start_us, booking.end_us, budget_us):
            return "duty_cycle"
        if self._blocking is not None and self._blocking.blocks(booking):
            return "blocked"
        return ""

    def share(self, booking: Booking) -> float:
        """Its part of what is left of the sub-band's hour at its end; 1.0 and more: nothing would be left."""
        left_us = _budget_us(booking.frequency_hz) - self._hour(booking).used_us(booking.end_us)
        return booking.airtime_us / left_us if left_us > 0 else float("inf")

    def book(self, booking: Booking) -> None:
        self._bookings.append(booking)
        self._hour(booking).add(booking.start_us, booking.end_us)
        if self._blocking is not None:
            self._blocking.add(booking)

    def release(self, booking: Booking) -> None:
        """It was not sent."""
        self._bookings.remove(booking)
        self._hour(booking).remove(booking.start_us, booking.end_us)
        if self._blocking is not None:
            self._blocking.remove(booking)

    def forget(self, now_us: int) -> None:
        """Drop what can no longer matter, now and then."""
        if now_us < self._forget_at_us:
            return
        self._forget_at_us = now_us + 10_000_000
        self._bookings = [booking for booking in self._bookings if booking.end_us > now_us - 60_000_000]
        for hour in self._hours.values():
            hour.forget(now_us - HOUR_US - 60_000_000)
        if self._blocking is not None:
            self._blocking.forget(now_us - 60_000_000)

    def used_us(self, now_us: int) -> dict[int, int]:
        """Airtime of the last hour by the lower edge of the sub-band, Hz."""
        return {low_hz: hour.used_us(now_us) for low_hz, hour in self._hours.items()}

    def _hour(self, booking: Booking) -> SlidingHour:
        return self._hours.setdefault(EU868.sub_band(booking.frequency_hz).low_hz, SlidingHour())


def _budget_us(frequency_hz: int) -> int:
    return HOUR_US // 1000 * EU868.sub_band(frequency_hz).duty_permille
