# SPDX-License-Identifier: EUPL-1.2
"""SIGKILL at any moment loses no acknowledged uplink: real processes, real datagrams, a real database."""

import random
import signal
import sqlite3
import threading

from decoders.records import UplinkMessage, decode_record
from gateway.config import load
from gateway.packing import unpack
from gateway.store import open_store
from tests.gateway.nodes import Concentrator, Node, write_config
from tests.gateway.running import GatewayProcess, eventually, join

KILLS = 20


class _Killed(Exception):
    """Nobody will answer any more."""


class Sender(threading.Thread):
    """Sends uplinks of its nodes as fast as they are acknowledged; ``acknowledged`` is its ledger."""

    def __init__(self, port: int, nodes: list[Node], killed: threading.Event) -> None:
        super().__init__()
        self._killed = killed
        self._port = port
        self._nodes = nodes
        self.acknowledged: list[tuple[str, int]] = []
        self.failed: BaseException | None = None

    def run(self) -> None:
        try:
            with Concentrator(self._port) as concentrator:
                while True:
                    for node in self._nodes:
                        token = concentrator.push(node.uplink())
                        assert self._answer(concentrator) == (1, token, None)
                        self.acknowledged.append((node.dev_eui, node.f_cnt))
        except (ConnectionRefusedError, _Killed):
            pass
        except BaseException as failure:
            self.failed = failure

    def _answer(self, concentrator: Concentrator) -> object:
        while True:
            try:
                return concentrator.receive(0.05)
            except TimeoutError:
                if self._killed.is_set():
                    raise _Killed from None


def counted(senders: list[Sender]) -> int:
    """Uplinks acknowledged in this round."""
    return sum(len(sender.acknowledged) for sender in senders)


def test_twenty_kills_lose_no_acknowledged_uplink_and_store_none_twice(tmp_path):
    path = write_config(tmp_path)
    config = load(path)
    nodes = [Node(number) for number in range(1, 9)]
    store = open_store(config.gateway.database, config.gateway.key_file)
    with store.transaction() as ledger:
        for node in nodes:
            ledger.put_device(node.device())
    store.close()
    dice = random.Random(20)
    acknowledged = []

    for round_number in range(KILLS):
        with GatewayProcess(path) as gateway:
            if round_number == 0:
                with Concentrator(gateway.gwmp_port) as concentrator:
                    concentrator.pull()
                    for node in nodes:
                        join(concentrator, node)
            killed = threading.Event()
            senders = [Sender(gateway.gwmp_port, nodes[n::4], killed) for n in range(4)]
            for sender in senders:
                sender.start()
            wanted = dice.randrange(1, 40)
            eventually(lambda senders=senders, wanted=wanted: counted(senders) >= wanted)
            gateway.end(signal.SIGKILL)
            killed.set()
            for sender in senders:
                sender.join()
                assert sender.failed is None
                acknowledged += sender.acknowledged

    with sqlite3.connect(config.gateway.database) as database:
        rows = database.execute("SELECT seq, record FROM outbox_1 ORDER BY seq").fetchall()
        counters = dict(database.execute("SELECT dev_eui, f_cnt_up FROM sessions"))
        sound = database.execute("PRAGMA integrity_check").fetchall()
    numbers = [seq for seq, _ in rows]
    records = [decode_record(unpack(stored)) for _, stored in rows]
    stored = [record.key[::2] for record in records if isinstance(record, UplinkMessage)]
    assert sound == [("ok",)]
    assert len(acknowledged) > 10 * KILLS
    assert set(acknowledged) <= set(stored)
    assert len(stored) == len(set(stored))
    assert numbers == list(range(1, len(numbers) + 1))
    assert counters == {node.dev_eui: max(f_cnt for eui, f_cnt in stored if eui == node.dev_eui) for node in nodes}


def test_sigterm_and_sigint_stop_it_cleanly(tmp_path):
    path = write_config(tmp_path)

    for number in (signal.SIGTERM, signal.SIGINT):
        with GatewayProcess(path) as gateway:
            assert gateway.end(number) == 0
        assert "gateway stops" in "".join(gateway.log)
        assert "Traceback" not in "".join(gateway.log)
