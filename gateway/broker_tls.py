# SPDX-License-Identifier: EUPL-1.2
"""TLS to the broker: who we are, whom we believe, and in one clear line why it did not come about.

The files are read at every connection, so a renewed certificate is taken without a restart. TLS 1.3 only; there a
broker that refuses our certificate says so when we have finished and paho has begun to read (RFC 8446 "Protocol
Overview"), hence ``why`` takes texts and not exceptions.
"""

import ssl
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from gateway.config import MqttSection
from gateway.errors import ConfigError

# What OpenSSL says (X509_verify_cert_error_string; alerts of RFC 8446 "Error Alerts"), and what that means here.
_WORDS = (
    ("certificate is not yet valid", "its certificate is not valid yet; our clock says {now}"),
    ("certificate has expired", "its certificate has expired; our clock says {now}"),
    ("mismatch, certificate is not valid for", "its certificate is not for {host}"),
    ("unable to get local issuer certificate", "its certificate is of another authority than ca_file {ca_file}"),
    ("self-signed certificate", "its certificate is of another authority than ca_file {ca_file}"),
    ("self signed certificate", "its certificate is of another authority than ca_file {ca_file}"),
    ("certificate required", "it wants a certificate of ours; give cert_file and key_file in [mqtt]"),
    ("alert certificate expired", "it says that our certificate {cert_file} has expired; our clock says {now}"),
    ("alert unknown ca", "it does not know the authority of our certificate {cert_file}"),
    ("alert bad certificate", "it does not take our certificate {cert_file}"),
    ("alert unsupported certificate", "it does not take our certificate {cert_file}"),
    ("alert certificate revoked", "it says that our certificate {cert_file} is revoked"),
    ("alert protocol version", "it has no TLS 1.3"),
    ("unsupported protocol", "it has no TLS 1.3"),
    ("wrong version number", "it speaks no TLS on this port"),
    ("EOF occurred in violation of protocol", "it hung up during TLS; does it know our certificate {cert_file}?"),
    ("Connection reset by peer", "it hung up during TLS; does it know our certificate {cert_file}?"),
)


def context(settings: MqttSection) -> ssl.SSLContext | None:
    """What to connect with, from the files as they are now; None without TLS. Raises ConfigError."""
    if settings.ca_file is None:
        return None
    ca_file = readable("ca_file", settings.ca_file)
    try:
        made = ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError as error:
        raise ConfigError("[mqtt]", f"ca_file {ca_file} holds no certificate ({error})") from error
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    if settings.cert_file is not None and settings.key_file is not None:
        cert_file, key_file = readable("cert_file", settings.cert_file), readable("key_file", settings.key_file)
        try:
            made.load_cert_chain(cert_file, key_file, password="")  # an encrypted key must not make it ask
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                "[mqtt]", f"cert_file {cert_file} and key_file {key_file} do not fit together ({error})"
            ) from error  # fmt: skip
    return made


def readable(key: str, path: Path) -> Path:
    """``path``, if it can be read; raises ConfigError."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise ConfigError("[mqtt]", f"{key} {path} cannot be read ({error.strerror})") from error
    return path


def why(settings: MqttSection, problem: str, now: datetime | None = None) -> str:
    """``problem`` as who runs us would say it; ``now`` is what our clock says."""
    if settings.ca_file is None:
        return problem
    now = now or datetime.now(UTC)
    found = next((words for text, words in _WORDS if text in problem), None)
    if found is None:
        return problem
    # A broker that only hangs up may do so because of this; what it says itself comes first.
    own = _own_dates(settings.cert_file, now) if "our certificate" in found else None
    return own or found.format(
        now=f"{now:%Y-%m-%d}", host=settings.host, ca_file=settings.ca_file, cert_file=settings.cert_file
    )


def _own_dates(path: Path | None, now: datetime) -> str | None:
    """What is wrong with the dates of our own certificate; None: nothing."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes()) if path else None
    except (OSError, ValueError):
        return None
    if certificate is None or certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        return None
    return (
        f"our certificate {path} is good from {certificate.not_valid_before_utc:%Y-%m-%d} to "
        f"{certificate.not_valid_after_utc:%Y-%m-%d}; our clock says {now:%Y-%m-%d}"
    )
