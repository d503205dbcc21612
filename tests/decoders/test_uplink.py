# SPDX-License-Identifier: EUPL-1.2
"""The uplink message: SenML in CBOR, compressed, and the watermark."""

import json
import struct
import zlib
from contextlib import suppress
from decimal import Decimal

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from decoders.cbor_fields import MalformedBatch, UnknownVersion
from decoders.lorawan.errors import FieldRange
from decoders.records import UplinkKey, UplinkMessage, encode_record
from decoders.senml import Reading, encode_pack
from decoders.uplink import (
    Batch,
    Continues,
    Watermark,
    assemble_batch,
    decode_batch,
    decode_watermark,
    encode_batch,
    encode_watermark,
    fit,
)

T = 1_795_334_400
GATEWAY = "70b3d57ed00000ff"
NODE = "70b3d57ed0000001"
BATCH = Batch(
    GATEWAY,
    epoch=3,
    lane=1,
    oldest_seq=40,
    first_seq=41,
    continues=Continues(39, 7, 1200),
    records=(
        UplinkMessage(
            UplinkKey(NODE, 2, 70_000),
            T + 1.25,
            "tree",
            (
                Reading("battery_voltage", "V", T, 3.6, None),
                Reading("soil_moisture", "%", T, 12.34, None),
                Reading("soil_temperature", "Cel", T - 3600, None, "no_answer"),
            ),
            "concentrator",
        ),
        UplinkMessage(
            UplinkKey(NODE, 2, 70_001), T + 2.0, "tree", (Reading("soil_moisture", "%", T - 60, 1 / 3, None),), "saved"
        ),
    ),
)

# The same batch, worked by hand from decoders/README.md and RFC 8428's table of CBOR labels
PACKED = [
    2,
    bytes.fromhex(GATEWAY),
    3,
    1,
    40,
    41,
    [39, 7, 1200],
    [
        [
            0,
            2,
            70_000,
            1_795_334_401_250,
            3,
            "tree",
            [
                {-1: 26, -2: "urn:dev:mac:70b3d57ed0000001_", -3: T, 0: "battery_voltage", 1: "V", 2: 3.6},
                {0: "soil_moisture", 1: "/100", 2: 12.34},
                {0: "soil_temperature", 1: "Cel", 3: "fault:no_answer", 6: -3600},
            ],
        ],
        [
            0,
            2,
            70_001,
            1_795_334_402_000,
            1,
            "tree",
            [
                {-1: 26, -2: "urn:dev:mac:70b3d57ed0000001_", -3: T - 60, 0: "soil_moisture", 1: "/100", 2: 1 / 3},
            ],
        ],
    ],
]

euis = st.integers(0, 2**64 - 1).map("{:016x}".format)
names = st.from_regex("[a-z][a-z0-9_.]{0,20}", fullmatch=True)
counts = st.integers(0, 2**62)
lanes = st.integers(0, 2)
qualities = st.sampled_from(("unset", "saved", "ntp", "concentrator"))
readings = st.builds(
    lambda quantity, unit, at, value: Reading(quantity, unit, at, *value),
    names,
    st.sampled_from(("%", "Cel", "V", "kPa", "ug/m3", "1")),
    st.integers(2**28, 2**33),
    st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.none())
    | st.tuples(st.integers(-(10**6), 10**6).map(lambda value: value / 100), st.none())
    | st.tuples(st.none(), names),
)


uplinks = st.builds(
    UplinkMessage,
    st.builds(UplinkKey, euis, counts, st.integers(0, 2**32 - 1)),
    st.integers(0, 2**33 * 1000).map(lambda ms: ms / 1000),
    names,
    st.lists(readings, min_size=1, max_size=4).map(tuple),
    qualities,
)


@st.composite
def batches(draw):
    oldest_seq = draw(st.integers(1, 2**62))
    continues = draw(st.none() | st.builds(Continues, counts, counts, counts))
    records = tuple(draw(st.lists(uplinks, max_size=4)))
    first_seq = oldest_seq + draw(st.integers(0, 1000))
    return Batch(draw(euis), draw(counts), draw(lanes), oldest_seq, first_seq, continues, records)


