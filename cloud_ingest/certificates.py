# SPDX-License-Identifier: EUPL-1.2
"""The city's own certificate authority: who may speak to the broker, and in whose name.

One folder holds it: ``ca.pem``, ``ca.key`` and ``ca.crl``, and of each party ``<name>.pem`` and ``<name>.key``; of a
gateway whose certificate was renewed also ``<name>.former``, those before. A party's name is its certificate's common
name: a gateway's is its EUI, and brokers make rights of it. Keys are on P-256; a name's key stays when its certificate
is renewed: one file changes, at once. RFC 5280 "Certificate Extensions".
"""

import ipaddress
import os
import re
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cloud_ingest import revocation
from cloud_ingest.errors import CertificateError
from cloud_ingest.lane_names import own_name
from decoders.eui import is_eui
from decoders.records import LANES, READING

AUTHORITY = "ca"
BROKER = "broker"
INGEST = "ingest"
_SESSIONS = tuple(own_name(INGEST, lane) for lane in LANES if lane != READING)
AUTHORITY_DAYS = 7300
DAYS = 730
_LABEL = "[a-zA-Z0-9_](?:[a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*")
_AUTHORITY_NAME = "Stadtfunk broker authority"


class Issued(NamedTuple):
    """A certificate in the folder: whose, until when."""

    name: str
    expires: datetime


