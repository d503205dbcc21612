# SPDX-License-Identifier: EUPL-1.2
"""Which watermarks the broker is told, in which order, and which of them it keeps."""

from collections.abc import Iterator

import pytest

from cloud_ingest.publisher import Publisher
from decoders import topics
from decoders.uplink import decode_watermark
from tests.cloud_ingest.world import GATEWAY, NODES, OTHER_GATEWAY, START, UP, batch, opened, sample, uplink

Told = list[tuple[str, int, tuple[int | None, ...], bool]]


class World:
    def __init__(self) -> None:
        self.store, self.ingest = opened(":memory:")  # type: ignore[arg-type]
        self.told: Told = []
        self.publisher = Publisher(self.store, self._publish)

    def _publish(self, topic: str, payload: bytes, retained: bool) -> None:
        self.told.append((topic, *decode_watermark(payload), retained))

    def apply(self, seq: int, epoch: int, gateway_eui: str = GATEWAY) -> None:
        message = uplink(seq, NODES[0], 100 * epoch + seq, sample(START + 60 * (10 * epoch + seq), 20.0))
        payload = batch(message, gateway_eui=gateway_eui, epoch=epoch)
        self.ingest.apply(UP if gateway_eui == GATEWAY else topics.up(gateway_eui), payload)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.store.close()


OURS, OTHERS = topics.committed(GATEWAY), topics.committed(OTHER_GATEWAY)


class TestNews:
    def test_every_epoch_of_which_something_came_is_told_once_in_that_order(self, world: World) -> None:
        world.apply(1, epoch=7)
        world.apply(1, epoch=3, gateway_eui=OTHER_GATEWAY)
        world.apply(2, epoch=7)

        world.publisher.tell_news()
        world.publisher.tell_news()

        assert world.told == [(OTHERS, 3, (None, 1, None), True), (OURS, 7, (None, 2, None), True)]

    def test_a_dead_epoch_is_answered_and_not_retained(self, world: World) -> None:
        world.apply(1, epoch=7)
        world.apply(1, epoch=3)
        world.publisher.tell_news()
        world.told.clear()

        world.apply(2, epoch=7)
        world.publisher.tell_news()

        assert world.told == [(OURS, 7, (None, 2, None), False)]

    def test_what_came_again_is_told_again(self, world: World) -> None:
        for _ in range(2):
            world.apply(1, epoch=7)
            world.publisher.tell_news()

        assert world.told == [(OURS, 7, (None, 1, None), True)] * 2


class TestAll:
    def test_a_new_connection_is_told_the_current_epoch_of_each_gateway_and_no_news_twice(self, world: World) -> None:
        world.apply(1, epoch=7)
        world.apply(1, epoch=3)
        world.apply(1, epoch=5, gateway_eui=OTHER_GATEWAY)

        world.publisher.tell_all()
        world.publisher.tell_news()

        assert sorted(world.told) == [(OURS, 3, (None, 1, None), True), (OTHERS, 5, (None, 1, None), True)]
