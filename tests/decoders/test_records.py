# SPDX-License-Identifier: EUPL-1.2
"""Uplinks, events and tombstones, one by one."""

from contextlib import suppress

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.cbor_fields import MalformedBatch
from decoders.lorawan.errors import FieldRange
from decoders.records import Dropped, Event, Tombstone, UplinkKey, UplinkMessage, decode_record, encode_record
from decoders.senml import Reading

T = 1_795_334_400
NODE = "70b3d57ed0000001"
OTHER = "70b3d57ed0000002"
UPLINK = UplinkMessage(
    UplinkKey(NODE, 2, 70_000), T + 1.25, "tree", (Reading("soil_moisture", "%", T, 12.5, None),), "concentrator"
)
EVENT = Event(
    "node_down", NODE, T + 0.5, "saved", {"silent_s": 7200, "last_rssi_dbm": -118.5, "name": "Lindenstraße 4"}
)
TOMBSTONE = Tombstone(
    9, 1, 101, 105, T + 0.25, T + 3600.5, 1, (Dropped(NODE, 2, 10, 14, 3), Dropped(OTHER, 5, 70_000, 70_000, 1))
)

# The same, worked by hand from decoders/README.md
PACKED = {
    "uplink": [
        0,
        2,
        70_000,
        1_795_334_401_250,
        3,
        "tree",
        [{-1: 26, -2: "urn:dev:mac:70b3d57ed0000001_", -3: T, 0: "soil_moisture", 1: "/100", 2: 12.5}],
    ],
    "event": [
        1,
        "node_down",
        bytes.fromhex(NODE),
        1_795_334_400_500,
        1,
        {"silent_s": 7200, "last_rssi_dbm": -118.5, "name": "Lindenstraße 4"},
    ],
    "tombstone": [
        2,
        9,
        1,
        101,
        105,
        1_795_334_400_250,
        1_795_338_000_500,
        1,
        [[bytes.fromhex(NODE), 2, 10, 14, 3], [bytes.fromhex(OTHER), 5, 70_000, 70_000, 1]],
    ],
}
RECORDS = {"uplink": UPLINK, "event": EVENT, "tombstone": TOMBSTONE}

euis = st.integers(0, 2**64 - 1).map("{:016x}".format)
counts = st.integers(0, 2**62)
times = st.integers(0, 2**33 * 1000).map(lambda ms: ms / 1000)
names = st.from_regex("[a-z][a-z0-9_.]{0,20}", fullmatch=True)
qualities = st.sampled_from(("unset", "saved", "ntp", "concentrator"))
texts = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=40)
events = st.builds(
    Event,
    names,
    st.none() | euis,
    times,
    qualities,
    st.dictionaries(names, texts | st.floats(allow_nan=False, allow_infinity=False), max_size=8),
)


@st.composite
def tombstones(draw):
    dropped = []
    for dev_eui, session, first, spread in draw(
        st.lists(st.tuples(euis, counts, st.integers(0, 2**31), st.integers(0, 99)), max_size=4)
    ):
        dropped.append(Dropped(dev_eui, session, first, first + spread, draw(st.integers(1, spread + 1))))
    count, others = sum(row.uplinks for row in dropped), draw(st.integers(0, 100))
    others += count + others == 0
    first_seq, (first_at, last_at) = draw(st.integers(1, 2**62)), sorted((draw(times), draw(times)))
    return Tombstone(
        draw(counts),
        draw(st.integers(0, 2)),
        first_seq,
        first_seq + count + others - 1,
        first_at,
        last_at,
        others,
        tuple(dropped),
    )


