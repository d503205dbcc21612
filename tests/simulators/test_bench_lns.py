# SPDX-License-Identifier: EUPL-1.2
"""The benches of the network server: they count what a gateway does, and say when it does not."""

import pytest

from simulators import bench_downlinks, bench_lns
from simulators.bench_downlinks import Cell
from simulators.bench_lns import Measured
from simulators.load_run import Run


def run(name, latencies_s, **fields):
    facts = {"sent": len(latencies_s), "wall_s": 2.0, "cpu_s": 0.5, "downlinks": 3, "disk_s": [0.001] * 100}
    return Run(name, latencies_s=latencies_s, waited_s=0.1, **facts | fields)


def rows(*runs):
    measured = Measured(10, 0.7, 61.2, list(runs), 999, python_ms=5.0, bound_ms=0.02, bound_per_s=20_000.0)
    return {metric.metric: metric for metric in bench_lns.metrics(measured)}


class TestFigures:
    def test_cpu_time_is_per_unique_uplink_and_set_against_the_bound(self):
        by_name = rows(run("gwmp full", [0.01] * 1000))

        assert by_name["gwmp full: unique uplinks stored"].value == 500
        assert by_name["gwmp full: CPU per uplink with 3 copies"].value == 0.5
        assert by_name["gwmp full: CPU to the bound"].value == 25.0

    def test_one_late_uplink_in_fifty_breaks_the_99th_percentile(self):
        latencies = ([0.005] * 49 + [0.06]) * 4

        late = rows(run("gwmp paced", latencies))["gwmp paced: datagram to stored, p99"]

        assert (late.value, late.holds) == (60.0, False)

    def test_what_was_not_stored_is_lost(self):
        lost = rows(run("gwmp full", [0.01] * 998, sent=1000))["gwmp full: uplinks lost"]

        assert (lost.value, lost.holds) == (2, False)

    def test_one_that_is_gone_after_a_kill_breaks_the_promise(self):
        kept = rows(run("gwmp full", [0.01] * 1000))["uplinks still there after a kill -9"]

        assert (kept.value, kept.goal, kept.holds) == (999, 1000, False)


class TestRealGateway:
    def test_every_uplink_through_three_concentrators_of_either_kind_is_stored(self):
        measured = bench_lns.measure(devices=12, uplinks=40, paced_s=0.5)

        assert [(each.name, each.sent, each.lost) for each in measured.runs] == [
            ("gwmp full", 40, 0),
            ("gwmp paced", 65, 0),
            ("basics_station full", 40, 0),
            ("basics_station paced", 65, 0),
        ]
        assert measured.held >= 210
        assert all(each.cpu_s > 0 for each in measured.runs)
        assert 20 < measured.memory_mb < 150


class TestDownlinks:
    @pytest.mark.parametrize(
        ("after_us", "frequency_hz", "sf", "off_us"),
        [
            (2_000_000, 869_525_000, 12, 0),
            (2_000_020, 869_525_000, 12, 20),
            (2_000_000, 868_300_000, 12, 10_000_000),
            (2_000_000, 869_525_000, 9, 10_000_000),
        ],
    )
    def test_only_the_right_moment_on_the_right_channel_holds(self, after_us, frequency_hz, sf, off_us):
        cell = Cell("gwmp", "RX2", 3, after_us, frequency_hz, sf)

        (metric,) = bench_downlinks.metrics([cell])

        assert (metric.value, metric.holds) == (off_us, off_us == 0)
        assert bench_downlinks.lines([cell])[1].endswith("yes" if off_us == 0 else "NO")
