# SPDX-License-Identifier: EUPL-1.2
"""MQTT topics between gateway and cloud: ``stadtfunk/1/<gateway_eui>/<channel>``; 1 is the version of the formats."""

import re

UP_FILTER = "stadtfunk/1/+/up"
COMMITTED_FILTER = "stadtfunk/1/+/committed"
STATUS_FILTER = "stadtfunk/1/+/status"
DOWN_FILTER = "stadtfunk/1/+/down"
EVENTS_FILTER = "stadtfunk/1/+/events"

_TOPIC = re.compile("stadtfunk/1/([0-9a-f]{16})/(?:up|committed|status|down|events)")


def up(gateway_eui: str) -> str:
    """Batches of readings, gateway to cloud."""
    return UP_FILTER.replace("+", gateway_eui)


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
