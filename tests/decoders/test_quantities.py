# SPDX-License-Identifier: EUPL-1.2
"""The vocabulary."""

from decoders.quantities import QUANTITIES


def test_quantities_have_ucum_units_words_and_ranges():
    rows = {name: (q.unit, q.de, q.minimum, q.maximum) for name, q in QUANTITIES.items()}

    assert rows == {
        "soil_moisture": ("%", "Bodenfeuchte", 0, 100),
        "soil_water_tension": ("kPa", "Saugspannung", 0, 2000),
        "soil_temperature": ("Cel", "Bodentemperatur", -40, 70),
        "surface_temperature": ("Cel", "Oberflächentemperatur", -60, 90),
        "battery_voltage": ("V", "Batteriespannung", 0, 30),
    }
    assert all(q.name == name and q.en for name, q in QUANTITIES.items())
