# SPDX-License-Identifier: EUPL-1.2
"""The Prometheus text of `/metrics`: counters of the store (they survive restarts) and of this process."""

from collections import Counter

from cloud_ingest.api.readers import Snapshot
from cloud_ingest.gaps import DROPPED_RECORDS

_SERVICES = ("api", "v1.1", "assets", "crew", "operator", "metrics", "health")


def service_of(path: str) -> str:
    """The part of the service a path belongs to; 'page' for the rest."""
    first = path.split("/", 2)[1] if "/" in path else ""
    return first if first in _SERVICES else "page"


async def text(db: Snapshot, requests: "Counter[tuple[str, int]]", connected: bool, writing: bool) -> str:
    counters = await db.rows("SELECT name, reason, value FROM counters ORDER BY name, reason")
    gauges = await db.row(
        "SELECT (SELECT count(*) FROM alerts WHERE closed_at IS NULL), (SELECT count(*) FROM dead_letters), "
        f"(SELECT count(*) FROM gaps), ({DROPPED_RECORDS}), "
        "(SELECT coalesce(max(received_at), 0) FROM uplinks)"
    )
    lines = [
        "# HELP stadtfunk_ingest_total What came from the broker, by what became of it.",
        "# TYPE stadtfunk_ingest_total counter",
        *(f'stadtfunk_ingest_total{{what="{name}",outcome="{reason}"}} {value}' for name, reason, value in counters),
        "# HELP stadtfunk_http_responses_total Answers of this process.",
        "# TYPE stadtfunk_http_responses_total counter",
        *(
            f'stadtfunk_http_responses_total{{service="{service}",status="{status}"}} {value}'
            for (service, status), value in sorted(requests.items())
        ),
    ]
    names = ("alerts_open", "dead_letters", "gaps", "records_dropped_by_gateways", "newest_uplink_received_seconds")
    for name, value in (
        *zip(names, gauges, strict=True),
        ("broker_connected", int(connected)),
        ("writer_up", int(writing)),
    ):
        lines += [f"# TYPE stadtfunk_{name} gauge", f"stadtfunk_{name} {value}"]
    return "\n".join(lines) + "\n"
