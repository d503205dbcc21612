# SPDX-License-Identifier: EUPL-1.2
"""The real firmware through both backhauls: nodes join, get their answers, lose nothing, and obey every MAC command."""

import math
from collections import Counter

import pytest

from gateway import frame_objects, mac_control
from gateway.config import load
from gateway.devices_file import read_devices
from gateway.mac_control import Wanted
from gateway.store import open_store
from simulators.city import small_jena
from simulators.city_run import CityRun
from simulators.clock import HOUR_US
from simulators.concentrators import BASICS_STATION, GWMP
from tests.gateway.nodes import write_config
from tests.gateway.running import GatewayThread

HOURS = 3


def provisioned(folder, city):
    """The configuration of a gateway, and its store that knows the city's devices."""
    (folder / "devices.csv").write_text(city.devices_csv(), "utf-8")
    config = load(write_config(folder, basics_station={"enabled": True, "port": 0}))
    store = open_store(config.gateway.database, config.gateway.key_file)
    with store.transaction() as ledger:
        for device in read_devices(folder / "devices.csv"):
            ledger.put_device(device)
    return config, store


@pytest.mark.parametrize("backhaul", [GWMP, BASICS_STATION])
def test_nodes_join_and_deliver_through_two_concentrators(tmp_path, backhaul):
    city = small_jena(5, 2)
    config, store = provisioned(tmp_path, city)
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


ALL_COMMANDS = {  # TS001-1.0.4 "MAC Commands", those of class A; TXParamSetupReq has no meaning in EU868
    "LinkCheck", "LinkADR", "DutyCycle", "RXParamSetup", "DevStatus", "NewChannel", "RXTimingSetup", "DlChannel",
    "DeviceTime",
}  # fmt: skip
ELSEWHERE = Wanted(
    rx1_dr_offset=1, rx2=(869_525_000, 3), rx1_delay_s=2, max_duty_cycle=1, channels_hz=(867_100_000, 867_300_000),
    rx1_hz=((868_300_000, 868_100_000),), dev_status_every_s=3600,
)  # fmt: skip


@pytest.mark.parametrize("backhaul", [GWMP, BASICS_STATION])
def test_a_node_exchanges_every_mac_command_and_is_answered_where_it_then_listens(tmp_path, backhaul):
    city = small_jena(5, 1)
    dev_eui = city.devices_csv().splitlines()[1].split(",")[0]
    config, store = provisioned(tmp_path, city)
    with GatewayThread(config, store) as gateway:
        log = gateway._operations.log
        log.watch(dev_eui, math.inf)  # so that it keeps them all
        port = gateway.gwmp_port if backhaul == GWMP else gateway.lns_port
        with CityRun(
            city, "0016c001ff10b001", ("127.0.0.1", port), interval_s=600, lockstep=True, backhaul=backhaul
        ) as run:
            run.run_until(HOUR_US)  # it joins under the defaults
            gateway._network_server._wanted = ELSEWHERE  # then the city wants something else
            run.run_until(8 * HOUR_US)
            frames = [frame_objects.as_object(entry) for entry in log.frames(dev_eui, 200)]
    state = mac_control.parse(store.ledger.session_of(dev_eui).mac)
    battery, _, status_at, _ = store.ledger.status_of(dev_eui)
    store.close()

    said = Counter(command["name"] for frame in frames for command in frame.get("commands", ()))
    answers = [frame for frame in frames if frame["kind"] == "downlink"]
    assert said.keys() >= {name + end for name in ALL_COMMANDS for end in ("Req", "Ans")}
    assert (state.pending, state.refused, state.max_duty_cycle) == ((), (), 1)
    assert (state.rx1_dr_offset, state.rx2, state.rx1_delay_s) == (1, (869_525_000, 3), 2)
    assert (state.channels_hz, state.rx1_hz) == (ELSEWHERE.channels_hz, ELSEWHERE.rx1_hz)
    assert None not in (battery, status_at)
    assert {answer["data_rate"] for answer in answers[-5:]} == {4}  # one slower than the uplinks
    assert said["DevStatusAns"] >= said["DevStatusReq"] - 1 >= 5  # it hears us there; the last may be under way
    assert {frame["frequency_hz"] for frame in frames if frame["kind"] == "uplink"} > {867_100_000}
