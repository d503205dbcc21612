# SPDX-License-Identifier: EUPL-1.2
"""The state of the running service in numbers: /status and /metrics of the local page. No single node is here."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from decoders.records import LANES, READING
from decoders.topics import lane_name
from gateway.backhaul.gwmp import Stat
from gateway.forwarder import Forwarder
from gateway.group_commit import GroupCommit
from gateway.metrics import Metrics, exposition
from gateway.operations import Operations
from gateway.page import Answer, Content, Request, as_json
from gateway.reader import OutboxReader
from gateway.room import Room
from gateway.transmitter import Transmitter


class StatusReport:
    """``attached``: the concentrators there is a way to; ``stats``: what those that speak GWMP say of themselves."""

    def __init__(
        self,
        gateway_eui: str,
        reader: OutboxReader,
        writer: GroupCommit,
        forwarder: Forwarder,
        room: Room,
        transmitter: Transmitter,
        operations: Operations,
        metrics: Metrics,
        attached: Mapping[str, object],
        stats: Callable[[], Mapping[str, Stat]],
        is_clock_sure: Callable[[], bool],
    ) -> None:
        self._gateway_eui = gateway_eui
        self._reader = reader
        self._writer = writer
        self._forwarder = forwarder
        self._room = room
        self._transmitter = transmitter
        self._operations = operations
        self._metrics = metrics
        self._attached = attached
        self._stats = stats
        self._is_clock_sure = is_clock_sure
        self._began_s = time.monotonic()

    def answers(self) -> dict[str, Answer]:
        """By path."""
        return {"/status": self._status_page, "/metrics": self._metrics_page}

    async def _status_page(self, _request: Request) -> Content:
        return "application/json", as_json(self.status())

    async def _metrics_page(self, _request: Request) -> Content:
        text = exposition(self._metrics, self.gauges(), self._concentrators())
        return "text/plain; version=0.0.4", text

    def gauges(self) -> dict[str, float]:
        """The present state, by the names of metrics.GAUGES."""
        held = self._reader.held()
        self._metrics.counters["commits"] = self._writer.commits
        return {
            "outbox_held": self._reader.waiting_records(),
            "outbox_last_seq": held.last - self._forwarder.numbering.bases[READING],
            "outbox_bytes": self._reader.outbox_bytes(),
            "disk_short": int(self._room.short),
            "broker_connected": int(self._forwarder.connected),
            "concentrators": len(self._attached),
            "clock_sure": int(self._is_clock_sure()),
            "waiting_for_time": self._reader.waiting(),
            "waiting_dropped": self._reader.waiting_dropped(),
            **self._reader.counts(),
            **self._operations.gauges(),
            "uptime_seconds": round(time.monotonic() - self._began_s, 1),
        }

    def _concentrators(self) -> list[dict[str, Any]]:
        """What is known of each: the airtime of its last hour by sub-band, and its own counts if it sends some."""
        stats = self._stats()
        return [
            {
                "eui": eui,
                **self._operations.facts(eui),
                "airtime_ms": {str(low): us // 1000 for low, us in self._transmitter.used_us(eui).items()},
                **(stats[eui]._asdict() if eui in stats else {}),
            }
            for eui in sorted(self._attached.keys() | stats.keys() | self._operations.liveness.concentrators().keys())
        ]

    def status(self) -> dict[str, Any]:
        """Everything of /metrics, as one JSON document."""
        gauges = self.gauges()
        return {
            "gateway_eui": self._gateway_eui,
            "epoch": self._forwarder.numbering.epoch,
            **gauges,
            "broker_connected": bool(gauges["broker_connected"]),
            "counters": self._metrics.counters,
            "refused": self._metrics.refused,
            "downlink_attempts_failed": self._metrics.failed_attempts,
            "downlinks_dropped": self._metrics.downlinks_dropped,
            "joins_refused": self._metrics.joins_refused,
            "lanes": [
                {"lane": lane_name(lane), "waiting": held.waiting, "kept": held.last - held.oldest + 1}
                for lane, held in ((lane, self._reader.held(lane)) for lane in LANES)
            ],
            "concentrator_list": self._concentrators(),
        }
