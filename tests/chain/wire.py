# SPDX-License-Identifier: EUPL-1.2
"""What a gateway got through to its broker, and whether it kept the order."""

from collections import defaultdict

from decoders import topics
from decoders.records import UplinkKey
from decoders.uplink import Batch, decode_batch
from simulators.mqtt_frames import PUBLISH, kind, topic_and_rest


class Wire:
    """Every batch that the gateway has got through, as it went over the wire."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def tap(self, is_up: bool, frame: bytes) -> None:
        if is_up and kind(frame) == PUBLISH:
            topic, rest = topic_and_rest(frame)
            if topics.up_lane_of(topic) is not None:
                self.batches.append(decode_batch(rest[2:]))

    def orders(self) -> dict[tuple[int, int], list[UplinkKey]]:
        """Of each epoch and lane the uplinks by their number; fails if a number ever meant two of them."""
        found: dict[tuple[int, int], dict[int, UplinkKey]] = defaultdict(dict)
        for batch in self.batches:
            for seq, record in enumerate(batch.records, batch.first_seq):
                key = getattr(record, "key", None)
                if key is not None:
                    assert found[batch.epoch, batch.lane].setdefault(seq, key) == key
        return {name: [keys[seq] for seq in sorted(keys)] for name, keys in found.items()}


def in_the_order_sent(keys: list[UplinkKey]) -> bool:
    """Nodes speak in turn: counters of each rise by one, and no node is two ahead of another."""
    counters: dict[str, int] = {}
    for key in keys:
        if counters.setdefault(key.dev_eui, key.f_cnt - 1) != key.f_cnt - 1:
            return False
        counters[key.dev_eui] = key.f_cnt
        if max(counters.values()) - min(counters.values()) > 1:
            return False
    return True
