# SPDX-License-Identifier: EUPL-1.2
"""The vocabulary."""

import pytest

from decoders.quantities import QUANTITIES


@pytest.mark.parametrize(
    ("name", "unit", "de", "minimum", "maximum"),
    [
        ("soil_moisture", "%", "Bodenfeuchte", 0, 100),
        ("soil_moisture_2", "%", "Bodenfeuchte, 2. Tiefe", 0, 100),
        ("soil_water_tension", "kPa", "Saugspannung", 0, 2000),
        ("soil_temperature", "Cel", "Bodentemperatur", -40, 70),
        ("surface_temperature", "Cel", "Oberflächentemperatur", -60, 90),
        ("battery_voltage", "V", "Batteriespannung", 0, 30),
        ("pm2_5", "ug/m3", "Feinstaub PM2,5", 0, 1000),
        ("vehicle_count_receding_fast", "1", "Fahrzeuge, gehend, schnell", 0, 60_000),
    ],
)
def test_quantities_have_ucum_units_words_and_ranges(name, unit, de, minimum, maximum):
    quantity = QUANTITIES[name]

    assert (quantity.unit, quantity.de, quantity.minimum, quantity.maximum) == (unit, de, minimum, maximum)


def test_every_name_is_its_own_and_has_words_and_a_range():
    assert all(q.name == name and q.en and q.de and q.minimum < q.maximum for name, q in QUANTITIES.items())
