# SPDX-License-Identifier: EUPL-1.2
"""Frozen soil has a temperature, and nothing else that a sensor could tell."""

from firmware.sensors.soil import frozen

VALUES = {"soil_moisture": 2_345, "soil_temperature": -1, "soil_water_tension_2": 300, "soil_permittivity": "no_answer"}


def test_below_freezing_water_is_not_seen():
    assert frozen(VALUES, -1) == {
        "soil_moisture": "frozen",
        "soil_temperature": -1,
        "soil_water_tension_2": "frozen",
        "soil_permittivity": "no_answer",
    }


def test_at_freezing_and_above_everything_stays():
    assert frozen(VALUES, 0) == VALUES
    assert frozen(VALUES, 2_000) == VALUES


def test_when_nobody_knows_the_temperature_everything_stays():
    assert frozen(VALUES, "no_answer") == VALUES
