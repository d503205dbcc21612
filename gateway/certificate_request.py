# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk gateway certificate-request``: a key that never leaves this gateway, and the request (PKCS #10) for its
certificate. A renewal asks for the same key.
"""

import os
import secrets
from pathlib import Path

import click
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from gateway.command import config_option, one_line_errors
from gateway.config import load
from gateway.errors import ConfigError


@click.command("certificate-request")
@config_option
@one_line_errors
def certificate_request(config_path: Path) -> None:
    """Print a request for this gateway's certificate; its key is made in key_file of [mqtt], if it is not there yet.

    \b
    Example:
        stadtfunk gateway certificate-request --config gateway.toml > gateway.csr
    """
    config = load(config_path)
    if config.mqtt.key_file is None:
        raise click.ClickException(f"{config_path}: key_file in [mqtt] is missing; give it a path")
    click.echo(request(config.gateway.eui, config.mqtt.key_file), nl=False)


def request(eui: str, key_file: Path) -> str:
    """The request in PEM form, signed with the key in ``key_file``, made with mode 0600; raises ConfigError."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, eui)])
    try:
        if not key_file.exists():
            _make(key_file)
        key = load_pem_private_key(key_file.read_bytes(), None)
    except OSError as error:
        raise ConfigError("[mqtt]", f"key_file {key_file} cannot be made or read ({error.strerror})") from error
    except (ValueError, TypeError) as error:
        raise ConfigError("[mqtt]", f"key_file {key_file} holds no key without a passphrase") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigError("[mqtt]", f"key_file {key_file} holds no key on an elliptic curve")
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return made.public_bytes(Encoding.PEM).decode()


def _make(path: Path) -> None:
    """Whole or not at all: half a key would be found at the next start."""
    key = ec.generate_private_key(ec.SECP256R1())
    other = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with open(os.open(other, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.flush()
        os.fsync(file.fileno())
    other.replace(path)
