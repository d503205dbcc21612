# SPDX-License-Identifier: EUPL-1.2
"""Broker, gateway and ingest as in the field, under a load that keeps a ledger; and whether what arrived agrees.

The nodes are ledger_load's, so that thousands of uplinks take seconds and not days.
"""

import json
import math
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from decoders.lorawan.gps_time import unix_from_gps
from simulators import process_costs
from simulators.ledger_load import Ledger, read_ledger
from simulators.load_nodes import LoadNode
from simulators.ports import free_port
from simulators.town import Town, TownError

_QUANTITIES = ("soil_moisture", "soil_temperature", "surface_temperature")
_PATIENCE_S = 240.0


class Verdict(NamedTuple):
    """``lost``: acknowledged and not in the store; ``doubled``: there twice; ``unsent``: there, and nobody sent it."""

    acknowledged: int
    stored: int
    lost: int
    doubled: int
    unsent: int
    readings_missing: int
    gaps: int
    dead_letters: int

    @property
    def is_clean(self) -> bool:
        return not any(self[2:])


class LoadTown(Town):
    """A town whose nodes are a load's. ``gateway_mqtt`` and ``ingest_mqtt`` are further lines of their [mqtt]."""

    def __init__(
        self, folder: Path, *, nodes: int = 12, gateway_mqtt: str = "resend_s = 3\nkeepalive_s = 5\n",
        ingest_mqtt: str = "reconnect_max_s = 1\nkeepalive_s = 5\n",
    ) -> None:  # fmt: skip
        super().__init__(folder, http_port=free_port(), nodes=nodes)
        load_nodes = [LoadNode(number) for number in range(1, nodes + 1)]
        registry = self.city.registry()
        for entry, node in zip(registry["nodes"], load_nodes, strict=True):
            entry["dev_eui"] = node.dev_eui
        self._rewrite("city.json", json.dumps(registry, ensure_ascii=False))
        rows = ["dev_eui,join_eui,app_key,profile,name", *(node.csv_row() for node in load_nodes)]
        self._rewrite("devices.csv", "\n".join(rows) + "\n")
        self.change("gateway.toml", "reconnect_max_s = 2\nresend_s = 2\n", f"reconnect_max_s = 0.5\n{gateway_mqtt}")
        self.change("ingest.toml", "[mqtt]\n", f"[mqtt]\n{ingest_mqtt}")
        self.ledger = folder / "ledger.jsonl"
        self._finds = {"gateway": self.mqtt_port, "ingest": self.mqtt_port}

    def change(self, name: str, old: str, new: str) -> None:
        """Replace a part of one of the town's files."""
        text = (self.folder / name).read_text("utf-8")
        if old not in text:
            raise TownError(name, f"has no {old!r}")
        self._rewrite(name, text.replace(old, new))

    def _rewrite(self, name: str, text: str) -> None:
        (self.folder / name).unlink()
        self._write(name, text)

    def through(self, part: str, port: int) -> None:
        """Let ``part`` (gateway or ingest) find the broker on ``port``."""
        self.change(f"{part}.toml", f"port = {self._finds[part]}\n", f"port = {port}\n")
        self._finds[part] = port

    def start_load(self, *, uplinks: int = 0, pause_ms: int = 0, knows_time: bool = True) -> None:
        """So many uplinks of every node, or until ``end_load``; from a concentrator with GPS, or without."""
        options = [
            "--port",
            str(self.gwmp_port),
            "--nodes",
            str(self.city.nodes),
            "--ledger",
            str(self.ledger.resolve()),
        ]
        options += ["--start", str(self.city.start_unix_s), "--uplinks", str(uplinks), "--pause-ms", str(pause_ms)]
        options += [] if knows_time else ["--no-time"]
        self._start("nodes", [sys.executable, "-m", "simulators.ledger_load", *options])

    def end_load(self) -> None:
        """What is under way is still acknowledged; raises TownError for a load that failed."""
        self._processes["nodes"].terminate()
        if self.wait("nodes", _PATIENCE_S):
            raise TownError("nodes", self.last_line("nodes"))

    def acknowledged(self) -> int:
        return len(self.read_ledger().acknowledged)

    def read_ledger(self) -> Ledger:
        return read_ledger(self.ledger) if self.ledger.exists() else Ledger({}, set())

    def fill_outbox(self, records: int) -> None:
        """Put so many into the outbox of the gateway, which must not run; raises TownError."""
        command = [sys.executable, "-m", "gateway.outbox_load", str(self.folder), "--records", str(records)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise TownError("outbox", done.stderr.strip())

    def watermarks(self) -> int:
        """How many the gateway has heard since its start; one for each commit of the ingest that it was told of."""
        status = self.get(f"http://127.0.0.1:{self.page_port}/status")
        return 0 if status is None else int(status["counters"]["watermarks"])

    def held(self) -> int | None:
        """Rows that the gateway has not yet been told to be stored; None while it does not answer."""
        status = self.get(f"http://127.0.0.1:{self.page_port}/status")
        return None if status is None else int(status["outbox_held"])

    def cpu_s(self, part: str) -> float:
        """What a part has computed since its start."""
        return process_costs.cpu_s(self._processes[part].pid)

    def drain(self) -> None:
        """Wait until the gateway holds nothing any more; raises TownError when it gets no nearer to that."""
        least, since = math.inf, time.monotonic()
        while held := self.held_or_more():
            if held < least:
                least, since = held, time.monotonic()
            if time.monotonic() - since > _PATIENCE_S:
                raise TownError("gateway", f"still holds {held}, no less than {_PATIENCE_S:.0f} s ago")
            time.sleep(0.05)

    def held_or_more(self) -> float:
        """What it holds; more than anything while it does not answer."""
        held = self.held()
        return math.inf if held is None else held

    def judge(self) -> Verdict:
        """Compare the store, opened for itself, with the ledger."""
        return verdict(self.read_ledger(), self.folder / "stadtfunk.db")


def verdict(ledger: Ledger, store: Path) -> Verdict:
    """Every acknowledged uplink once, every reading of it, nothing else, and nothing missing in any sequence."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
        stored = database.execute("SELECT dev_eui, f_cnt, count(*) FROM uplinks GROUP BY 1, 2").fetchall()
        applied = database.execute(
            "SELECT value FROM counters WHERE name = 'uplinks' AND reason = 'applied'"
        ).fetchone()
        readings = set(
            database.execute(
                "SELECT dev_eui, quantity, at FROM observations JOIN datastreams ON id = datastream WHERE flag IS NULL"
            )
        )
        gaps = database.execute("SELECT coalesce(sum(last_seq - first_seq + 1), 0) FROM gaps").fetchone()[0]
        letters = database.execute("SELECT count(*) FROM dead_letters").fetchone()[0]
    keys = {(dev_eui, f_cnt) for dev_eui, f_cnt, _ in stored}
    rows = sum(count for _, _, count in stored)
    doubled = rows - len(keys) + abs((applied[0] if applied else 0) - rows)
    expected = {
        (dev_eui, quantity, int(unix_from_gps(ledger.sent[dev_eui, f_cnt])))
        for dev_eui, f_cnt in ledger.acknowledged
        for quantity in _QUANTITIES
    }
    return Verdict(
        len(ledger.acknowledged), rows, len(ledger.acknowledged - keys), doubled, len(keys - ledger.sent.keys()),
        len(expected - readings), gaps, letters,
    )  # fmt: skip