def changed(*path_and_value):
    """The hand-worked batch with one place changed, compressed."""
    *path, last, value = path_and_value
    packed = cbor2.loads(cbor2.dumps(PACKED))
    place = packed
    for step in path:
        place = place[step]
    if value is DELETED:
        del place[last]
    else:
        place[last] = value
    return zlib.compress(cbor2.dumps(packed))


DELETED = object()


def in_short(value):
    """An integer, a decimal fraction of at most nine digits, or the double itself."""
    if value == int(value) and abs(value) < 2**32:
        return int(value)
    decimal = Decimal(repr(value))
    fits = len(str(abs(int(decimal.scaleb(-decimal.as_tuple().exponent))))) <= 9 and "e" not in repr(value)
    return decimal if fits else value


def _map(length, pair):
    return b"\xba" + struct.pack(">I", length) + b"".join(pair(i) for i in range(length))


class TestBatch:
    """decoders/README.md "The uplink message"; RFC 8428 "CBOR Representation (application/senml+cbor)"."""

    def test_a_batch_worked_by_hand_is_read(self):
        assert decode_batch(zlib.compress(cbor2.dumps(PACKED))) == BATCH

    def test_a_batch_is_written_as_worked_by_hand(self):
        packed = cbor2.loads(zlib.decompress(encode_batch(BATCH)))

        assert json.dumps(packed, default=lambda value: value.hex() if isinstance(value, bytes) else float(value)) == (
            json.dumps(PACKED, default=bytes.hex)
        )

    @given(batches())
    def test_what_is_encoded_decodes_to_the_same(self, batch):
        assert decode_batch(encode_batch(batch)) == batch

    @given(st.floats(allow_nan=False, allow_infinity=False))
    @example(12.34)
    @example(-0.01)
    @example(5e-324)
    @example(1.7976931348623157e308)
    @example(123456789.123456789)
    def test_every_value_arrives_bit_for_bit(self, value):
        message = BATCH.records[1]._replace(readings=(Reading("soil_moisture", "%", T, value, None),))

        decoded = decode_batch(encode_batch(BATCH._replace(records=(message,))))

        assert decoded.records[0].readings[0].value == value

    def test_a_value_takes_the_shorter_exact_form(self):
        plain = zlib.decompress(encode_batch(BATCH))

        assert bytes.fromhex("02c482211904d2") in plain, "12.34: tag 4, [-2, 1234]"
        assert bytes.fromhex("02fb3fd5555555555555") in plain, "1/3: a double"

    @given(st.lists(readings, min_size=1, max_size=30).map(tuple), euis)
    def test_a_pack_is_what_an_independent_encoder_makes_of_it(self, rows, dev_eui):
        base = {-1: 26, -2: f"urn:dev:mac:{dev_eui}_", -3: rows[0].at}
        pack = []
        for quantity, unit, at, value, fault in rows:
            record = base | {0: quantity, 1: "/100" if unit == "%" else unit}
            record |= {3: f"fault:{fault}"} if value is None else {2: in_short(value)}
            pack.append(record | ({6: at - rows[0].at} if at != rows[0].at else {}))
            base = {}

        assert encode_pack(dev_eui, rows) == cbor2.dumps(pack)

    def test_a_label_given_twice_refuses_the_batch(self):
        label_and_unit = b"\x01\x64/100"
        once = b"\xa3\x00\x6dsoil_moisture" + label_and_unit
        plain = cbor2.dumps(PACKED)

        assert once in plain
        with pytest.raises(MalformedBatch, match="not CBOR"):
            decode_batch(zlib.compress(plain.replace(once, b"\xa4" + once[1:] + label_and_unit)))

    def test_a_reading_takes_less_than_8_bytes(self):
        """20 uplinks of 3 samples of 3 quantities, every value, time and node different."""
        messages = tuple(
            UplinkMessage(
                UplinkKey(f"70b3d57ed00{i * 40_503 % 1_048_576:05x}", 1 + i % 3, i * 137 % 2000),
                T + i * 11 + i * 137 % 1000 / 1000,
                "tree",
                tuple(
                    Reading(quantity, unit, T + i * 11 - age, (start + i * 7919 % spread + age // 97 % 50) / 100, None)
                    for age in (0, 3600, 7200)
                    for quantity, unit, start, spread in (
                        ("soil_moisture", "%", 800, 2700),
                        ("soil_temperature", "Cel", 500, 2000),
                        ("surface_temperature", "Cel", -500, 4000),
                    )
                ),
            )
            for i in range(20)
        )

        data = encode_batch(Batch(GATEWAY, 1, 1, 90, 100, None, messages))

        assert len(data) / 180 < 8

    def test_an_empty_batch_tells_the_oldest_seq(self):
        batch = Batch(GATEWAY, 1, 0, 7, 7, None, ())

        assert decode_batch(encode_batch(batch)) == batch

    @given(st.binary(max_size=200))
    def test_any_bytes_give_a_batch_or_malformed_batch(self, data):
        for form in (data, zlib.compress(data)):
            with suppress(MalformedBatch):
                decode_batch(form)

    @given(st.data())
    def test_any_damage_gives_a_batch_or_malformed_batch(self, data):
        plain = bytearray(cbor2.dumps(PACKED))
        for _ in range(data.draw(st.integers(1, 4))):
            plain[data.draw(st.integers(0, len(plain) - 1))] = data.draw(st.integers(0, 255))

        with suppress(MalformedBatch):
            decode_batch(zlib.compress(bytes(plain)))

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.binary(max_size=8),
            lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.integers(-3, 6), inner, max_size=6),
        ),
        st.sampled_from(((0,), (1,), (6,), (7,), (7, 0), (7, 0, 6), (7, 0, 6, 0), (7, 0, 6, 1, 2), (7, 0, 6, 2, 6))),
    )
    def test_any_value_in_any_place_gives_a_batch_or_malformed_batch(self, value, path):
        with suppress(MalformedBatch):
            decode_batch(changed(*path, value))

    @pytest.mark.parametrize(
        ("path_and_value", "reason"),
        [
            ((1, GATEWAY), "gateway_eui"),
            ((1, b"1234567"), "gateway_eui"),
            ((2, -1), "epoch"),
            ((2, True), "epoch"),
            ((2, 2**63), "epoch"),
            ((3, 3), "lane"),
            ((6, 0), "continues"),
            ((6, [1, 2]), "continues"),
            ((4, 42), "oldest_seq"),
            ((4, 40.0), "oldest_seq"),
            ((5, 2**63 - 1), "first_seq"),
            ((7, {}), "records"),
            ((7, 0, 0, 9), "unknown kind"),
            ((7, 0, 0, True), "unknown kind"),
            ((7, 0, 4, 4), "time_quality"),
            ((7, 0, 1, "2"), "session"),
            ((7, 0, 2, 2**32), "f_cnt"),
            ((7, 0, 3, -1), "received_ms"),
            ((7, 0, 3, 1.5), "received_ms"),
            ((7, 0, 5, "Tree"), "profile"),
            ((7, 0, 5, "tree\n"), "profile"),
            ((7, 0, 5, DELETED), "array of 7"),
            ((7, 0, 6, []), "pack"),
            ((7, 0, 6, 0, -1, 10), "base version"),
            ((7, 0, 6, 0, -2, "urn:dev:mac:70B3D57ED0000001_"), "base name"),
            ((7, 0, 6, 0, -2, "urn:dev:mac:70b3d57ed0000001"), "base name"),
            ((7, 0, 6, 0, -2, DELETED), "base name"),
            ((7, 0, 6, 0, -3, DELETED), "base time"),
            ((7, 0, 6, 0, -3, 60), "time of a record"),
            ((7, 0, 6, 1, -3, T), "record must have"),
            ((7, 0, 6, 1, 9, 0), "record must have"),
            ((7, 0, 6, 1, "x", 0), "record must have"),
            ((7, 0, 6, 1, 3, "fault:no_answer"), "record must have"),
            ((7, 0, 6, 1, 2, DELETED), "record must have"),
            ((7, 0, 6, 1, 1, DELETED), "record must have"),
            ((7, 0, 6, 1, 0, "Soil"), "quantity"),
            ((7, 0, 6, 1, 0, b"soil"), "quantity"),
            ((7, 0, 6, 1, 1, "m m"), "unit"),
            ((7, 0, 6, 1, 2, float("nan")), "value"),
            ((7, 0, 6, 1, 2, float("inf")), "value"),
            ((7, 0, 6, 1, 2, True), "value"),
            ((7, 0, 6, 1, 2, "12"), "value"),
            ((7, 0, 6, 1, 2, 10**400), "tag 2"),
            ((7, 0, 6, 1, 2, cbor2.CBORTag(4, [10**9, 1])), "CBOR"),
            ((7, 0, 6, 1, 2, cbor2.CBORTag(4, [400, 1])), "value"),
            ((7, 0, 6, 1, 2, cbor2.CBORTag(4, [1])), "CBOR"),
            ((7, 0, 6, 1, 2, cbor2.CBORTag(5, [1, 1])), "tag 5"),
            ((7, 0, 6, 1, 6, 2**40), "time of a record"),
            ((7, 0, 6, 1, 6, 0.5), "time of a record"),
            ((7, 0, 6, 2, 3, "no_answer"), "text value"),
            ((7, 0, 6, 2, 3, "fault:"), "fault"),
            ((7, 0, 6, 1, []), "record must be a map"),
        ],
    )
    def test_a_field_that_is_not_as_agreed_refuses_the_batch(self, path_and_value, reason):
        with pytest.raises(MalformedBatch, match=reason) as refused:
            decode_batch(changed(*path_and_value))

        assert "\n" not in refused.value.reason

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (b"", "truncated"),
            (b"{}", "not zlib"),
            (encode_batch(BATCH)[:-1], "truncated"),
            (encode_batch(BATCH) + b"x", "bytes after the end"),
            (zlib.compress(b""), "not CBOR"),
            (zlib.compress(cbor2.dumps(PACKED) + b"\x00"), "bytes after the end"),
            (zlib.compress(b"\x81" * 10_000), "not CBOR"),
            (zlib.compress(b"\x9b\x7f" + b"\xff" * 7), "not CBOR"),
            (zlib.compress(b"\x5b\x7f" + b"\xff" * 7), "not CBOR"),
            (zlib.compress(b"\x9f\xff"), "not CBOR"),
            (zlib.compress(bytes(100_000_000)), "longer than 2097152 bytes"),
        ],
        ids=[
            "nothing",
            "text",
            "cut",
            "tail",
            "empty",
            "two",
            "deep",
            "huge array",
            "huge bytes",
            "indefinite",
            "bomb",
        ],
    )
    def test_what_is_no_batch_is_refused(self, data, reason):
        with pytest.raises(MalformedBatch, match=reason):
            decode_batch(data)

    @pytest.mark.parametrize("version", [0, 1, 3, 4_000_000_000])
    def test_a_batch_of_another_version_is_told_from_a_malformed_one(self, version):
        with pytest.raises(UnknownVersion, match=f"version {version}; this program reads version 2"):
            decode_batch(zlib.compress(cbor2.dumps([version, "whatever it may hold"])))

    def test_a_batch_made_of_encoded_records_is_the_same(self):
        records = [encode_record(record) for record in BATCH.records]

        assert decode_batch(assemble_batch(BATCH._replace(records=()), records)) == BATCH

    @pytest.mark.parametrize(("sizes", "records"), [([], 0), ([100] * 50, 50), ([2**20] * 3, 1), ([2**21], 0)])
    def test_as_many_records_are_sent_as_fit(self, sizes, records):
        assert fit(sizes) == records

    @pytest.mark.parametrize(
        ("plain", "reason"),
        [
            # keys that all fall into one bucket of a dict: 20,000 of them took ten seconds
            (_map(20_000, lambda i: cbor2.dumps(i * ((1 << 61) - 1)) + b"\0"), "a map of more than 8"),
            (cbor2.dumps(cbor2.CBORTag(35, "a?" * 400_000)), "tag 35"),
            (cbor2.dumps(cbor2.CBORTag(2, b"\xff" * 1_000_000)), "tag 2"),
            (cbor2.dumps([cbor2.CBORTag(0, "2026")]), "tag 0"),
            (b"\x9a" + struct.pack(">I", 1_100_000) + b"\x80" * 1_100_000, "more than 1048576 items"),
        ],
        ids=["colliding keys", "regular expression", "bignum", "date", "a million arrays"],
    )
    def test_what_would_cost_much_to_build_is_refused_before_it_is_built(self, mocker, plain, reason):
        build = mocker.spy(cbor2, "loads")

        with pytest.raises(MalformedBatch, match=reason):
            decode_batch(zlib.compress(plain))

        assert build.call_count == 0

    @pytest.mark.parametrize(
        "batch",
        [
            BATCH._replace(gateway_eui="70B3D57ED00000FF"),
            BATCH._replace(gateway_eui="70b3"),
            BATCH._replace(oldest_seq=42),
            BATCH._replace(lane=3),
            BATCH._replace(oldest_seq=0),
            BATCH._replace(records=(BATCH.records[0]._replace(readings=()),)),
            BATCH._replace(records=(BATCH.records[0]._replace(key=UplinkKey("70b3d57ed000000", 1, 1)),)),
            BATCH._replace(records=(BATCH.records[0]._replace(readings=(Reading("a", "%", T, None, None),)),)),
            BATCH._replace(records=(BATCH.records[0]._replace(readings=(Reading("a", "%", T, 1.0, "no_answer"),)),)),
            BATCH._replace(records=(BATCH.records[0]._replace(readings=(Reading("a", "/100", T, 1.0, None),)),)),
            BATCH._replace(records=(BATCH.records[0]._replace(readings=(Reading("a", "%", T, float("nan"), None),)),)),
            BATCH._replace(records=(BATCH.records[0]._replace(readings=(Reading("a", "%", 0, 1.0, None),)),)),
        ],
    )
    def test_what_would_be_refused_there_is_not_sent_here(self, batch):
        with pytest.raises(FieldRange):
            encode_batch(batch)


