# SPDX-License-Identifier: EUPL-1.2
"""RFC 8949 "Specification of the CBOR Encoding": the structure of an item, one step an item."""

from contextlib import suppress

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from decoders.cbor_scan import UnexpectedCbor, scan


def scanned(data, max_items=100):
    return scan(data, max_items=max_items, max_depth=4, max_map=3, tags=(4,))


ITEMS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.integers(-24, 23), inner, max_size=3),
    max_leaves=20,
)


class TestScan:
    @pytest.mark.parametrize(
        ("encoded", "items"),  # RFC 8949 "Examples of Encoded CBOR Data Items"
        [
            ("00", 1),
            ("1bffffffffffffffff", 1),
            ("f90000", 1),
            ("fb3ff199999999999a", 1),
            ("4401020304", 1),
            ("6449455446", 1),
            ("83010203", 4),
            ("8301820203820405", 8),
            ("a201020304", 5),
            ("a26161016162820203", 7),
            ("c48221196ab3", 4),
        ],
    )
    def test_it_counts_every_item(self, encoded, items):
        assert scanned(bytes.fromhex(encoded)) == items

    @pytest.mark.parametrize(
        ("encoded", "problem"),
        [
            ("", "cut off"),
            ("18", "cut off"),
            ("4401", "cut off"),
            ("8201", "cut off"),
            ("9bffffffffffffffff", "cut off"),
            ("0000", "bytes after the end"),
            ("9f00ff", "indefinite or reserved length"),
            ("1c", "indefinite or reserved length"),
            ("c249010000000000000000", "tag 2"),
            ("a400000101020203" + "03", "a map of more than 3"),
            ("8181818180", "more than 4 levels"),
            ("9864" + "00" * 100, "more than 100 items"),
        ],
    )
    def test_what_is_not_allowed_is_said(self, encoded, problem):
        with pytest.raises(UnexpectedCbor, match=problem):
            scanned(bytes.fromhex(encoded))

    @given(ITEMS)
    def test_what_an_independent_encoder_writes_is_one_whole_item(self, item):
        data = cbor2.dumps(item)

        items = scan(data, max_items=10_000, max_depth=99, max_map=3, tags=(2, 3))

        assert items <= len(data)

    @given(st.binary(max_size=200))
    @example(b"\xc4" * 200)
    def test_any_bytes_are_scanned_or_refused_and_nothing_else(self, data):
        try:
            items = scanned(data)
        except UnexpectedCbor:
            return

        assert items <= len(data)
        with suppress(cbor2.CBORError):  # what only a look at the content tells, such as bad UTF-8
            cbor2.loads(data)
