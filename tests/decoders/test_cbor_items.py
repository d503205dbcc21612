# SPDX-License-Identifier: EUPL-1.2
"""Numbers as CBOR items, in the shortest form that comes back as the same double."""

from decimal import Decimal

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.cbor_items import item_of_number
from decoders.lorawan.errors import FieldRange


class TestNumbers:
    """RFC 8949 "Decimal Fractions and Bigfloats": tag 4, [exponent, mantissa]."""

    @pytest.mark.parametrize(
        ("value", "item"),
        [
            (0.0, "00"),
            (-0.0, "00"),
            (23.0, "17"),
            (100.0, "1864"),
            (-500.0, "3901f3"),
            (0.1, "c4822001"),
            (-0.05, "c4822124"),
            (12.34, "c482211904d2"),
            (12.5, "c48220187d"),
            (999_999.99, "c482211a05f5e0ff"),
            (1_000_000.01, "c482211a05f5e101"),
            (0.125, "c48222187d"),
            (0.0001, "c4822301"),
            (1 / 3, "fb3fd5555555555555"),
            (0.1 + 0.2, "fb3fd3333333333334"),
            (1e-5, "fb3ee4f8b588e368f1"),
            (1e300, "fb7e37e43c8800759c"),
            (1, "01"),
            (1 << 62, "fb43d0000000000000"),
        ],
    )
    def test_each_has_one_form(self, value, item):
        assert item_of_number(value).hex() == item

    @given(
        st.floats(allow_nan=False, allow_infinity=False)
        | st.decimals(-2_000_000, 2_000_000, places=2).map(float)
        | st.decimals(-2_000_000, 2_000_000, places=1).map(float)
        | st.integers(-(1 << 31), 1 << 31).map(float)
    )
    def test_it_comes_back_as_the_same_double_and_as_an_independent_encoder_writes_it(self, value):
        decimal = Decimal(repr(value))

        item = item_of_number(value)

        assert float(cbor2.loads(item)) == value
        if decimal == decimal.to_integral_value() and abs(value) < 1 << 32:
            assert item == cbor2.dumps(int(value))
        elif item[0] == 0xC4:
            assert item == cbor2.dumps(decimal)
        else:
            assert item == cbor2.dumps(value)

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), True, "1", None, 1 << 63])
    def test_what_is_no_finite_number_is_refused(self, value):
        with pytest.raises(FieldRange):
            item_of_number(value)
