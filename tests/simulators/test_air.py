# SPDX-License-Identifier: EUPL-1.2
import math
import statistics

import pytest

from simulators.air import OULU_2015, REJECTION_DB, Air, Position, noise_dbm, total_dbm
from tests.simulators.sf7_frame import sf7_frame

GATEWAY = Position(0.0, 0.0)


class TestPathLoss:
    """Petajajarvi et al. 2015: 128.95 dB at 1 km, exponent 2.32, shadowing 7.8 dB."""

    @pytest.mark.parametrize(
        ("metres", "db"), [(1000, 128.95), (10_000, 152.15), (100, 105.75), (1, 59.35), (0, 59.35)]
    )
    def test_the_median_falls_with_the_logarithm_of_the_distance(self, air, metres, db):
        assert air.path_loss_db(GATEWAY, Position(0.0, metres)) == pytest.approx(db)

    def test_shadowing_belongs_to_the_link_in_both_directions(self, clock):
        air = Air(clock, 3, OULU_2015)
        here, there = Position(120.0, 700.0), Position(-300.0, 40.0)

        assert air.path_loss_db(here, there) == air.path_loss_db(there, here)
        assert Air(clock, 3).path_loss_db(there, here) == air.path_loss_db(here, there)
        assert Air(clock, 4).path_loss_db(there, here) != air.path_loss_db(here, there)

    def test_shadowing_has_the_deviation_of_the_model(self, clock):
        air = Air(clock, 1, OULU_2015)
        losses = [air.path_loss_db(GATEWAY, Position(1000 * math.cos(n), 1000 * math.sin(n))) for n in range(500)]

        assert statistics.fmean(losses) == pytest.approx(128.95, abs=1.0)
        assert statistics.stdev(losses) == pytest.approx(7.8, abs=0.8)

    def test_fading_differs_from_packet_to_packet_and_repeats_with_the_seed(self, clock):
        first, second = sf7_frame(clock), sf7_frame(clock, start_us=1_000_000)
        levels = [Air(clock, 5).level_dbm(t, GATEWAY) for t in (first, second, first)]

        assert levels[0] == levels[2]
        assert levels[0] != levels[1]


class TestNoise:
    def test_thermal_noise_in_125_khz_with_6_db(self):
        assert noise_dbm(125_000, 6.0) == pytest.approx(-117.03, abs=0.01)

    def test_two_equal_powers_are_3_db_more(self):
        assert total_dbm(-100.0, -100.0) == pytest.approx(-96.99, abs=0.01)


class TestCollisions:
    """Same channel: capture at 6 dB (Goursaud); other spreading factors: Croce et al. 2018."""

    def both(self, air, clock, after_us=0, **changes):
        """A wanted packet and another; who survives at the gateway."""
        wanted = sf7_frame(clock)
        air.transmit(wanted)
        clock.run_until(after_us)
        other = sf7_frame(clock, **changes)
        air.transmit(other)
        return air.survives(wanted, GATEWAY), air.survives(other, GATEWAY)

    @pytest.mark.parametrize(
        ("power_dbm", "survivors"),
        [
            (14.0, (False, False)),
            (8.1, (False, False)),
            (8.0, (True, False)),
            (19.9, (False, False)),
            (20.0, (False, True)),
        ],
    )
    def test_the_stronger_by_6_db_is_captured_otherwise_both_are_lost(self, air, clock, power_dbm, survivors):
        assert self.both(air, clock, power_dbm=power_dbm) == survivors

    @pytest.mark.parametrize(
        ("power_dbm", "survivors"),
        [(14.0, (True, True)), (22.0, (True, True)), (22.1, (False, True)), (3.0, (True, True)), (2.9, (True, False))],
    )
    def test_another_spreading_factor_must_be_much_stronger(self, air, clock, power_dbm, survivors):
        # SF7 against SF8: -8 dB; SF8 against SF7: -11 dB
        assert self.both(air, clock, sf=8, power_dbm=power_dbm) == survivors

    def test_another_channel_does_no_harm(self, air, clock):
        assert self.both(air, clock, frequency_hz=868_300_000, power_dbm=60.0) == (True, True)

    @pytest.mark.parametrize(("power_dbm", "survivors"), [(21.5, (True, True)), (21.6, (False, True))])
    def test_the_other_polarity_is_noise(self, air, clock, power_dbm, survivors):
        assert self.both(air, clock, iq_inverted=True, power_dbm=power_dbm) == survivors

    @pytest.mark.parametrize(("after_us", "survives"), [(41_215, False), (41_216, True)])
    def test_only_packets_that_overlap_collide(self, air, clock, after_us, survives):
        assert self.both(air, clock, after_us=after_us)[0] == survives

    @pytest.mark.parametrize(("ended_us", "survives"), [(3_072, True), (3_073, False)])
    def test_the_first_symbols_of_a_preamble_may_be_lost(self, air, clock, ended_us, survives):
        """Bor et al. 2016: the last five symbols of the preamble are enough."""
        air.transmit(sf7_frame(clock, end_us=ended_us))
        wanted = sf7_frame(clock)
        air.transmit(wanted)

        assert air.survives(wanted, GATEWAY) == survives

    def test_a_packet_cut_short_harms_only_until_then(self, air, clock):
        short = sf7_frame(clock)
        air.transmit(short)
        clock.run_until(1_000)
        air.cut(short)
        wanted = sf7_frame(clock)
        air.transmit(wanted)

        assert air.survives(wanted, GATEWAY)

    def test_what_is_long_over_is_forgotten_but_not_what_still_matters(self, air, clock):
        long = sf7_frame(clock, end_us=3_000_000, sf=12, low_data_rate=True)
        air.transmit(long)
        clock.run_until(1_000_000)
        air.transmit(sf7_frame(clock, power_dbm=60.0))
        clock.run_until(2_900_000)
        air.transmit(sf7_frame(clock))

        assert not air.survives(long, GATEWAY)

    def test_the_table_is_square_with_capture_on_the_diagonal(self):
        assert [len(row) for row in REJECTION_DB] == [6] * 6
        assert [REJECTION_DB[n][n] for n in range(6)] == [6] * 6


class TestListening:
    def test_attached_receivers_hear_and_detached_ones_do_not(self, air, clock):
        class Ear:
            def __init__(self):
                self.count = 0

            def heard(self, transmission):
                self.count += 1

        here, gone = Ear(), Ear()
        air.attach(here)
        air.attach(gone)
        air.detach(gone)

        air.transmit(sf7_frame(clock))

        assert (here.count, gone.count, air.transmitted) == (1, 0, 1)

    def test_ongoing_is_what_has_started_and_not_ended(self, air, clock):
        first, second = sf7_frame(clock), sf7_frame(clock, frequency_hz=868_300_000)
        air.transmit(first)
        air.transmit(second)
        air.cut(second)
        clock.run_until(41_215)

        assert air.ongoing() == [first]

        clock.run_until(41_216)

        assert air.ongoing() == []
