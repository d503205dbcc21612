# SPDX-License-Identifier: EUPL-1.2
"""A codec in JavaScript for other network servers, made of the same tables; TTN and ChirpStack call it.

TS013-1.0.0 "Payload Codec API": ``decodeUplink({bytes, fPort, recvTime})`` returns ``{data, warnings}`` or
``{errors}``. ``data.readings`` holds one entry for each value or fault, with its own time; a sample without a time
counts from ``recvTime``. ECMAScript 5, so that every engine of a network server runs it.
"""

import json

from decoders import payload
from decoders.faults import FAULTS
from decoders.lorawan.gps_time import unix_from_gps
from decoders.payload_v1 import FixedLayout
from decoders.profiles import LAYOUTS

_TEMPLATE = """\
// SPDX-License-Identifier: EUPL-1.2
// Stadtfunk: readings of tree, air and traffic nodes, FPorts @PORTS@. Made by decoders/javascript.py; do not edit.
// profile, fields: [name, unit, per unit, low, step, bits]
var LAYOUTS = @LAYOUTS@;
var FAULTS = @FAULTS@;

function Bits(bytes) {
  this.bytes = bytes;
  this.at = 0;
}

Bits.prototype.take = function (width) {
  if (this.at + width > 8 * this.bytes.length) {
    throw new Error("too short");
  }
  var number = 0;
  for (var n = 0; n < width; n++, this.at++) {
    number = number * 2 + ((this.bytes[this.at >> 3] >> (7 - (this.at & 7))) & 1);
  }
  return number;
};

function differences(bits, count) {
  var k = bits.take(4);
  var found = [];
  for (var n = 0; n < count; n++) {
    var zigzag = 0;
    if (k !== @ALL_ZERO@) {
      var ones = 0;
      while (ones <= @MOST_ONES@ && bits.take(1)) {
        ones++;
      }
      zigzag = ones > @MOST_ONES@ ? bits.take(@ESCAPED_BITS@) : ones * Math.pow(2, k) + bits.take(k);
    }
    found.push(zigzag % 2 ? -(zigzag + 1) / 2 : zigzag / 2);
  }
  return found;
}

function column(bits, field, count) {
  var states = [];
  var good = 0;
  var state = -1;
  var faulty = bits.take(1);
  for (var n = 0; n < count; n++) {
    if (faulty && bits.take(1)) {
      state = bits.take(1) ? bits.take(3) : -1;
    }
    states.push(state);
    good += state < 0 ? 1 : 0;
  }
  var most = Math.min(Math.pow(2, field[5]) - 1, @FAULT@ - 1);
  var raws = good ? [bits.take(field[5])] : [];
  var steps = good > 1 ? differences(bits, good - 1) : [];
  for (n = 0; n < steps.length; n++) {
    raws.push(raws[n] + steps[n]);
  }
  var next = 0;
  return states.map(function (fault) {
    if (fault >= 0) {
      return { fault: FAULTS[fault] };
    }
    var raw = raws[next++];
    if (raw < 0 || raw > most) {
      throw new Error(field[0] + " out of its field");
    }
    return { value: (field[3] + raw * field[4]) / field[2] };
  });
}

function times(bits, count) {
  var clock = bits.take(1);
  var found = [clock ? bits.take(32) : -bits.take(16)];
  if (clock && found[0] === 0) {
    throw new Error("no time");
  }
  var mask = [];
  var group;
  do {
    group = bits.take(8);
    for (var n = 0; n < 7; n++) {
      mask.push((group >> n) & 1);
    }
  } while (group & 0x80);
  if (count > 1) {
    var meant = bits.take(@GAP_BITS@);
    differences(bits, count - 1).forEach(function (difference) {
      var at = found[found.length - 1] - meant - difference;
      if (meant + difference <= 0 || (clock && at <= 0)) {
        throw new Error("times in disorder");
      }
      found.push(at);
    });
  }
  return { clock: clock, at: found, mask: mask };
}

function decodeUplink(input) {
  var layout = LAYOUTS[input.fPort];
  if (!layout) {
    return { errors: ["no layout on FPort " + input.fPort] };
  }
  try {
    var bits = new Bits(input.bytes);
    var count = bits.take(8) + 1;
    var series = times(bits, count);
    var received = Math.floor((input.recvTime ? new Date(input.recvTime).getTime() : Date.now()) / 1000);
    var start = series.clock ? @GPS@ : received;
    var unknown = 0;
    var readings = [];
    series.mask.forEach(function (present, n) {
      if (present && n >= layout.fields.length) {
        unknown++;
      } else if (present) {
        var field = layout.fields[n];
        column(bits, field, count).forEach(function (reading, sample) {
          reading.quantity = field[0];
          reading.unit = field[1];
          reading.time = new Date((start + series.at[sample]) * 1000).toISOString();
          readings.push(reading);
        });
      }
    });
    if (!unknown) {
      if (Math.ceil(bits.at / 8) !== bits.bytes.length || bits.take(8 * bits.bytes.length - bits.at)) {
        throw new Error("something follows");
      }
    }
    return {
      data: { profile: layout.profile, version: layout.version, readings: readings },
      warnings: unknown ? [unknown + " fields are newer than this codec"] : [],
    };
  } catch (error) {
    return { errors: [String(error.message)] };
  }
}
"""


def codec() -> str:
    """The whole codec, for all layouts but that of version 0.1."""
    layouts = [layout for layout in LAYOUTS if not isinstance(layout, FixedLayout)]
    rows = []
    for layout in layouts:
        fields = ",\n".join(
            "      " + json.dumps([field.name, field.unit, field.per_unit, field.low, field.step, field.bits])
            for field in layout.fields
        )
        rows.append(
            f'  {layout.f_port}: {{\n    profile: "{layout.profile}",\n    version: {layout.version},\n'
            f"    fields: [\n{fields}\n    ]\n  }}"
        )
    text = _TEMPLATE.replace("@LAYOUTS@", "{\n" + ",\n".join(rows) + "\n}").replace("@FAULTS@", json.dumps(FAULTS))
    text = text.replace("@PORTS@", ", ".join(str(layout.f_port) for layout in layouts))
    text = text.replace("@GPS@", str(unix_from_gps(0))).replace("@FAULT@", str(payload.FAULT))
    for name in ("ALL_ZERO", "MOST_ONES", "ESCAPED_BITS", "GAP_BITS"):
        text = text.replace(f"@{name}@", str(getattr(payload, name)))
    return text
