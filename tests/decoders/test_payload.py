# SPDX-License-Identifier: EUPL-1.2
"""Payloads: what the node packs, the gateway reads; also with an older table."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoders import payload_table
from decoders.faults import FAULTS, MalformedPayload
from decoders.layouts.tree import LAYOUT as TREE
from decoders.payload import LONGEST_GAP_S, Field, Layout
from decoders.payload_encoder import encode, fit
from decoders.payload_reader import read
from decoders.payload_table import markdown
from decoders.payload_v1 import FixedLayout
from decoders.profiles import BY_F_PORT, BY_NAME, LAYOUTS, PROFILES
from decoders.quantities import QUANTITIES

SERIES = [layout for layout in LAYOUTS if not isinstance(layout, FixedLayout)]
IDS = [f"{layout.profile}-{layout.version}" for layout in SERIES]
SMALL = Layout("small", 1, 9, (Field("a", "1", 1, 0, 1, 4), Field("b", "Cel", 10, -100, 5, 7)))
GPS_S = 1_441_432_466  # 2025-09-09T05:54:08Z


def values_of(field):
    """Integers as the node has them, over the whole range of the field, or a fault."""
    return st.sampled_from(FAULTS) | st.integers(field.low, field.value(field.most()))


@st.composite
def series(draw, layout):
    """(samples as (GPS s, values by name), newest first) with the same fields, at least one."""
    fields = draw(st.lists(st.sampled_from(layout.fields), min_size=1, unique=True))
    gaps = draw(st.lists(st.integers(1, LONGEST_GAP_S), max_size=20))
    times = [draw(st.integers(1 << 26, (1 << 32) - 1))]
    for gap in gaps:
        times.append(times[-1] - gap)
    return [(time, {field.name: draw(values_of(field)) for field in fields}) for time in times]


def packed(layout, samples, clock=True):
    mask = layout.raws(samples[0][1])[0]
    return encode(layout, mask, [(time, layout.raws(values)[1]) for time, values in samples], clock)


class TestMessage:
    """decoders/payload.py, the table in its docstring."""

    def test_bit_by_bit(self):
        # 3 samples of a and b (12.3 Cel, in steps of 0.5): 60 and 61 s apart; b has no answer in the middle
        samples = [
            (GPS_S, {"a": 3, "b": 123}),
            (GPS_S - 60, {"a": 5, "b": "no_answer"}),
            (GPS_S - 121, {"a": 4, "b": 120}),
        ]
        bits = (
            "00000010"  # 3 samples
            "1" f"{GPS_S:032b}"  # GPS s
            "00000011"  # a and b
            f"{60:020b}"  # 60 s is meant
            "0000" "0" "110"  # k 0: as meant, 1 s more (zigzag 2)
            "0" f"{3:04b}"  # a: no fault; 3
            "0001" "1100" "01"  # k 1: 2 more (zigzag 4), 1 less (zigzag 1)
            "1" "0" "11000" "10"  # b has faults: value, no_answer, value
            f"{45:07b}"  # (123 + 100) / 5, rounded
            "0000" "10"  # k 0: 1 less (zigzag 1)
        )  # fmt: skip
        bits += "0" * (-len(bits) % 8)

        assert packed(SMALL, samples).hex() == int(bits, 2).to_bytes(len(bits) // 8, "big").hex()

    @pytest.mark.parametrize("layout", [*SERIES, SMALL], ids=[*IDS, "small"])
    @given(data=st.data())
    @settings(max_examples=60)
    def test_what_is_packed_reads_the_same_to_the_step(self, layout, data):
        samples = data.draw(series(layout))

        message = read(layout, packed(layout, samples))

        fields = {field.name: field for field in layout.fields}
        assert [sample.time for sample in message.samples] == [time for time, _ in samples]
        assert message.unknown_fields == 0
        for sample, (_, values) in zip(message.samples, samples, strict=True):
            assert sample.values.keys() == values.keys()
            for name, value in values.items():
                if isinstance(value, str):
                    assert (sample.values[name], sample.faults[name]) == (None, value)
                else:
                    field = fields[name]
                    assert name not in sample.faults
                    assert abs(sample.values[name] * field.per_unit - value) <= field.step / 2 + 1e-6

    @pytest.mark.parametrize("layout", [*SERIES, SMALL], ids=[*IDS, "small"])
    @given(data=st.binary(max_size=250))
    def test_any_bytes_give_a_message_or_a_remote_error(self, layout, data):
        with suppress(MalformedPayload):
            assert read(layout, data).readings(received_gps_s=GPS_S) is not None

    @given(data=st.data())
    def test_a_byte_cut_off_or_added_is_noticed(self, data):
        payload = packed(TREE, data.draw(series(TREE)))

        for damaged in (payload[:-1], payload + b"\0"):
            with pytest.raises(MalformedPayload):
                read(TREE, damaged)

    @given(data=st.data())
    def test_a_gateway_one_version_behind_reads_what_it_knows(self, data):
        newer = TREE._replace(version=3, fields=(*TREE.fields, *SMALL.fields))
        samples = data.draw(series(newer))

        message = read(TREE, packed(newer, samples))

        known = {field.name for field in TREE.fields}
        alone = [{name: value for name, value in values.items() if name in known} for _, values in samples]
        assert [sample.time for sample in message.samples] == [time for time, _ in samples]
        assert message.unknown_fields == len(samples[0][1]) - len(alone[0])
        if alone[0]:
            expected = read(TREE, packed(TREE, [(samples[n][0], values) for n, values in enumerate(alone)]))
            assert message.samples == expected.samples

    @given(data=st.data())
    def test_a_gateway_one_version_ahead_reads_all(self, data):
        newer = TREE._replace(version=3, fields=(*TREE.fields, *SMALL.fields))
        payload = packed(TREE, data.draw(series(TREE)))

        assert read(newer, payload) == read(TREE, payload)

    def test_without_a_clock_readings_count_from_the_uplink(self):
        payload = packed(SMALL, [(-5, {"a": 1}), (-65, {"a": 2})], clock=False)

        assert read(SMALL, payload).readings(received_gps_s=GPS_S) == [
            ("a", GPS_S - 5, 1.0, None),
            ("a", GPS_S - 65, 2.0, None),
        ]

    def test_what_a_field_cannot_hold_is_out_of_range(self):
        payload = packed(SMALL, [(GPS_S, {"a": 16, "b": -103})])

        assert read(SMALL, payload).samples[0].faults == {"a": "out_of_range", "b": "out_of_range"}

    @given(data=st.data(), room=st.integers(0, 242))
    def test_as_many_of_the_newest_as_fit(self, data, room):
        samples = data.draw(series(TREE))
        mask = TREE.raws(samples[0][1])[0]
        raws = [(time, TREE.raws(values)[1]) for time, values in samples]

        payload, count = fit(TREE, mask, raws, room)

        assert len(payload) <= room
        if count:
            assert payload == encode(TREE, mask, raws[:count])
        else:
            assert len(encode(TREE, mask, raws[:1])) > room


class TestLayouts:
    """What is in the field."""

    def test_every_layout_is_found_by_its_port_and_its_newest_by_name(self):
        assert sorted(BY_F_PORT) == sorted(layout.f_port for layout in LAYOUTS)
        assert all(BY_F_PORT[layout.f_port] is layout for layout in LAYOUTS)
        assert all(BY_NAME[layout.profile].version >= layout.version for layout in LAYOUTS)
        assert all(2 <= layout.f_port <= 20 for layout in LAYOUTS)
        assert set(PROFILES) | {"diagnostics"} == set(BY_NAME)

    @pytest.mark.parametrize("layout", SERIES, ids=IDS)
    def test_every_field_is_a_quantity_in_its_unit_and_holds_its_range(self, layout):
        for field in layout.fields:
            quantity = QUANTITIES[field.name]
            assert field.unit == quantity.unit
            assert field.low / field.per_unit <= quantity.minimum
            assert quantity.maximum <= field.value(field.most()) / field.per_unit

    @pytest.mark.parametrize("layout", SERIES, ids=IDS)
    def test_one_sample_of_all_fields_fits_the_slowest_data_rate(self, layout):
        # RP002-1.0.4 "EU863-870 Maximum Payload Size": N = 51 at DR0
        sample = {field.name: field.value(field.most()) for field in layout.fields}

        assert len(packed(layout, [(GPS_S, sample)])) <= 51

    @pytest.mark.parametrize("layout", SERIES, ids=IDS)
    def test_the_readme_shows_the_table(self, layout):
        assert markdown(layout) in Path(payload_table.__file__).with_name("README.md").read_text("utf-8")
