# SPDX-License-Identifier: EUPL-1.2
"""How a node of any profile is, once a week; fields are only ever appended.

Counts and charge are since the last message that the node knows to have arrived.
"""

from decoders.payload import Field, Layout

LAYOUT = Layout(
    profile="diagnostics",
    version=1,
    f_port=6,
    fields=(
        #     name                    unit  per_unit low step bits
        Field("firmware_version", "1", 1, 0, 1, 16),
        Field("reset_count_power", "1", 1, 0, 1, 16),
        Field("reset_count_watchdog", "1", 1, 0, 1, 16),
        Field("reset_count_other", "1", 1, 0, 1, 16),
        Field("crash_count", "1", 1, 0, 1, 16),
        Field("rx_hit_rate", "%", 100, 0, 10, 10),
        Field("clock_drift", "[ppm]", 1, -65_000, 2, 16),
        Field("charge_used", "mA.h", 1000, 0, 100, 16),
        Field("heap_free", "By", 1, 0, 64, 16),
        Field("sensor_fault_count", "1", 1, 0, 1, 16),
        Field("radio_fault_count", "1", 1, 0, 1, 16),
        Field("reading_lost_count", "1", 1, 0, 1, 16),
    ),
)
