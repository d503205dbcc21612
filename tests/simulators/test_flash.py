# SPDX-License-Identifier: EUPL-1.2
"""NOR flash, and the real LittleFS on it while power fails."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.clock import Clock
from simulators.flash import Flash, PowerLost
from simulators.kernel import Kernel
from simulators.node_states import State
from tests.simulators.node_bench import S, node, said


@pytest.fixture
def flash() -> Iterator[Flash]:
    flash = Flash(blocks=4, block_size=64)
    yield flash
    flash.close()


class TestNor:
    """Winbond W25Q64JV, "Page Program" and "Sector Erase"."""

    def test_programming_only_clears_bits(self, flash: Flash) -> None:
        flash.program(64, b"\x0f\xff")
        flash.program(64, b"\x3c\x55")

        assert flash.image()[62:68] == b"\xff\xff\x0c\x55\xff\xff"

    def test_erasing_sets_one_block_to_ones_and_is_counted(self, flash: Flash) -> None:
        flash.program(63, b"\x00\x00\x00")

        flash.erase(1)

        assert flash.image()[62:67] == b"\xff\x00\xff\xff\xff"
        assert flash.erases == [0, 1, 0, 0]

    def test_a_power_cut_tears_one_program(self, flash: Flash) -> None:
        flash.program(0, b"\x00")
        flash.cut_at = 1

        with pytest.raises(PowerLost):
            flash.program(8, b"\x01\x02\x03\x04")
        flash.program(16, b"\x05")

        assert flash.image()[8:17] == b"\x01\x02\xff\xff\xff\xff\xff\xff\x05"

    def test_a_power_cut_tears_one_erase(self, flash: Flash) -> None:
        flash.program(0, bytes(64))
        flash.cut_at = 1

        with pytest.raises(PowerLost):
            flash.erase(0)

        assert flash.image()[:64] == b"\xff" * 32 + bytes(32)


SAVES_A_COUNTER = """
    import os, machine, sys
    def read():
        try:
            with open("/data/counter") as f:
                return f.read()
        except OSError:
            return ""
    before = read()
    print("read", before[:4], len(before))
    if len(before) < 2000:
        with open("/data/counter.tmp", "w") as f:
            f.write("old " * 300 if not before else "newer " * 400)
        os.rename("/data/counter.tmp", "/data/counter")
    machine.deepsleep(3_600_000)
    """


class TestPowerCuts:
    def test_a_file_replaced_by_rename_is_old_or_new_whenever_power_fails(self, tmp_path: Path) -> None:
        clock = Clock()
        bench = node(clock, tmp_path, SAVES_A_COUNTER, flash=Flash(blocks=8))
        with Kernel(clock, [bench]) as kernel:
            bench.power_on()
            kernel.run_until(clock.now_us + 60 * S)
            old = bench.flash.image()
            bench.power_off()
            started = bench.flash.operations
            bench.power_on()
            kernel.run_until(clock.now_us + 60 * S)
            operations = bench.flash.operations - started
            found = []

            for cut in range(operations + 1):
                bench.power_off()
                bench.flash.restore(old)
                bench.flash.cut_at = bench.flash.operations + cut
                bench.power_on()
                kernel.run_until(clock.now_us + 60 * S)
                assert (bench.state is State.OFF) == (cut < operations)
                bench.power_off()
                bench.flash.cut_at = None
                bench.power_on()
                kernel.run_until(clock.now_us + 60 * S)
                found.append(said(bench)[-1])
            crashes = bench.statistics.crashes

        assert operations > 5
        assert set(found) == {"read old  1200", "read newe 2400"}
        assert found == sorted(found, reverse=True)  # once new, new for every later cut
        assert crashes == []

    def test_a_file_that_was_never_closed_is_not_there_after_the_cut(self, tmp_path: Path) -> None:
        clock = Clock()
        source = """
            import os, time
            print(os.listdir("/data"))
            f = open("/data/open", "w")
            f.write("x")
            time.sleep(100)
            """
        bench = node(clock, tmp_path, source)
        with Kernel(clock, [bench]) as kernel:
            for _ in range(2):
                bench.power_on()
                kernel.run_until(clock.now_us + 10 * S)
                bench.power_off()
            printed = said(bench)

        assert printed[0] == "[]"
        assert printed[1] in ("[]", "['open']")
