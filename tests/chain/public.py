# SPDX-License-Identifier: EUPL-1.2
"""What the public sees, read through SensorThings page by page."""

import json
import time
from collections import Counter
from datetime import datetime
from urllib.parse import quote
from urllib.request import urlopen

from simulators.town import Town


def get(url: str) -> dict:
    with urlopen(quote(url, safe=":/?&=$();,%'"), timeout=60) as response:
        return json.load(response)


def observations(town: Town) -> Counter:
    """(tree, quantity, Unix time, value) -> how often it is public."""
    found: Counter = Counter()
    for stream in pages(f"{town.url}/v1.1/Datastreams?$expand=Thing,ObservedProperty"):
        tree, quantity = stream["Thing"]["name"], stream["properties"]["quantity"]
        for observation in pages(f"{town.url}/v1.1/Datastreams({stream['@iot.id']})/Observations?$top=1000"):
            at = datetime.fromisoformat(observation["phenomenonTime"]).timestamp()
            found[tree, quantity, round(at), round(observation["result"], 3)] += 1
    return found


def pages(url: str | None):
    while url is not None:
        page = get(url)
        yield from page["value"]
        url = page.get("@iot.nextLink")


def until(ready, what: str, timeout_s: float = 120.0) -> None:
    """Look again and again; AssertionError when it takes too long."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        assert time.monotonic() < deadline, f"{what} did not happen in {timeout_s:.0f} s"
        time.sleep(0.05)


def drained(town: Town) -> bool:
    """Nothing is left in the gateway's outbox."""
    status = town.get(f"http://127.0.0.1:{town.page_port}/status")
    return status is not None and status["outbox_held"] == 0
