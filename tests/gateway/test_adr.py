# SPDX-License-Identifier: EUPL-1.2
"""Adaptive data rate: literal histories, and a fading channel against the baseline."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import adr
from gateway.adr import Frame, Link, Pilot, Setting
from simulators.fading import Channel, ChirpStackDefault, compare, run


def history(setting, snrs, lost_before=()):
    """A link that has sent with ``setting`` all the time; ``lost_before`` holds {place: frames lost before it}."""
    link = Link(setting)
    for place, snr in enumerate(snrs):
        link = adr.heard(link, snr, dict(lost_before).get(place, 0))
        link = adr.settled(link, snr, 1, 1)
    return link


class TestAdvice:
    """TS001-1.0.4 "Link ADR Commands (LinkADRReq, LinkADRAns)"."""

    def test_a_strong_link_goes_to_the_fastest_data_rate_with_less_power(self):
        advice = adr.advise(history(Setting(0, 0, 1), [10.0] * 12))

        assert (advice.data_rate, advice.nb_trans) == (5, 1)
        assert advice.tx_power >= 5  # 10 dB over -7.5: 17.5 dB to spare

    def test_eleven_frames_are_too_few_to_make_anything_cheaper(self):
        assert adr.advise(history(Setting(0, 0, 1), [10.0] * 11)) == Setting(0, 0, 1)

    def test_the_weak_frames_count_not_the_best_one(self):
        steady = adr.advise(history(Setting(3, 0, 1), [4.0] * 32))
        fading = adr.advise(history(Setting(3, 0, 1), [4.0, -12.0] * 16))

        assert steady.data_rate == 5
        assert adr.airtime_us(fading.data_rate) * fading.nb_trans > adr.airtime_us(5)

    def test_lost_frames_lower_the_data_rate_or_repeat(self):
        losing = history(Setting(5, 0, 1), [-5.0] * 8, {3: 2, 5: 3, 7: 3})

        advice = adr.advise(losing)

        assert advice.data_rate < 5 or advice.nb_trans > 1

    def test_one_lost_frame_may_have_been_a_collision(self):
        assert adr.advise(history(Setting(5, 0, 1), [-2.0] * 7, {3: 1})) == Setting(5, 0, 1)

    def test_lost_frames_bring_power_back_first_as_it_costs_no_airtime(self):
        advice = adr.advise(history(Setting(5, 7, 1), [-5.0] * 8, {3: 2, 5: 3, 7: 3}))

        assert advice == Setting(5, advice.tx_power, 1)
        assert advice.tx_power <= 3

    def test_a_node_that_only_the_slowest_data_rates_carry_stays_there_whatever_they_cost(self):
        # as the small Jena heard its alder from 30 h on, one frame lost: SF12 and SF11 need -20 and -17.5 dB, SF10 -15
        heard = [-16.5, -16.75, -17.0, -15.0, -15.75, -16.0, -16.5, -16.25, -13.5, -16.5, -15.5, -16.0]

        advice = adr.advise(history(Setting(0, 0, 1), heard, {3: 1}))

        assert advice.data_rate <= 1
        assert adr.threshold_db(advice) <= -17.0

    def test_a_node_that_fast_data_rates_do_not_carry_goes_back_though_giving_up_took_less_airtime(self):
        link = adr.changed(history(Setting(0, 0, 1), [-16.0] * 16), Setting(4, 0, 1))

        advice = adr.advise(adr.heard(link, -9.5, lost=9))

        assert advice.data_rate <= 2
        assert advice.tx_power == 0

    def test_a_node_of_which_a_third_arrives_gets_a_robuster_rate_though_that_takes_more_airtime(self):
        link = Link(Setting(3, 0, 1))
        for snr_db in (-12.0, -14.0, -13.0, -11.0, -14.0, -15.0, -13.0, -12.0):
            link = adr.heard(link, snr_db, lost=2)

        assert adr.advise(link) == Setting(1, 0, 1)

    @given(st.floats(-18, 5), st.lists(st.floats(-1.75, 8), min_size=12, max_size=32))
    def test_no_advice_gives_up_more_than_half_of_what_could_be_heard(self, usual, scatter):
        snrs = [usual + off for off in scatter]

        advice = adr.advise(history(Setting(0, 0, 1), snrs))

        below = sum(snr < adr.threshold_db(advice) for snr in snrs) / len(snrs)
        assert below**advice.nb_trans <= 0.55

    def test_what_the_node_refuses_is_not_advised(self):
        link = history(Setting(0, 0, 1), [10.0] * 12)

        advice = adr.advise(link, lambda setting: setting.data_rate != 5 and setting.tx_power == 0)

        assert advice == Setting(4, 0, 1)

    def test_a_change_is_left_alone_for_twelve_frames(self):
        link = adr.changed(history(Setting(0, 0, 1), [10.0] * 32), Setting(1, 0, 1))

        for _ in range(11):
            link = adr.heard(link, 10.0)

        assert adr.advise(link) == Setting(1, 0, 1)
        assert adr.advise(adr.heard(link, 10.0)).data_rate == 5

    def test_missed_repetitions_are_known_when_the_frame_is_over(self):
        link = adr.settled(adr.heard(Link(Setting(5, 1, 3)), -6.0), -4.0, 2, 3)

        # best SNR -4 dB at 2 dB less than full power is -2 dB, in quarters; floor -7.5 + 2 dB
        assert link.frames == (Frame(-8, 2, 1, -22),)

    @given(
        st.lists(st.tuples(st.floats(-25, 15), st.integers(0, 5), st.integers(0, 3)), max_size=60),
        st.builds(Setting, st.integers(0, 5), st.integers(0, 7), st.integers(1, 3)),
    )
    @settings(max_examples=100, deadline=None)
    def test_every_history_survives_the_database_and_has_an_advice_in_range(self, frames, setting):
        link = Link(setting)
        for snr_db, lost, heard in frames:
            link = adr.heard(link, snr_db, lost)
            link = adr.settled(link, snr_db, min(heard, 3) or 1, 3)
            link = adr.changed(link, adr.advise(link))

        assert adr.parse(adr.serialize(link)) == link
        assert len(link.frames) <= 32
        assert 0 <= link.setting.data_rate <= 5
        assert 0 <= link.setting.tx_power <= 7
        assert 1 <= link.setting.nb_trans <= 3


def lost_and_airtime(results):
    frames = sum(result.frames for _, result in results)
    return (
        100 * sum(result.lost for _, result in results) / frames,
        sum(result.airtime_us for _, result in results) / frames / 1000,
    )


class TestFading:
    """Log-normal shadowing, Rayleigh fading, every other node worsening by 8 dB; seeded."""

    def test_it_loses_fewer_frames_than_chirpstack_s_default_and_takes_less_airtime(self):
        compared = compare({"baseline": ChirpStackDefault, "ours": Pilot}, nodes=12, frames=1200, seed=1)

        baseline_lost, baseline_ms = lost_and_airtime(compared["baseline"])
        lost, airtime_ms = lost_and_airtime(compared["ours"])

        # percent, and ms a frame; written down on 2026-11-22: 15.2 and 239 against 28.4 and 253
        assert lost < 16 < 28 < baseline_lost
        assert airtime_ms < 245 < 250 < baseline_ms

    @pytest.mark.parametrize("seed", [2, 3])
    def test_it_does_so_whatever_the_weather(self, seed):
        compared = compare({"baseline": ChirpStackDefault, "ours": Pilot}, nodes=12, frames=1200, seed=seed)

        (baseline_lost, baseline_ms), (lost, airtime_ms) = (lost_and_airtime(rows) for rows in compared.values())

        assert lost < 0.8 * baseline_lost
        assert airtime_ms < baseline_ms

    def test_it_needs_fewer_downlinks(self):
        compared = compare({"baseline": ChirpStackDefault, "ours": Pilot}, nodes=4, frames=600, seed=5)

        counts = {name: sum(result.downlinks for _, result in rows) for name, rows in compared.items()}

        assert counts["ours"] < counts["baseline"] / 2

    def test_a_link_that_worsens_by_20_db_is_followed_down(self):
        result = run(Pilot(), Channel(8.0, 20.0, shadowing_db=1.0), 1500, 11)

        first, last = result.course[4], result.course[19]
        assert last[1] > 2 * first[1]  # airtime: slower data rates, or repetitions
        assert last[0] <= 25  # of 75 frames, at a median 2 dB above the floor of SF10 where it sends with SF12

    def test_a_steady_near_node_sends_with_the_fastest_data_rate(self):
        result = run(Pilot(), Channel(15.0, 0.0, shadowing_db=1.0), 400, 12)

        # PHYPayload of 32 bytes at SF7: 71.9 ms
        assert result.course[19][1] <= 20 * 71_936 * 1.1
        assert result.lost <= 12