class TestRecord:
    """decoders/README.md "The uplink message"."""

    @pytest.mark.parametrize("kind", RECORDS)
    def test_a_record_worked_by_hand_is_read(self, kind):
        assert decode_record(cbor2.dumps(PACKED[kind])) == RECORDS[kind]

    @pytest.mark.parametrize("kind", RECORDS)
    def test_a_record_is_written_as_worked_by_hand(self, kind):
        written = cbor2.loads(encode_record(RECORDS[kind]))

        assert written == PACKED[kind]

    @given(events | tombstones())
    def test_what_is_encoded_decodes_to_the_same(self, record):
        assert decode_record(encode_record(record)) == record

    @given(st.binary(max_size=100))
    def test_any_bytes_give_a_record_or_malformed_batch(self, data):
        with suppress(MalformedBatch):
            decode_record(data)

    @given(st.data())
    def test_any_damage_gives_a_record_or_malformed_batch(self, data):
        plain = bytearray(cbor2.dumps(PACKED[data.draw(st.sampled_from(sorted(PACKED)))]))
        for _ in range(data.draw(st.integers(1, 4))):
            plain[data.draw(st.integers(0, len(plain) - 1))] = data.draw(st.integers(0, 255))

        with suppress(MalformedBatch):
            decode_record(bytes(plain))

    @pytest.mark.parametrize(
        ("kind", "place", "value", "reason"),
        [
            ("event", 0, 3, "unknown kind"),
            ("event", 0, 1.0, "unknown kind"),
            ("event", 1, "Node down", "kind"),
            ("event", 2, b"1234567", "dev_eui"),
            ("event", 2, NODE, "dev_eui"),
            ("event", 3, -1, "at_ms"),
            ("event", 4, 4, "time_quality"),
            ("event", 5, [], "detail must be a map"),
            ("event", 5, {"Name": 1}, "name of a detail"),
            ("event", 5, {1: 1}, "name of a detail"),
            ("event", 5, {"a": "x" * 501}, "detail"),
            ("event", 5, {"a": "one\nline"}, "detail"),
            ("event", 5, {"a": True}, "detail"),
            ("event", 5, {"a": float("inf")}, "detail"),
            ("event", 5, {f"a{n}": n for n in range(9)}, "more than 8"),
            ("tombstone", 0, 2.0, "unknown kind"),
            ("tombstone", 1, -1, "epoch"),
            ("tombstone", 2, 3, "lane"),
            ("tombstone", 3, 0, "first_seq"),
            ("tombstone", 4, 100, "last_seq"),
            ("tombstone", 4, 106, "count each number once"),
            ("tombstone", 6, 1_795_334_400_249, "last_ms"),
            ("tombstone", 7, 0, "count each number once"),
            ("tombstone", 8, [], "count each number once"),
            ("tombstone", 8, [[bytes.fromhex(NODE), 2, 10, 12, 4]], "count"),
            ("tombstone", 8, [[bytes.fromhex(NODE), 2, 10, 9, 4]], "last_f_cnt"),
            ("tombstone", 8, [[bytes.fromhex(NODE), 2, 10, 13]], "array of 5"),
        ],
    )
    def test_a_field_that_is_not_as_agreed_refuses_the_record(self, kind, place, value, reason):
        fields = [*PACKED[kind]]
        fields[place] = value

        with pytest.raises(MalformedBatch, match=reason):
            decode_record(cbor2.dumps(fields))

    def test_a_tombstone_names_no_more_devices_than_a_record_may_hold(self):
        fields = [2, 0, 1, 1, 1001, 0, 0, 0, [[n.to_bytes(8, "big"), 0, 0, 0, 1] for n in range(1001)]]

        with pytest.raises(MalformedBatch, match="more than 1000"):
            decode_record(cbor2.dumps(fields))

    def test_the_largest_tombstone_fits_a_record(self):
        rows = tuple(Dropped(f"ffffffff{n:08x}", 2**53 - 1, 2**31, 2**32 - 1, 2**31) for n in range(1000))
        tombstone = Tombstone(2**32 - 1, 1, 1, 1000 * 2**31, 2.0**32, 2.0**32, 0, rows)

        assert len(encode_record(tombstone)) < 65_536

    @pytest.mark.parametrize(
        "record",
        [
            EVENT._replace(kind="Node down"),
            EVENT._replace(time_quality="good"),
            EVENT._replace(detail={f"a{n}": n for n in range(9)}),
            EVENT._replace(dev_eui="70b3"),
            TOMBSTONE._replace(last_seq=100),
            UPLINK._replace(readings=()),
        ],
    )
    def test_what_would_be_refused_there_is_not_stored_here(self, record):
        with pytest.raises(FieldRange):
            encode_record(record)
