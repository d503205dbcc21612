# SPDX-License-Identifier: EUPL-1.2
"""Silences over restarts, with the real database: each change is an event in the alarm lane, exactly once."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoders.records import ALARM, decode_record
from gateway.command import open_database
from gateway.errors import DevicesError, StoreError
from gateway.group_commit import GroupCommit
from gateway.liveness import Liveness
from gateway.liveness_table import LivenessTable
from gateway.silence import Limits
from gateway.watch import Watch
from tests.gateway.nodes import Node, new_store

NODE = "70b3d57ed1000001"
HERE = "0016c001ff10b001"


class Gateway:
    """The watch of one gateway, whose node sends every 600 s; ``now_s`` is its boot time."""

    def __init__(self, config):
        self.config, self.now_s, self.f_cnt = config, 1000.0, -1

    async def __aenter__(self):
        self.store = open_database(self.config)
        self.writer = GroupCommit(self.store.transactions)
        self.watch = Watch(
            Liveness(Limits(), 60.0), self.store.path, self.store.connection, self.writer, self.tell, lambda _: None
        )
        self.watch.start()
        return self

    def tell(self, kind, dev_eui, detail):
        self.store.ledger.append_event(kind, 1_780_000_000.0, dev_eui=dev_eui, detail=detail)

    async def __aexit__(self, *_):
        await self.watch.stop()
        await self.crash()

    async def crash(self):
        await self.writer.close()
        self.store.close()

    async def uplink(self):
        """Accepted, as the network server does it, and seen by the watch."""
        self.f_cnt += 1
        with self.store.transaction() as ledger:
            session = next(iter(ledger.sessions(0x01000000)), None)
            if session is None:
                ledger.record_join(NODE, 0, 1, 0x01000000, bytes(16), bytes(16))
                (session,) = ledger.sessions(0x01000000)
            ledger.advance_up(session, self.f_cnt, b"", 1_780_000_000.0)
        self.watch.liveness.uplink(NODE, session.session, self.f_cnt, HERE, self.now_s)
        self.watch.proved(HERE)

    async def wait(self, seconds, alive=True):
        for _ in range(round(seconds / 10.0)):
            self.now_s += 10.0
            if alive:
                self.watch.liveness.spoke(HERE)
            await self.watch.tick(self.now_s)

    def events(self):
        reader = self.store.reader()
        try:
            return [decode_record(data).kind for data in reader.records(ALARM, 1, 100)]
        finally:
            reader.close()


@pytest.fixture
def config(tmp_path):
    config, store = new_store(tmp_path, [Node()])
    with store.transaction() as ledger:
        ledger.set_interval(NODE, 600.0)
    store.close()
    return config


def test_a_silence_is_an_event_in_the_alarm_lane_step_by_step(config):
    async def run():
        async with Gateway(config) as gateway:
            await gateway.uplink()
            await gateway.wait(4000)
            await gateway.uplink()
            await gateway.wait(10)
            return gateway.events()

    assert asyncio.run(run()) == ["node_late", "node_down", "node_back"]


@pytest.mark.parametrize("crash", [True, False])
def test_a_restart_tells_nothing_again(config, crash):
    async def run():
        gateway = await Gateway(config).__aenter__()
        await gateway.uplink()
        await gateway.wait(1800)
        assert gateway.events() == ["node_late"]
        if not crash:
            await gateway.watch.stop()
        await gateway.crash()
        async with Gateway(config) as again:
            await again.wait(5000)
            await again.wait(400, alive=False)
            again.f_cnt = gateway.f_cnt
            await again.uplink()
            await again.wait(20)
            return again.events()

    *told, back_1, back_2 = asyncio.run(run())
    assert told == ["node_late", "node_down", "concentrator_late", "concentrator_down"]
    assert {back_1, back_2} == {"concentrator_back", "node_back"}


def test_an_uplink_that_came_before_a_crash_counts_though_nothing_was_kept(config):
    async def run():
        gateway = await Gateway(config).__aenter__()
        await gateway.uplink()
        await gateway.wait(1400)
        await gateway.watch.keep()
        await gateway.uplink()
        await gateway.crash()
        again = await Gateway(config).__aenter__()
        again.f_cnt = gateway.f_cnt
        record = again.watch.liveness.record(NODE)
        await again.wait(1490)
        told = again.events()
        await again.wait(30)
        later = again.events()
        await again.crash()
        return record, told, later

    record, told, later = asyncio.run(run())
    assert (record.silent_s, record.f_cnt, record.state) == (0.0, 1, "ok")
    assert (told, later) == ([], ["node_late"])


def test_an_event_that_does_not_fit_on_the_disk_is_told_when_it_does(config):
    async def run():
        async with Gateway(config) as gateway:
            await gateway.uplink()
            await gateway.wait(1500)
            gateway.store.connection.execute("PRAGMA query_only = ON")
            with pytest.raises(StoreError):
                await gateway.wait(20)
            before = gateway.events()
            gateway.store.connection.execute("PRAGMA query_only = OFF")
            await gateway.wait(20)
            return before, gateway.events()

    assert asyncio.run(run()) == ([], ["node_late"])


def test_a_device_that_is_removed_or_set_by_another_process_is_seen(config):
    async def run():
        async with Gateway(config) as gateway:
            await gateway.uplink()
            store = open_database(config)
            with store.transaction() as ledger:
                ledger.set_interval(NODE, 100.0)
            gateway.watch.refresh()
            set_to = gateway.watch.liveness.interval_s(NODE)
            with store.transaction() as ledger:
                ledger.remove(NODE)
            store.close()
            gateway.watch.refresh()
            await gateway.wait(5000)
            return set_to, gateway.events(), gateway.watch.liveness.node(NODE)

    assert asyncio.run(run()) == (100.0, [], None)


def test_a_concentrator_that_was_taken_down_is_forgotten(config):
    async def run():
        async with Gateway(config) as gateway:
            await gateway.uplink()
            await gateway.wait(10)
            table = LivenessTable(gateway.store.connection)
            with gateway.store.transaction():
                table.forget_concentrator(HERE)
            gateway.watch.refresh()
            with pytest.raises(DevicesError):
                table.forget_concentrator(HERE)
            return gateway.watch.liveness.concentrators()

    assert asyncio.run(run()) == {}


@settings(max_examples=12, deadline=None)
@given(st.lists(st.sampled_from(["uplink", "wait", "restart", "crash", "dead"]), max_size=10))
def test_whatever_happens_events_take_turns(tmp_path_factory, steps):
    config, store = new_store(tmp_path_factory.mktemp("watch"), [Node()])
    with store.transaction() as ledger:
        ledger.set_interval(NODE, 600.0)
    store.close()

    async def run():
        gateway = await Gateway(config).__aenter__()
        for step in steps:
            if step == "uplink":
                await gateway.uplink()
            elif step in ("wait", "dead"):
                await gateway.wait(1600, alive=step == "wait")
            else:
                f_cnt = gateway.f_cnt
                if step == "restart":
                    await gateway.watch.stop()
                await gateway.crash()
                gateway = await Gateway(config).__aenter__()
                gateway.f_cnt = f_cnt
        told = gateway.events()
        await gateway.crash()
        return told

    told = asyncio.run(run())
    for kind in ("node", "concentrator"):
        severity, previous = {"late": 1, "down": 2, "back": 0}, 0
        for event in told:
            if event.startswith(kind):
                now = severity[event.rpartition("_")[2]]
                assert now == 0 or now > previous
                assert now != previous
                previous = now
