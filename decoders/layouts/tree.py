# SPDX-License-Identifier: EUPL-1.2
"""What a tree node sends. Fields are only ever appended; ``_2`` and ``_3``: the same quantity at the next depths."""

from decoders.payload import Field, Layout

LAYOUT = Layout(
    profile="tree",
    version=2,
    f_port=3,
    fields=(
        #     name                    unit   per_unit low  step bits
        Field("soil_moisture", "%", 100, 0, 5, 11),
        Field("soil_temperature", "Cel", 100, -4_000, 10, 11),
        Field("surface_temperature", "Cel", 100, -6_000, 10, 11),
        Field("battery_voltage", "V", 1000, 0, 10, 12),
        Field("soil_water_tension", "kPa", 10, 0, 1, 15),
        Field("node_temperature", "Cel", 100, -5_500, 100, 8),
        Field("soil_permittivity", "1", 100, 0, 10, 10),
        Field("soil_moisture_2", "%", 100, 0, 5, 11),
        Field("soil_temperature_2", "Cel", 100, -4_000, 10, 11),
        Field("soil_water_tension_2", "kPa", 10, 0, 1, 15),
        Field("soil_moisture_3", "%", 100, 0, 5, 11),
        Field("soil_temperature_3", "Cel", 100, -4_000, 10, 11),
        Field("soil_water_tension_3", "kPa", 10, 0, 1, 15),
    ),
)
