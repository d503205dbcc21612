# SPDX-License-Identifier: EUPL-1.2
"""The payload layouts. One that has shipped never changes; a new version takes another FPort (2..20)."""

from decoders.payload import Field, Layout

TREE_V1 = Layout(
    profile="tree",
    version=1,
    f_port=2,
    #           name                code per_unit unit
    header=(Field("battery_voltage", "H", 1000, "V"),),
    sample=(
        Field("soil_moisture", "H", 100, "%"),
        Field("soil_temperature", "h", 100, "Cel"),
        Field("surface_temperature", "h", 100, "Cel"),
    ),
)

BY_F_PORT = {TREE_V1.f_port: TREE_V1}
BY_NAME = {TREE_V1.profile: TREE_V1}  # the newest version
