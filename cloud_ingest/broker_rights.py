# SPDX-License-Identifier: EUPL-1.2
"""What each party may do at the broker, as nats-server reads it. Mosquitto's are a pattern: broker/mosquitto.acl.

nats-server maps a certificate to the user that is named like its subject (``verify_and_map``, NATS documentation "TLS
Authentication"). MQTT topics are subjects with dots there; ``$MQTT.sub.>`` is what a client of the MQTT listener needs
to receive anything (NATS documentation, "MQTT", "Permissions").
"""

from collections.abc import Iterable, Sequence

from cloud_ingest.lane_names import own_name
from decoders import topics
from decoders.records import LANES, READING

# What the ingest asks of JetStream, as itself or as one of its workers: the stream of all MQTT messages (jetstream.py).
_STREAM_RIGHTS = (
    *(f"$JS/API/STREAM/{verb}/$MQTT_msgs" for verb in ("INFO", "CREATE", "UPDATE")),
    *(f"$JS/API/CONSUMER/{verb}/$MQTT_msgs/>" for verb in ("CREATE", "DURABLE/CREATE", "INFO", "MSG/NEXT")),
    "$JS/ACK/$MQTT_msgs/>",
)
_NOTHING = '{ deny: ">" }'


def nats_users(gateways: Iterable[str], ingest: str) -> str:
    """The file that broker/nats.conf includes: users for the ingest and its further sessions, one for each gateway."""
    every_lane = [topic for lane in LANES for topic in topics.up_filters(lane)]
    users = [_user(ingest, [topics.committed("+"), topics.down("+"), *_STREAM_RIGHTS],
                   [*every_lane, topics.STATUS_FILTER, topics.EVENTS_FILTER, "_INBOX/>"],
                   ("MQTT", "STANDARD"))]  # fmt: skip
    users += [_user(own_name(ingest, lane), [], topics.up_filters(lane)) for lane in LANES if lane != READING]
    for eui in gateways:
        up = [topics.up(eui), *(topics.up(eui, lane) for lane in LANES)]
        users.append(
            _user(eui, [*up, topics.status(eui), topics.events(eui)], [topics.committed(eui), topics.down(eui)])
        )
    return "# Written by 'stadtfunk ingest certificates'; do not edit.\nusers: [\n" + "".join(users) + "]\n"


def _user(name: str, publish: Sequence[str], subscribe: Sequence[str], ways: tuple[str, ...] = ("MQTT",)) -> str:
    return (
        f'  {{ user: "CN={name}", allowed_connection_types: {_subjects(ways)}, permissions: {{\n'
        f"    publish: {_subjects(publish) if publish else _NOTHING}\n"
        f"    subscribe: {_subjects([*subscribe, '$MQTT/sub/>'])} }} }}\n"
    )


def _subjects(filters: Iterable[str]) -> str:
    return "[" + ", ".join('"' + topic.replace("/", ".").replace("+", "*") + '"' for topic in filters) + "]"
