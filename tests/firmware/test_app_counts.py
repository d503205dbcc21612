# SPDX-License-Identifier: EUPL-1.2
"""The firmware as it ships: what it counts of itself, and a battery's state that does not flutter."""

import pytest

from simulators.node_memory import memory_of
from simulators.node_states import ResetCause
from simulators.traffic_node import TrafficNode
from tests.firmware import heltec_bench
from tests.firmware.heltec_bench import identity_of
from tests.firmware.other_profile import measures

INTERVAL_S = 600


@pytest.fixture
def switched_on(street):
    """Makes a street and switches its node on for some time."""

    def make(seconds, profile="tree", **options):
        return heltec_bench.switched_on(street(identity=identity_of(INTERVAL_S, profile=profile), **options), seconds)

    return make


class TestResets:
    def test_those_of_the_watchdog_are_told_from_crashes(self, switched_on, tmp_path):
        one = switched_on(INTERVAL_S // 2, files=True)
        good = (tmp_path / "firmware/firmware/profile.mpy").read_bytes()
        measures(tmp_path, "while True: board.clock.sleep_ms(10_000)")
        one.kernel.run_until(
            one.clock.now_us + 3600 * heltec_bench.S, lambda: one.node.statistics.boots[ResetCause.WATCHDOG] == 2
        )
        one.run(1)
        (tmp_path / "firmware/firmware/profile.mpy").write_bytes(good)
        one.run(INTERVAL_S)

        counters = memory_of(one.node).counters
        assert (counters.watchdog_resets, counters.crashes, counters.other_resets) == (2, 0, 0)

    def test_the_wakes_of_a_node_that_counts_are_none(self, switched_on, monkeypatch):
        monkeypatch.setattr(heltec_bench, "TreeNode", traffic_node)
        one = switched_on(5 * INTERVAL_S, "traffic")

        assert len(one.f_cnts()) >= 4
        assert memory_of(one.node).counters.other_resets == 0


def traffic_node(clock, air, firmware, truth, kind, *, noise_percent, adc_noise_uv, **options):
    """Nobody passes."""
    return TrafficNode(clock, air, firmware, [], kind, probes=("tubes",), **options)


class TestReadingsLost:
    def test_a_power_cut_before_the_time_was_known_counts_what_it_cost(self, switched_on):
        one = switched_on(1)
        one.network.tells_time = False
        one.run(3 * INTERVAL_S)
        one.node.power_off()
        one.node.power_on()
        one.run(INTERVAL_S // 2)

        assert memory_of(one.node).counters.readings_lost == 3


class TestBattery:
    def test_it_is_low_at_3150_mv_and_fine_again_50_mv_above(self, switched_on, tmp_path):
        one = switched_on(INTERVAL_S // 2, files=True)
        powers = []
        for battery_mv in (3_150, 3_149, 3_199, 3_200):
            measures(tmp_path, f'return {{"battery_voltage": {battery_mv}}}')
            one.run(4 * INTERVAL_S + 60)  # an interval is four times as long if it is low
            powers.append(memory_of(one.node).power)

        assert powers == [0, 1, 1, 0]
