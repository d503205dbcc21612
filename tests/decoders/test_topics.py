# SPDX-License-Identifier: EUPL-1.2
"""MQTT topics."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders import topics
from decoders.records import ALARM, DIAGNOSTIC, READING

EUI = "70b3d57ed00000ff"


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        (topics.up, "stadtfunk/1/70b3d57ed00000ff/up"),
        (topics.committed, "stadtfunk/1/70b3d57ed00000ff/committed"),
        (topics.status, "stadtfunk/1/70b3d57ed00000ff/status"),
        (topics.down, "stadtfunk/1/70b3d57ed00000ff/down"),
    ],
)
def test_a_topic_names_its_gateway(topic, expected):
    assert topic(EUI) == expected
    assert topics.gateway_eui_of(expected) == EUI


@pytest.mark.parametrize(
    "topic",
    [
        "stadtfunk/2/70b3d57ed00000ff/up",
        "stadtfunk/1/70b3d57ed00000f/up",
        "stadtfunk/1/70B3D57ED00000FF/up",
        "stadtfunk/1/70b3d57ed00000ff/up/",
        "stadtfunk/1/70b3d57ed00000ff/up/else",
        "stadtfunk/1/70b3d57ed00000ff/up/alarm/else",
        "stadtfunk/1/70b3d57ed00000ff/status/alarm",
        "stadtfunk/1/70b3d57ed00000ff/else",
        "stadtfunk/1/70b3d57ed00000ff/up\n",
        "stadtfunk/1/+/up",
    ],
)
def test_what_is_not_ours_has_no_gateway(topic):
    assert topics.gateway_eui_of(topic) is None


class TestLanes:
    @pytest.mark.parametrize(
        ("lane", "topic"),
        [
            (ALARM, "stadtfunk/1/70b3d57ed00000ff/up/alarm"),
            (READING, "stadtfunk/1/70b3d57ed00000ff/up/reading"),
            (DIAGNOSTIC, "stadtfunk/1/70b3d57ed00000ff/up/diagnostic"),
        ],
    )
    def test_each_has_a_topic_of_its_own(self, lane, topic):
        assert topics.up(EUI, lane) == topic
        assert topics.gateway_eui_of(topic) == EUI
        assert topics.up_lane_of(topic) == lane

    def test_what_an_older_gateway_sends_goes_with_the_readings(self):
        assert topics.up_lane_of("stadtfunk/1/70b3d57ed00000ff/up") == READING
        assert topics.up_filters(READING) == ("stadtfunk/1/+/up/reading", "stadtfunk/1/+/up")
        assert topics.up_filters(ALARM) == ("stadtfunk/1/+/up/alarm",)

    @pytest.mark.parametrize("channel", ["committed", "status", "down", "events", "up/else", "else/up"])
    def test_other_topics_bring_no_batches(self, channel):
        assert topics.up_lane_of(f"stadtfunk/1/{EUI}/{channel}") is None


@given(st.text())
def test_any_text_has_a_gateway_or_none(topic):
    assert topics.gateway_eui_of(topic) is None or topic.startswith("stadtfunk/1/")
    assert topics.up_lane_of(topic) is None or topic.startswith("stadtfunk/1/")
