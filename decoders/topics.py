# SPDX-License-Identifier: EUPL-1.2
"""MQTT topics between gateway and cloud: ``stadtfunk/1/<gateway_eui>/<channel>``; 1 is the version of the formats.

Batches have a topic for each lane, so that whoever keeps them on the way can bring alarms first. On ``up`` by itself
are the batches of all lanes of a gateway older than that.
"""

import re

from decoders.eui import EUI
from decoders.records import LANES, READING

UP_FILTER = "stadtfunk/1/+/up"
COMMITTED_FILTER = "stadtfunk/1/+/committed"
STATUS_FILTER = "stadtfunk/1/+/status"
DOWN_FILTER = "stadtfunk/1/+/down"
EVENTS_FILTER = "stadtfunk/1/+/events"

_LANE_NAMES = ("alarm", "reading", "diagnostic")  # by number
_TOPIC = re.compile(f"stadtfunk/1/({EUI})/(?:up(?:/(?:{'|'.join(_LANE_NAMES)}))?|committed|status|down|events)")


def lane_name(lane: int) -> str:
    """What a lane is called in topics, and by people."""
    return _LANE_NAMES[lane]


def up(gateway_eui: str, lane: int | None = None) -> str:
    """Batches of a lane, gateway to cloud; of None: of any, by a gateway that is older than topics of lanes."""
    topic = UP_FILTER.replace("+", gateway_eui)
    return topic if lane is None else f"{topic}/{_LANE_NAMES[lane]}"


def up_filters(lane: int) -> tuple[str, ...]:
    """What to subscribe to for the batches of a lane; what may be of any goes with the readings."""
    own = up("+", lane)
    return (own, UP_FILTER) if lane == READING else (own,)


def up_lane_of(topic: str) -> int | None:
    """In which lane to serve a batch that came on ``topic``; None if no batches come there."""
    if gateway_eui_of(topic) is None:
        return None
    for lane in LANES:
        if topic.endswith(f"/up/{_LANE_NAMES[lane]}"):
            return lane
    return READING if topic.endswith("/up") else None


def committed(gateway_eui: str) -> str:
    """The watermark, cloud to gateway, retained."""
    return COMMITTED_FILTER.replace("+", gateway_eui)


def status(gateway_eui: str) -> str:
    """Whether the gateway is connected, retained, also its last will."""
    return STATUS_FILTER.replace("+", gateway_eui)


def down(gateway_eui: str) -> str:
    """Commands, cloud to gateway."""
    return DOWN_FILTER.replace("+", gateway_eui)


def events(gateway_eui: str) -> str:
    """What happened at the gateway that no reading tells, gateway to cloud; not retained."""
    return EVENTS_FILTER.replace("+", gateway_eui)


def gateway_eui_of(topic: str) -> str | None:
    """The gateway a topic of ours belongs to; None if it is not one of ours."""
    match = _TOPIC.fullmatch(topic)
    return match[1] if match else None
