# SPDX-License-Identifier: EUPL-1.2
"""What becomes of payloads: readings, diagnostics, answers to settings, fields that are newer than our table."""

import logging

import pytest

from decoders.layouts.air import LAYOUT as AIR
from decoders.layouts.diagnostics import LAYOUT as DIAGNOSTICS
from decoders.layouts.tree import LAYOUT as TREE
from decoders.payload import Field
from decoders.payload_encoder import encode
from decoders.uplink import UplinkKey
from gateway.readings import keep
from gateway.store import Payload

GPS_S = 1_455_000_000
UNIX_S = 1_770_964_782  # gateway/test: 2026-02-13T06:39:42Z
KEY = UplinkKey("70b3d57ed1000001", 3, 7)


class Ledger:
    """Keeps what it is given."""

    def __init__(self):
        self.appended, self.quarantined = [], []

    def append(self, key, received_at, profile, readings, *, lane):
        self.appended.append((lane, readings))

    def quarantine(self, key, f_port, received_at, frm_payload, problem):
        self.quarantined.append((f_port, frm_payload, problem))


def packed(layout, values):
    mask, raws = layout.raws(values)
    return encode(layout, mask, [(GPS_S, raws)])


def kept(f_port, data, profile="tree"):
    ledger = Ledger()
    problem = keep(ledger, "0016c001ff10a001", Payload(KEY, f_port, profile, data), GPS_S * 1000, float(UNIX_S))
    return ledger, problem


@pytest.mark.parametrize(
    ("layout", "profile", "values", "lane", "reading"),
    [
        (TREE, "tree", {"soil_moisture": 2345}, 1, ("soil_moisture", "%", UNIX_S, 23.45, None)),
        (TREE, "tree", {"soil_water_tension": "frozen"}, 1, ("soil_water_tension", "kPa", UNIX_S, None, "frozen")),
        (AIR, "air", {"pm2_5": 123}, 1, ("pm2_5", "ug/m3", UNIX_S, 12.3, None)),
        (DIAGNOSTICS, "tree", {"crash_count": 2}, 2, ("crash_count", "1", UNIX_S, 2.0, None)),
    ],
)
def test_every_layout_becomes_readings(layout, profile, values, lane, reading):
    ledger, problem = kept(layout.f_port, packed(layout, values), profile)

    assert problem == ""
    assert [tuple(one) for one in ledger.appended[0][1]] == [reading]
    assert ledger.appended[0][0] == lane
    assert ledger.quarantined == []


def test_of_a_newer_payload_what_is_known_goes_on_and_the_whole_is_kept_raw():
    newer = TREE._replace(version=3, fields=(*TREE.fields, Field("sap_flow", "1", 1, 0, 1, 8)))
    data = packed(newer, {"soil_moisture": 2345, "sap_flow": 12})

    ledger, problem = kept(TREE.f_port, data)

    assert problem == ""
    assert [one.quantity for one in ledger.appended[0][1]] == ["soil_moisture"]
    assert ledger.quarantined == [(3, data, "newer_fields")]


def test_an_answer_to_settings_is_logged_and_no_reading(caplog):
    with caplog.at_level(logging.INFO):
        ledger, problem = kept(21, bytes.fromhex("07" + "01000484030000"))

    assert (problem, ledger.appended, ledger.quarantined) == ("", [], [])
    assert "setting dev_eui=70b3d57ed1000001 token=7 name=interval_s status=done value=(900,)" in caplog.text


@pytest.mark.parametrize(("f_port", "data", "problem"), [(21, b"", "malformed_payload"), (3, b"", "malformed_payload")])
def test_what_cannot_be_read_is_kept_raw(f_port, data, problem):
    ledger, found = kept(f_port, data)

    assert found == problem
    assert ledger.quarantined == [(f_port, data, problem)]


def test_a_tree_sends_no_air_quality():
    assert kept(AIR.f_port, packed(AIR, {"pm2_5": 1}))[1] == "other_profile"
