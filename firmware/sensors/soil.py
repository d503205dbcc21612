# SPDX-License-Identifier: EUPL-1.2
"""What holds for every sensor in soil."""

if False:  # types only
    from firmware.hal import Value, Values

# lowest and highest value in hundredths: SMT100 data sheet, -40..80 degrees Celsius; pure water; from what lies between
# air (1) and dry soil (Topp, Davis & Annan 1980: 1.9 without any water) to water
_LIMITS = {
    "soil_temperature": (-4_000, 8_000),
    "soil_moisture": (0, 10_000),
    "soil_permittivity": (140, 10_000),
}
_FREEZING_CENTI_CEL = 0
_WATER = ("soil_moisture", "soil_water_tension", "soil_permittivity")


def plausible(name: str, value: int) -> "Value":
    """``value`` in hundredths, if a probe can have measured it."""
    lowest, highest = _LIMITS[name]
    return value if lowest <= value <= highest else "out_of_range"


def in_soil(values: "Values") -> "Values":
    """``values`` of a probe that reckons moisture from permittivity: without the one there is not the other."""
    permittivity = values["soil_permittivity"]
    if isinstance(permittivity, str):
        values["soil_moisture"] = permittivity
    return values


def frozen(values: "Values", soil_temperature: "Value") -> "Values":
    """``values`` of one depth with "frozen" for whatever sensors take for water: they do not see ice.

    ``soil_temperature``: there, in 0.01 degrees Celsius; a fault means that nobody knows, and nothing is changed.
    """
    if isinstance(soil_temperature, str) or soil_temperature >= _FREEZING_CENTI_CEL:
        return values
    ice: "Values" = {}
    for name, value in values.items():
        wet = [water for water in _WATER if name.startswith(water)]
        ice[name] = "frozen" if wet and not isinstance(value, str) else value
    return ice
