# SPDX-License-Identifier: EUPL-1.2
"""The demo's broker: nats-server with its MQTT 3.1.1 listener, one account, least privilege for each client.

A QoS 1 publish is acknowledged once JetStream has it on the disk (``sync_interval: always``). MQTT topics become
subjects with dots; ``$MQTT.sub.>`` is what a client of the MQTT listener needs to receive anything (NATS
documentation, "MQTT", "Permissions").
"""

from pathlib import Path
from typing import NamedTuple

from decoders import topics
from decoders.records import LANES


class Account(NamedTuple):
    """One client's name and password at the broker."""

    user: str
    password: str


def _subject(topic: str) -> str:
    return topic.replace("/", ".").replace("+", "*")


def _list(subjects: list[str]) -> str:
    return "[" + ", ".join(f'"{subject}"' for subject in subjects) + "]"


def _user(account: Account, publish: list[str], subscribe: list[str]) -> str:
    return (
        f'{{ user: "{account.user}", password: "{account.password}", allowed_connection_types: ["MQTT"],\n'
        f"        permissions: {{ publish: {_list([_subject(topic) for topic in publish])},\n"
        f"                       subscribe: {_list([*(_subject(topic) for topic in subscribe), '$MQTT.sub.>'])} }} }}"
    )


def nats_config(*, store: Path, client_port: int, mqtt_port: int, eui: str, gateway: Account, ingest: Account) -> str:
    """The server's configuration file: loopback only; a gateway may speak for itself and for nobody else."""
    up = [topics.up(eui, lane) for lane in LANES]
    batches = [topic for lane in LANES for topic in topics.up_filters(lane)]
    users = [
        _user(gateway, [*up, topics.status(eui), topics.events(eui)], [topics.committed(eui), topics.down(eui)]),
        _user(ingest, [topics.committed("+"), topics.down("+")], [*batches, topics.STATUS_FILTER]),
    ]
    return f"""server_name: "stadtfunk"
listen: "127.0.0.1:{client_port}"
max_payload: 2200000
jetstream {{ store_dir: "{store}", max_mem: 64M, max_file: 2G, sync_interval: always }}
mqtt {{ listen: "127.0.0.1:{mqtt_port}" }}
accounts {{
  CITY {{
    jetstream: enabled
    users: [
      {users[0]}
      {users[1]}
    ]
  }}
}}
"""
