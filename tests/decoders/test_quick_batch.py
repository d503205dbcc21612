# SPDX-License-Identifier: EUPL-1.2
"""The quick way through a batch says what the careful way says, or nothing."""

import zlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from decoders import quick_batch
from decoders.cbor_fields import MalformedBatch, loads
from decoders.records import READING, Event, UplinkKey, UplinkMessage, encode_record, unpack
from decoders.senml import Reading
from decoders.uplink import Batch, Continues, encode_batch

GATEWAY, NODE = "70b3d57ed00000ff", "70b3d57ed0000001"
T = 1_795_334_400
READINGS = (
    Reading("soil_moisture", "%", T, 12.34, None),
    Reading("soil_temperature", "Cel", T - 3600, -0.5, None),
    Reading("co2", "[ppm]", T + 7, 415.0, None),
    Reading("surface_temperature", "Cel", T, None, "no_answer"),
    Reading("soil_permittivity", "1", T, 1 / 3, None),
)
UPLINK = UplinkMessage(UplinkKey(NODE, 1 << 52, 70_000), T + 1.25, "tree", READINGS, "saved")
CONTINUES = Continues(39, 7, 1200)


def plain_of(*records, continues=None):
    """A batch as gateways write it, inflated."""
    return zlib.decompress(encode_batch(Batch(GATEWAY, 3, READING, 40, 41, continues, records)))


def carefully(plain):
    """(fields, records) as the general decoder and the checks say it; None for what they refuse."""
    try:
        *fields, records = loads(plain)
        return fields, tuple(unpack(record) for record in records)
    except (MalformedBatch, TypeError, ValueError):
        return None


euis = st.integers(0, 2**64 - 1).map("{:016x}".format)
names = st.from_regex("[a-z][a-z0-9_.]{0,63}", fullmatch=True)
values = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**9), 10**9).map(lambda value: value / 100),
    st.integers(-(2**40), 2**40).map(float),
    st.decimals(-(10**4), 10**4, places=9).map(float),
)
readings = st.builds(
    lambda name, unit, at, value, fault: Reading(name, unit, at, *((value, None) if fault is None else (None, fault))),
    names,
    st.from_regex("[!-~]{1,32}", fullmatch=True).filter(lambda unit: unit != "/100"),
    st.integers(T - 10**7, T + 10**7),
    values,
    st.none() | names,
)
uplinks = st.builds(
    UplinkMessage,
    st.builds(UplinkKey, euis, st.integers(0, 2**62), st.integers(0, 2**32 - 1)),
    st.integers(0, 2**33 * 1000).map(lambda ms: ms / 1000),
    names,
    st.lists(readings, min_size=1, max_size=4).map(tuple),
    st.sampled_from(("unset", "saved", "ntp", "concentrator")),
)  # fmt: skip


class TestUsualForm:
    """decoders/records.py, decoders/senml.py: what ``encode_record`` writes."""

    def test_uplinks_are_read(self):
        read = quick_batch.read(plain_of(UPLINK, UPLINK._replace(readings=READINGS[:1]), continues=CONTINUES))

        assert read is not None
        assert read.messages == (UPLINK, UPLINK._replace(readings=READINGS[:1]))
        assert read.fields == [2, bytes.fromhex(GATEWAY), 3, 1, 40, 41, [39, 7, 1200]]

    @given(st.lists(uplinks, max_size=4))
    def test_whatever_a_gateway_writes_of_uplinks_is_read_as_the_careful_way_reads_it(self, messages):
        plain = plain_of(*messages)

        read = quick_batch.read(plain)

        assert read is not None
        assert (read.fields, read.messages) == carefully(plain)

    def test_a_batch_without_records_is_read(self):
        read = quick_batch.read(plain_of())

        assert read is not None
        assert read.messages == ()


class TestAnythingElse:
    @pytest.mark.parametrize(
        "plain",
        [
            plain_of(UPLINK, Event("node_down", NODE, 1.0, "ntp", {})),
            plain_of(UPLINK) + b"\x00",
            plain_of(UPLINK)[:-1],
            plain_of(*[UPLINK._replace(readings=READINGS * 300)] * 30),  # longer than it may be
            plain_of(UPLINK).replace(b"\x6dsoil_moisture", b"\x78\x0dsoil_moisturf"),  # read, but not in the short form
            plain_of(UPLINK).replace(b"\x6dsoil_moisture", b"\x6csoil_moisture"),
            plain_of(UPLINK).replace(b"\x64tree", b"\x65tree"),
            plain_of(UPLINK).replace(b"\x6ffault:no_answer", b"\x6efault:no_answer"),
            plain_of(UPLINK).replace(b"\xa4\x00\x70soil_temperature", b"\xa3\x00\x70soil_temperature"),
            plain_of(UPLINK).replace((1 << 52).to_bytes(8, "big"), (1 << 63).to_bytes(8, "big")),
            plain_of(UPLINK).replace(T.to_bytes(4, "big"), b"\x00\x00\x00\x01"),
            plain_of(UPLINK).replace(b"\xfb?\xd5UUUUUU", b"\xfb\x7f\xf0\x00\x00\x00\x00\x00\x00"),  # infinity
        ],
        ids=range(12),
    )  # fmt: skip
    def test_it_says_nothing_or_the_same(self, plain):
        read = quick_batch.read(plain)

        assert read is None or (read.fields, read.messages) == carefully(plain)

    def test_events_and_what_is_cut_off_are_left_to_the_careful_way(self):
        event = Event("node_down", NODE, 1.0, "ntp", {})

        assert quick_batch.read(plain_of(UPLINK, event)) is None
        assert quick_batch.read(plain_of(UPLINK)[:-1]) is None
        assert quick_batch.read(plain_of(UPLINK) + b"\x00") is None

    @settings(max_examples=400)
    @given(st.data())
    def test_any_damage_gives_nothing_or_what_the_careful_way_reads(self, data):
        plain = bytearray(plain_of(UPLINK, UPLINK._replace(profile="air")))
        for _ in range(data.draw(st.integers(1, 3))):
            place = data.draw(st.integers(0, len(plain) - 1))
            piece = data.draw(st.binary(max_size=3) | st.sampled_from((b"\x00", b"\x06", b"\xa3", b"\xa4", b"\xfb")))
            plain[place : place + data.draw(st.integers(0, 3))] = piece

        read = quick_batch.read(bytes(plain))

        assert read is None or (read.fields, read.messages) == carefully(bytes(plain))

    @example(b"\x88\x02\x48")
    @given(st.binary(max_size=100))
    def test_any_bytes_give_nothing_or_what_the_careful_way_reads(self, plain):
        read = quick_batch.read(plain)

        assert read is None or (read.fields, read.messages) == carefully(plain)


def test_a_record_is_what_it_is_alone():
    alone = loads(encode_record(UPLINK))

    read = quick_batch.read(plain_of(UPLINK))

    assert read is not None
    assert unpack(alone) == read.messages[0]
