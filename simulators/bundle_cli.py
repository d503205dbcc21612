# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk node keygen`` and ``stadtfunk node bundle``: the key that signs updates, and an update signed with it.

They stand here because the compiler of the firmware does (firmware_build.py).
"""

import os
import tempfile
from pathlib import Path

import click
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from decoders.bundle import MalformedBundle
from decoders.bundle_builder import build_bundle
from firmware.manifest import BOARDS, NEVER_UPDATED
from simulators.firmware_build import DEFAULT_BOARD, CompileError, build

_PUBLIC = "update_key.bin"
_LAST_VERSION = 65_000  # that diagnostics can tell (decoders/quantities.py)


def public_key(private: ec.EllipticCurvePrivateKey) -> bytes:
    """What a node verifies with (firmware/p256.py): x then y."""
    numbers = private.public_key().public_numbers()
    return numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")


def load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """A private key as ``keygen`` writes it; raises ClickException, which says nothing of what is in the file."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from None
    except (ValueError, TypeError):
        raise click.ClickException(f"{path} is not an unencrypted private key in PEM") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise click.ClickException(f"{path} is not a P-256 key; make one with: stadtfunk node keygen")
    return key


def modules_of(board: str, target: Path) -> dict[str, bytes]:
    """The compiled modules of the firmware that an update replaces, by path."""
    build(target, board=board)
    kept = {Path("main.mpy"), *(Path(path).with_suffix(".mpy") for path in NEVER_UPDATED)}
    paths = (path.relative_to(target) for path in target.rglob("*.mpy"))
    return {path.as_posix(): (target / path).read_bytes() for path in paths if path not in kept}


def signed_bundle(version: int, board: str, modules: dict[str, bytes], private: ec.EllipticCurvePrivateKey) -> bytes:
    """A bundle of ``modules`` that nodes with the key's public half take."""
    return build_bundle(
        version, board, modules, lambda header: decode_dss_signature(private.sign(header, ec.ECDSA(hashes.SHA256())))
    )


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("update_key.pem"),
    show_default=True,
    help="Where the private key goes; the public one goes beside it, as update_key.bin.",
)
def keygen(output: Path) -> None:
    """Make the key that signs updates; nothing is overwritten, the private key is never shown.

    \b
    Example:
        stadtfunk node keygen -o update_key.pem
    """
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = output.with_name(_PUBLIC)
    try:
        for path, content, mode in ((output, pem, 0o600), (public, public_key(private), 0o644)):
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(content)
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    click.echo(f"{output}: private, keep it; {public}: public, goes to every node as /data/{_PUBLIC}")


@click.command()
@click.option(
    "--key", "key_file", required=True, type=click.Path(path_type=Path), help="The private key, as keygen writes it."
)
@click.option(
    "--version", required=True, type=click.IntRange(2, _LAST_VERSION), help="Higher than what the nodes have."
)
@click.option(
    "--board", type=click.Choice(sorted(BOARDS)), default=DEFAULT_BOARD, show_default=True, help="The nodes' board."
)
@click.option(
    "-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Where the bundle goes."
)
def bundle(key_file: Path, version: int, board: str, output: Path) -> None:
    """Compile the firmware and sign it as an update for nodes in the field.

    \b
    Example:
        stadtfunk node bundle --key update_key.pem --version 2 -o bundle.sfb
    """
    private = load_key(key_file)
    try:
        with tempfile.TemporaryDirectory() as folder:
            modules = modules_of(board, Path(folder))
        content = signed_bundle(version, board, modules, private)
        output.write_bytes(content)
    except (CompileError, MalformedBundle) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{output}: {error.strerror}") from error
    click.echo(f"{output}: version {version} for {board}, {len(modules)} files, {len(content)} bytes")
