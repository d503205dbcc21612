# SPDX-License-Identifier: EUPL-1.2
"""The list of certificates that are good no longer. RFC 5280 "CRL and CRL Extensions Profile"."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cloud_ingest.errors import CertificateError

EARLIER = timedelta(days=1)  # what we sign is valid before now: clocks differ


def serials(path: Path) -> list[int]:
    """Of the certificates in the list at ``path``, none if there is no list; raises CertificateError."""
    if not path.exists():
        return []
    try:
        return [entry.serial_number for entry in x509.load_pem_x509_crl(path.read_bytes())]
    except OSError as error:
        raise CertificateError(path, f"cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise CertificateError(path, "is no list of revoked certificates in PEM form") from error


def signed(revoked: Sequence[int], ca: x509.Certificate, key: ec.EllipticCurvePrivateKey, now: datetime) -> bytes:
    """The list in PEM form. It ends with the authority ``ca``: brokers take nobody by an old list."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(ca.subject)
    builder = builder.last_update(now - EARLIER).next_update(ca.not_valid_after_utc)
    for serial in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
        builder = builder.add_revoked_certificate(entry)
    builder = builder.add_extension(x509.CRLNumber(len(revoked) + 1), critical=False)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
