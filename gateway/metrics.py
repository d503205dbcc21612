# SPDX-License-Identifier: EUPL-1.2
"""What the gateway counts since its start. README.md lists every name here (a test compares)."""

from collections.abc import Mapping

# Why a datagram, a frame or a payload went no further
REFUSALS = {
    "malformed_datagram": "UDP datagrams that are no GWMP v2 message",
    "malformed_rxpk": "received frames whose description by the concentrator is not usable",
    "crc_failed": "frames that the concentrator reports without a good CRC",
    "unsupported_modulation": "frames that are not LoRa",
    "overload": "PUSH_DATA not handled, and not acknowledged, because too many were waiting",
    "unexpected_m_type": "frames of a kind that no node sends up",
    "malformed_frame": "frames that break LoRaWAN 1.0.4",
    "unknown_data_rate": "frames at a data rate that the channel plan does not have",
    "unknown_frequency": "Join-Requests on a frequency that may not be answered",
    "unknown_dev_addr": "data frames with an address of no session: other networks' nodes",
    "mic_mismatch": "frames whose integrity code fits no key or counter",
    "duplicate": "further copies of an accepted frame",
    "replay": "old frames sent again",
    "unknown_dev_eui": "Join-Requests of devices that are not registered",
    "unknown_join_eui": "Join-Requests with another JoinEUI than registered",
    "dev_nonce_reused": "Join-Requests whose DevNonce has not risen",
    "no_dev_addr_left": "Join-Requests that found dev_addr_block full",
    "no_join_nonce_left": "Join-Requests of a device that has joined 2**24 - 1 times",
    "decode_failed": "payloads kept raw in quarantine because no decoder reads them; their counter advanced",
    "time_unknown": "payloads kept raw in quarantine because nobody ever knew when they were received",
    "store_full": "frames not acknowledged because the disk is too full to store them",
    "store_failed": "frames lost, and not acknowledged, because the database could not be written",
    "internal_error": "frames not acknowledged because of a bug; the log has the traceback",
}

COUNTERS = {
    "datagrams": "UDP datagrams received",
    "frames": "frames reported by concentrators in usable form",
    "uplinks": "data uplinks accepted: counter, and readings if any, on the disk",
    "joins": "Join-Requests answered",
    "downlinks": "downlinks given to a concentrator",
    "downlinks_failed": "downlinks that a concentrator reports as not sent",
    "downlinks_without_way": "downlinks dropped because their concentrator has sent no PULL_DATA",
    "concentrator_time_wrong": "times of concentrators not believed: further than time_tolerance_s from our clock",
    "commits": "transactions, and so fsyncs, of the writer",
    "batches": "batches published to the broker, repeats included",
    "resends": "times that publishing began again after the watermark, for lack of progress or after a reconnect",
    "watermarks": "watermarks applied",
    "watermarks_malformed": "messages on the watermark topic that are no watermark",
    "watermarks_unknown_epoch": "watermarks of another epoch, ignored; one at a start is usual",
    "watermarks_backwards": "watermarks below the last: the cloud has lost data, it is sent again",
    "watermarks_ahead": "watermarks above anything sent: nothing is deleted, a new epoch begins",
    "broker_connections": "connections to the broker",
    "broker_failures": "connections lost or refused",
}

GAUGES = {
    "outbox_held": "uplinks in the outbox",
    "outbox_last_seq": "the newest uplink's number in this epoch",
    "waiting_for_time": "uplinks that wait until somebody knows the time",
    "disk_short": "1 while the disk is short of reserve_mb: the database may not grow until space or the cloud returns",
    "broker_connected": "1 while connected to the broker",
    "concentrators": "concentrators heard since the start",
    "devices": "devices registered",
    "sessions": "sessions, those not yet used included",
    "quarantine": "payloads in quarantine",
    "uptime_seconds": "time since the start",
}

_PREFIX = "stadtfunk_gateway"


class Metrics:
    """Counts by name; a name that is not in the tables above is a bug (KeyError)."""

    def __init__(self) -> None:
        self.refused = dict.fromkeys(REFUSALS, 0)
        self.counters = dict.fromkeys(COUNTERS, 0)

    def refuse(self, reason: str, times: int = 1) -> None:
        self.refused[reason] += times

    def count(self, name: str, times: int = 1) -> None:
        self.counters[name] += times


def exposition(metrics: Metrics, gauges: Mapping[str, float]) -> str:
    """Prometheus text format 0.0.4."""
    lines = [
        f"# HELP {_PREFIX}_refused_total What went no further, by reason",
        f"# TYPE {_PREFIX}_refused_total counter",
    ]
    lines += [f'{_PREFIX}_refused_total{{reason="{reason}"}} {count}' for reason, count in metrics.refused.items()]
    for name, count in metrics.counters.items():
        full = f"{_PREFIX}_{name}_total"
        lines += [f"# HELP {full} {COUNTERS[name]}", f"# TYPE {full} counter", f"{full} {count}"]
    for name, help_text in GAUGES.items():
        full = f"{_PREFIX}_{name}"
        lines += [f"# HELP {full} {help_text}", f"# TYPE {full} gauge", f"{full} {gauges[name]}"]
    return "\n".join(lines) + "\n"
