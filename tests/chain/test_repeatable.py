# SPDX-License-Identifier: EUPL-1.2
"""The same seed gives the same city: every frame on the air, byte for byte and to the microsecond."""

import pytest

from simulators.city_run import CityRun
from simulators.clock import DAY_US, HOUR_US
from simulators.ports import free_port
from simulators.town import GATEWAY_EUI, Town


def frames(folder, seed, until_us=DAY_US // 2):
    town = Town(folder, http_port=free_port(), nodes=2, air=1, traffic=1, seed=seed)
    path = folder / "frames.jsonl"
    try:
        town.start_services()
        with (
            path.open("w") as file,
            CityRun(town.city, GATEWAY_EUI, ("127.0.0.1", town.gwmp_port), lockstep=True, frames=file) as run,
        ):
            run.run_until(until_us)
    finally:
        town.stop()
    return path.read_text()


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    return frames(tmp_path_factory.mktemp("first"), seed=5)


class TestSeed:
    def test_the_same_seed_gives_the_same_frames(self, first, tmp_path):
        again = frames(tmp_path / "again", seed=5)

        assert first.count('"delivered"') > 40
        assert again == first

    def test_another_seed_gives_others(self, first, tmp_path):
        other = frames(tmp_path / "other", seed=6, until_us=HOUR_US)

        assert other
        assert not first.startswith(other)
