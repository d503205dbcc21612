# SPDX-License-Identifier: EUPL-1.2
"""How long a LoRa frame occupies the channel: exact integers, no floats on the node.

DS = Semtech SX1261/2 datasheet DS.SX1261-2.W.APP Rev. 2.1.
"""


def symbol_us(sf: int, bandwidth_hz: int) -> int:
    """One chirp. DS "LoRa Modulation": 2^SF / BW."""
    return (1 << sf) * 1_000_000 // bandwidth_hz


def low_data_rate_optimize(sf: int, bandwidth_hz: int) -> bool:
    """True where a symbol lasts 16.38 ms or more. DS "Low Data Rate Optimization"."""
    return symbol_us(sf, bandwidth_hz) >= 16_380


def time_on_air_us(
    phy_length: int,
    sf: int,
    bandwidth_hz: int = 125_000,
    *,
    crc: bool = True,
    preamble: int = 8,
    implicit_header: bool = False,
    coding_rate: int = 1,
) -> int:
    """Preamble start to frame end of ``phy_length`` bytes, in microseconds. DS "LoRa Time-on-Air".

    ``coding_rate`` 1..4 stands for 4/5..4/8. Uplinks carry a CRC, downlinks do not.
    """
    bits = 8 * phy_length + (16 if crc else 0) - 4 * sf + (0 if implicit_header else 20)
    quarter_symbols = 4 * preamble + 17 + 32  # preamble + 4.25 + 8 symbols
    if sf < 7:
        quarter_symbols += 8  # preamble + 6.25 + 8 symbols
    else:
        bits += 8
    per_group = 4 * (sf - 2) if low_data_rate_optimize(sf, bandwidth_hz) else 4 * sf
    if bits > 0:
        quarter_symbols += 4 * ((bits + per_group - 1) // per_group) * (coding_rate + 4)
    return quarter_symbols * (1 << sf) * 250_000 // bandwidth_hz
