# SPDX-License-Identifier: EUPL-1.2
"""What holds for every sensor in soil."""

if False:  # types only
    from firmware.hal import Value, Values

FREEZING_CENTI_CEL = 0
_WATER = ("soil_moisture", "soil_water_tension", "soil_permittivity")


def frozen(values: "Values", soil_temperature: "Value") -> "Values":
    """``values`` of one depth with "frozen" for whatever sensors take for water: they do not see ice.

    ``soil_temperature``: there, in 0.01 degrees Celsius; a fault means that nobody knows, and nothing is changed.
    """
    if isinstance(soil_temperature, str) or soil_temperature >= FREEZING_CENTI_CEL:
        return values
    ice: "Values" = {}
    for name, value in values.items():
        wet = [water for water in _WATER if name.startswith(water)]
        ice[name] = "frozen" if wet and not isinstance(value, str) else value
    return ice
