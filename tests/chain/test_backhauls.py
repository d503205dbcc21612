# SPDX-License-Identifier: EUPL-1.2
"""The real firmware through both backhauls: nodes join, get their time and their answers, and lose nothing."""

import pytest

from gateway.config import load
from gateway.devices_file import read_devices
from gateway.store import open_store
from simulators.city import small_jena
from simulators.city_run import HOUR_US, CityRun
from simulators.concentrators import BASICS_STATION, GWMP
from tests.gateway.nodes import write_config
from tests.gateway.running import GatewayThread

HOURS = 3


@pytest.mark.parametrize("backhaul", [GWMP, BASICS_STATION])
def test_nodes_join_and_deliver_through_two_concentrators(tmp_path, backhaul):
    city = small_jena(5, 2)
    (tmp_path / "devices.csv").write_text(city.devices_csv(), "utf-8")
    config = load(write_config(tmp_path, basics_station={"enabled": True, "port": 0}))
    store = open_store(config.gateway.database, config.gateway.key_file)
    with store.transaction() as ledger:
        for device in read_devices(tmp_path / "devices.csv"):
            ledger.put_device(device)
    with GatewayThread(config, store) as gateway:
        port = gateway.gwmp_port if backhaul == GWMP else gateway.lns_port
        with CityRun(
            city, "0016c001ff10b001", ("127.0.0.1", port), interval_s=600, lockstep=True, backhaul=backhaul,
            concentrators=2,
        ) as run:  # fmt: skip
            run.run_until(HOURS * HOUR_US)
            progress = run.progress()
        metrics = gateway.metrics
    store.close()

    assert progress["joined"] == len(city.devices())
    assert metrics.counters["joins"] >= 2
    assert metrics.counters["uplinks"] + metrics.counters["joins"] + metrics.refused["duplicate"] == progress["uplinks"]
    assert metrics.counters["uplinks"] >= 2 * (HOURS * 6 - 2)
    assert metrics.counters["downlinks_sent"] >= 4  # at least a Join-Accept and the time for each
    assert progress["downlinks"] == metrics.counters["downlinks_sent"]
