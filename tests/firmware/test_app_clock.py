# SPDX-License-Identifier: EUPL-1.2
"""The firmware as it ships, with a poor clock: no sample twice, none lost, each with its true time."""

from itertools import pairwise

import pytest

from tests.firmware.heltec_bench import GPS_AT_0, HOUR, S, identity_of, messages, switched_on


class TestClock:
    @pytest.mark.parametrize("drift_ppm", [-5_000, 5_000])
    def test_a_poor_clock_neither_doubles_nor_loses_a_sample(self, street, drift_ppm):
        one = switched_on(street(rtc_drift_ppm=drift_ppm), 60)
        one.run(2 * 24 * 3600)

        times = [message.samples[0].time for _, message in messages(one)[1:]]
        assert 47 <= len(times) <= 49
        for earlier, later in pairwise(times):
            assert 1700 <= later - earlier <= 5300
        for start_us, message in messages(one)[1:]:
            assert abs(GPS_AT_0 + start_us / S - message.samples[0].time) < 24 * HOUR / S * 0.005 + 30
        one.assert_healthy()

    @pytest.mark.parametrize("drift_ppm", [-50_000, -3_000, 50_000])
    def test_after_the_second_answer_every_stamp_is_true_to_a_minute(self, street, drift_ppm):
        one = switched_on(street(rtc_drift_ppm=drift_ppm), 3 * 24 * 3600)

        asking = [n for n, (_, fields) in enumerate(one.network.heard_uplinks) if fields["FOpts"] == b"\x0d"]
        times = [message.samples[0].time for _, message in messages(one)]
        errors = [
            abs(GPS_AT_0 + start_us / S - time)
            for (start_us, _), time in list(zip(messages(one), times, strict=True))[asking[1] + 1 :]
        ]
        assert max(errors) <= 60
        assert len(errors) >= 65
        assert times[1:] == sorted(set(times[1:]))
        assert len(asking) <= 7
        one.assert_healthy()

    def test_a_clock_that_is_put_back_takes_no_sample_before_the_last(self, street):
        identity = identity_of(60)
        one = switched_on(street(identity=identity, rtc_drift_ppm=50_000), 600)
        network, ahead_s = one.network, 300
        answer = network.answer

        def earlier(sent, f_opts):
            if f_opts[0] == 0x0D:
                gps_s = int.from_bytes(f_opts[1:5], "little") - ahead_s
                f_opts = f_opts[:1] + gps_s.to_bytes(4, "little") + f_opts[5:]
            answer(sent, f_opts=f_opts)

        network.answer = earlier
        one.run(3 * 3600)

        seen = {}
        for _, message in messages(one):
            newest, *older = [sample.time for sample in message.samples]
            assert not seen or newest > max(seen)
            assert set(older) <= set(seen) or not seen
            seen[newest] = True
