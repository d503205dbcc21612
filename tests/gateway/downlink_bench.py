# SPDX-License-Identifier: EUPL-1.2
"""Downlinks in virtual time: the clock is a number, concentrators are the test."""

from gateway.downlinks import Downlinks, Outcome
from gateway.radio import Answer, Order, Priority, Variant, windows_after
from gateway.ways_down import Protocol
from tests.gateway.nodes import reception

S = 1_000_000
LEAD = 400_000
GWMP, STATION = Protocol.GWMP, Protocol.BASICS_STATION
ONE, TWO, THREE = "0016c001ff10b001", "0016c001ff10b002", "0016c001ff10b003"
DEV_EUI = "70b3d57ed1000001"
ACK = Variant(Priority.ACK, bytes(12))
BIG = Variant(Priority.APPLICATION, bytes(64), item=7)


class Bench:
    """All concentrators hear an uplink at the same moment; their counters show the same. Times in seconds."""

    def __init__(self, held=False):
        self.downlinks = Downlinks(power_dbm=14, lead_us=LEAD, held=held)
        self.now = 100 * S
        self.steps = []
        self.uplinks = 0

    def go(self, seconds):
        """Let time pass; whatever is due on the way is done when it is due."""
        until = round(seconds * S)
        while (at := self.downlinks.next_at_us()) is not None and at <= until:
            self.now = max(at, self.now + 100)
            self.steps += self.downlinks.due(self.now)
        self.now = until

    def attach(self, *names, protocol=GWMP):
        for name in names:
            self.downlinks.attach(name, protocol)

    def hear(self, name, phy_payload, at=None, **fields):
        at = self.now if at is None else at
        base = 5 << 48 if self.downlinks._ways[name].protocol is STATION else 0
        heard = reception(phy_payload, concentrator=name, tmst_us=base + at, **fields)
        return heard, self.downlinks.heard(heard, None, self.now)

    def uplink(self, *names, snr=(5.0,) * 9, delay_ms=1000, variants=(ACK,), **fields):
        """One more, that must be answered; the first of ``names`` reports it first."""
        self.uplinks += 1
        phy_payload = b"uplink %d" % self.uplinks
        first, ended = self.hear(names[0], phy_payload, snr_db=snr[0], **fields)
        answer = Answer(DEV_EUI, windows_after(first, delay_ms), variants)
        self.steps += self.downlinks.owe(first, ended, answer, self.now)
        for name, snr_db in zip(names[1:], snr[1:], strict=False):
            self.copy(name, phy_payload, snr_db=snr_db, **fields)
        return phy_payload

    def copy(self, name, phy_payload, **fields):
        self.downlinks.copy(*self.hear(name, phy_payload, **fields))

    def orders(self):
        return [step for step in self.steps if isinstance(step, Order)]

    def order(self):
        (order,) = self.orders()
        return order

    def outcomes(self):
        return [step for step in self.steps if isinstance(step, Outcome)]

    def refuse(self, order, reason="collision_packet"):
        self.steps += self.downlinks.refused(order.id, reason, self.now, order.concentrator)

    def confirm(self, order, frequency_hz=None):
        self.steps += self.downlinks.confirmed(order.id, order.concentrator, frequency_hz)


def bench_of(*names, protocol=GWMP):
    """With these concentrators, whose clocks are known."""
    bench = Bench()
    bench.attach(*names, protocol=protocol)
    for name in names:
        bench.hear(name, b"earlier")
    return bench
