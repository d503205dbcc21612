# SPDX-License-Identifier: EUPL-1.2
"""The head of a batch, read without its records."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.batch_head import Head, read_head
from decoders.records import LANES, Event
from decoders.uplink import Batch, Continues, encode_batch

EVENT = Event("disk_short", None, 1_790_000_000.0, "ntp", {})
SEQ = st.integers(1, (1 << 62) - 1)


class TestHead:
    @given(
        st.integers(0, (1 << 63) - 1),
        st.sampled_from(LANES),
        SEQ,
        st.none() | st.builds(Continues, SEQ, SEQ, SEQ),
        st.integers(0, 3),
    )
    def test_it_is_that_of_the_whole_batch(self, epoch, lane, first_seq, continues, count):
        data = encode_batch(Batch("0016c001f1500812", epoch, lane, 1, first_seq, continues, (EVENT,) * count))

        assert read_head(data) == Head("0016c001f1500812", epoch, lane, 1, first_seq, count)

    def test_records_that_nobody_can_decode_do_not_matter(self):
        # 2, EUI, epoch 7, lane 1, oldest 3, first 5, no continues, two records of which the first is cut off
        plain = bytes.fromhex("88 02 48 0016c001f1500812 07 01 03 05 f6 82 9fff")

        assert read_head(zlib.compress(plain)) == Head("0016c001f1500812", 7, 1, 3, 5, 2)

    @pytest.mark.parametrize(
        "plain",
        [
            "88 03 48 0016c001f1500812 07 01 03 05 f6 82",  # another version
            "88 02 48 0016c001f1500812 07 03 03 05 f6 82",  # no such lane
            "88 02 48 0016c001f1500812 07 01 06 05 f6 82",  # older than what it still has
            "88 02 47 0016c001f15008 07 01 03 05 f6 82",
            "88 02 48 0016c001f1500812 07 01 03 05 f6",
            "",
        ],
    )
    def test_what_cannot_be_believed_is_no_head(self, plain):
        assert read_head(zlib.compress(bytes.fromhex(plain))) is None

    @given(st.binary(max_size=60), st.booleans())
    def test_any_bytes_are_a_head_or_none(self, data, compressed):
        head = read_head(zlib.compress(data) if compressed else data)

        assert head is None or head.first_seq >= 1
