# SPDX-License-Identifier: EUPL-1.2
"""What the gateway counts since its start. README.md lists every name here (a test compares)."""

from collections.abc import Iterable, Mapping
from typing import Any

# Why a datagram, a frame or a payload went no further
REFUSALS = {
    "malformed_datagram": "UDP datagrams that are no GWMP v2 message",
    "malformed_rxpk": "received frames whose description by the concentrator is not usable",
    "crc_failed": "frames that the concentrator reports without a good CRC",
    "unsupported_modulation": "frames that are not LoRa",
    "overload": "PUSH_DATA not handled, and not acknowledged, because too many were waiting",
    "malformed_message": "messages of Basics Stations that are none of the LNS protocol",
    "unauthorized_concentrator": "attempts of Basics Stations to connect without a token or certificate of their own",
    "not_stored": "frames of Basics Stations lost because they could not be stored for ten minutes",
    "unknown_concentrator": "datagrams in the name of a concentrator that is a Basics Station",
    "spoofed_source": "datagrams in the name of a concentrator that speaks from another address",
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
    "join_flood_dev_eui": "Join-Requests not looked at because their DevEUI asks more often than any node may",
    "join_flood_unknown": "Join-Requests not looked at because too many DevEUIs that are not registered ask",
    "join_flood_concentrator": "Join-Requests not looked at because one concentrator brings more than air can carry",
    "no_dev_addr_left": "Join-Requests that found dev_addr_block full",
    "no_join_nonce_left": "Join-Requests of a device that has joined 2**24 - 1 times",
    "decode_failed": "payloads kept raw in quarantine because no decoder reads them; their counter advanced",
    "store_full": "frames not acknowledged because the disk is too full to store them",
    "store_failed": "frames lost, and not acknowledged, because the database could not be written",
    "internal_error": "frames not acknowledged because of a bug; the log has the traceback",
}

