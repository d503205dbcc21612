# SPDX-License-Identifier: EUPL-1.2
"""Settings on FPort 21: what the gateway writes, the node does and answers."""

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from decoders.faults import MalformedPayload
from decoders.layouts.tree import LAYOUT as TREE
from decoders.lorawan.errors import FieldRange
from decoders.settings_message import Answer, decode, encode
from firmware.delivery import Delivery
from firmware.settings import Settings

FIELDS = len(TREE.fields)


@pytest.fixture
def node(tmp_path):
    return Settings(str(tmp_path), 3600)


def told(node, *changes, delivery=None):
    token, answers = decode(TREE, node.obey(encode(9, TREE, list(changes)), FIELDS, delivery or Delivery()))
    assert token == 9
    return answers


class TestDownlink:
    """decoders/settings.py."""

    @pytest.mark.parametrize(
        ("change", "data"),
        [
            (("interval_s", 900), "09" "01" "04" "84030000"),
            (("history", 12), "09" "03" "01" "0c"),
            # below 12 %: field 0, kind 1, 1200 hundredths
            (("threshold", "soil_moisture", "below", 12.0), "09" "10" "06" "00" "01" "b0040000"),
            # times 1.05 less 0.3 K: field 1, 10500, -30 hundredths
            (("calibration", "soil_temperature", 1.05, -0.3), "09" "11" "07" "01" "0429" "e2ffffff"),
            (("send_again", 1_441_432_466, 1_441_500_000), "09" "20" "08" "9283ea55" ""),
            (("reboot",), "09" "21" "00"),
        ],
        ids=lambda value: value[0] if isinstance(value, tuple) else "",
    )  # fmt: skip
    def test_bytes(self, change, data):
        if change[0] == "send_again":
            data = "092008" + (1_441_432_466).to_bytes(4, "little").hex() + (1_441_500_000).to_bytes(4, "little").hex()

        assert encode(9, TREE, [change]).hex() == data

    @pytest.mark.parametrize(
        "change",
        [
            ("interval_s", 59),
            ("interval_s", 57_601),
            ("interval_s", 60.5),
            ("interval_s", "often"),
            ("interval_s",),
            ("history", 256),
            ("fly", 1),
            ("threshold", "vehicle_count", "below", 1),
            ("threshold", "soil_moisture", "near", 1),
            ("calibration", "soil_moisture", 0.0, 0.0),
        ],
    )
    def test_what_a_node_would_refuse_is_not_sent(self, change):
        with pytest.raises(FieldRange):
            encode(0, TREE, [change])

    def test_it_fits_the_slowest_data_rate(self):
        with pytest.raises(FieldRange):
            encode(0, TREE, [("interval_s", 900)] * 9)

    @given(data=st.binary(max_size=60))
    def test_any_answer_is_read_or_malformed(self, data):
        with suppress(MalformedPayload):
            decode(TREE, data)


class TestNode:
    """firmware/settings.py."""

    def test_each_change_is_answered_with_the_new_value_and_outlives_a_power_cut(self, node, tmp_path):
        answers = told(
            node,
            ("interval_s", 900),
            ("safe_mode", 1),
            ("threshold", "soil_moisture", "below", 12.0),
            ("calibration", "soil_temperature", 1.05, -0.3),
        )
        again = Settings(str(tmp_path), 3600)

        assert answers == [
            Answer("interval_s", "done", (900,)),
            Answer("safe_mode", "done", (1,)),
            Answer("threshold", "done", ("soil_moisture", "below", 12.0)),
            Answer("calibration", "done", ("soil_temperature", 1.05, -0.3)),
        ]
        assert (again.interval_s, again.safe_mode) == (900, 1)
        assert again.thresholds == {0: (1, 1200)}
        assert again.calibrations == {1: (10_500, -30)}

    def test_what_was_never_changed_is_the_profiles_also_after_others_were(self, node, tmp_path):
        told(node, ("average", 4))

        again = Settings(str(tmp_path), 600)

        assert (again.average, again.interval_s) == (4, 600)

    @pytest.mark.parametrize(
        ("item", "answer"),
        [
            ("c80100", Answer("setting 200", "unknown_setting", None)),
            ("010284 03".replace(" ", ""), Answer("interval_s", "wrong_length", (3600,))),
            ("01043b000000", Answer("interval_s", "out_of_range", (3600,))),
            ("10061f0100000000", Answer("threshold", "unknown_field", None)),
            ("0601c8", Answer("slow_below_kmh", "contradicts_another", (30,))),
            ("20080a00000005000000", Answer("send_again", "contradicts_another", None)),
        ],
    )
    def test_bad_ones_are_refused_with_a_reason_and_change_nothing(self, node, item, answer):
        before = dict(vars(node))

        assert decode(TREE, node.obey(bytes.fromhex("05" + item), FIELDS, Delivery())) == (5, [answer])

        after = dict(vars(node))
        for settings_ in (before, after):
            settings_.pop("_changed")
        assert after == before

    def test_a_bad_one_does_not_stop_the_others(self, node):
        message = bytes.fromhex("05" + "c80100") + encode(0, TREE, [("average", 3)])[1:]

        node.obey(message, FIELDS, Delivery())

        assert node.average == 3

    def test_settings_can_be_asked_for(self, node):
        assert told(node, ("read", "history")) == [Answer("read", "done", (0,))]

    def test_history_that_is_asked_for_is_sent_again(self, node):
        delivery = Delivery(known_s=2_000)

        told(node, ("send_again", 1_000, 1_500), delivery=delivery)

        assert delivery.gap() == (999, 1_501)

    def test_a_full_flash_is_said(self, node, tmp_path):
        for slot in (".a", ".b"):
            (tmp_path / f"settings{slot}").mkdir()

        assert told(node, ("average", 3)) == [Answer("average", "not_stored", (1,))]
        assert node.average == 1

    def test_what_has_no_room_in_the_answer_is_not_done(self, node):
        changes = [("calibration", field.name, 1.5, 0.0) for field in TREE.fields[:5]]

        answered = told(node, *changes)

        assert [answer.value[0] for answer in answered] == [field.name for field in TREE.fields[:3]]
        assert sorted(node.calibrations) == [0, 1, 2]

    @given(data=st.binary(max_size=222))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
    def test_any_bytes_are_answered_beside_full_f_opts_at_the_slowest_data_rate(self, tmp_path, data):
        answer = Settings(str(tmp_path), 3600).obey(data, FIELDS, Delivery())

        assert len(answer) <= 51 - 15 - 2
        if data:
            assert decode(TREE, answer)[0] == data[0]
