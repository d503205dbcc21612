# SPDX-License-Identifier: EUPL-1.2
"""Part of ``stadtfunk bench windows``: the corners of its matrix, and that the bench sees what is wrong."""

from pathlib import Path

import pytest

from simulators.bench_windows import Board, Cell, lines, metrics, run_board
from simulators.firmware_build import compile_module

ROOT = Path(__file__).parents[2]
CORNERS = [
    Board(call_us, pause_us, drift_ppm)
    for call_us, pause_us, drift_ppm in (
        (100, 0, 0), (100, 100_000, 5_000), (300, 10_000, -5_000), (1_000, 100_000, 0), (1_000, 0, 5_000),
        (3_000, 0, -5_000), (3_000, 100_000, 5_000), (3_000, 100_000, -5_000), (300, 0, None), (3_000, 100_000, None),
    )
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("windows")


class TestMatrix:
    """At least 99 % of the downlinks in every cell that is claimed: of 10 each."""

    @pytest.mark.parametrize("board", CORNERS, ids=str)
    def test_every_downlink_is_received(self, board, folder):
        cells = run_board(board, (7, 9, 12), 10, folder=folder)

        assert [(cell.sf, cell.sent, cell.received) for cell in cells] == [(7, 10, 10), (9, 10, 10), (12, 10, 10)]

    def test_a_good_clock_narrows_the_windows(self, folder):
        (cell,) = run_board(Board(100, 0, 0), (7,), 15, folder=folder)

        assert cell.error_us < 6_000
        # two windows of 12 symbols at most, half of them unused, and a downlink of 51 ms
        assert cell.rx_ms < 51 + 2 * 25


class TestTheBenchSeesWhatIsWrong:
    def rate(self, folder, board, **options):
        (cell,) = run_board(board, (7,), 10, folder=folder, **options)
        return cell.hit_rate

    def test_a_clock_far_worse_than_claimed(self, folder):
        assert self.rate(folder, Board(100, 0, 150_000)) < 0.9

    def test_a_network_outside_the_error_that_is_claimed(self, folder):
        assert self.rate(folder, Board(100, 0, None), off_us=18_000) == 1.0
        assert self.rate(folder, Board(100, 0, None), off_us=26_000) < 1.0  # error 20 ms, and three symbols of grace

    @pytest.mark.parametrize(
        ("board", "old", "new"),
        [
            (Board(100, 100_000, 0), "            gc.disable()\n            asked", "            asked"),
            (Board(3_000, 0, None), "self._launch_us = clock.ticks_diff(launched, asked)", "self._launch_us = 0"),
            (Board(3_000, 0, None), "self._stage_us = clock.ticks_diff(staged, started) * 3", "self._stage_us = 0"),
            (Board(100, 0, 5_000), "after_us + budget.correction_us(self._asleep_us) -", "after_us -"),
        ],
        ids=["collector left on", "launch not reckoned with", "staging not reckoned with", "drift not taken off"],
    )
    def test_a_broken_link(self, folder, board, old, new):
        source = (ROOT / "firmware/link.py").read_text()
        assert source.count(old) == 1

        def change(compiled):
            broken = compiled / "broken.py"
            broken.write_text(source.replace(old, new))
            compile_module(broken, compiled / "firmware/link.mpy", "firmware/link.py")

        assert self.rate(folder, board, change=change) < 0.95


class TestReport:
    CELLS = (Cell(7, Board(100, 0, 5_000), 40, 40, 72.0, 5_000), Cell(8, Board(100, 0, 5_000), 40, 38, 144.0, 5_000))

    def test_a_cell_is_two_rows(self):
        received, charge, bad, _ = metrics(self.CELLS)

        assert received.metric == "received_sf7_call_100us_pause_0ms_drift_5000ppm"
        assert (received.value, received.goal, received.holds) == (1.0, 0.99, True)
        assert (charge.value, charge.unit) == (0.1, "uAh")  # 72 ms of 5 mA
        assert (bad.value, bad.holds) == (0.95, False)

    def test_a_board_is_a_line(self):
        *_, board, summary = lines(list(self.CELLS))

        assert board.split() == ["0.1", "0", "+0.5", "100.0", "0.10", "95.0", "0.20"]
        assert summary == "78 of 80 downlinks received; 1 of 2 cells below 99 %"
