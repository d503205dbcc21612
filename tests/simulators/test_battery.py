# SPDX-License-Identifier: EUPL-1.2
"""The simulated battery's divider against a hand-computed RC circuit."""

import pytest

from simulators.chips.battery import Divider
from simulators.clock import Clock

# Heltec V3: 390 kOhm over 100 kOhm with 100 nF. Connected: 79.6 kOhm, tau 7.96 ms; open: 100 kOhm, tau 10 ms.
CELL_MV = 3_300
END_UV = 673_469


class TestDivider:
    @pytest.mark.parametrize(("after_us", "share"), [(5_000, 0.466), (7_959, 0.632), (39_796, 0.993)])
    def test_the_tap_rises_with_both_resistors_side_by_side(self, after_us, share):
        clock = Clock()
        divider = Divider(clock, (100_000, 490_000), 100e-9, False)
        clock.run_until(1_000_000)
        assert divider.tap_uv(CELL_MV) == 0

        divider.switch(True, CELL_MV)
        clock.run_until(1_000_000 + after_us)

        assert divider.tap_uv(CELL_MV) == pytest.approx(END_UV * share, rel=2e-3)

    def test_the_tap_falls_through_the_lower_resistor_alone(self):
        clock = Clock()
        divider = Divider(clock, (100_000, 490_000), 100e-9, True)
        assert divider.tap_uv(CELL_MV) == END_UV

        divider.switch(False, CELL_MV)
        clock.run_until(10_000)

        assert divider.tap_uv(CELL_MV) == pytest.approx(END_UV * 0.368, rel=1e-3)
