# SPDX-License-Identifier: EUPL-1.2
"""MQTT 3.1.1's framing, whatever pieces it comes in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.mqtt_frames import Frames, NotMqtt, packet_id, topic_and_rest

# OASIS MQTT 3.1.1 "PUBLISH", topic a/b, QoS 1, packet id 10, payload hi; and its "PUBACK"
PUBLISH = bytes.fromhex("32 09 00 03 61 2f 62 00 0a 68 69".replace(" ", ""))
PUBACK = bytes.fromhex("4002000a")
LONG = b"\x30\x80\x01" + b"\x00\x01a" + bytes(125)  # QoS 0, 128 bytes: two bytes of length


class TestFrames:
    """ "Remaining Length": up to four bytes of seven bits each, lowest first."""

    @given(st.lists(st.sampled_from([PUBLISH, PUBACK, LONG, b"\xc0\x00"]), max_size=8), st.data())
    def test_however_it_is_cut_the_messages_are_the_same(self, messages, data):
        stream, frames, found = b"".join(messages), Frames(), []
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))

        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            found += frames.feed(stream[start:end])

        assert found == messages

    @given(st.binary(max_size=300))
    def test_any_bytes_give_messages_or_are_no_mqtt(self, data):
        try:
            found = Frames().feed(data)
        except NotMqtt:
            return

        assert data.startswith(b"".join(found))

    def test_a_fifth_byte_of_length_is_refused(self):
        with pytest.raises(NotMqtt):
            Frames().feed(b"\x30\xff\xff\xff\xff\x01")

    def test_topic_and_packet_id_are_found(self):
        assert topic_and_rest(PUBLISH) == ("a/b", b"\x00\x0ahi")
        assert packet_id(PUBLISH) == packet_id(PUBACK) == b"\x00\x0a"
        assert packet_id(LONG) is None
