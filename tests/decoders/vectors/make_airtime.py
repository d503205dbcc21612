# SPDX-License-Identifier: EUPL-1.2
"""Writes airtime.json from the float formula of Semtech AN1200.13, section "LoRa Packet Structure / time on air".

Not the code under test: floats, the SX127x way of writing the formula, low data rate optimization by its own rule.
"""

import json
import math
from pathlib import Path


def seconds(length: int, sf: int, bandwidth_hz: int, crc: bool, preamble: int, implicit: bool, cr: int) -> float:
    symbol_s = 2**sf / bandwidth_hz
    de = 1 if symbol_s > 0.016 else 0
    bits = 8 * length - 4 * sf + 28 + 16 * crc - 20 * implicit
    payload_symbols = 8 + max(math.ceil(bits / (4 * (sf - 2 * de))) * (cr + 4), 0)
    return (preamble + 4.25) * symbol_s + payload_symbols * symbol_s


rows = [
    *((length, sf, 125_000, True, 8, False, 1) for sf in range(7, 13) for length in (12, 13, 23, 25, 51, 64)),
    *((17, sf, 125_000, False, 8, False, 1) for sf in (7, 9, 12)),  # downlinks have no CRC
    *((33, sf, 125_000, False, 8, False, 1) for sf in (7, 9, 12)),
    (255, 7, 125_000, True, 8, False, 1),
    (242, 7, 250_000, True, 8, False, 1),
    (20, 12, 250_000, True, 8, False, 1),
    (20, 11, 250_000, True, 8, False, 1),
    (20, 12, 500_000, True, 8, False, 1),
    (20, 10, 125_000, True, 8, False, 4),
    (20, 10, 125_000, True, 8, False, 3),
    (17, 9, 125_000, False, 10, True, 1),  # as a class B beacon is sent
    (0, 12, 125_000, False, 8, True, 1),
    (0, 7, 125_000, False, 8, True, 1),
]
vectors = []
for length, sf, bandwidth_hz, crc, preamble, implicit, cr in rows:
    exact_us = seconds(length, sf, bandwidth_hz, crc, preamble, implicit, cr) * 1e6
    assert abs(exact_us - round(exact_us)) < 1e-3
    vectors.append(
        {
            "description": f"{length} bytes SF{sf}/{bandwidth_hz // 1000} CR4/{cr + 4}"
            + ("" if crc else " no CRC")
            + (" implicit header" if implicit else ""),
            "source": "Semtech AN1200.13 formula in floats, make_airtime.py",
            "phy_length": length,
            "sf": sf,
            "bandwidth_hz": bandwidth_hz,
            "crc": crc,
            "preamble": preamble,
            "implicit_header": implicit,
            "coding_rate": cr,
            "us": round(exact_us),
        }
    )
Path(__file__).with_name("airtime.json").write_text(json.dumps({"airtime": vectors}, indent=1) + "\n")