class Authority:
    """The authority in ``folder``; ``now`` is the present, in UTC."""

    def __init__(self, folder: Path, now: datetime | None = None) -> None:
        self.folder = folder
        self._now = now or datetime.now(UTC)

    def init(self, days: int = AUTHORITY_DAYS) -> bool:
        """Make it, or renew its certificate under the same key, so that all it has issued stays good; True: made."""
        try:
            self.folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        except OSError as error:
            raise CertificateError(self.folder, f"cannot be made ({error.strerror})") from error
        is_new = not self._key_path(AUTHORITY).exists()
        if is_new and self._path(AUTHORITY).exists():
            raise CertificateError(self._key_path(AUTHORITY), "is missing; without it nothing can be issued or renewed")
        key = self._key(AUTHORITY)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _AUTHORITY_NAME)])
        if not is_new:
            name = self._certificate(AUTHORITY).subject
        builder = self._builder(name, name, key.public_key(), days)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
        replace(self._path(AUTHORITY), _pem(builder.sign(key, hashes.SHA256())), 0o644)
        self._write_revoked()
        return is_new

    def issue_broker(self, hosts: Iterable[str], days: int = DAYS) -> Issued:
        """For the broker, good under these names and addresses."""
        names = [host_name(host) for host in hosts]
        return self._issue(BROKER, self._key(BROKER).public_key(), days, names)

    def issue_ingest(self, days: int = DAYS) -> Issued:
        """For the city's ingest, and for each further session that it has with a broker."""
        for name in _SESSIONS:
            self._issue(name, self._key(name).public_key(), days)
        return self._issue(INGEST, self._key(INGEST).public_key(), days)

    def issue_gateway(self, eui: str, request: Path | None = None, days: int = DAYS) -> Issued:
        """For a gateway, under the key of its ``request`` (PKCS #10) or under one made here."""
        if not is_eui(eui):
            raise CertificateError(eui, "is no gateway EUI: 16 lower-case hex digits")
        public = self._key(eui).public_key() if request is None else _requested(request, eui)
        self._keep_former(eui)
        return self._issue(eui, public, days)

    def _keep_former(self, eui: str) -> None:
        """A certificate that is renewed stays good until its end, so whoever shuts out the gateway must know it."""
        try:
            former = _pem(self._certificate(eui))
        except CertificateError:  # it has none
            return
        path = self._former_path(eui)
        replace(path, (path.read_bytes() if path.exists() else b"") + former, 0o644)

    def _former_path(self, name: str) -> Path:
        return self.folder / f"{name}.former"

    def revoke_gateway(self, eui: str) -> None:
        """Shut a gateway out: all its certificates go onto the list ``ca.crl``, and with its key out of the folder."""
        if not is_eui(eui):
            raise CertificateError(eui, "is no gateway EUI: 16 lower-case hex digits")
        if not self._path(eui).exists():
            raise CertificateError(self._path(eui), "does not exist; nobody has a certificate of that name")
        self._write_revoked(*self._former_serials(eui), self._certificate(eui).serial_number)
        self._key_path(eui).unlink(missing_ok=True)  # whoever stole it has this one
        self._former_path(eui).unlink(missing_ok=True)
        self._path(eui).unlink()

    def _former_serials(self, eui: str) -> list[int]:
        path = self._former_path(eui)
        if not path.exists():
            return []
        try:
            return [found.serial_number for found in x509.load_pem_x509_certificates(path.read_bytes())]
        except OSError as error:
            raise CertificateError(path, f"cannot be read ({error.strerror})") from error
        except ValueError as error:
            raise CertificateError(path, "holds no certificates in PEM form") from error

    def _write_revoked(self, *more: int) -> None:
        """The list as it was, and these; signed anew."""
        path = self.folder / "ca.crl"
        serials = dict.fromkeys([*revocation.serials(path), *more])
        content = revocation.signed(list(serials), self._certificate(AUTHORITY), self._key(AUTHORITY), self._now)
        replace(path, content, 0o644)

    def issued(self) -> list[Issued]:
        """All certificates in the folder, by name."""
        self._certificate(AUTHORITY)
        names = sorted(path.stem for path in self.folder.glob("*.pem"))
        return [Issued(name, self._certificate(name).not_valid_after_utc) for name in names]

    def gateways(self) -> list[str]:
        """The EUIs of all gateways with a certificate."""
        return [issued.name for issued in self.issued() if is_eui(issued.name)]

    def _issue(
        self, name: str, public: ec.EllipticCurvePublicKey, days: int, hosts: list[x509.GeneralName] | None = None
    ) -> Issued:
        ca = self._certificate(AUTHORITY)
        if not self._key_path(AUTHORITY).exists():
            raise CertificateError(self._key_path(AUTHORITY), "is missing; without it nothing can be issued or renewed")
        if self._now + timedelta(days=days) > ca.not_valid_after_utc:
            raise CertificateError(self._path(AUTHORITY), f"ends before {days} days are over; renew it with 'init'")
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(subject, ca.subject, public, days)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(), critical=True)
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if hosts is not None:  # nodes of a cluster are each other's clients, too
            purposes.insert(0, ExtendedKeyUsageOID.SERVER_AUTH)
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        if hosts is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        certificate = builder.sign(self._key(AUTHORITY), hashes.SHA256())
        replace(self._path(name), _pem(certificate), 0o644)
        return Issued(name, certificate.not_valid_after_utc)

    def _builder(
        self, subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, days: int
    ) -> x509.CertificateBuilder:
        authority = self._key(AUTHORITY).public_key()
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - revocation.EARLIER)
            .not_valid_after(self._now + timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority), critical=False)
        )

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def _key_path(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def _key(self, name: str) -> ec.EllipticCurvePrivateKey:
        """The key of ``name``, made if it has none."""
        path = self._key_path(name)
        if not path.exists():
            if name != AUTHORITY:
                self._certificate(AUTHORITY)  # a key without an authority is of no use
            key = ec.generate_private_key(ec.SECP256R1())
            replace(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
            return key
        try:
            found = load_pem_private_key(path.read_bytes(), None)
        except OSError as error:
            raise CertificateError(path, f"cannot be read ({error.strerror})") from error
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise CertificateError(path, "is no key in PEM form without a passphrase") from error
        if not isinstance(found, ec.EllipticCurvePrivateKey):
            raise CertificateError(path, "is no key on an elliptic curve")
        return found

    def _certificate(self, name: str) -> x509.Certificate:
        path = self._path(name)
        try:
            return x509.load_pem_x509_certificate(path.read_bytes())
        except FileNotFoundError as error:
            raise CertificateError(path, "does not exist; 'stadtfunk ingest certificates init' makes it") from error
        except OSError as error:
            raise CertificateError(path, f"cannot be read ({error.strerror})") from error
        except ValueError as error:
            raise CertificateError(path, "is no certificate in PEM form") from error


def host_name(host: str) -> x509.GeneralName:
    """An address, or a name by RFC 1123 2.1 "Host Names and Numbers"; raises CertificateError."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError as error:
        if not _HOST.fullmatch(host):
            problem = "is no host name (without a port; umlauts as xn--...) and no address"
            raise CertificateError(host, problem) from error
        return x509.DNSName(host)


def replace(path: Path, content: bytes, mode: int) -> None:
    """Write the file whole or not at all, durably, with this mode from its first byte on; raises CertificateError."""
    other = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(os.open(other, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        other.replace(path)
    except OSError as error:
        other.unlink(missing_ok=True)
        raise CertificateError(path, f"cannot be written ({error.strerror})") from error


def _usage(signs_certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _requested(path: Path, eui: str) -> ec.EllipticCurvePublicKey:
    """The key that a request proves to have; its name must be the gateway's own."""
    try:
        request = x509.load_pem_x509_csr(path.read_bytes())
        proved = request.is_signature_valid
        public = request.public_key()
        names = [attribute.value for attribute in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except OSError as error:
        raise CertificateError(path, f"cannot be read ({error.strerror})") from error
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise CertificateError(path, "is no certificate request in PEM form") from error
    if not proved or not isinstance(public, ec.EllipticCurvePublicKey):
        raise CertificateError(path, "is not signed with the elliptic-curve key it asks for")
    if names != [eui]:
        raise CertificateError(path, f"is for {', '.join(map(str, names)) or 'nobody'}, not for {eui}")
    return public


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
