# SPDX-License-Identifier: EUPL-1.2
"""Which readings of an uplink can be stored, and why not; pure, by registry and quantities."""

from cloud_ingest.registry import City
from decoders.faults import FAULTS
from decoders.quantities import QUANTITIES
from decoders.records import UplinkMessage
from decoders.senml import Reading

# A node's clock follows the network's; a reading sampled later than this after its reception is wrong about its time.
MAX_AHEAD_S = 3600
_UNSURE = ("unset", "saved")  # how sure the gateway was of the time, records.py
_MAX_AT = 1 << 32  # the id of an observation holds 32 bits of time (api/entities.py)


def problem_of(city: City, message: UplinkMessage, reading: Reading) -> str | None:
    """Why a reading cannot be stored; None if it can."""
    facts = QUANTITIES.get(reading.quantity)
    if facts is None:
        return "unknown_quantity"
    if reading.unit != facts.unit:
        return "wrong_unit"
    if reading.fault is not None and reading.fault not in FAULTS:
        return "unknown_fault"
    if reading.at > message.received_at + MAX_AHEAD_S or reading.at >= _MAX_AT:
        return "time_ahead"
    return None if city.was_registered(message.key.dev_eui, reading.at) else "before_since"


def sorted_out(city: City, message: UplinkMessage) -> tuple[list[Reading], list[str]]:
    """What can be stored of an uplink, and the reasons why the rest cannot.

    A value that cannot be true stays, and has the fault ``out_of_range`` beside it."""
    sound, problems = [], set()
    for reading in message.readings:
        problem = problem_of(city, message, reading)
        if problem is not None:
            problems.add(problem)
        elif reading.value is not None and not _can_be_true(reading.quantity, reading.value):
            sound.append(reading._replace(fault="out_of_range"))
        else:
            sound.append(reading)
    return sound, sorted(problems)


def doubt_of(message: UplinkMessage) -> str | None:
    """Why the gateway was not sure of the time; None if it was."""
    return message.time_quality if message.time_quality in _UNSURE else None


def _can_be_true(quantity: str, value: float) -> bool:
    facts = QUANTITIES[quantity]
    return facts.minimum <= value <= facts.maximum
