# SPDX-License-Identifier: EUPL-1.2
"""What a traffic node sends: counts since the sample before, never a single vehicle. Fields are only ever appended."""

from decoders.payload import Field, Layout

LAYOUT = Layout(
    profile="traffic",
    version=1,
    f_port=5,
    fields=(
        #     name                              unit per_unit low step bits
        Field("vehicle_count_approaching_slow", "1", 1, 0, 1, 16),
        Field("vehicle_count_approaching_medium", "1", 1, 0, 1, 16),
        Field("vehicle_count_approaching_fast", "1", 1, 0, 1, 16),
        Field("vehicle_count_receding_slow", "1", 1, 0, 1, 16),
        Field("vehicle_count_receding_medium", "1", 1, 0, 1, 16),
        Field("vehicle_count_receding_fast", "1", 1, 0, 1, 16),
        Field("battery_voltage", "V", 1000, 0, 10, 12),
        Field("vehicle_count", "1", 1, 0, 1, 16),
        Field("bicycle_count", "1", 1, 0, 1, 16),
        Field("people_count", "1", 1, 0, 1, 16),
        Field("node_temperature", "Cel", 100, -5_500, 100, 8),
    ),
)
