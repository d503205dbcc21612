# SPDX-License-Identifier: EUPL-1.2
"""Which watermarks the broker is to be told, by one process in one order, whoever committed what they say.

So a gateway never hears an older watermark after a newer one, and none that the store does not hold. Of each gateway
the current epoch's is retained: a dead one must not hide it.
"""

from collections.abc import Callable

from cloud_ingest import streams
from cloud_ingest.store import SqliteStore
from decoders import topics
from decoders.uplink import encode_watermark

Publish = Callable[[str, bytes, bool], None]  # topic, payload, retained


class Publisher:
    """In the writer's thread. ``publish`` hands a message to the broker, in order."""

    def __init__(self, store: SqliteStore, publish: Publish) -> None:
        self._store = store
        self._publish = publish
        self._told = 0

    def tell_news(self) -> None:
        """Tell the gateways of which something came since the last time, also if we had it already."""
        for touched, gateway_eui, epoch in streams.touched_since(self._store, self._told):
            self._tell(gateway_eui, epoch)
            self._told = touched

    def tell_all(self) -> None:
        """Tell every gateway its current watermark: a broker may have forgotten them."""
        news = streams.touched_since(self._store, 0)
        for gateway_eui in streams.gateways(self._store):
            epoch = streams.current_epoch(self._store, gateway_eui)
            assert epoch is not None
            self._tell(gateway_eui, epoch)
        self._told = news[-1][0] if news else 0

    def _tell(self, gateway_eui: str, epoch: int) -> None:
        watermark = streams.watermark(self._store, gateway_eui, epoch)
        is_current = streams.current_epoch(self._store, gateway_eui) == epoch
        self._publish(topics.committed(gateway_eui), encode_watermark(watermark), is_current)
