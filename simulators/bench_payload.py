# SPDX-License-Identifier: EUPL-1.2
"""Bytes on air for each delivered reading: our payload against others, for the same readings of the same city.

Others carry the same values at no better resolution, and no time: Cayenne LPP (channel and type before each value),
CBOR (an array of maps from field number to integer), our version 1, and two simpler ways to pack bits. A message holds
``count`` samples, the newest and older ones; with one new sample an hour, ``count`` - 1 uplinks in a row may be lost.
"""

from collections.abc import Callable
from itertools import pairwise
from random import Random

import cbor2

from decoders.layouts.tree import LAYOUT
from decoders.payload_encoder import encode
from decoders.payload_v1 import TREE_V1
from simulators.city import small_jena
from simulators.clock import HOUR_US
from simulators.firmware_build import REPOSITORY
from simulators.lorawan_frame import OVERHEAD_BYTES
from simulators.metric import Metric

RESULTS = REPOSITORY / ".bench" / "payload.json"
COUNTS = (1, 4, 8, 16)
_GPS_S = 1_450_000_000
_TREES = 4
_HOURS = 24 * 14

Sample = tuple[int, dict[str, int]]


def series(seed: int) -> list[list[Sample]]:
    """What the nodes of some trees measure in two weeks, (GPS s, integers), newest first; sensors' noise included."""
    city = small_jena(seed, _TREES)
    found = []
    for tree in range(_TREES):
        dice, samples = Random(f"payload {seed} {tree}"), []
        for hour in range(_HOURS):
            truth = city.truth(tree, hour * HOUR_US)
            values = {
                "soil_moisture": round(100 * (truth.soil_moisture + dice.gauss(0, 0.1))),
                "soil_temperature": round(100 * truth.soil_temperature + dice.gauss(0, 3)),
                "surface_temperature": round(16 * truth.surface_temperature) * 100 // 16,
                "battery_voltage": 3300 + dice.choice((-10, 0, 0, 10)),
            }
            samples.append((_GPS_S + 3600 * hour + dice.choice((0, 0, 0, 1)), values))
        found.append(samples[::-1])
    return found


def ours(samples: list[Sample]) -> int:
    mask = LAYOUT.raws(samples[0][1])[0]
    return len(encode(LAYOUT, mask, [(time, LAYOUT.raws(values)[1]) for time, values in samples]))


def version_1(samples: list[Sample]) -> int:
    header = {"battery_voltage": samples[0][1]["battery_voltage"]}
    older: list[tuple[int, dict[str, int | str]]] = [(time, dict(values)) for time, values in samples]
    return len(TREE_V1.encode(dict(header), older))


def cayenne(samples: list[Sample]) -> int:
    """Humidity 1 byte (0.5 %), temperatures 2 (0.1 Cel), analogue input 2 (0.01 V); channel and type before each."""
    return len(samples) * (3 + 4 + 4 + 4)


def cbor(samples: list[Sample]) -> int:
    return len(cbor2.dumps([dict(enumerate(LAYOUT.raws(values)[1])) for _, values in samples]))


def absolute_bits(samples: list[Sample]) -> int:
    """Time, then every value in the bits of its field."""
    mask = LAYOUT.raws(samples[0][1])[0]
    width = sum(field.bits for field in LAYOUT.present(mask))
    return (8 + 1 + 32 + 8 + len(samples) * width + 7) // 8


def fixed_differences(samples: list[Sample]) -> int:
    """As ours, but every difference of a field in as many bits as the largest needs."""
    mask = LAYOUT.raws(samples[0][1])[0]
    bits = 8 + 1 + 32 + 8 + (20 + 4 + 2 * (len(samples) - 1) if len(samples) > 1 else 0)
    columns = list(zip(*(LAYOUT.raws(values)[1] for _, values in samples), strict=True))
    for field, column in zip(LAYOUT.present(mask), columns, strict=True):
        widest = max((abs(b - a).bit_length() + 1 for a, b in pairwise(column)), default=0)
        bits += 1 + field.bits + (4 + (len(column) - 1) * widest if len(column) > 1 else 0)
    return (bits + 7) // 8


SCHEMES: dict[str, Callable[[list[Sample]], int]] = {
    "ours": ours,
    "cayenne_lpp": cayenne,
    "cbor": cbor,
    "version_1": version_1,
    "absolute_bits": absolute_bits,
    "fixed_differences": fixed_differences,
}


def measure(seed: int = 1) -> list[Metric]:
    """Rows: bytes on air for each reading that is new in its message, and ours as a share of Cayenne LPP's."""
    rows, cities = [], series(seed)
    for count in COUNTS:
        mean = {}
        for name, scheme in SCHEMES.items():
            messages = [samples[at : at + count] for samples in cities for at in range(_HOURS - count)]
            total = sum(OVERHEAD_BYTES + scheme(message) for message in messages)
            mean[name] = total / sum(len(message[0][1]) for message in messages)
            rows.append(Metric(f"{name}_{count}_samples", round(mean[name], 2), "B", None, None))
        share = mean["ours"] / mean["cayenne_lpp"]
        rows.append(
            Metric(f"ours_of_cayenne_lpp_{count}_samples", round(share, 3), "1", None, 0.5 if count >= 8 else None)
        )
    return rows
