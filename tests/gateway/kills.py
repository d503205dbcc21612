# SPDX-License-Identifier: EUPL-1.2
"""SIGKILL for a real gateway at any moment, real datagrams, a real database; the senders keep the ledger.

python -m tests.gateway.kills 200
"""

import random
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from pathlib import Path

from decoders.records import UplinkMessage, decode_record
from gateway.config import load
from gateway.packing import unpack
from gateway.store import open_store
from tests.gateway.nodes import Concentrator, Node, write_config
from tests.gateway.running import GatewayProcess, eventually, join


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


def _acknowledged(senders: list[Sender]) -> int:
    """How many uplinks were in this round; raises what ended a sender."""
    for sender in senders:
        if sender.failed is not None:
            raise sender.failed
    return sum(len(sender.acknowledged) for sender in senders)


def kill_often(folder: Path, kills: int, seed: int) -> int:
    """Kill the real gateway under load; returns how many uplinks it acknowledged. Raises AssertionError for a loss."""
    path = write_config(folder)
    config = load(path)
    nodes = [Node(number) for number in range(1, 9)]
    store = open_store(config.gateway.database, config.gateway.key_file)
    with store.transaction() as ledger:
        for node in nodes:
            ledger.put_device(node.device())
    store.close()
    dice = random.Random(seed)
    acknowledged: list[tuple[str, int]] = []

    for round_number in range(kills):
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
            eventually(lambda senders=senders, wanted=wanted: _acknowledged(senders) >= wanted)
            gateway.end(signal.SIGKILL)
            killed.set()
            for sender in senders:
                sender.join()
                assert sender.failed is None
                acknowledged += sender.acknowledged
    assert len(acknowledged) > 10 * kills
    _judge(config.gateway.database, nodes, acknowledged)
    return len(acknowledged)


def _judge(path: Path, nodes: list[Node], acknowledged: list[tuple[str, int]]) -> None:
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT seq, record FROM outbox_1 ORDER BY seq").fetchall()
        counters = dict(database.execute("SELECT dev_eui, f_cnt_up FROM sessions"))
        sound = database.execute("PRAGMA integrity_check").fetchall()
    numbers = [seq for seq, _ in rows]
    records = [decode_record(unpack(stored)) for _, stored in rows]
    stored = [record.key[::2] for record in records if isinstance(record, UplinkMessage)]
    assert sound == [("ok",)]
    assert set(acknowledged) <= set(stored)
    assert len(stored) == len(set(stored))
    assert numbers == list(range(1, len(numbers) + 1))
    assert counters == {node.dev_eui: max(f_cnt for eui, f_cnt in stored if eui == node.dev_eui) for node in nodes}


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        uplinks = kill_often(Path(folder), wanted, seed)
    print(f"{wanted} kills, seed {seed}, {uplinks} uplinks acknowledged, none lost, {time.monotonic() - began:.0f} s")
