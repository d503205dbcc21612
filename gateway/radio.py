# SPDX-License-Identifier: EUPL-1.2
"""A frame up, and what a node is owed for it, as the servers see them, whatever protocol the concentrator speaks."""

from enum import IntEnum
from typing import NamedTuple

from decoders.lorawan.errors import FieldRange
from decoders.lorawan.region import EU868
from decoders.records import TimeQuality
from gateway.errors import Refused

# Lowest SNR at which a frame is demodulated, in dB by spreading factor. SX1261/2 data sheet "LoRa Modulation"
FLOOR_DB = {7: -7.5, 8: -10.0, 9: -12.5, 10: -15.0, 11: -17.5, 12: -20.0}


class Reception(NamedTuple):
    """One frame received by one concentrator. ``tmst_us``: its counter at the end of the frame, as it reports it.

    By GWMP that is modulo 2**32, by Basics Station the 64 bits of xtime; ``antenna`` is Basics Station's rctx.

    ``gps_ms``: the end of the frame in GPS milliseconds; ``received_at`` the same moment in Unix seconds. While nobody
    knows the time ``gps_ms`` is None and ``received_at`` counts from the boot of this machine, as ``boot_s`` does.
    """

    concentrator: str
    tmst_us: int
    frequency_hz: int
    sf: int
    bandwidth_hz: int
    rssi_dbm: float
    snr_db: float
    gps_ms: int | None
    received_at: float
    phy_payload: bytes
    antenna: int = 0
    time_quality: TimeQuality = "ntp"
    boot_s: float = 0.0

    @property
    def data_rate(self) -> int:
        """DR of the plan; raises Refused where the plan has none such."""
        for number, rate in enumerate(EU868.data_rates):
            if (rate.sf, rate.bandwidth_hz) == (self.sf, self.bandwidth_hz):
                return number
        raise Refused("unknown_data_rate")


class Priority(IntEnum):
    """What goes first when not everything can go."""

    APPLICATION = 0
    MAC = 1
    ACK = 2
    JOIN_ACCEPT = 3


class Slot(NamedTuple):
    """One receive window, ``delay_ms`` after the end of the uplink. TS001-1.0.4 "Receive windows"."""

    delay_ms: int
    frequency_hz: int
    data_rate: int


class Variant(NamedTuple):
    """One frame that would do as an answer. ``item``: the queued downlink that it carries, if any."""

    priority: Priority
    phy_payload: bytes
    item: int | None = None


class Answer(NamedTuple):
    """What a node is owed: one of ``variants``, the fullest first, in one of its ``windows``: RX1 and RX2.

    ``asap``: it listens all the time (class C), and ``windows`` is the one in which it does.
    """

    dev_eui: str
    windows: tuple[Slot, ...]
    variants: tuple[Variant, ...]
    asap: bool = False

    @property
    def priority(self) -> Priority:
        """That of what must not be lost."""
        return max(variant.priority for variant in self.variants)


def windows_after(
    reception: Reception,
    delay_ms: int,
    *,
    rx1_dr_offset: int = 0,
    rx1_frequency_hz: int | None = None,
    rx2: tuple[int, int] = EU868.rx2,
) -> tuple[Slot, Slot]:
    """The windows that an uplink opens; RX1 on its frequency, or that of DlChannelReq. ``rx2`` is (frequency_hz, DR).

    RP002-1.0.4 "EU863-870 Receive Windows".
    """
    rx1_dr = EU868.rx1_dr(reception.data_rate, rx1_dr_offset)
    return Slot(delay_ms, rx1_frequency_hz or reception.frequency_hz, rx1_dr), Slot(delay_ms + 1000, *rx2)


def may_transmit_on(frequency_hz: int) -> bool:
    """Whether the frequency lies in a sub-band of the plan."""
    try:
        EU868.sub_band(frequency_hz)
    except FieldRange:
        return False
    return True


class Order(NamedTuple):
    """What one concentrator is told: send this in RX1, or in RX2, or, if it has both, in RX2 if RX1 cannot be.

    ``tmst_us`` and ``antenna`` are those of the uplink it answers. ``asap``: at once, in RX2 of a class C node.
    """

    id: int
    concentrator: str
    dev_eui: str
    tmst_us: int
    antenna: int
    rx1: Slot | None
    rx2: Slot | None
    asap: bool
    power_dbm: int
    priority: Priority
    phy_payload: bytes
