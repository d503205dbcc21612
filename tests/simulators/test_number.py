# SPDX-License-Identifier: EUPL-1.2
"""An option that is a number refuses what is none: of the values that Python's float reads, NaN and infinity."""

import pytest
from click.testing import CliRunner

from hardware.update_cli import update
from simulators.bench_cli import bench
from simulators.cli import simulate
from simulators.node_cli import energy

OPTIONS = [
    (simulate, ["city", "--days"]),
    (simulate, ["node", "--days"]),
    (simulate, ["node", "--downlinks"]),
    (bench, ["node", "--days"]),
    (bench, ["lns", "--paced"]),
    (energy, ["--per-day"]),
    (energy, ["--battery-mah"]),
    (energy, ["--days"]),
    (update, ["--port", "/dev/none", "--wait"]),
]


@pytest.mark.parametrize("value", ["nan", "inf"])
@pytest.mark.parametrize(("command", "option"), OPTIONS, ids=lambda part: " ".join(part) if type(part) is list else "")
def test_no_command_takes_it_for_a_number(command, option, value):
    done = CliRunner().invoke(command, [*option, value])

    assert done.exit_code == 2, done.output
    assert f"Invalid value for '{option[-1]}'" in done.output
