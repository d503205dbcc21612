# SPDX-License-Identifier: EUPL-1.2
"""Which readings of an uplink can be stored, and why not; pure, by registry and quantities."""

from cloud_ingest.city import City
from decoders.faults import FAULTS
from decoders.quantities import QUANTITIES
from decoders.records import UplinkMessage
from decoders.senml import Reading

# A node's clock follows the network's; a reading sampled later than this after its reception is wrong about its time.
MAX_AHEAD_S = 3600
_UNSURE = ("unset", "saved")  # how sure the gateway was of the time, records.py
_MAX_AT = 1 << 32  # the id of an observation holds 32 bits of time (api/entities.py)


def sorted_out(city: City, message: UplinkMessage) -> tuple[list[Reading], list[str]]:
    """What can be stored of an uplink, and the reasons why the rest cannot.

    A value that cannot be true stays, and has the fault ``out_of_range`` beside it."""
    sound, problems = [], set()
    dev_eui, latest_at = message.key.dev_eui, min(message.received_at + MAX_AHEAD_S, _MAX_AT - 1)
    for reading in message.readings:
        quantity, unit, at, value, fault = reading
        facts = QUANTITIES.get(quantity)
        if facts is None:
            problems.add("unknown_quantity")
        elif unit != facts.unit:
            problems.add("wrong_unit")
        elif fault is not None and fault not in FAULTS:
            problems.add("unknown_fault")
        elif at > latest_at:
            problems.add("time_ahead")
        elif not city.was_registered(dev_eui, at):
            problems.add("before_since")
        elif value is not None and not facts.minimum <= value <= facts.maximum:
            sound.append(reading._replace(fault="out_of_range"))
        else:
            sound.append(reading)
    return sound, sorted(problems)


def doubt_of(message: UplinkMessage) -> str | None:
    """Why the gateway was not sure of the time; None if it was."""
    return message.time_quality if message.time_quality in _UNSURE else None
