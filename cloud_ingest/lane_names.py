# SPDX-License-Identifier: EUPL-1.2
"""What the ingest calls whatever it has once for each lane: sessions, their certificates, consumers."""

from decoders import topics
from decoders.records import READING


def own_name(plain: str, lane: int) -> str:
    """That of the readings, with which also comes what older gateways send, has the ``plain`` name."""
    return plain if lane == READING else f"{plain}-{topics.lane_name(lane)}"
