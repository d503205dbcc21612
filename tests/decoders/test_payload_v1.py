# SPDX-License-Identifier: EUPL-1.2
"""The layout of version 0.1 beyond the vectors."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders import payload_v1
from decoders.faults import MalformedPayload
from decoders.payload_table import markdown
from decoders.payload_v1 import FAULTS, TREE_V1, FixedField, FixedLayout

LAYOUTS = [TREE_V1]


def fields_of(fields):
    """Values as the node has them: integers in range, or a fault."""
    return st.fixed_dictionaries(
        {
            field.name: st.sampled_from(FAULTS)
            | {
                "B": st.integers(0, 251),
                "H": st.integers(0, 65531),
                "h": st.integers(-32764, 32767),
                "I": st.integers(0, 4294967291),
            }[field.code]
            for field in fields
        }
    )


@st.composite
def messages(draw, layout):
    newest = draw(st.just(0) | st.integers(10**9, 2**32 - 1))
    ages = [0, *sorted(draw(st.lists(st.integers(0, 65535), max_size=8)))]
    return draw(fields_of(layout.header)), [(newest - age, draw(fields_of(layout.sample))) for age in ages]


MIXED = FixedLayout(
    "mixed", 3, 9, (FixedField("a", "B", 1, "1"), FixedField("b", "I", 10, "s")), (FixedField("c", "B", 2, "V"),)
)


class TestLayout:
    """decoders/README.md "Payloads"."""

    @pytest.mark.parametrize("layout", [*LAYOUTS, MIXED], ids=lambda layout: f"{layout.profile}-{layout.version}")
    @given(data=st.data())
    def test_what_is_encoded_decodes_to_the_same(self, layout, data):
        header, samples = data.draw(messages(layout))

        message = layout.decode(layout.encode(header, samples))

        assert [sample.time for sample in message.samples] == [time for time, _ in samples]
        decoded = [(message.header, message.header_faults), *((s.values, s.faults) for s in message.samples)]
        fields = {field.name: field for field in layout.header + layout.sample}
        for (values, faults), sent in zip(decoded, [header, *(values for _, values in samples)], strict=True):
            for name, raw in sent.items():
                if isinstance(raw, str):
                    assert (values[name], faults[name]) == (None, raw)
                else:
                    assert round(values[name] * fields[name].per_unit) == raw
                    assert name not in faults

    @pytest.mark.parametrize("layout", [*LAYOUTS, MIXED], ids=lambda layout: f"{layout.profile}-{layout.version}")
    @given(data=st.binary(max_size=250))
    def test_any_bytes_give_a_message_or_a_remote_error(self, layout, data):
        with suppress(MalformedPayload):
            message = layout.decode(data)
            assert len(message.samples) == layout.samples_that_fit(len(data))
            assert message.readings(received_gps_s=1_400_000_000)

    @pytest.mark.parametrize(
        ("max_bytes", "samples"), [(11, 0), (12, 1), (19, 1), (20, 2), (51, 5), (115, 13), (242, 29)]
    )
    def test_samples_that_fit(self, max_bytes, samples):
        assert TREE_V1.samples_that_fit(max_bytes) == samples

    def test_readings_carry_their_own_time(self):
        # 3.6 V; newest at 1441432466: 12.34 %, 8.8 Cel, no answer; 3600 s before: 12.34 %, 8.8 Cel, -5 Cel
        message = TREE_V1.decode(bytes.fromhex("100e9283ea55d20470030080100ed20470030cfe"))

        assert message.readings(received_gps_s=1_441_432_470) == [
            ("battery_voltage", 1_441_432_466, 3.6, None),
            ("soil_moisture", 1_441_432_466, 12.34, None),
            ("soil_temperature", 1_441_432_466, 8.8, None),
            ("surface_temperature", 1_441_432_466, None, "no_answer"),
            ("soil_moisture", 1_441_428_866, 12.34, None),
            ("soil_temperature", 1_441_428_866, 8.8, None),
            ("surface_temperature", 1_441_428_866, -5.0, None),
        ]

    def test_without_a_clock_readings_count_from_the_uplink(self):
        message = TREE_V1.decode(bytes.fromhex("ffff00000000d20470030cfe3c00d20470030cfe"))

        times = [(name, at) for name, at, _, _ in message.readings(received_gps_s=1_441_432_470)]

        assert times[:2] == [("battery_voltage", 1_441_432_470), ("soil_moisture", 1_441_432_470)]
        assert times[4] == ("soil_moisture", 1_441_432_410)

    def test_the_readme_shows_the_table(self):
        assert markdown(TREE_V1) in (Path(payload_v1.__file__).with_name("README.md")).read_text()
