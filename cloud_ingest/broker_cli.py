# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk ingest broker-...``: the broker's stream and its cluster."""

from pathlib import Path

import click

from cloud_ingest import config as settings
from cloud_ingest.certificates import host_name, replace
from cloud_ingest.cluster import REPLICAS, Node, configuration, new_secret
from cloud_ingest.commands import CONFIG, one_clear_line
from cloud_ingest.errors import CertificateError


@click.command("broker-setup")
@CONFIG
@one_clear_line
def broker_setup(config_path: Path) -> None:
    """Make the stream that nats-server keeps messages in what [jetstream] says; changes nothing if it is so already.

    The service does this, too, whenever it connects. Do it before the first gateway connects.

    \b
    Example:
        stadtfunk ingest broker-setup --config ingest.toml
    """
    from cloud_ingest import jetstream

    changed = jetstream.set_up(settings.load(config_path))
    click.echo(f"stream {jetstream.STREAM} {'is set up now' if changed else 'was set up already'}")


@click.command("broker-cluster")
@click.argument("hosts", metavar="HOST HOST HOST", nargs=-1)  # click refuses another number without saying where
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("certificates"),
    show_default=True,
    help="Where 'certificates init' and 'certificates broker HOST HOST HOST' have put theirs.",
)
@one_clear_line
def broker_cluster(hosts: tuple[str, ...], folder: Path) -> None:
    """Write the nats-server configuration of each of three nodes, named by the hosts under which all reach them.

    Each run makes a new secret, so replace the files of all nodes and restart them together.

    \b
    Example:
        stadtfunk ingest broker-cluster a.example b.example c.example --folder certificates
    """
    if not len(hosts) == len(set(hosts)) == REPLICAS:
        raise click.BadParameter("name three different hosts", param_hint="HOST")
    for host in hosts:
        host_name(host)
    if not folder.is_dir():
        raise CertificateError(folder, "does not exist; 'stadtfunk ingest certificates init' makes it")
    secret = new_secret()
    nodes = [Node(host) for host in hosts]
    for node in nodes:
        path = folder / f"nats-{node.host}.conf"
        replace(path, configuration(node, nodes, secret).encode(), 0o600)
        click.echo(f"{path}: nats-server -c {path.name}, on {node.host}, in the folder of the certificates")
