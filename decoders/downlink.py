# SPDX-License-Identifier: EUPL-1.2
"""Commands and events on MQTT: a downlink that an application asks for, and what became of it. JSON, both ways.

``decode_command`` reads what comes on ``topics.down``; ``encode_event`` writes what goes to ``topics.events``.
"""

import json
import re
from typing import Any, NamedTuple

from decoders.eui import is_eui
from decoders.lorawan.errors import FieldRange, RemoteError

MAX_PAYLOAD_BYTES = 51  # what every data rate carries: RP002-1.0.4 "EU863-870 Maximum Payload Size", N of DR0
_MAX_COMMAND_BYTES = 2000
MAX_F_PORT = 223  # TS001-1.0.4 "Port field (FPort)"
_LATEST_UNIX_S = 1 << 32
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_KEYS = {"id", "dev_eui", "f_port", "payload", "confirmed", "expires_at"}
_NEEDED = {"id", "dev_eui", "f_port", "payload", "expires_at"}
STATES = ("queued", "sent", "acknowledged", "failed", "expired", "refused")


class MalformedCommand(RemoteError):
    """A message on the topic for commands that is no command; ``command_id`` is its id where it has a usable one."""

    def __init__(self, problem: str, command_id: str = "") -> None:
        super().__init__(f"malformed command: {problem}")
        self.problem = problem
        self.command_id = command_id


class DownlinkCommand(NamedTuple):
    """Send ``frm_payload`` to a node before ``expires_at``, Unix s. ``id`` names it: the same one twice is one."""

    id: str
    dev_eui: str
    f_port: int
    frm_payload: bytes
    confirmed: bool
    expires_at: float


class DownlinkEvent(NamedTuple):
    """What became of the command ``id``: one of ``STATES``, and why, or ""."""

    id: str
    dev_eui: str
    state: str
    reason: str = ""


def decode_command(data: bytes) -> DownlinkCommand:
    """Read a command; raises MalformedCommand."""
    if len(data) > _MAX_COMMAND_BYTES:
        raise MalformedCommand(f"longer than {_MAX_COMMAND_BYTES} bytes")
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise MalformedCommand("not JSON") from error
    if type(fields) is not dict:
        raise MalformedCommand("not an object")
    command_id = fields.get("id")
    if not isinstance(command_id, str) or not _ID.fullmatch(command_id):
        raise MalformedCommand("id must be 1 to 64 letters, digits or any of _.:-")
    problem = _problem(fields)
    if problem:
        raise MalformedCommand(problem, command_id)
    return DownlinkCommand(
        command_id, fields["dev_eui"], fields["f_port"], bytes.fromhex(fields["payload"]),
        fields.get("confirmed", False), float(fields["expires_at"]),
    )  # fmt: skip


def _problem(fields: dict[str, Any]) -> str:
    if not _NEEDED <= fields.keys() <= _KEYS:
        return f"must have {', '.join(sorted(_NEEDED))}, may have confirmed, and nothing else"
    dev_eui, f_port, payload, expires_at = (fields[key] for key in ("dev_eui", "f_port", "payload", "expires_at"))
    if not isinstance(dev_eui, str) or not is_eui(dev_eui):
        return "dev_eui must be 16 lower-case hex digits"
    if type(f_port) is not int or not 1 <= f_port <= MAX_F_PORT:
        return f"f_port must be 1 to {MAX_F_PORT}"
    if not isinstance(payload, str) or not re.fullmatch(f"(?:[0-9a-f]{{2}}){{0,{MAX_PAYLOAD_BYTES}}}", payload):
        return f"payload must be lower-case hex, at most {MAX_PAYLOAD_BYTES} bytes"
    if type(fields.get("confirmed", False)) is not bool:
        return "confirmed must be true or false"
    if type(expires_at) not in (int, float) or not 0 < expires_at < _LATEST_UNIX_S:
        return "expires_at must be Unix seconds"
    return ""


def encode_command(command: DownlinkCommand) -> str:
    """Write a command."""
    fields = command._asdict()
    fields["payload"] = fields.pop("frm_payload").hex()
    return json.dumps(fields, separators=(",", ":"))


def encode_event(event: DownlinkEvent, at: float | None) -> str:
    """Write an event that happened at ``at``, Unix s (None: nobody knows); raises FieldRange."""
    if event.state not in STATES:
        raise FieldRange("state", event.state)
    return json.dumps({"event": "downlink", **event._asdict(), "at": at}, separators=(",", ":"))
