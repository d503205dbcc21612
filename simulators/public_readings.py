# SPDX-License-Identifier: EUPL-1.2
"""What the public sees, read through SensorThings page by page."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

Public = Counter[tuple[str, str, int, float | None]]
_WITHHELD = "suppressed"


def get(url: str) -> dict[str, Any]:
    """The JSON at ``url``; raises OSError."""
    with urlopen(quote(url, safe=":/?&=$();,%'"), timeout=60) as response:
        return dict(json.load(response))


def pages(url: str | None) -> Iterator[dict[str, Any]]:
    """The entities of a collection, from its first page to its last."""
    while url is not None:
        page = get(url)
        yield from page["value"]
        url = page.get("@iot.nextLink")


def observations(url: str) -> Public:
    """(tree or station, quantity, Unix time, value) -> how often it is public at the city's page ``url``.

    The value is None where a small count is withheld; faults are left out.
    """
    found: Public = Counter()
    for stream in pages(f"{url}/v1.1/Datastreams?$expand=Thing,ObservedProperty"):
        name, quantity = stream["Thing"]["name"], stream["properties"]["quantity"]
        for observation in pages(f"{url}/v1.1/Datastreams({stream['@iot.id']})/Observations?$top=1000"):
            result, flag = observation["result"], observation.get("resultQuality", {}).get("flag")
            if flag in (None, _WITHHELD):
                at = round(datetime.fromisoformat(observation["phenomenonTime"]).timestamp())
                found[name, quantity, at, None if result is None else round(result, 3)] += 1
    return found
