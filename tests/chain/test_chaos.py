# SPDX-License-Identifier: EUPL-1.2
"""The real forwarder, broker and ingest over a bad network on both sides of the broker: all once, and in order."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from decoders.records import UplinkKey
from simulators.chaos_proxy import CALM, STORM, ChaosProxy, Weather
from simulators.load_town import LoadTown
from tests.chain.load import settled, standing
from tests.chain.public import until
from tests.chain.wire import Wire, in_the_order_sent

FAULTS = 8  # of a storm, on each side of the broker

ALONE = {
    "reset_before_puback": Weather(reset_before_puback=0.2),
    "cut": Weather(cut=0.1),
    "half_open": Weather(half_open=0.05, half_open_s=0.3),
    "duplicate_puback": Weather(duplicate_puback=0.5),
    "duplicate_publish": Weather(duplicate_publish=0.5),
    "slow": Weather(slow=0.2, latency_s=0.01),
    "partition": Weather(partition=0.1, partition_s=0.3),
}


def quick_town(folder: Path) -> LoadTown:
    """Its gateway sends again soon, and little at once."""
    return LoadTown(folder / "town", gateway_mqtt="resend_s = 0.5\nkeepalive_s = 5\nbatch_messages = 5\n")


class TestStorm:
    @pytest.mark.parametrize("seed", [1, 2])
    def test_every_record_arrives_once_and_each_lane_keeps_its_order(self, tmp_path, seed):
        town, wire = quick_town(tmp_path), Wire()
        with (
            ChaosProxy(town.mqtt_port, seed=seed, weather=STORM, tap=wire.tap) as before,
            ChaosProxy(town.mqtt_port, seed=seed + 100, weather=STORM) as behind,
        ):
            town.through("gateway", before.port)
            town.through("ingest", behind.port)
            with standing(town):
                town.start_load(pause_ms=30)
                until(lambda: min(before.done.total(), behind.done.total()) >= FAULTS, "a storm")
                until(lambda: town.acknowledged() >= 120, "uplinks meanwhile")
                town.end_load()
                before.weather = behind.weather = CALM
                verdict = settled(town)
            failed = before.failed + behind.failed

        assert failed == []
        assert verdict.acknowledged >= 120
        assert verdict.is_clean, verdict
        assert all(in_the_order_sent(keys) for keys in wire.orders().values())

    def test_each_fault_alone_and_often(self, tmp_path):
        town = quick_town(tmp_path)
        with ChaosProxy(town.mqtt_port, seed=5) as proxy:
            town.through("gateway", proxy.port)
            with standing(town):
                town.start_load(pause_ms=30)
                for fault, weather in ALONE.items():
                    proxy.weather = weather
                    until(lambda fault=fault: proxy.done[fault] >= 3, f"three of {fault}")
                until(lambda: town.acknowledged() >= 240, "uplinks meanwhile")
                town.end_load()
                proxy.weather = CALM
                verdict = settled(town)

        assert proxy.failed == []
        assert verdict.acknowledged >= 240
        assert verdict.is_clean, verdict


class Namespace:
    """A network of its own with one cable to ours: 10.213.x.1 here, 10.213.x.2 there."""

    def __init__(self) -> None:
        self.name = f"stadtfunk{os.getpid()}"
        self._end = f"sf{os.getpid()}"
        net = f"10.213.{os.getpid() % 250}"
        self.here, self.there = f"{net}.1", f"{net}.2"
        self.enter = ["ip", "netns", "exec", self.name]
        self._ip("netns", "add", self.name)
        self._ip("link", "add", self._end, "type", "veth", "peer", "name", "uplink", "netns", self.name)
        self._ip("addr", "add", f"{self.here}/30", "dev", self._end)
        self._ip("link", "set", self._end, "up")
        for words in (["addr", "add", f"{self.there}/30", "dev", "uplink"], ["link", "set", "uplink", "up"]):
            self._ip("-n", self.name, *words)
        self._ip("-n", self.name, "link", "set", "lo", "up")

    def _ip(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True)

    def unplug(self) -> None:
        self._ip("link", "set", self._end, "down")

    def plug(self) -> None:
        self._ip("link", "set", self._end, "up")

    def close(self) -> None:
        self._ip("netns", "del", self.name)


class RemoteTown(LoadTown):
    """The gateway and its concentrator stand elsewhere."""

    def __init__(self, folder: Path, namespace: Namespace) -> None:
        super().__init__(folder)
        self._namespace = namespace
        self.change("nats.conf", f"127.0.0.1:{self.mqtt_port}", f"0.0.0.0:{self.mqtt_port}")
        self.change("gateway.toml", "[mqtt]\n", f'[mqtt]\nhost = "{namespace.here}"\n')
        self.change("gateway.toml", "[page]\n", '[page]\nhost = "0.0.0.0"\n')

    def _start(self, part: str, command: list[str]) -> None:
        super()._start(part, [*self._namespace.enter, *command] if part in ("gateway", "nodes") else command)

    def get(self, url: str) -> Any:
        """Its page from here, as a technician asks for it."""
        if f":{self.page_port}/" not in url:
            return super().get(url)
        try:
            proof = {"Authorization": f"Bearer {(self.folder / 'page.token').read_text().strip()}"}
            address = url.replace("127.0.0.1", self._namespace.there)
            with urlopen(Request(address, headers=proof), timeout=5) as response:
                return json.load(response)
        except OSError:
            return None


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    try:
        made = Namespace()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"this machine lets us make no network namespace: {getattr(error, 'stderr', '') or error}")
    yield made
    made.close()


class TestPartition:
    """The kernel's own network, with the cable pulled: no RST, no FIN, nothing."""

    def test_uplinks_are_taken_while_the_cable_is_out_and_arrive_once_when_it_is_back(self, tmp_path, namespace):
        town = RemoteTown(tmp_path / "town", namespace)
        with standing(town):
            town.start_load(pause_ms=20)
            until(lambda: town.acknowledged() >= 60, "uplinks before")
            for _ in range(2):
                namespace.unplug()
                before = town.acknowledged()
                until(lambda before=before: town.acknowledged() >= before + 120, "uplinks without a cable")
                namespace.plug()
                until(lambda: town.held() is not None, "its page answers")
                heard = town.watermarks()
                until(lambda heard=heard: town.watermarks() > heard, "the backlog goes")
            verdict = settled(town)

        assert verdict.acknowledged >= 300
        assert verdict.is_clean, verdict


class TestOrder:
    """The judge of the order sees disorder."""

    def test_nodes_in_turn_are_in_order(self):
        assert in_the_order_sent([UplinkKey(eui, 1, f_cnt) for f_cnt in (0, 1, 2) for eui in "ab"])

    @pytest.mark.parametrize(
        "wrong", [[(0, "a"), (2, "a")], [(1, "a"), (0, "a")], [(0, "a"), (0, "b"), (1, "a"), (2, "a")]]
    )
    def test_a_gap_a_swap_or_one_running_ahead_is_not(self, wrong):
        assert not in_the_order_sent([UplinkKey(eui, 1, f_cnt) for f_cnt, eui in wrong])
