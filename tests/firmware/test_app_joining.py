# SPDX-License-Identifier: EUPL-1.2
"""The firmware as it ships: how it comes into a network, and back into one that has forgotten it."""

import pytest

from tests.firmware.heltec_bench import HOUR, S, identity_of, messages, power_fails, switched_on

SECOND_EUI = "70b3d57ed0000002"
AFTER_COLD_BOOT = 101  # operations: what follows a cold boot's first sleep


class TestJoining:
    def test_the_join_accept_may_come_in_rx2(self, street):
        one = street()
        one.network.window = 2
        switched_on(one, 60)

        assert one.f_cnts() == [0, 1]
        one.assert_healthy()

    @pytest.mark.parametrize("cpu_us", [2, 200, 600])
    def test_a_slow_interpreter_still_hits_its_windows(self, street, cpu_us):
        one = switched_on(street(cpu_us=cpu_us), 3600)

        assert one.f_cnts()[0] == 0
        assert one.network.downlinks == 2
        assert messages(one)[-1][1].samples[0].time > 0  # the time came through
        one.assert_healthy()

    def test_ticks_may_wrap_in_the_middle_of_it(self, street):
        for before_s in (1, 18, 20):  # around the join request, which goes out about 13 s after reset
            one = switched_on(street(ticks_start_us=(1 << 30) - before_s * S), 60)
            assert one.f_cnts() == [0, 1]
            one.assert_healthy()

    def test_while_nobody_answers_it_tries_again_and_again_at_other_data_rates(self, street):
        one = street()
        one.network.joins = False
        switched_on(one, 3600)

        requests = one.network.join_requests
        assert [dev_nonce for _, dev_nonce in requests] == list(range(len(requests)))
        assert [sent.sf for sent, _ in requests[:7]] == [7, 8, 9, 10, 11, 12, 7]
        assert sum(sent.end_us - sent.start_us for sent, _ in requests) < 36 * S
        assert len({sent.frequency_hz for sent, _ in requests}) == 3
        one.assert_healthy()

    @pytest.mark.parametrize("drift_ppm", [-50_000, 30_000, 50_000])
    def test_a_clock_percents_off_joins_at_once_and_hears_the_time(self, street, drift_ppm):
        one = switched_on(street(rtc_drift_ppm=drift_ppm), 3 * 3600)

        assert len(one.network.join_requests) == 1
        assert messages(one)[1][1].samples[0].time > 0
        one.assert_healthy()

    def test_a_clock_percents_off_joins_a_network_that_was_not_there(self, street):
        one = street(rtc_drift_ppm=50_000)
        one.network.joins = False
        switched_on(one, 1800)
        one.network.joins = True
        requests = len(one.network.join_requests)
        one.run(3 * 3600)

        assert len(one.network.join_requests) == requests + 1
        assert messages(one)[1][1].samples[0].time > 0
        one.assert_healthy()

    def test_once_the_network_is_there_it_joins(self, street):
        one = street()
        one.network.joins = False
        switched_on(one, 1800)
        one.network.joins = True
        one.run(3 * 3600)

        assert one.f_cnts()[:2] == [0, 1]
        one.assert_healthy()

    def test_whoever_presses_reset_need_not_wait_for_hours(self, street):
        one = street()
        one.network.joins = False
        switched_on(one, 20 * 3600)
        one.network.joins = True
        one.run(600)
        assert one.f_cnts() == []  # the next request is due in hours

        one.node.power_off()
        one.run(1)
        switched_on(one, 300)

        assert one.f_cnts() == [0, 1]
        nonces = [dev_nonce for _, dev_nonce in one.network.join_requests]
        assert nonces == list(range(len(nonces)))
        one.assert_healthy()

    def test_no_dev_nonce_is_used_twice_whenever_power_fails(self, street):
        one = street()
        one.network.joins = False
        before = []
        for operations in range(AFTER_COLD_BOOT, 1300, 37):  # from the boot to well after the windows
            requests = len(one.network.transmissions)
            power_fails(one, operations)
            before.append(len(one.network.transmissions) == requests)
        switched_on(one, 600)

        nonces = [int.from_bytes(sent.phy_payload[17:19], "little") for sent in one.network.transmissions]
        assert any(before)
        assert not all(before)
        assert len(nonces) >= 15
        assert nonces == sorted(set(nonces))


class TestForgottenSession:
    @pytest.mark.parametrize("interval_s", [400, 3600])
    def test_it_is_noticed_within_half_a_day(self, street, interval_s):
        identity = identity_of(interval_s)
        one = switched_on(street(identity=identity), 2 * 3600)
        one.network.hears = False
        one.run(9 * 3600)
        assert len(one.network.join_requests) == 1
        one.run(3 * 3600)

        assert len(one.network.join_requests) == 2
        assert one.f_cnts()[-1] < 200
        one.assert_healthy()

    def test_at_sf12_too_where_every_report_keeps_the_band_busy(self, street):
        identity = identity_of(120)
        one = street(identity=identity)
        one.network.least_sf = 12
        switched_on(one, 3 * 3600)
        one.network.hears = False
        joins = len(one.network.join_requests)
        one.run(13 * 3600)

        assert len(one.network.join_requests) > joins
        assert one.f_cnts()[0] == 0

    def test_a_network_that_is_silent_but_there_is_asked_and_stays(self, street):
        one = switched_on(street(), 60)
        one.network.tells_time = True
        one.run(3 * 24 * 3600)

        assert len(one.network.join_requests) == 1
        assert sum(fields["FOpts"] == b"\x02" for _, fields in one.network.heard_uplinks) >= 5
        one.assert_healthy()

    def test_reports_go_on_and_joins_keep_their_back_off_while_nobody_answers(self, street):
        identity = identity_of(600)
        one = switched_on(street(identity=identity), 3600)
        one.network.hears = one.network.joins = False
        one.run(48 * 3600)

        joins = [sent for sent, _ in one.network.join_requests]
        last_day = [sent for sent in joins if sent.start_us > 25 * HOUR]
        samples = {sample.time for _, message in messages(one) for sample in message.samples}
        assert sum(sent.end_us - sent.start_us for sent in last_day) < 8.7 * S
        assert len(last_day) > 6
        assert len(samples) > 48 * 6 - 10  # all but the first and perhaps some lost to the duty cycle
        one.assert_healthy()
