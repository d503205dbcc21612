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
from decoders.payload_encoder import encode
from decoders.payload_reader import read
from decoders.payload_v1 import FixedLayout
from decoders.profiles import LAYOUTS

SERIES = [layout for layout in LAYOUTS if not isinstance(layout, FixedLayout)]
RECEIVED_S = 1_770_964_782  # 2026-02-13T06:39:42Z


@pytest.fixture(scope="module")
def javascript_codec():
    context = quickjs.Context()
    context.eval(javascript.codec())
    context.eval("function run(text) { return JSON.stringify(decodeUplink(JSON.parse(text))); }")
    return context.get("run")


def run(codec, f_port, data):
    text = json.dumps({"fPort": f_port, "bytes": list(data), "recvTime": "2026-02-13T06:39:42Z"})
    return json.loads(codec(text))


def told(reading):
    return sorted((name, float(item) if name == "value" else item) for name, item in reading.items())


def expected(layout, data):
    """The same from the Python reader; None for a malformed payload."""
    units = {field.name: field.unit for field in layout.fields}
    try:
        message = read(layout, data)
    except MalformedPayload:
        return None
    rows = []
    for sample in message.samples:
        at = unix_from_gps(sample.time) if sample.time > 0 else RECEIVED_S + sample.time
        time = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        for name, value in sample.values.items():
            row = {"quantity": name, "unit": units[name], "time": time}
            rows.append(row | ({"fault": sample.faults[name]} if value is None else {"value": value}))
    return message.unknown_fields, rows


def random_payload(dice):
    """(layout, payload): most are right, some have newer fields, some are damaged."""
    layout = dice.choice(SERIES)
    writer = layout
    if dice.random() < 0.1:
        writer = layout._replace(fields=layout.fields + SERIES[0].fields[:3])
    mask = dice.getrandbits(len(writer.fields)) or 1
    fields = writer.present(mask)
    time, samples = dice.randrange(1 << 26, 1 << 32), []
    before = [dice.randrange(field.most() + 1) for field in fields]
    for _ in range(dice.randrange(1, 6)):
        spread = dice.choice((0, 3, 200, 70_000))
        before = [
            min(max(raw + dice.randint(-spread, spread), 0), field.most())
            for raw, field in zip(before, fields, strict=True)
        ]
        faulty = [0x10000 - 8 + dice.randrange(8) if dice.random() < 0.05 else raw for raw in before]
        samples.append((time, faulty))
        time -= dice.choice((900, 900, 901, dice.randrange(1, 100_000)))
    if dice.random() < 0.1:
        samples = [(at - samples[0][0] - dice.randrange(1000), raws) for at, raws in samples[:1]]
        data = encode(writer, mask, samples, clock=False)
    else:
        data = encode(writer, mask, samples)
    if dice.random() < 0.2:
        where = dice.randrange(len(data))
        data = data[:where] + bytes([data[where] ^ 1 << dice.randrange(8)]) + data[where + 1 :]
    if dice.random() < 0.05:
        data = data[: dice.randrange(len(data) + 1)]
    return layout, data


def test_it_agrees_with_python_on_10_000_random_payloads(javascript_codec):
    dice = random.Random(4)
    outcomes = {"read": 0, "newer": 0, "malformed": 0}

    for _ in range(10_000):
        layout, data = random_payload(dice)
        answer = run(javascript_codec, layout.f_port, data)
        wanted = expected(layout, data)
        if wanted is None:
            assert list(answer) == ["errors"], data.hex()
            outcomes["malformed"] += 1
            continue
        unknown, rows = wanted
        assert sorted(map(told, answer["data"]["readings"])) == sorted(map(told, rows)), data.hex()
        assert len(answer["warnings"]) == bool(unknown)
        outcomes["newer" if unknown else "read"] += 1

    assert min(outcomes.values()) > 300, outcomes


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
