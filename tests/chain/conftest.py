# SPDX-License-Identifier: EUPL-1.2
"""One town for all tests that only look at it: run until its first area is dry, then left standing."""

import pytest

from simulators.ports import free_port
from simulators.town import Town
from tests.chain.public import drained, until

DRY_DAYS = 1.75


@pytest.fixture(scope="session")
def dry_town(tmp_path_factory):
    town = Town(tmp_path_factory.mktemp("town"), http_port=free_port())
    try:
        town.start_services()
        town.start_nodes(speed=None, days=DRY_DAYS, frames=town.folder / "frames.jsonl", lockstep=True)
        assert town.wait("nodes", 900) == 0
        until(lambda: drained(town), "an empty outbox")
        yield town
    finally:
        town.stop()
