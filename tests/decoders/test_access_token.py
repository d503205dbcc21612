# SPDX-License-Identifier: EUPL-1.2
"""Who knows the token of a page."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.access_token import authorizes

TOKEN = "0123456789abcdef0123456789abcdef"


def basic(text):
    return "Basic " + base64.b64encode(text.encode()).decode()


class TestAuthorization:
    """RFC 7617 "The 'Basic' HTTP Authentication Scheme"; RFC 6750 "Authorization Request Header Field"."""

    @pytest.mark.parametrize(
        "header", [f"Bearer {TOKEN}", f"bearer  {TOKEN} ", basic(f"anna:{TOKEN}"), basic(f":{TOKEN}")]
    )
    def test_it_is_a_bearer_token_or_a_password_of_whoever(self, header):
        assert authorizes(header, TOKEN)

    @pytest.mark.parametrize(
        "header",
        [
            "",
            "Bearer",
            f"Bearer {TOKEN[:-1]}",
            f"Digest {TOKEN}",
            basic(TOKEN),
            "Basic ????",
            "Basic /w==",
            "Basic ü",
            "Bearer \ud800",
            TOKEN,
        ],
    )
    def test_anything_else_is_not(self, header):
        assert not authorizes(header, TOKEN)

    @given(st.text(max_size=100))
    def test_any_header_is_answered(self, header):
        assert not authorizes(header, TOKEN)
