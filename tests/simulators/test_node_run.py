# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk simulate node`` and ``stadtfunk bench node``: two days of one node, and the facts that are printed."""

import io
import json
from itertools import pairwise

import loramsg
import pytest
from click.testing import CliRunner

from simulators import bench_node
from simulators.bench_cli import bench
from simulators.cli import simulate
from simulators.firmware_build import build_rom
from simulators.node_run import run_node, table


@pytest.fixture(scope="module")
def firmware(tmp_path_factory):
    return build_rom(tmp_path_factory.mktemp("firmware"))


@pytest.fixture(scope="module")
def two_days(firmware):
    """Facts, and frames as text."""
    frames = io.StringIO()
    return run_node(2, 7, downlink_share=0.2, frames=frames, firmware=firmware), frames.getvalue()


class TestRun:
    def test_the_same_seed_gives_identical_frames(self, two_days, firmware):
        again = io.StringIO()

        run_node(0.5, 7, downlink_share=0.2, frames=again, firmware=firmware)

        assert len(again.getvalue().splitlines()) > 55
        assert two_days[1].startswith(again.getvalue())

    def test_another_seed_gives_others(self, two_days, firmware):
        frames = io.StringIO()

        run_node(0.1, 8, frames=frames, firmware=firmware)

        assert not two_days[1].startswith(frames.getvalue())

    def test_it_joins_once_and_sends_every_quarter_of_an_hour(self, two_days):
        facts, text = two_days
        lines = [json.loads(line) for line in text.splitlines()]
        starts = [
            line["time_us"]
            for line in lines
            if line["event"] == "up"
            and loramsg.sanity_check_frame(bytes.fromhex(line["phy_payload"])) != loramsg.FrmType.JREQ
        ]

        assert facts.join_requests == 1
        assert 192 <= facts.uplinks <= 194  # the first is one more
        assert len(starts) == facts.uplinks + facts.repetitions
        assert all(abs(b - a - 900_000_000) < 5_000_000 for a, b in list(pairwise(starts))[5:])

    def test_every_downlink_is_received(self, two_days):
        facts, _ = two_days

        assert facts.downlinks_sent >= 20
        assert facts.hit_rate == 1.0
        assert facts.refused == 0

    def test_no_radio_fault_is_counted(self, two_days):
        facts, _ = two_days

        assert facts.radio_faults == 0
        assert ("radio faults", "0 counted by the node") in table(facts)

    def test_no_chip_refuses_anything_or_is_set_up_badly(self, two_days):
        facts, _ = two_days

        assert facts.complaints == []
        assert facts.degradations == []

    def test_its_energy_has_every_component_and_a_plausible_sum(self, two_days):
        facts, _ = two_days

        assert {"MCU awake", "radio transmit", "sensor SMT100", "regulators"} <= set(facts.energy_mah)
        assert 1 < facts.mah_per_day < 6  # the reference's model of 96 uplinks a day at SF9: 2.4
        assert facts.energy_mah["radio transmit"] == pytest.approx(0.24, rel=0.2)  # 192 * 100 ms * 45 mA
        assert facts.mah_per_day * 2 == pytest.approx(sum(facts.energy_mah.values()))
        assert facts.battery_days == pytest.approx(2125 / (facts.mah_per_day + 50 / 365))

    def test_flash_wears_far_less_than_it_may(self, two_days):
        facts, _ = two_days

        assert 0 < facts.flash_wear_per_year < 0.1

    def test_the_table_tells_what_the_issue_asks_for(self, two_days):
        what = [name.strip() for name, _ in table(two_days[0])]

        assert {
            "MCU awake",
            "sensor SMT100",
            "uplinks",
            "downlinks",
            "battery",
            "flash wear",
            "lowest free heap",
            "speed",
        } <= {*what}


class TestCommand:
    def test_simulate_node_prints_the_facts_as_json(self, tmp_path):
        frames = tmp_path / "frames.jsonl"

        done = CliRunner().invoke(
            simulate, ["node", "--days", "0.05", "--seed", "7", "--json", "--frames", str(frames)]
        )

        assert done.exit_code == 0, done.output
        facts = json.loads(done.stdout)
        assert facts["uplinks"] >= 3
        assert facts["downlink_hit_rate"] in (None, 1.0)
        assert json.loads(frames.read_text().splitlines()[0])["event"] == "up"

    def test_bench_is_a_group_with_the_node_in_it(self):
        assert "node" in bench.commands


class TestBench:
    def test_sizes_count_radio_and_mac_apart(self, firmware):
        rows = {metric.metric: metric.value for metric in bench_node.sizes(firmware.parent)}

        assert 15_000 < rows["mpy_radio_and_mac"] < rows["mpy_all"] < 120 * 1024

    def test_loaded_from_files_it_needs_more_heap_and_sends_the_same_frames(self, firmware):
        frames = [io.StringIO() for _ in range(3)]

        rom = run_node(0.1, 7, downlink_share=0.5, frames=frames[0], firmware=firmware)
        files = run_node(0.1, 7, downlink_share=0.5, heap="96wK", frames=frames[1], firmware=firmware.parent)
        starved = run_node(0.1, 7, heap="44wK", frames=frames[2], firmware=firmware.parent)

        one, other = ([json.loads(line) for line in text.getvalue().splitlines()] for text in frames[:2])
        assert len(one) == len(other)
        # Diagnostics, the first uplink after the join, tell how much heap was free.
        differ = [n for n, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1]]
        assert differ == [2]
        assert len(one[2]["phy_payload"]) == len(other[2]["phy_payload"])
        assert files.complaints == []
        assert rom.heap_free_bytes + 32 * 2048 > files.heap_free_bytes + 16 * 1024  # the heap was 32 wK larger
        assert starved.uplinks == 0

    def test_what_is_free_after_all_imports_is_more_than_in_a_run(self, firmware):
        assert 128 * 1024 // 3 < bench_node.free_after_imports(firmware) < 128 * 1024

    def test_a_node_does_not_live_in_a_quarter_of_its_heap(self, firmware):
        facts = run_node(0.05, 7, heap="16wK", firmware=firmware)

        assert facts.uplinks == 0
