# SPDX-License-Identifier: EUPL-1.2
"""Numbers as people write them."""

import pytest

from decoders.written import written


@pytest.mark.parametrize(
    ("value", "spec", "english", "german"),
    [
        (5.06, ".1f", "5.1", "5,1"),
        (2500, ",g", "2,500", "2.500"),
        (1234567.891, ",.2f", "1,234,567.89", "1.234.567,89"),
        (-3.25, "+.1f", "-3.2", "-3,2"),
        (33, "d", "33", "33"),
    ],
)
def test_germans_write_a_comma_before_tenths_and_a_point_between_thousands(value, spec, english, german):
    assert written(value, spec, "en") == english
    assert written(value, spec, "de") == german
