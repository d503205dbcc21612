# SPDX-License-Identifier: EUPL-1.2
"""Which Basics Station may speak for which EUI: by its token, or by its certificate's name."""

import ipaddress
import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple

from gateway.backhaul import lns
from gateway.config import BasicsStationSection
from gateway.errors import ConfigError, MalformedMessage
from gateway.station_tokens import Tokens


class Security(NamedTuple):
    """``tls``: None for ws. A station proves its EUI by a token, or by its certificate's name; neither: anyone."""

    tls: ssl.SSLContext | None
    tokens: Tokens | None
    certificates: bool

    def proven(self, authorization: str, certificate: Mapping[str, Any] | None) -> frozenset[str] | None:
        """The EUIs that the other side may speak for; None: any. ``certificate`` as ssl gives it."""
        if self.tokens is None and not self.certificates:
            return None
        euis = set()
        if self.tokens is not None:
            euis.add(self.tokens.owner(authorization))
        if self.certificates and certificate:
            euis |= _names(certificate)
        return frozenset(eui for eui in euis if eui)


def security(settings: BasicsStationSection) -> Security:
    """As the configuration asks for; raises ConfigError."""
    tokens = None if settings.tokens_file is None else Tokens(settings.tokens_file)
    if settings.cert_file is None:
        return Security(None, tokens, False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.cert_file, settings.key_file, password="")  # an encrypted key must not ask
        if settings.client_ca_file is not None:
            context.load_verify_locations(settings.client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED if tokens is None else ssl.CERT_OPTIONAL
    except (OSError, ssl.SSLError) as error:
        raise ConfigError("[basics_station]", f"the certificates cannot be used ({error})") from error
    return Security(context, tokens, settings.client_ca_file is not None)


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _names(certificate: Mapping[str, Any]) -> set[str]:
    """The EUIs in a client certificate: its common name, or a DNS name, with dashes or without."""
    names = [value for rdn in certificate.get("subject", ()) for key, value in rdn if key == "commonName"]
    names += [value for key, value in certificate.get("subjectAltName", ()) if key == "DNS"]
    euis = set()
    for name in names:
        try:
            euis.add(lns.parse_eui(name))
        except MalformedMessage:
            continue
    return euis
