// SPDX-License-Identifier: EUPL-1.2
// Stadtfunk: readings of tree, air and traffic nodes, FPorts 3, 4, 5, 6. Made by decoders/javascript.py; do not edit.
// profile, fields: [name, unit, per unit, low, step, bits]
var LAYOUTS = {
  3: {
    profile: "tree",
    version: 2,
    fields: [
      ["soil_moisture", "%", 100, 0, 5, 11],
      ["soil_temperature", "Cel", 100, -4000, 10, 11],
      ["surface_temperature", "Cel", 100, -6000, 10, 11],
      ["battery_voltage", "V", 1000, 0, 10, 12],
      ["soil_water_tension", "kPa", 10, 0, 1, 15],
      ["node_temperature", "Cel", 100, -5500, 100, 8],
      ["soil_permittivity", "1", 100, 0, 10, 10],
      ["soil_moisture_2", "%", 100, 0, 5, 11],
      ["soil_temperature_2", "Cel", 100, -4000, 10, 11],
      ["soil_water_tension_2", "kPa", 10, 0, 1, 15],
      ["soil_moisture_3", "%", 100, 0, 5, 11],
      ["soil_temperature_3", "Cel", 100, -4000, 10, 11],
      ["soil_water_tension_3", "kPa", 10, 0, 1, 15]
    ]
  },
  4: {
    profile: "air",
    version: 1,
    fields: [
      ["pm2_5", "ug/m3", 10, 0, 1, 14],
      ["pm10", "ug/m3", 10, 0, 1, 14],
      ["air_temperature", "Cel", 100, -4500, 10, 11],
      ["relative_humidity", "%", 100, 0, 10, 10],
      ["air_pressure", "hPa", 10, 3000, 1, 14],
      ["battery_voltage", "V", 1000, 0, 10, 12],
      ["node_temperature", "Cel", 100, -5500, 100, 8],
      ["pm1", "ug/m3", 10, 0, 1, 14],
      ["pm4", "ug/m3", 10, 0, 1, 14],
      ["co2", "[ppm]", 1, 0, 1, 16],
      ["voc_index", "1", 10, 0, 10, 9],
      ["nox_index", "1", 10, 0, 10, 9]
    ]
  },
  5: {
    profile: "traffic",
    version: 1,
    fields: [
      ["vehicle_count_approaching_slow", "1", 1, 0, 1, 16],
      ["vehicle_count_approaching_medium", "1", 1, 0, 1, 16],
      ["vehicle_count_approaching_fast", "1", 1, 0, 1, 16],
      ["vehicle_count_receding_slow", "1", 1, 0, 1, 16],
      ["vehicle_count_receding_medium", "1", 1, 0, 1, 16],
      ["vehicle_count_receding_fast", "1", 1, 0, 1, 16],
      ["battery_voltage", "V", 1000, 0, 10, 12],
      ["vehicle_count", "1", 1, 0, 1, 16],
      ["bicycle_count", "1", 1, 0, 1, 16],
      ["people_count", "1", 1, 0, 1, 16],
      ["node_temperature", "Cel", 100, -5500, 100, 8]
    ]
  },
  6: {
    profile: "diagnostics",
    version: 1,
    fields: [
      ["firmware_version", "1", 1, 0, 1, 16],
      ["reset_count_power", "1", 1, 0, 1, 16],
      ["reset_count_watchdog", "1", 1, 0, 1, 16],
      ["reset_count_other", "1", 1, 0, 1, 16],
      ["crash_count", "1", 1, 0, 1, 16],
      ["rx_hit_rate", "%", 100, 0, 10, 10],
      ["clock_drift", "[ppm]", 1, -65000, 2, 16],
      ["charge_used", "mA.h", 1000, 0, 100, 16],
      ["heap_free", "By", 1, 0, 64, 16],
      ["sensor_fault_count", "1", 1, 0, 1, 16],
      ["radio_fault_count", "1", 1, 0, 1, 16],
      ["reading_lost_count", "1", 1, 0, 1, 16]
    ]
  }
};
var FAULTS = ["no_answer", "bad_answer", "out_of_range", "not_ready", "open_circuit", "short_circuit", "frozen", "stuck"];

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
    if (k !== 15) {
      var ones = 0;
      while (ones <= 15 && bits.take(1)) {
        ones++;
      }
      zigzag = ones > 15 ? bits.take(21) : ones * Math.pow(2, k) + bits.take(k);
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
  var most = Math.min(Math.pow(2, field[5]) - 1, 65528 - 1);
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
    var meant = bits.take(20);
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
    var start = series.clock ? 315964782 : received;
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
