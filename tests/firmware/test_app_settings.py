# SPDX-License-Identifier: EUPL-1.2
"""The firmware as it ships: settings by downlink, back-fill, safe mode, diagnostics, low battery."""

from itertools import pairwise

import pytest

from decoders.layouts.diagnostics import LAYOUT as DIAGNOSTICS
from decoders.layouts.tree import LAYOUT as TREE
from decoders.payload_reader import read
from decoders.settings_message import Answer, decode, encode
from simulators.node_states import State
from tests.firmware.heltec_bench import GPS_AT_0, S
from tests.firmware.other_profile import measures

HOUR_S = 3600


@pytest.fixture
def street(begun):
    return begun


def told(street, *changes):
    """Answer the next uplink with settings and nothing else; what comes back on FPort 21 is in ``answers``."""
    street.network.tells(21, encode(7, TREE, list(changes)))


def answers(street):
    return [decode(TREE, fields["FRMPayload"]) for _, fields in street.network.heard_uplinks if fields["FPort"] == 21]


def samples(street):
    """GPS seconds of every sample heard."""
    frames = [fields["FRMPayload"] for _, fields in street.network.heard_uplinks if fields["FPort"] == TREE.f_port]
    return sorted({sample.time for frame in frames for sample in read(TREE, frame).samples})


class TestSettings:
    def test_a_change_is_answered_within_a_minute_and_in_force(self, street):
        one = street()
        one.run(2 * HOUR_S)
        told(one, ("interval_s", 600), ("history", 3))
        one.run(2 * HOUR_S)

        assert answers(one)[0] == (7, [Answer("interval_s", "done", (600,)), Answer("history", "done", (3,))])
        assert len(answers(one)) == 1
        last = samples(one)[-6:]
        assert {later - earlier for earlier, later in pairwise(last)} <= {599, 600, 601}
        newest = [fields for _, fields in one.network.heard_uplinks if fields["FPort"] == TREE.f_port][-1]
        assert len(read(TREE, newest["FRMPayload"]).samples) == 3
        one.assert_healthy()

    def test_an_answer_that_nobody_hears_is_given_again(self, street):
        one = street()
        one.run(2 * HOUR_S)
        told(one, ("average", 2))
        heard = len(one.network.heard_uplinks)
        one.kernel.run_until(one.clock.now_us + 2 * HOUR_S * S, lambda: len(one.network.heard_uplinks) > heard)
        one.run(5)
        one.network.hears = False  # the downlink is out; the answer to its answer is not

        one.run(600)

        assert len(answers(one)) == 3
        assert {token for token, _ in answers(one)} == {7}

    def test_what_the_network_asks_for_is_sent_again(self, street):
        one = street(900)
        one.run(12 * HOUR_S)
        wanted = samples(one)[4:12]
        told(one, ("send_again", wanted[0], wanted[-1]))
        before = len(one.network.heard_uplinks)
        one.run(HOUR_S)

        again = [fields for _, fields in one.network.heard_uplinks[before:] if fields["FPort"] == TREE.f_port]
        times = [[sample.time for sample in read(TREE, fields["FRMPayload"]).samples] for fields in again]
        assert wanted[::-1] in times

    def test_a_reboot_follows_its_answer_and_loses_nothing(self, street):
        one = street(900)
        one.run(2 * HOUR_S)
        told(one, ("reboot",))
        one.run(4 * HOUR_S)

        assert answers(one)[0][1] == [Answer("reboot", "done", None)]
        gaps = [later - earlier for earlier, later in pairwise(samples(one)[1:])]
        assert max(gaps) < 1900
        assert len(one.network.join_requests) == 1
        one.assert_healthy()

    def test_safe_mode_sends_diagnostics_only_until_it_is_switched_off(self, street):
        one = street(900)
        one.run(HOUR_S)
        told(one, ("safe_mode", 1))
        one.run(2 * HOUR_S)
        ports = [fields["FPort"] for _, fields in one.network.heard_uplinks]
        told(one, ("safe_mode", 0))
        one.run(2 * HOUR_S)

        assert ports[-5:] == [6] * 5
        assert [fields["FPort"] for _, fields in one.network.heard_uplinks][-3:] == [3] * 3


class TestReplay:
    def test_a_downlink_that_is_sent_again_after_a_power_cut_is_not_obeyed(self, street):
        one = street()
        one.run(HOUR_S // 2)
        sent, send = [], one.network.send

        def noting(uplink, phy_payload, delay_s):
            sent.append(phy_payload)
            send(uplink, phy_payload, delay_s)

        one.network.send = noting
        told(one, ("interval_s", 1800))
        one.kernel.run_until(one.clock.now_us + 3 * HOUR_S * S, lambda: len(answers(one)) == 1)
        one.node.power_off()
        order = sent[0]
        one.network.tells_time = one.network.hears = False
        original = one.network._ended

        def again(uplink):
            original(uplink)
            send(uplink, order, 1)

        one.network._ended = again
        one.node.power_on()
        one.run(2 * HOUR_S)

        assert len(answers(one)) == 1


class TestOutage:
    def test_after_a_day_without_network_all_samples_arrive_once(self, street):
        one = street(1800)
        one.run(6 * HOUR_S)
        heard, joins = one.network._ended, len(one.network.join_requests)
        one.network._ended = lambda sent: None
        one.run(9 * HOUR_S)
        one.network._ended = heard
        one.run(4 * HOUR_S)

        times = samples(one)
        assert {later - earlier for earlier, later in pairwise(times[1:])} <= set(range(1798, 1803))
        assert len(times) >= 38
        assert len(one.network.join_requests) == joins
        one.assert_healthy()


class TestDiagnostics:
    def test_they_come_weekly_and_count_since_the_last_that_was_answered(self, street):
        one = street(6 * HOUR_S)
        one.run(15 * 24 * HOUR_S)

        reports = [
            (sent.start_us, read(DIAGNOSTICS, fields["FRMPayload"]).samples[0])
            for sent, fields in one.network.heard_uplinks
            if fields["FPort"] == DIAGNOSTICS.f_port
        ]
        assert len(reports) == 3
        assert [round((at - reports[0][0]) / S / 86_400) for at, _ in reports] == [0, 7, 14]
        first, second, _ = [report.values for _, report in reports]
        assert (first["reset_count_power"], second["reset_count_power"]) == (1, 0)
        assert second["rx_hit_rate"] == 100.0
        assert 4.5 < second["charge_used"] < 6  # mAh: 168 h of 25 uA are 4.2, and 30 wakes of 20 to 50 uAh
        assert second["heap_free"] > 12 * 1024
        assert all(report.time > GPS_AT_0 for _, report in reports[1:])


class TestBattery:
    def test_a_low_battery_stretches_the_interval_and_an_empty_one_ends_sending(self, street, tmp_path):
        one = street(900, files=True)
        one.run(2 * HOUR_S)
        counts = []
        for battery_mv in (3_100, 2_950, 3_300):
            measures(tmp_path, f'return {{"soil_moisture": 2000, "battery_voltage": {battery_mv}}}')
            before = len(one.network.transmissions)
            one.run(8 * HOUR_S)
            counts.append(len(one.network.transmissions) - before)

        low, empty, recovered = counts
        assert 8 <= low <= 16
        assert empty <= 1
        assert recovered >= 24
        assert one.node.state is State.ASLEEP
        times = samples(one)
        assert max(later - earlier for earlier, later in pairwise(times[1:])) <= 3700
