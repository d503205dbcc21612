# SPDX-License-Identifier: EUPL-1.2
"""Each kind of node, complete, in the heap that its budget leaves it: join, confirmed uplinks, MAC commands, settings,
an outage, back-fill. ``simulators/node_budget.py`` says what happens in a trial.
"""

from pathlib import Path

import pytest

from simulators.firmware_build import build_rom
from simulators.node_budget import trial


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_rom(tmp_path_factory.mktemp("firmware"))


class TestBudgets:
    @pytest.mark.parametrize(
        ("kind", "heap"),
        [
            ("tree", "48wK"),  # 16 of 64 kB stay free
            ("air", "52wK"),  # 12
            ("tubes", "52wK"),
            ("radar", "52wK"),
        ],
    )
    def test_a_node_does_all_that_it_must_with_what_is_left(self, firmware: Path, kind: str, heap: str) -> None:
        done = trial(kind, heap, firmware)

        assert done.missing == (), done.console

    def test_a_trial_tells_what_a_starving_node_leaves_undone(self, firmware: Path) -> None:
        starved = trial("tree", "38wK", firmware)

        assert {"no crash", "confirmed uplinks", "MAC commands", "settings", "every sample"} <= {*starved.missing}
        assert "MemoryError" in starved.console
