# SPDX-License-Identifier: EUPL-1.2
"""A LoRaWAN frame on the air, with what is the same for all of them.

Only uplinks carry a CRC (TS001-1.0.4, chapter 3), only downlinks have inverted chirps. RP002-1.0.4 "EU863-870 Preamble
Format".
"""

from decoders.lorawan.airtime import low_data_rate_optimize, time_on_air_us
from simulators.air import Position, Transmission

SYNC_WORD = 0x3444  # "public network"
PREAMBLE_SYMBOLS = 8
OVERHEAD_BYTES = 13  # of a data frame around its payload: MHDR, FHDR without commands, FPort and MIC


def lorawan_frame(
    start_us: int,
    frequency_hz: int,
    sf: int,
    phy_payload: bytes,
    position: Position,
    *,
    down: bool,
    bandwidth_hz: int = 125_000,
    power_dbm: float = 14.0,
) -> Transmission:
    """``down``: a gateway sends it. ``position`` is the sender's, ``power_dbm`` radiated (EIRP)."""
    return Transmission(
        start_us=start_us,
        end_us=start_us + time_on_air_us(len(phy_payload), sf, bandwidth_hz, crc=not down, preamble=PREAMBLE_SYMBOLS),
        frequency_hz=frequency_hz,
        sf=sf,
        bandwidth_hz=bandwidth_hz,
        power_dbm=power_dbm,
        iq_inverted=down,
        sync_word=SYNC_WORD,
        phy_payload=phy_payload,
        crc_on=not down,
        preamble_symbols=PREAMBLE_SYMBOLS,
        position=position,
        low_data_rate=low_data_rate_optimize(sf, bandwidth_hz),
    )
