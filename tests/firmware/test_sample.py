# SPDX-License-Identifier: EUPL-1.2
"""A sample on its way into the history: thresholds that make it urgent."""

import pytest

from firmware import sample
from firmware.history import History
from firmware.settings import Settings
from firmware.state import Memory

MOISTURE = 0  # its number among the fields of a tree
BELOW, ABOVE = 1, 2


@pytest.fixture
def urgent(tmp_path):
    """Keeps a sample of this moisture; whether it is urgent."""
    memory, settings, history = Memory(), Settings(str(tmp_path), 900), History(str(tmp_path))
    times = iter(range(900, 90_000, 900))

    def keep(value, kind, limit):
        settings.thresholds = {MOISTURE: (kind, limit)}
        return sample.keep(memory, "tree", settings, history, next(times), {"soil_moisture": value}, False)

    return keep


class TestThresholds:
    @pytest.mark.parametrize(("kind", "quiet", "loud"), [(BELOW, 1_500, 1_495), (ABOVE, 1_500, 1_505)])
    def test_what_passes_one_is_urgent_once_until_it_has_come_back(self, urgent, kind, quiet, loud):
        found = [urgent(value, kind, 1_500) for value in (quiet, loud, loud, quiet, loud)]

        assert found == [False, True, False, False, True]

    def test_the_first_sample_of_all_may_be(self, urgent):
        assert urgent(1_000, BELOW, 1_500)

    def test_what_is_less_than_a_step_beyond_is_not(self, urgent):
        assert [urgent(value, BELOW, 1_500) for value in (1_500, 1_498, 1_498)] == [False, False, False]

    @pytest.mark.parametrize(("kind", "quiet", "loud"), [(BELOW, 1_600, 1_400), (ABOVE, 1_400, 1_600)])
    def test_a_fault_passes_none_and_hides_none(self, urgent, kind, quiet, loud):
        assert [urgent(value, kind, 1_500) for value in (quiet, "no_answer", loud)] == [False, False, True]


class TestSettingsOfAnotherFirmware:
    """What a newer one, or another profile, has left behind on flash."""

    def test_for_a_field_that_is_not_there_they_cost_nothing(self, tmp_path):
        memory, settings, history = Memory(), Settings(str(tmp_path), 900), History(str(tmp_path))
        settings.thresholds = {31: (BELOW, 1_500)}
        settings.calibrations = {30: (20_000, 0), MOISTURE: (10_000, 100)}

        assert not sample.keep(memory, "tree", settings, history, 900, {"soil_moisture": 1_000}, False)

        assert history.newest(1)[1] == [(900, (220,))]  # 11 % in steps of 0.05


class TestValues:
    def kept(self, tmp_path, values, calibrations=()):
        settings, history = Settings(str(tmp_path), 900), History(str(tmp_path))
        settings.calibrations = dict(calibrations)
        sample.keep(Memory(), "tree", settings, history, 900, values, False)
        return values

    def test_a_calibration_scales_and_then_shifts(self, tmp_path):
        """1.2 times 10.00 %, and 0.50 % more."""
        assert self.kept(tmp_path, {"soil_moisture": 1_000}, {MOISTURE: (12_000, 50)}) == {"soil_moisture": 1_250}

    def test_a_fault_stays_one(self, tmp_path):
        assert self.kept(tmp_path, {"soil_moisture": "stuck"}, {MOISTURE: (12_000, 50)}) == {"soil_moisture": "stuck"}

    def test_frozen_soil_is_named_at_its_depth_only(self, tmp_path):
        values = {"soil_moisture": 900, "soil_temperature": -150, "soil_moisture_2": 1_900, "soil_temperature_2": 250}

        assert self.kept(tmp_path, dict(values)) == {**values, "soil_moisture": "frozen"}

    @pytest.mark.parametrize(
        ("battery", "level"), [(2_800, 1), (2_900, 1), (3_125, 127), (3_350, 254), (3_600, 254), ("open_circuit", 255)]
    )
    def test_dev_status_says_how_full_the_battery_is(self, battery, level):
        assert sample.battery_level({"battery_voltage": battery}) == level
        assert sample.battery_level({}) == 255
