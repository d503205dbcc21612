# SPDX-License-Identifier: EUPL-1.2
"""The tree pit: nothing is lost, tension follows van Genuchten, and drying looks like drying."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.clock import DAY_US, HOUR_US
from simulators.retention import SOILS, VanGenuchten, liquid_percent, permittivity, water_seen_percent
from simulators.soil import TreePit
from simulators.weather import Weather

START = 1_783_296_000  # 2026-07-06 00:00 UTC
LOAM = SOILS["Slu"]
DRY = Weather(1, START, dry_days=1000)
RAINY = Weather(1, START, dry_days=0)


def pit(weather: Weather = DRY, **options: float) -> TreePit:
    return TreePit(LOAM, weather, **options)


class TestVanGenuchten:
    """van Genuchten (1980); parameters of loam: Carsel & Parrish (1988), alpha 0.036 per cm = 0.36 per kPa."""

    LOAM = VanGenuchten(7.8, 43.0, 0.36, 1.56)

    def test_water_at_33_kpa_worked_by_hand(self):
        # (0.36 * 33)^1.56 = 47.5; (1 + 47.5)^(-0.359) = 0.2482; 7.8 + 35.2 * 0.2482
        assert self.LOAM.water_percent(33.0) == pytest.approx(16.54, abs=0.02)

    def test_saturated_soil_has_no_tension_and_bone_dry_soil_the_most(self):
        assert self.LOAM.tension_kpa(43.0) == 0.0
        assert self.LOAM.tension_kpa(7.0) == 10_000.0

    @given(st.floats(0.1, 1500))
    def test_tension_is_the_inverse_of_water(self, tension):
        assert self.LOAM.tension_kpa(self.LOAM.water_percent(tension)) == pytest.approx(tension, rel=1e-6)

    @pytest.mark.parametrize("soil", SOILS.values(), ids=SOILS)
    def test_every_soil_is_at_field_capacity_at_pf_1_8_and_wilts_at_pf_4_2(self, soil):
        curve = soil.retention()

        assert curve.water_percent(6.0) == pytest.approx(soil.field_capacity, abs=0.01)
        assert curve.water_percent(1585.0) == pytest.approx(soil.wilting_point, abs=0.01)

    def test_the_watering_threshold_rew_0_4_is_near_80_kpa_in_sandy_loam(self):
        """Two thresholds of practice, REW 0.40 and pF 2.9, describe the same soil."""
        soil = SOILS["Sl3"]

        assert soil.retention().tension_kpa(soil.at_share(0.40)) == pytest.approx(80, abs=10)


class TestKa5:
    @pytest.mark.parametrize(
        ("name", "field_capacity", "wilting_point"), [("Ss", 20, 4), ("Sl3", 27, 9), ("Ls3", 33, 17), ("Tl", 41, 28)]
    )
    def test_rows(self, name, field_capacity, wilting_point):
        assert (SOILS[name].field_capacity, SOILS[name].wilting_point) == (field_capacity, wilting_point)


class TestWaterBalance:
    @settings(max_examples=25)
    @given(
        share=st.floats(0.0, 1.5),
        demand=st.floats(0.0, 4.0),
        waterings=st.lists(st.tuples(st.integers(0, 10 * DAY_US), st.floats(0, 400)), max_size=5),
        now_us=st.integers(0, 12 * DAY_US),
    )
    def test_what_is_stored_is_what_came_in_less_what_went_out(self, share, demand, waterings, now_us):
        tree = pit(RAINY, share=share, demand=demand)
        before = tree.balance(0)
        for at_us, litres in waterings:
            tree.water(litres, at_us)

        after = tree.balance(now_us)

        gained = after.rain + after.watering
        lost = after.transpiration + after.evaporation + after.drainage + after.overflow
        assert after.storage - before.storage == pytest.approx(gained - lost, abs=1e-9)

    @settings(max_examples=25)
    @given(st.floats(0.0, 1.2), st.integers(0, 20 * DAY_US))
    def test_no_layer_is_wetter_than_saturated_and_roots_stop_at_the_wilting_point(self, share, now_us):
        tree = pit(RAINY, share=share, demand=3.0)

        top, middle, bottom = (tree.moisture_percent(now_us, depth_m) for depth_m in (0.05, 0.2, 0.5))

        assert LOAM.wilting_point / 2 - 1e-9 <= top <= LOAM.saturation + 1e-9  # the sun dries the top further
        assert LOAM.wilting_point - 1e-9 <= middle <= LOAM.saturation + 1e-9
        assert LOAM.wilting_point - 1e-9 <= bottom <= LOAM.saturation + 1e-9


class TestDrying:
    def test_a_well_supplied_tree_draws_its_demand(self):
        tree = pit(demand=1.5, share=0.9)

        assert tree.balance(DAY_US).transpiration == pytest.approx(1.5 * DRY.day(0).et0_mm)

    def test_at_a_quarter_of_the_available_water_it_draws_half_of_that(self):
        tree = pit(demand=1.0, share=0.25, depth_mm=10_000.0)  # so deep that the share hardly changes in a day

        assert tree.balance(DAY_US).transpiration == pytest.approx(0.5 * DRY.day(0).et0_mm, rel=0.01)

    def test_drying_pauses_at_night(self):
        tree = pit(share=0.9)

        assert tree.moisture_percent(21 * HOUR_US) == pytest.approx(tree.moisture_percent(26 * HOUR_US), abs=1e-9)
        assert tree.moisture_percent(33 * HOUR_US) < tree.moisture_percent(26 * HOUR_US)

    def test_after_a_wetting_drainage_rules_and_dies_away(self):
        tree = pit(share=1.3, demand=0.0)

        losses = [tree.balance((day + 1) * DAY_US).drainage - tree.balance(day * DAY_US).drainage for day in range(10)]

        # 0.3 * 21 % of 600 mm are above field capacity, 37.8 mm; three layers of 20, 40 and 40 % in a row, each with
        # 0.6 days: what is left after t such times is exp(-t) (1 + 0.6 t + 0.1 t2): 16.3 mm after a day, 5.5 after two
        assert losses[:2] == [pytest.approx(21.5, rel=0.06), pytest.approx(10.7, rel=0.06)]
        assert losses == sorted(losses, reverse=True)
        assert losses[9] < 0.01 * losses[0]

    def test_rain_wets_the_soil(self):
        tree = pit(RAINY, share=0.3)
        wet = next(n for n in range(1, 60) if RAINY.day(n).rain_mm > 10)
        start = RAINY.day(wet).rain_start_us

        gain = tree.balance(start + RAINY.day(wet).rain_us).rain - tree.balance(start).rain

        assert gain == pytest.approx(0.6 * RAINY.day(wet).rain_mm, rel=0.05)


class TestLayers:
    """Layers of 12, 24 and 24 cm: the default root zone of 60 cm."""

    def test_in_a_dry_spell_the_top_dries_first_and_the_bottom_last(self):
        tree = pit(share=0.9, demand=1.5)

        after = [tree.share(4 * DAY_US, depth_m) for depth_m in (0.05, 0.2, 0.5)]

        assert after == sorted(after)
        assert after[2] - after[0] > 0.1

    def test_a_light_rain_wets_the_top_alone(self):
        wet = next(n for n in range(1, 90) if 1 < RAINY.day(n).rain_mm < 3)
        begin, end = RAINY.day(wet).rain_start_us, RAINY.day(wet).rain_start_us + RAINY.day(wet).rain_us
        tree = pit(RAINY, share=0.0, demand=3.0)

        gains = [tree.moisture_percent(end, d) - tree.moisture_percent(begin, d) for d in (0.05, 0.2, 0.5)]

        assert gains[0] > 0
        assert max(gains[1:]) <= 1e-9

    def test_a_watering_reaches_the_probe_at_once_and_the_bottom_within_a_day(self):
        watered, dry = pit(share=0.3), pit(share=0.3)
        watered.water(150, 12 * HOUR_US)

        def gain(hour: int, depth_m: float) -> float:
            at_us = hour * HOUR_US
            return watered.moisture_percent(at_us, depth_m) - dry.moisture_percent(at_us, depth_m)

        assert gain(13, 0.2) > 5
        assert gain(36, 0.5) > 5

    def test_a_bare_tree_in_winter_draws_nothing(self):
        january = Weather(1, START, dry_days=1000)
        tree = pit(january, share=0.9)
        tree.balance(182 * DAY_US)

        assert tree.balance(190 * DAY_US).transpiration == tree.balance(185 * DAY_US).transpiration

    def test_the_whole_zone_is_the_mean_of_its_layers_by_thickness(self):
        tree = pit(share=0.9)
        at_us = 5 * DAY_US

        layers = [tree.moisture_percent(at_us, depth_m) for depth_m in (0.06, 0.2, 0.5)]

        mean = 0.2 * layers[0] + 0.4 * layers[1] + 0.4 * layers[2]
        assert tree.moisture_percent(at_us) == pytest.approx(mean)


class TestPermittivity:
    """Topp, Davis and Annan (1980), equation 6, and its published inverse, equation 7."""

    def test_at_20_percent_worked_by_hand(self):
        assert permittivity(20.0) == pytest.approx(10.12, abs=0.01)  # 3.03 + 1.86 + 5.84 - 0.61

    @pytest.mark.parametrize(("relative", "water"), [(5, 7.98), (10, 18.83), (20, 34.54), (30, 44.41)])
    def test_equation_7_agrees_within_a_percent_and_a_half(self, relative, water):
        assert water_seen_percent(relative) == pytest.approx(water, abs=1.5)

    @given(st.floats(1, 55))
    def test_a_probe_finds_the_water_that_is_there(self, water):
        assert water_seen_percent(permittivity(water)) == pytest.approx(water, abs=0.01)


class TestFrost:
    def test_at_minus_1_degree_a_loam_of_30_percent_has_9_percent_of_liquid_water(self):
        """1220 kPa a kelvin: (0.36 * 1220)^1.56 = 13264; 13264^(-0.359) = 0.0331; 7.8 + 35.2 * 0.0331."""
        assert liquid_percent(TestVanGenuchten.LOAM, 30.0, -1.0) == pytest.approx(8.97, abs=0.02)
        assert liquid_percent(TestVanGenuchten.LOAM, 30.0, 0.0) == 30.0

    def test_a_frozen_layer_looks_dry_and_is_not(self):
        """Kings Creek, December 2022: frozen soil showed a false dryness and was as moist as before when it thawed."""
        tree = pit(Weather(3, START), share=0.9)
        winter = [150 * DAY_US + hour * HOUR_US for hour in range(70 * 24)]
        frozen = min(winter, key=lambda time: tree.temperature_celsius(time, 0.05))
        assert tree.temperature_celsius(frozen, 0.05) < -1

        seen, there = tree.seen_percent(frozen, 0.05), tree.moisture_percent(frozen, 0.05)

        assert seen < 0.7 * there
        assert tree.permittivity(frozen, 0.05) < 0.6 * permittivity(there)
        assert tree.tension_kpa(frozen, 0.05) > 1_200
        thawed = next(time for time in winter if time > frozen and tree.temperature_celsius(time, 0.05) > 0.5)
        assert tree.seen_percent(thawed, 0.05) == tree.moisture_percent(thawed, 0.05) > seen

    def test_in_summer_a_probe_sees_what_is_there(self):
        tree = pit(share=0.6)

        assert tree.seen_percent(DAY_US) == tree.moisture_percent(DAY_US, 0.2)


class TestWatering:
    def test_100_litres_on_a_square_metre_leave_70_mm_at_the_roots(self):
        watered, dry = pit(share=0.3), pit(share=0.3)
        watered.water(100, 22 * HOUR_US)

        gain = watered.balance(23 * HOUR_US).storage - dry.balance(23 * HOUR_US).storage

        assert gain == pytest.approx(70, abs=0.1)
        assert watered.share(23 * HOUR_US) > 0.5

    def test_it_does_not_change_what_was_before(self):
        tree = pit(share=0.3)
        before = tree.moisture_percent(10 * HOUR_US)
        tree.moisture_percent(40 * HOUR_US)
        tree.water(100, 20 * HOUR_US)

        assert tree.moisture_percent(10 * HOUR_US) == before

    def test_the_order_of_questions_and_waterings_does_not_matter(self):
        curious, calm = pit(), pit()
        for hour in range(100):
            curious.moisture_percent(hour * HOUR_US)
        for tree in (curious, calm):
            tree.water(80, 30 * HOUR_US)
            tree.water(50, 12 * HOUR_US)

        assert curious.balance(90 * HOUR_US) == calm.balance(90 * HOUR_US)

    def test_more_than_the_pit_holds_runs_off(self):
        tree = pit(share=1.0)
        tree.water(400, 0)

        assert tree.balance(HOUR_US).overflow > 200
        assert tree.moisture_percent(600_000_000) == pytest.approx(LOAM.saturation, abs=0.1)


class TestTemperatures:
    def test_the_soil_swings_less_than_the_air_and_hours_later(self):
        tree = pit()
        hours = range(5 * 24, 6 * 24)

        soil = [tree.temperature_celsius(hour * HOUR_US) for hour in hours]
        air = [DRY.air_celsius(hour * HOUR_US) for hour in hours]

        assert max(soil) - min(soil) < 0.25 * (max(air) - min(air))
        assert 6 <= (soil.index(max(soil)) - air.index(max(air))) % 24 <= 11

    def test_deeper_soil_swings_less(self):
        tree = pit()

        def swing(depth_m: float) -> float:
            series = [tree.temperature_celsius(hour * HOUR_US, depth_m) for hour in range(24)]
            return max(series) - min(series)

        assert swing(0.05) > swing(0.15) > swing(0.30)

    def test_a_surface_in_the_sun_is_hotter_than_the_air_and_at_night_a_little_colder(self):
        tree = pit(sun=1.0)

        noon = tree.surface_celsius(11 * HOUR_US) - DRY.air_celsius(11 * HOUR_US)
        night = tree.surface_celsius(23 * HOUR_US) - DRY.air_celsius(23 * HOUR_US)

        assert 15 < noon < 22
        assert night == pytest.approx(-1.5)
