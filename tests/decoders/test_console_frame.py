# SPDX-License-Identifier: EUPL-1.2
"""decoders.console_frame: frames among whatever else is on a console."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from decoders.console_frame import (
    BEGIN,
    BEGIN_LAYOUT,
    DATA,
    HELLO,
    INFO,
    INFO_LAYOUT,
    LARGEST_PIECE,
    LONGEST_LINE,
    FrameReader,
    serialize,
)

# type 1, length 1, data 01 and their CRC-32 (ISO 3309, "32-bit FCS": 0x909fb2f2), in base64
HELLO_1 = b"~AQEB8rKfkA==\n"

DATA_BYTES = st.binary(max_size=176)
FRAMES = st.lists(st.tuples(st.integers(0, 255), DATA_BYTES), max_size=5)
NOISE = st.binary(max_size=40).map(lambda noise: noise.replace(b"~", b"-"))


class TestFrame:
    def test_it_is_a_line_of_printable_characters(self):
        line = serialize(DATA, bytes(range(4 + LARGEST_PIECE)))

        assert len(line) == LONGEST_LINE == 246
        assert line[:1] == b"~"
        assert line[-1:] == b"\n"
        assert all(32 < byte < 127 for byte in line[:-1])

    def test_a_hello_looks_like_this(self):
        assert serialize(HELLO, b"\x01") == HELLO_1

    def test_the_layouts_have_the_lengths_of_the_table(self):
        assert (struct.calcsize(INFO_LAYOUT), struct.calcsize(BEGIN_LAYOUT)) == (26, 12)


class TestReader:
    @given(frames=FRAMES, noise=st.lists(NOISE, min_size=6, max_size=6), cut=st.integers(1, 60))
    def test_every_frame_is_found_between_other_lines_however_it_comes(self, frames, noise, cut):
        stream = b""
        for (kind, data), other in zip(frames, noise, strict=False):
            stream += other + serialize(kind, data)
        stream += noise[-1]
        reader = FrameReader()

        found = [frame for at in range(0, len(stream), cut) for frame in reader.feed(stream[at : at + cut])]

        assert found == frames
        assert reader.damaged == 0

    def test_a_carriage_return_before_the_line_feed_changes_nothing(self):
        assert FrameReader().feed(HELLO_1.replace(b"\n", b"\r\n")) == [(HELLO, b"\x01")]

    def test_a_mark_begins_anew(self):
        reader = FrameReader()

        assert reader.feed(HELLO_1[:7] + HELLO_1) == [(HELLO, b"\x01")]
        assert reader.damaged == 1

    def test_a_line_that_never_ends_is_given_up(self):
        reader = FrameReader()

        assert reader.feed(b"~" + b"A" * 10_000 + b"\n" + HELLO_1) == [(HELLO, b"\x01")]
        assert reader.damaged == 1

    @given(kind=st.integers(0, 255), data=DATA_BYTES, change=st.data())
    def test_a_changed_character_is_noticed(self, kind, data, change):
        line = bytearray(serialize(kind, data))
        at = change.draw(st.integers(1, len(line) - 2))
        line[at] = change.draw(st.integers(33, 125).filter(lambda byte: byte != line[at]))

        # the last characters carry bits that mean nothing (RFC 4648, "Padding of Encoded Data")
        assert FrameReader().feed(bytes(line)) in ([], [(kind, data)] if at >= len(line) - 4 else [])

    @given(data=st.binary(max_size=600))
    def test_any_bytes_are_survived(self, data):
        for kind, content in FrameReader().feed(data):
            assert 0 <= kind <= 255
            assert len(content) <= 176

    def test_the_node_reads_what_the_tool_writes(self):
        info = serialize(INFO, bytes(26)) + serialize(BEGIN, bytes(12))

        assert FrameReader().feed(info) == [(INFO, bytes(26)), (BEGIN, bytes(12))]
