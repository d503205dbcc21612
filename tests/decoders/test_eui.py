# SPDX-License-Identifier: EUPL-1.2
"""EUI-64s as text."""

import pytest

from decoders.eui import is_eui


def test_sixteen_lower_case_hex_digits_are_an_eui() -> None:
    assert is_eui("70b3d57ed1000001")


@pytest.mark.parametrize(
    "text",
    ["", "70b3d57ed100000", "70b3d57ed10000012", "70B3D57ED1000001", "70-b3-d5-7e-d1-00-00-01", "70b3d57ed1000001\n"],
)
def test_anything_else_is_none(text: str) -> None:
    assert not is_eui(text)
