# SPDX-License-Identifier: EUPL-1.2
"""What each party may do at the broker, as nats-server reads it. Mosquitto's are a pattern: broker/mosquitto.acl.

nats-server maps a certificate to the user that is named like its subject (``verify_and_map``, NATS documentation "TLS
Authentication"). MQTT topics are subjects with dots there; ``$MQTT.sub.>`` is what a client of the MQTT listener needs
to receive anything (NATS documentation, "MQTT", "Permissions").
"""

from collections.abc import Iterable

from decoders import topics


def nats_users(gateways: Iterable[str], ingest: str) -> str:
    """The file that broker/nats.conf includes: one user for the ingest, one for each gateway."""
    users = [_user(ingest, [topics.committed("+"), topics.down("+")],
                   [topics.UP_FILTER, topics.STATUS_FILTER, topics.EVENTS_FILTER])]  # fmt: skip
    for eui in gateways:
        users.append(
            _user(eui, [topics.up(eui), topics.status(eui), topics.events(eui)],
                  [topics.committed(eui), topics.down(eui)])
        )  # fmt: skip
    return "# Written by 'stadtfunk ingest certificates'; do not edit.\nusers: [\n" + "".join(users) + "]\n"


def _user(name: str, publish: list[str], subscribe: list[str]) -> str:
    return (
        f'  {{ user: "CN={name}", allowed_connection_types: ["MQTT"], permissions: {{\n'
        f"    publish: {_subjects(publish)}\n"
        f"    subscribe: {_subjects([*subscribe, '$MQTT/sub/>'])} }} }}\n"
    )


def _subjects(filters: list[str]) -> str:
    return "[" + ", ".join('"' + topic.replace("/", ".").replace("+", "*") + '"' for topic in filters) + "]"
