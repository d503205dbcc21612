# SPDX-License-Identifier: EUPL-1.2
"""No small count leaves the service: who passes alone or in pairs could be known.

Every connection that answers the public (api/readers.py) sees the tables of readings through views of the same name,
so no query, filter or order can get round it. The store keeps what was counted.
"""

from decoders.quantities import QUANTITIES

SUPPRESSED = "suppressed"  # the flag of a count that is there and not told
COUNTS = tuple(name for name in QUANTITIES if name.startswith(("vehicle_count", "bicycle_count", "people_count")))

_VIEW = """
CREATE TEMP VIEW {table} AS SELECT datastream, at,
    CASE WHEN {small} THEN NULL ELSE result END AS result,
    CASE WHEN {small} THEN '{flag}' ELSE flag END AS flag,
    received_at, time_quality
FROM main.{table}
"""
_SMALL = (
    "flag IS NULL AND result > 0 AND result < {min_count} "
    "AND datastream IN (SELECT id FROM main.datastreams WHERE quantity IN ({counts}))"
)


def views(min_count: int) -> tuple[str, ...]:
    """Statements for a connection: counts from 1 to below ``min_count`` are null there, with the flag SUPPRESSED."""
    small = _SMALL.format(min_count=min_count, counts=", ".join(f"'{name}'" for name in COUNTS))
    return tuple(_VIEW.format(table=table, small=small, flag=SUPPRESSED) for table in ("observations", "latest"))
