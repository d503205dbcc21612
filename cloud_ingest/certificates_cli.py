# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk ingest certificates``: who may speak to the broker."""

from importlib import resources
from pathlib import Path

import click

from cloud_ingest.broker_rights import nats_users
from cloud_ingest.certificates import AUTHORITY_DAYS, DAYS, INGEST, Authority, Issued, replace
from cloud_ingest.commands import one_clear_line

_USERS = "nats-users.conf"
_CONFIGURATIONS = ("nats.conf", "mosquitto.conf", "mosquitto.acl")
_FOLDER = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("certificates"),
    show_default=True,
    help="Where the authority keeps its files. Its ca.key opens the broker to anybody: guard it.",
)
_DAYS = click.option(
    "--days", default=DAYS, show_default=True, type=click.IntRange(1, 3650), help="How long the certificate is good."
)


@click.group()
def certificates() -> None:
    """Who may speak to the broker: one certificate for each party. To renew one, make it again."""


@certificates.command()
@_FOLDER
@click.option(
    "--days", default=AUTHORITY_DAYS, show_default=True, type=click.IntRange(1, 36500), help="How long it is good."
)
@one_clear_line
def init(folder: Path, days: int) -> None:
    """Make the authority, and the broker's configurations beside it; or renew its certificate.

    \b
    Example:
        stadtfunk ingest certificates init
    """
    authority = Authority(folder)
    made = authority.init(days)
    for name in _CONFIGURATIONS:
        if not (folder / name).exists():
            content = (resources.files("cloud_ingest") / "broker" / name).read_bytes()
            replace(folder / name, content, 0o644)
    _write_users(authority)
    click.echo(f"{folder}/ca.pem {'made' if made else 'renewed'}; give it to every party. ca.key stays here.")


@certificates.command()
@click.argument("hosts", metavar="HOST...", nargs=-1, required=True)
@_FOLDER
@_DAYS
@one_clear_line
def broker(hosts: tuple[str, ...], folder: Path, days: int) -> None:
    """Make the broker's certificate, for the host names and addresses under which clients know it.

    \b
    Example:
        stadtfunk ingest certificates broker broker.example 192.0.2.7
    """
    _told(folder, Authority(folder).issue_broker(hosts, days), "cert_file and key_file of the broker")


@certificates.command()
@_FOLDER
@_DAYS
@one_clear_line
def ingest(folder: Path, days: int) -> None:
    """Make the certificates of `stadtfunk ingest run`: its own, and of each lane it fetches apart (ingest-alarm, ...).

    \b
    Example:
        stadtfunk ingest certificates ingest
    """
    authority = Authority(folder)
    issued = authority.issue_ingest(days)
    _write_users(authority)
    _told(
        folder, issued, "cert_file and key_file under [mqtt] of ingest.toml; all ingest*.pem and .key beside each other"
    )


@certificates.command()
@click.argument("eui")
@_FOLDER
@_DAYS
@click.option(
    "--request",
    type=click.Path(path_type=Path, dir_okay=False),
    help="What `stadtfunk gateway certificate-request` wrote: then its key never leaves the gateway.",
)
@one_clear_line
def gateway(eui: str, folder: Path, days: int, request: Path | None) -> None:
    """Make the certificate of the gateway with this EUI, and give it its rights in nats-users.conf.

    \b
    Example:
        stadtfunk ingest certificates gateway 0016c001ff10a001 --request gateway.csr
    """
    authority = Authority(folder)
    issued = authority.issue_gateway(eui, request, days)
    _write_users(authority)
    what = "cert_file under [mqtt] of gateway.toml"
    _told(folder, issued, what if request else what.replace("cert_file", "cert_file and key_file"), request is None)


@certificates.command()
@click.argument("eui")
@_FOLDER
@one_clear_line
def revoke(eui: str, folder: Path) -> None:
    """Shut out the gateway with this EUI: no rights in nats-users.conf, and its certificate in ca.crl.

    \b
    Example:
        stadtfunk ingest certificates revoke 0016c001ff10a001
    """
    authority = Authority(folder)
    authority.revoke_gateway(eui)
    _write_users(authority)
    click.echo(f"{eui} is shut out once the broker has {folder}/nats-users.conf or ca.crl and has taken it on")


@certificates.command("list")
@_FOLDER
@one_clear_line
def list_certificates(folder: Path) -> None:
    """Print each certificate and the day it ends.

    \b
    Example:
        stadtfunk ingest certificates list
    """
    for issued in Authority(folder).issued():
        click.echo(f"{issued.name} {issued.expires:%Y-%m-%d}")


def _write_users(authority: Authority) -> None:
    replace(authority.folder / _USERS, nats_users(authority.gateways(), INGEST).encode(), 0o644)


def _told(folder: Path, issued: Issued, purpose: str, with_key: bool = True) -> None:
    files = f"{folder}/{issued.name}.pem" + (f" and {issued.name}.key" if with_key else "")
    click.echo(f"{files}, good until {issued.expires:%Y-%m-%d}: {purpose}")
