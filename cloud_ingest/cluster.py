# SPDX-License-Identifier: EUPL-1.2
"""A cluster of nats-servers as the city's broker: one configuration file a node.

Three nodes: any one may fail, and an acknowledged message is on the disks of two. ``sync_interval: always`` costs
little when several messages are under way (measured: 4 % at 20), and without it a power cut takes up to two minutes of
acknowledged messages. Put the nodes where not all lose power at once.

``js_api_timeout`` is how long the MQTT side waits for a leader, at a connection and for each message, before it closes
the connection and the client tries again. A leader that died never answers, so whoever had asked it before the others
elected waits for all of that time in vain: 1 s here, nats-server's default is 5. Measured: when 200 clients each keep
20 messages under way on two busy cores, an acknowledgement takes up to 2 s, but comes within 1 s of the one before it.
"""

import secrets
from collections.abc import Sequence
from typing import NamedTuple

REPLICAS = 3
_TLS = """tls {{
    cert_file: "broker.pem"
    key_file: "broker.key"
    ca_file: "ca.pem"
    {verify}: true
    min_version: "1.3"
    timeout: 10
  }}"""

_ACCOUNTS = """accounts {
  CITY {
    jetstream: enabled
    include "nats-users.conf"
  }
  SYS { users: [] }
}
system_account: SYS
"""


class Node(NamedTuple):
    """One server: under which name others reach it, and its ports for NATS, MQTT and the other nodes."""

    host: str
    port: int = 4222
    mqtt_port: int = 8883
    route_port: int = 6222


def new_secret() -> str:
    """What nodes tell each other to be let in."""
    return secrets.token_hex(24)


def configuration(node: Node, nodes: Sequence[Node], secret: str, *, tls: bool = True, listen: str = "0.0.0.0") -> str:
    """The file of ``node``, one of ``nodes``. Without ``tls`` there are no users either: for loopback alone.

    A gateway's certificate is signed by the same authority as a node's, so nodes also need the ``secret``."""
    routes = ", ".join(f'"nats-route://cluster:{secret}@{other.host}:{other.route_port}"' for other in nodes)
    own_tls, mapped = _TLS.format(verify="verify"), _TLS.format(verify="verify_and_map")
    return f"""# One of {len(nodes)} nodes of the city's broker. Made by 'stadtfunk ingest broker-cluster'.
# Keep it to yourself: who knows the secret and has a certificate can join the cluster.
# nats-server 2.15; start it in the folder of the certificates: nats-server -c nats-{node.host}.conf

server_name: "{node.host}-{node.port}"
listen: "{listen}:{node.port}"
{mapped if tls else ""}

# The longest batch is 2 MiB; whoever sends more is no gateway of ours, or broken.
max_payload: 2200000

# A message is acknowledged once it is on the disks of most nodes.
jetstream {{ store_dir: "broker-{node.host}-{node.port}", max_mem: 64M, max_file: 4G, sync_interval: always }}

cluster {{
  name: "stadtfunk"
  listen: "{listen}:{node.route_port}"
  authorization {{ user: "cluster", password: "{secret}", timeout: 5 }}
  routes: [{routes}]
  {own_tls if tls else ""}
}}

mqtt {{
  listen: "{listen}:{node.mqtt_port}"
  stream_replicas: {REPLICAS}
  js_api_timeout: "1s"  # for the answer of a leader, who may be gone
  {mapped if tls else ""}
}}

{_ACCOUNTS if tls else ""}"""
