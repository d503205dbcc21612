# SPDX-License-Identifier: EUPL-1.2
"""MQTT topics."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders import topics

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
        "stadtfunk/1/70b3d57ed00000ff/else",
        "stadtfunk/1/70b3d57ed00000ff/up\n",
        "stadtfunk/1/+/up",
    ],
)
def test_what_is_not_ours_has_no_gateway(topic):
    assert topics.gateway_eui_of(topic) is None


@given(st.text())
def test_any_text_has_a_gateway_or_none(topic):
    assert topics.gateway_eui_of(topic) is None or topic.startswith("stadtfunk/1/")
