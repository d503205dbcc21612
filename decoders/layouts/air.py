# SPDX-License-Identifier: EUPL-1.2
"""What an air node sends. Fields are only ever appended."""

from decoders.payload import Field, Layout

LAYOUT = Layout(
    profile="air",
    version=1,
    f_port=4,
    fields=(
        #     name               unit    per_unit low  step bits
        Field("pm2_5", "ug/m3", 10, 0, 1, 14),
        Field("pm10", "ug/m3", 10, 0, 1, 14),
        Field("air_temperature", "Cel", 100, -4_500, 10, 11),
        Field("relative_humidity", "%", 100, 0, 10, 10),
        Field("air_pressure", "hPa", 10, 3_000, 1, 14),
        Field("battery_voltage", "V", 1000, 0, 10, 12),
        Field("node_temperature", "Cel", 100, -5_500, 100, 8),
        Field("pm1", "ug/m3", 10, 0, 1, 14),
        Field("pm4", "ug/m3", 10, 0, 1, 14),
        Field("co2", "[ppm]", 1, 0, 1, 16),
        Field("voc_index", "1", 10, 0, 10, 9),
        Field("nox_index", "1", 10, 0, 10, 9),
    ),
)
