# SPDX-License-Identifier: EUPL-1.2
"""A frame up and a frame down, as the servers see them, whatever protocol the concentrator speaks."""

from typing import NamedTuple

from decoders.lorawan.errors import FieldRange
from decoders.lorawan.region import EU868
from gateway.errors import Refused


class Reception(NamedTuple):
    """One frame received by one concentrator. ``tmst_us``: its counter at the end of the frame, modulo 2**32.

    ``gps_ms``: the end of the frame in GPS milliseconds; ``received_at`` the same moment in Unix seconds. While nobody
    knows the time ``gps_ms`` is None and ``received_at`` counts from the boot of this machine.
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

    @property
    def data_rate(self) -> int:
        """DR of the plan; raises Refused where the plan has none such."""
        for number, rate in enumerate(EU868.data_rates):
            if (rate.sf, rate.bandwidth_hz) == (self.sf, self.bandwidth_hz):
                return number
        raise Refused("unknown_data_rate")


class Downlink(NamedTuple):
    """One frame for one concentrator to send when its counter reaches ``tmst_us``."""

    concentrator: str
    tmst_us: int
    frequency_hz: int
    sf: int
    bandwidth_hz: int
    power_dbm: int
    phy_payload: bytes


def in_rx1(reception: Reception, delay_ms: int, power_dbm: int, phy_payload: bytes) -> Downlink:
    """Answer in RX1: ``delay_ms`` after the uplink, on its frequency. RP002-1.0.4 "EU863-870 Receive Windows".

    ``power_dbm`` is cut to what the frequency's sub-band allows; raises FieldRange where there is none.
    """
    rate = EU868.data_rates[EU868.rx1_dr(reception.data_rate, 0)]
    return Downlink(
        reception.concentrator,
        (reception.tmst_us + delay_ms * 1000) & 0xFFFF_FFFF,
        reception.frequency_hz,
        rate.sf,
        rate.bandwidth_hz,
        min(power_dbm, EU868.sub_band(reception.frequency_hz).max_erp_dbm),
        phy_payload,
    )


def may_transmit_on(frequency_hz: int) -> bool:
    """Whether the frequency lies in a sub-band of the plan."""
    try:
        EU868.sub_band(frequency_hz)
    except FieldRange:
        return False
    return True
