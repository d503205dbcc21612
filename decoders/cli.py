# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk decode``: what a payload says, as JSON."""

import json
from datetime import UTC, datetime
from typing import Any

import click

from decoders import profiles
from decoders.downlink import MAX_F_PORT
from decoders.faults import MalformedPayload
from decoders.lorawan.gps_time import unix_from_gps
from decoders.payload_v1 import Message
from decoders.profiles import BY_F_PORT, BY_NAME


class _BadUsage(click.ClickException):
    """One line on stderr and status 2, without click's lines of usage before it."""

    exit_code = 2


@click.command()
@click.option("--profile", required=True, type=click.Choice(sorted(BY_NAME)), help="What kind of node sent it.")
@click.option(
    "--fport", type=click.IntRange(1, MAX_F_PORT), help="FPort of the uplink; default: the profile's newest layout."
)
@click.argument("payload", metavar="HEX")
def decode(profile: str, fport: int | None, payload: str) -> None:
    """Decode a decrypted payload (FRMPayload, in HEX) and print its readings as JSON.

    \b
    Example:
        stadtfunk decode --profile tree --fport 2 100e9283ea55d20470030cfe
    """
    layout = BY_NAME[profile] if fport is None else BY_F_PORT.get(fport)
    if layout is None or layout.profile != profile:
        raise _BadUsage(f"profile {profile!r} has no layout on FPort {fport}; leave --fport out for the newest")
    try:
        data = bytes.fromhex(payload)
    except ValueError:
        raise _BadUsage(f"HEX {payload!r} is not hexadecimal; give whole bytes such as 100e9283") from None
    try:
        message = profiles.decode(layout, data)
    except MalformedPayload as malformed:
        raise click.ClickException(f"not a {profile!r} payload of version {layout.version}: {malformed}") from malformed
    units = {field.name: field.unit for field in profiles.fields(layout)}
    click.echo(
        json.dumps(
            {
                "profile": layout.profile,
                "version": layout.version,
                "f_port": layout.f_port,
                "unknown_fields": message.unknown_fields,
                "readings": _readings(message, units),
            },
            indent=2,
        )
    )


def _readings(message: Message, units: dict[str, str]) -> list[dict[str, Any]]:
    """A node without a clock counts from the uplink: ``seconds_before_uplink`` instead of ``at``."""
    rows = []
    for name, gps_s, value, fault in message.readings(0):
        row: dict[str, Any] = {"quantity": name}
        if gps_s > 0:
            row["at"] = datetime.fromtimestamp(unix_from_gps(gps_s), UTC).isoformat().replace("+00:00", "Z")
        else:
            row["seconds_before_uplink"] = -gps_s
        if fault is None:
            row["value"] = value
        else:
            row["fault"] = fault
        row["unit"] = units[name]
        rows.append(row)
    return rows
