# SPDX-License-Identifier: EUPL-1.2
"""How a browser or a program proves that it knows the token of a page.

A browser asks for it as a password (any user name), a program sends it as a bearer token. RFC 7617 "The 'Basic'
Authentication Scheme", RFC 6750 "Authorization Request Header Field".
"""

import base64
import hmac


def authorizes(header: str, token: str) -> bool:
    """Whether the value of an Authorization header proves that its sender knows the token."""
    scheme, _, given = header.strip().partition(" ")
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).decode("utf-8").partition(":")[2]
        except ValueError:  # binascii.Error and UnicodeDecodeError among them
            return False
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given.strip().encode("utf-8", "surrogatepass"), token.encode())