COUNTERS = {
    "datagrams": "UDP datagrams received",
    "messages": "messages received from Basics Stations",
    "frames": "frames reported by concentrators in usable form",
    "uplinks": "data uplinks accepted: counter, and readings if any, on the disk",
    "joins": "Join-Requests answered",
    "downlinks": "downlinks given to a concentrator, further attempts included",
    "downlinks_sent": "answers and downlinks of applications that a concentrator has taken or sent",
    "downlinks_failed": "downlinks that a concentrator reports as not sent",
    "downlinks_without_way": "downlinks dropped because their concentrator has sent no PULL_DATA",
    "commands": "downlinks asked for over MQTT and queued",
    "commands_refused": "messages on the topic for commands that are no command, or cannot be queued",
    "concentrator_time_wrong": "times of concentrators not believed: further than time_tolerance_s from our clock",
    "times_repaired": "records whose time was an estimate and was put right before the cloud had them",
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

# Why a downlink was not sent, or not by the first attempt
FAILURES = {
    "too_late": "the windows were, or would have been, over",
    "too_early": "the concentrator says that the moment is too far ahead",
    "collision_packet": "the concentrator has another frame at that moment",
    "collision_beacon": "the concentrator has a beacon at that moment",
    "tx_freq": "the concentrator cannot send on that frequency",
    "tx_power": "the concentrator cannot send with that power",
    "gps_unlocked": "the concentrator does not know the time",
    "other": "the concentrator gives a reason that the protocol does not have",
    "no_way": "the concentrator has opened no way down",
    "not_confirmed": "the concentrator has not said in time that it has sent it",
    "connection_lost": "the concentrator's connection ended before it had sent it",
    "overlap": "the concentrator would send something else at that moment",
    "duty_cycle": "the sub-band's hour is used up for that priority",
    "blocked": "the Basics Station would drop it: it blocks a band after each frame",
    "too_long": "the frame is too long for the window's data rate",
    "superseded": "the node has sent its uplink again meanwhile, and is answered anew",
}

GAUGES = {
    "outbox_held": "records in the outbox that the cloud does not have yet",
    "outbox_bytes": "what the outbox takes on the disk, with what the cloud already has",
    "outbox_last_seq": "the newest reading's number in this epoch",
    "clock_sure": "1 while the time is known for sure: our clock was set over the network, or a concentrator has GPS",
    "waiting_for_time": "uplinks that wait until somebody knows the time",
    "waiting_dropped": "uplinks ever dropped because too many waited for a time",
    "disk_short": "1 while the disk is short of reserve_mb: the database may not grow until space or the cloud returns",
    "broker_connected": "1 while connected to the broker",
    "concentrators": "concentrators heard since the start",
    "devices": "devices registered",
    "sessions": "sessions, those not yet used included",
    "quarantine": "payloads in quarantine",
    "downlinks_waiting": "downlinks of applications that wait for their node",
    "nodes_ok": "nodes that send as often as expected",
    "nodes_late": "nodes that are late",
    "nodes_down": "nodes that are down",
    "missed_uplinks": "uplinks of all nodes that did not arrive, by their frame counters",
    "join_flood": "1 while Join-Requests come in a flood",
    "uptime_seconds": "time since the start",
}

# Of each concentrator; all but the first as it says itself in its last GWMP statistics
CONCENTRATOR_GAUGES = {
    "airtime_ms": "airtime of its last hour, by the lower edge of the sub-band",
    "rxnb": "packets received since its statistics before",
    "rxok": "of these, with a good CRC",
    "rxfw": "of these, forwarded",
    "ackr": "percentage of its datagrams that were acknowledged",
    "dwnb": "downlinks given to it",
    "txnb": "packets sent",
    "up": "1 unless it has been silent for too long; of those that have brought a frame of ours",
    "silent_seconds": "time since its last sign of life, likewise",
    "accepted": "frames that it brought first, since the start",
    "copies": "frames that another one had brought before",
    "refused": "frames that were not accepted",
}

# Of each node, on /metrics/nodes only, which needs the page's token; at most 1,000 of them, those down and late first
NODE_GAUGES = {
    "up": "0 where the node is late or down",
    "late": "1 where the node is late",
    "down": "1 where the node is down",
    "silent_seconds": "time since it was heard, as far as somebody listened",
    "interval_seconds": "how often it is expected: set, or learned",
    "battery": "as it says: 0 external power, 1 to 254 empty to full, 255 it cannot tell",
    "snr_margin_db": "median SNR of its frames above what its data rate needs",
    "uplinks": "distinct uplinks",
    "missed_uplinks": "uplinks that did not arrive, by its frame counter",
}

_PREFIX = "stadtfunk_gateway"


class Metrics:
    """Counts by name; a name that is not in the tables above is a bug (KeyError)."""

    def __init__(self) -> None:
        self.refused = dict.fromkeys(REFUSALS, 0)
        self.counters = dict.fromkeys(COUNTERS, 0)
        self.failed_attempts = dict.fromkeys(FAILURES, 0)
        self.downlinks_dropped = dict.fromkeys(FAILURES, 0)
        self.joins_refused = dict.fromkeys(REFUSALS, 0)

    def refuse(self, reason: str, times: int = 1) -> None:
        self.refused[reason] += times

    def refuse_join(self, reason: str) -> None:
        self.joins_refused[reason] += 1

    def count(self, name: str, times: int = 1) -> None:
        self.counters[name] += times


def exposition(metrics: Metrics, gauges: Mapping[str, float], concentrators: Iterable[Mapping[str, Any]] = ()) -> str:
    """Prometheus text format 0.0.4."""
    lines = [
        f"# HELP {_PREFIX}_refused_total What went no further, by reason",
        f"# TYPE {_PREFIX}_refused_total counter",
    ]
    lines += [f'{_PREFIX}_refused_total{{reason="{reason}"}} {count}' for reason, count in metrics.refused.items()]
    for name, help_text, counts in (
        ("joins_refused_total", "Join-Requests refused, by reason", _not_none(metrics.joins_refused)),
        (
            "downlink_attempts_failed_total",
            "Downlinks given to a concentrator that were not sent",
            metrics.failed_attempts,
        ),
        ("downlinks_dropped_total", "Downlinks that nobody could send, by the last reason", metrics.downlinks_dropped),
    ):
        lines += [f"# HELP {_PREFIX}_{name} {help_text}", f"# TYPE {_PREFIX}_{name} counter"]
        lines += [f'{_PREFIX}_{name}{{reason="{reason}"}} {count}' for reason, count in counts.items()]
    for name, count in metrics.counters.items():
        full = f"{_PREFIX}_{name}_total"
        lines += [f"# HELP {full} {COUNTERS[name]}", f"# TYPE {full} counter", f"{full} {count}"]
    for name, help_text in GAUGES.items():
        full = f"{_PREFIX}_{name}"
        lines += [f"# HELP {full} {help_text}", f"# TYPE {full} gauge", f"{full} {gauges[name]}"]
    return "\n".join([*lines, *_by_concentrator(list(concentrators))]) + "\n"


def _not_none(counts: Mapping[str, int]) -> dict[str, int]:
    return {reason: count for reason, count in counts.items() if count}


def node_exposition(nodes: Iterable[Mapping[str, Any]]) -> str:
    """Prometheus text of single nodes, each a mapping of ``dev_eui`` and NODE_GAUGES; None: not known."""
    known = list(nodes)
    lines = []
    for name, help_text in NODE_GAUGES.items():
        full = f"{_PREFIX}_node_{name}"
        lines += [f"# HELP {full} {help_text}", f"# TYPE {full} gauge"]
        lines += [f'{full}{{dev_eui="{node["dev_eui"]}"}} {node[name]}' for node in known if node[name] is not None]
    return "\n".join(lines) + "\n"


def _by_concentrator(concentrators: list[Mapping[str, Any]]) -> list[str]:
    lines = []
    for name, help_text in CONCENTRATOR_GAUGES.items():
        full = f"{_PREFIX}_concentrator_{name}"
        lines += [f"# HELP {full} {help_text}", f"# TYPE {full} gauge"]
        for known in concentrators:
            if name == "airtime_ms":
                bands = known["airtime_ms"].items()
                lines += [f'{full}{{eui="{known["eui"]}",sub_band_hz="{band}"}} {value}' for band, value in bands]
            elif name in known:
                lines.append(f'{full}{{eui="{known["eui"]}"}} {known[name]}')
    return lines
