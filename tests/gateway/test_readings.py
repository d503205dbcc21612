# SPDX-License-Identifier: EUPL-1.2
"""What becomes of payloads: readings, diagnostics, answers to settings, fields that are newer than our table."""

import logging
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoders.layouts.air import LAYOUT as AIR
from decoders.layouts.diagnostics import LAYOUT as DIAGNOSTICS
from decoders.layouts.tree import LAYOUT as TREE
from decoders.payload import Field
from decoders.payload_encoder import encode
from decoders.profiles import BY_F_PORT
from decoders.records import UplinkKey, decode_record
from gateway.readings import decode, keep
from gateway.reception_time import Moment
from gateway.store import Payload

GPS_S = 1_455_000_000
UNIX_S = 1_770_964_782  # gateway/test: 2026-02-13T06:39:42Z
KEY = UplinkKey("70b3d57ed1000001", 3, 7)


class Ledger:
    """Keeps what it is given."""

    def __init__(self):
        self.appended, self.quarantined, self.details = [], [], []

    def append_encoded(self, lane, record):
        self.appended.append((lane, decode_record(record).readings))

    def quarantine(self, payload, received_at, time_quality, problem, detail=""):
        self.quarantined.append((payload.f_port, payload.frm_payload, problem))
        self.details.append(detail)


def packed(layout, values):
    mask, raws = layout.raws(values)
    return encode(layout, mask, [(GPS_S, raws)])


def kept(f_port, data, profile="tree"):
    ledger = Ledger()
    problem = keep(ledger, Payload(KEY, f_port, profile, data), Moment(float(UNIX_S), "ntp"))
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


class TestWarning:
    """STYLE.md 9: a payload in quarantine is something an operator should act on; the log is no copy of it."""

    def warnings(self, caplog, *payloads):
        with caplog.at_level(logging.DEBUG):
            for dev_eui, f_port, data in payloads:
                keep(Ledger(), Payload(KEY._replace(dev_eui=dev_eui), f_port, "tree", data), Moment(1e9, "ntp"))
        return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]

    def test_one_line_says_whose_payload_nobody_could_read_and_why(self, caplog):
        warnings = self.warnings(caplog, ("70b3d57ed1000101", 99, b"x"))

        assert warnings == ["payload in quarantine dev_eui=70b3d57ed1000101 f_port=99 problem=no_layout"]

    def test_the_rest_of_a_flood_is_not_told_but_another_reason_or_device_is(self, caplog):
        one, other = "70b3d57ed1000102", "70b3d57ed1000103"

        warnings = self.warnings(
            caplog, *[(one, 99, b"x")] * 50, (one, 3, b""), (other, 99, b"x"), (one, 99, b"y"), (one, 3, b"")
        )

        assert warnings == [
            "payload in quarantine dev_eui=70b3d57ed1000102 f_port=99 problem=no_layout",
            "payload in quarantine dev_eui=70b3d57ed1000102 f_port=3 problem=malformed_payload",
            "payload in quarantine dev_eui=70b3d57ed1000103 f_port=99 problem=no_layout",
        ]

    def test_fields_newer_than_this_software_are_told_too_and_what_is_read_is_not(self, caplog):
        newer = TREE._replace(version=3, fields=(*TREE.fields, Field("sap_flow", "1", 1, 0, 1, 8)))
        known, unknown = {"soil_moisture": 2345}, {"soil_moisture": 2345, "sap_flow": 12}

        warnings = self.warnings(
            caplog, ("70b3d57ed1000104", 3, packed(TREE, known)), ("70b3d57ed1000104", 3, packed(newer, unknown))
        )

        assert warnings == ["payload in quarantine dev_eui=70b3d57ed1000104 f_port=3 problem=newer_fields"]


class TestDecoderWithABug:
    """Issue 6, "Poison safe": it is kept raw, and nothing behind it waits."""

    @pytest.mark.parametrize(
        ("error", "detail"),
        [
            (ValueError("not in table"), "ValueError: not in table"),
            (RecursionError("too deep"), "RecursionError: too deep"),
            (MemoryError(), "MemoryError: "),
        ],
    )
    def test_whatever_it_raises_the_payload_is_kept_with_the_name_of_it(self, monkeypatch, error, detail):
        class Broken(type(TREE)):
            def present(self, mask):
                raise error

        monkeypatch.setitem(BY_F_PORT, TREE.f_port, Broken(*TREE))
        data = packed(TREE, {"soil_moisture": 2345})

        ledger, problem = kept(TREE.f_port, data)

        assert problem == "decoder_failed"
        assert ledger.quarantined == [(3, data, "decoder_failed")]
        assert ledger.details == [detail]
        assert ledger.appended == []

    def test_one_that_grows_without_end_of_its_own_is_cut(self, monkeypatch):
        class Growing(type(TREE)):
            def present(self, mask):
                return [TREE.fields[0]._replace(name=f"field_{n}") for n in range(20_000)]

        monkeypatch.setitem(BY_F_PORT, TREE.f_port, Growing(*TREE))
        head = encode(TREE, 1, [(GPS_S, [0])])[:7]
        bits = 49 + 20_000 * (1 + TREE.fields[0].bits)  # samples less 1, clock, time, fields; then the columns

        ledger, problem = kept(TREE.f_port, head + bytes(-(-bits // 8) - 7))

        assert (problem, ledger.appended) == ("too_many_readings", [])


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([*sorted(BY_F_PORT), 21, 99]), st.binary(max_size=242))
def test_no_payload_takes_more_than_a_bounded_number_of_steps(f_port, data):
    """242 bytes are 1,936 bits: each is taken once, and each of 256 samples of a field costs a few lines."""
    steps = 0

    def count(_frame, event, _argument):
        nonlocal steps
        steps += event == "line"
        return count

    payload = Payload(KEY, f_port, getattr(BY_F_PORT.get(f_port), "profile", "tree"), data)
    before = sys.gettrace()
    sys.settrace(count)
    try:
        decode(payload, Moment(float(UNIX_S), "ntp"))
    finally:
        sys.settrace(before)

    assert steps < 500_000
