# SPDX-License-Identifier: EUPL-1.2
"""A process of its own that sends uplinks to a gateway and keeps the ledger of what was acknowledged, whoever dies.

    python -m simulators.ledger_load --port 1700 --nodes 12 --ledger ledger.jsonl --start 1782000000 [--uplinks 1000]

Every line of the ledger is one datagram's frames, first as ``sent``, then as ``acknowledged`` by its PUSH_ACK. A frame
that is not acknowledged is sent again, unchanged, until it is, as a node would whose concentrator keeps it.
"""

import argparse
import base64
import json
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from decoders.lorawan.errors import RemoteError
from decoders.lorawan.gps_time import gps_from_unix
from simulators.gwmp_forwarder import GwmpForwarder
from simulators.load_nodes import LoadNode

CONCENTRATOR_EUI = "02000000ffff00c1"
STEP_S = 1  # between two frames of virtual time
SAMPLE_S = 1800  # between two samples of a node; a frame has two of them, 900 s apart
_BACKWARDS_S = 400 * 86_400  # samples are older than their reception: never ahead of anybody's clock
_AGAIN_S = 0.02


class Ledger(NamedTuple):
    """(dev_eui, f_cnt) of frames, and the GPS time of their newest sample."""

    sent: dict[tuple[str, int], int]
    acknowledged: set[tuple[str, int]]


def read_ledger(path: Path) -> Ledger:
    """The last line may be half written."""
    ledger = Ledger({}, set())
    for line in path.read_text("utf-8").splitlines():
        try:
            event, frames = json.loads(line)
        except ValueError:
            continue
        for dev_eui, f_cnt, gps_s in frames:
            ledger.sent[dev_eui, f_cnt] = gps_s
            if event == "acknowledged":
                ledger.acknowledged.add((dev_eui, f_cnt))
    return ledger


class LedgerLoad:
    """One concentrator with its nodes. ``start_unix_s``: its time at the first frame, if it ``knows_time`` (GPS)."""

    def __init__(self, port: int, nodes: int, ledger: TextIO, start_unix_s: int, *, knows_time: bool = True) -> None:
        self._nodes = [LoadNode(number) for number in range(1, nodes + 1)]
        self._waiting: LoadNode | None = None
        self._forwarder = GwmpForwarder(("127.0.0.1", port), CONCENTRATOR_EUI, self._downlink, hold_s=1.0)
        self._ledger = ledger
        self._start_unix_s = start_unix_s
        self._frames = 0
        self._knows_time = knows_time

    def _downlink(self, txpk: Any) -> dict[str, Any]:
        if self._waiting is not None:
            try:
                self._waiting.joined(base64.b64decode(txpk["data"]))
                self._waiting = None
            except RemoteError:
                pass  # not for this node
        return {}

    def join(self) -> None:
        """Every node, however long it takes."""
        for node in self._nodes:
            self._waiting, request = node, node.join_request()
            while self._waiting is not None:
                # A new request only when there will be no answer to this one: an accept does not say which it answers.
                if self._forwarder.push({"rxpk": [self._rxpk(request)]}) and self._waiting is not None:
                    request = node.join_request()
                    time.sleep(_AGAIN_S)

    def send(self, number: int) -> None:
        """The ``number``-th frame of every node in one datagram, until it is acknowledged."""
        gps_s = int(gps_from_unix(self._start_unix_s)) - _BACKWARDS_S + number * SAMPLE_S
        frames = [node.uplink(gps_s) for node in self._nodes]
        named = [(frame.dev_eui, frame.f_cnt, gps_s) for frame in frames]
        body = {"rxpk": [self._rxpk(frame.phy_payload) for frame in frames]}
        self._write("sent", named)
        while not self._forwarder.push(body):
            time.sleep(_AGAIN_S)
        self._write("acknowledged", named)

    def _rxpk(self, phy_payload: bytes) -> dict[str, Any]:
        """As an SX1302 concentrator with GPS reports it. sx1302_hal PROTOCOL.md "PUSH_DATA packet"."""
        self._frames += 1
        passed_s = self._frames * STEP_S
        gps_ms = int(gps_from_unix(self._start_unix_s + passed_s)) * 1000
        return ({"tmms": gps_ms} if self._knows_time else {}) | {
            "tmst": passed_s * 1_000_000 & 0xFFFF_FFFF,
            "chan": 0,
            "rfch": 0,
            "freq": 868.1,
            "stat": 1,
            "modu": "LORA",
            "datr": "SF7BW125",
            "codr": "4/5",
            "rssi": -97,
            "lsnr": 5.0,
            "size": len(phy_payload),
            "data": base64.b64encode(phy_payload).decode(),
        }

    def _write(self, event: str, frames: Iterable[tuple[str, int, int]]) -> None:
        self._ledger.write(json.dumps([event, list(frames)]) + "\n")
        self._ledger.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--nodes", type=int, default=12)
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--start", type=int, required=True)
    parser.add_argument("--uplinks", type=int, default=0, help="of every node; 0: until SIGTERM")
    parser.add_argument("--pause-ms", type=int, default=0)
    parser.add_argument("--no-time", action="store_true", help="a concentrator without GPS")
    options = parser.parse_args()
    ended = False

    def end(*_: object) -> None:
        nonlocal ended
        ended = True

    signal.signal(signal.SIGTERM, end)
    with options.ledger.open("w", encoding="utf-8") as ledger:
        load = LedgerLoad(options.port, options.nodes, ledger, options.start, knows_time=not options.no_time)
        load.join()
        number = 0
        while not ended and (not options.uplinks or number < options.uplinks):
            load.send(number)
            number += 1
            time.sleep(options.pause_ms / 1000)


if __name__ == "__main__":
    main()
