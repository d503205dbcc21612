# SPDX-License-Identifier: EUPL-1.2
"""The generated JavaScript codec reads what the Python reader reads, under an independent engine (QuickJS)."""

import json
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
import quickjs

from decoders import javascript
from decoders.faults import FAULTS, MalformedPayload
from decoders.lorawan.gps_time import unix_from_gps
from decoders.payload import FAULT, MOST_SAMPLES
from decoders.payload_encoder import encode, fit
from decoders.payload_reader import read
from decoders.payload_v1 import FixedLayout
from decoders.profiles import LAYOUTS

SERIES = [layout for layout in LAYOUTS if not isinstance(layout, FixedLayout)]
RECEIVED_S = 1_770_964_782  # 2026-02-13T06:39:42Z
LONGEST = 242  # RP002-1.0.4 "EU863-870 Maximum Payload Size": N of DR4 to DR7


@pytest.fixture(scope="module")
def context():
    context = quickjs.Context()
    context.eval(javascript.codec())
    context.eval("function run(text) { return JSON.stringify(decodeUplink(JSON.parse(text))); }")
    context.eval(MANY)
    return context


@pytest.fixture(scope="module")
def javascript_codec(context):
    return context.get("run")


# Many payloads a call, for each: null if it is refused, or warnings and a flat row of what its readings say
MANY = """
function runMany(text) {
  return JSON.stringify(JSON.parse(text).map(function (input) {
    var answer = decodeUplink({ fPort: input[0], bytes: input[1], recvTime: "2026-02-13T06:39:42Z" });
    if (answer.errors) {
      return Object.keys(answer).length === 1 ? null : answer;
    }
    var rows = [answer.warnings.length];
    answer.data.readings.forEach(function (reading) {
      rows.push(reading.quantity, reading.unit, reading.time, "value" in reading, reading.value, reading.fault);
    });
    return rows;
  }));
}
"""


def run(codec, f_port, data):
    text = json.dumps({"fPort": f_port, "bytes": list(data), "recvTime": "2026-02-13T06:39:42Z"})
    return json.loads(codec(text))


def expected(layout, data):
    """The row of ``runMany`` from the Python reader; None for a malformed payload."""
    try:
        message = read(layout, data)
    except MalformedPayload:
        return None
    times = [unix_from_gps(sample.time) if sample.time > 0 else RECEIVED_S + sample.time for sample in message.samples]
    stamps = [datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z") for at in times]
    row = [int(message.unknown_fields > 0)]
    for field in layout.fields:
        if field.name in message.samples[0].values:
            for stamp, sample in zip(stamps, message.samples, strict=True):
                value = sample.values[field.name]
                row += [field.name, field.unit, stamp, value is not None, value, sample.faults.get(field.name)]
    return row


def random_payload(dice):
    """(layout, payload) of any length up to the longest of EU868; most are right, some have newer fields or damage."""
    layout = dice.choice(SERIES)
    writer = layout
    if dice.random() < 0.1:
        writer = layout._replace(fields=layout.fields + SERIES[0].fields[:3])
    mask = dice.getrandbits(len(writer.fields)) & dice.getrandbits(len(writer.fields)) or 1
    fields = writer.present(mask)
    full = dice.random() < 0.04
    room = LONGEST if full else LONGEST - int((LONGEST - 18) * dice.random() ** 0.7)  # long ones are dear
    spread, faulty = dice.choice((0, 3, 200, 70_000)), dice.random() < 0.3
    time, samples = dice.randrange(1 << 28, 1 << 32), []
    before = [dice.randrange(field.most() + 1) for field in fields]
    bits = 1 + sum(min(2 + spread.bit_length(), field.bits) for field in fields)  # of a sample, or so
    most = dice.choice((6, 20, 40, 80)) if spread < 4 else MOST_SAMPLES
    for _ in range(min(2 + 8 * (room + 90 * full - 10) // bits, most)):
        before = [
            min(max(raw + int(spread * (2 * dice.random() - 1)), 0), field.most())
            for raw, field in zip(before, fields, strict=True)
        ]
        samples.append((time, [FAULT + dice.randrange(8) if faulty and dice.random() < 0.1 else raw for raw in before]))
        time -= 900 if dice.random() < 0.9 else dice.randrange(1, 100_000)
    clock = dice.random() > 0.1
    if not clock:
        samples = [(at - samples[0][0] - 7, raws) for at, raws in samples]
    data, _ = fit(writer, mask, samples, room, clock)
    if data and dice.random() < 0.2:
        where = dice.randrange(len(data))
        data = data[:where] + bytes([data[where] ^ 1 << dice.randrange(8)]) + data[where + 1 :]
    if dice.random() < 0.05:
        data = data[: dice.randrange(len(data) + 1)]
    return layout, data


def test_it_agrees_with_python_on_10_000_random_payloads_of_any_length(context):
    run_many = context.get("runMany")
    dice = random.Random(4)
    outcomes = {"read": 0, "newer": 0, "malformed": 0}
    lengths = {layout.profile: set() for layout in SERIES}

    for _ in range(40):
        payloads = [random_payload(dice) for _ in range(250)]
        answers = json.loads(run_many(json.dumps([(layout.f_port, list(data)) for layout, data in payloads])))
        for (layout, data), answer in zip(payloads, answers, strict=True):
            wanted = expected(layout, data)
            assert answer == wanted, (layout.profile, data.hex())
            outcomes["malformed" if wanted is None else "newer" if wanted[0] else "read"] += 1
            lengths[layout.profile].add(len(data))

    assert min(outcomes.values()) > 300, outcomes
    for profile, seen in lengths.items():
        assert max(seen) == LONGEST, profile
        assert len(seen) > 0.9 * LONGEST, profile


def test_the_file_in_the_repository_is_what_the_tables_give():
    assert Path(javascript.__file__).with_name("codec.js").read_text() == javascript.codec()


def test_another_port_is_an_error(javascript_codec):
    assert run(javascript_codec, 99, b"\0") == {"errors": ["no layout on FPort 99"]}


def test_faults_are_named(javascript_codec):
    data = encode(SERIES[0], 1, [(1_441_432_466, [0x10000 - 8])])

    (reading,) = run(javascript_codec, SERIES[0].f_port, data)["data"]["readings"]

    assert reading == {
        "quantity": "soil_moisture",
        "unit": "%",
        "time": "2025-09-09T05:54:08.000Z",
        "fault": FAULTS[0],
    }