class TestWatermark:
    """DESIGN "Gateway to cloud": everything up to it is durable."""

    def test_is_readable_json(self):
        assert json.loads(encode_watermark(Watermark(3, (0, 41, None)))) == {"epoch": 3, "seqs": [0, 41, None]}

    @given(counts, st.tuples(*[st.none() | counts] * 3))
    def test_what_is_encoded_decodes_to_the_same(self, epoch, seqs):
        assert decode_watermark(encode_watermark(Watermark(epoch, seqs))) == Watermark(epoch, seqs)

    @given(st.binary(max_size=300))
    @example(b"[" * 256)
    @example(b"1" * 5000)
    @example(b"\xff\xfe")
    def test_any_bytes_give_a_watermark_or_malformed_batch(self, data):
        with suppress(MalformedBatch):
            decode_watermark(data)

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"{}",
            b"[3, 41]",
            b'{"epoch": 3}',
            b'{"epoch": 3, "seqs": [0, -1, 0]}',
            b'{"epoch": 3, "seqs": [0, 41.0, 0]}',
            b'{"epoch": true, "seqs": [0, 41, 0]}',
            b'{"epoch": 3, "seqs": [0, 41, 0], "more": 0}',
            b'{"epoch": 3, "seq": 41}',
            b'{"epoch": 3, "seqs": [41, 0]}',
            b'{"epoch": 3, "seqs": 41}',
            b'{"epoch": 3, "seqs": [0, 41, 0]}' + b" " * 300,
        ],
    )
    def test_anything_else_is_refused(self, data):
        with pytest.raises(MalformedBatch):
            decode_watermark(data)
