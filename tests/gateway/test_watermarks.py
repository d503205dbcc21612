# SPDX-License-Identifier: EUPL-1.2
"""What the cloud says it has, over a real broker: whatever it says, nothing that it lacks is deleted."""

import json
from dataclasses import replace

from decoders import topics
from decoders.uplink import Watermark, encode_watermark
from tests.gateway.nodes import GATEWAY_EUI
from tests.gateway.running import Cloud, eventually


class TestWatermark:
    def test_a_watermark_of_an_unknown_epoch_deletes_nothing(self, broker, bench):
        bench.append(5)
        with Cloud(broker.port, committing=False) as cloud, bench.service() as gateway:
            eventually(lambda: 5 in cloud.messages)
            cloud.publish_watermark(cloud.epoch ^ 1, 3)
            eventually(lambda: gateway.metrics.counters["watermarks_unknown_epoch"])

        assert bench.held() == (1, 5)

    def test_what_is_no_watermark_is_counted_and_the_next_one_works(self, broker, bench):
        bench.append(1)
        with Cloud(broker.port, committing=False) as cloud, bench.service() as gateway:
            eventually(lambda: 1 in cloud.messages)
            for n, payload in enumerate(("{}", "[1,2]", "\x00" * 50, '{"epoch":1,"seqs":[0,-1,0]}', "x" * 5000), 1):
                cloud.publish_raw(payload)
                eventually(lambda n=n: gateway.metrics.counters["watermarks_malformed"] == n)
            held = bench.held()
            cloud.commit()
            eventually(bench.empty)

        assert held == (1, 1)

    def test_a_watermark_that_goes_back_is_followed_and_rows_are_sent_again(self, broker, bench):
        bench.append(30)
        with Cloud(broker.port, committing=False) as cloud, bench.service() as gateway:
            eventually(lambda: 30 in cloud.messages)
            cloud.publish_watermark(cloud.epoch, 20)
            eventually(lambda: bench.held()[0] == 21)
            cloud.publish_watermark(cloud.epoch, 5)
            eventually(lambda: gateway.metrics.counters["watermarks_backwards"] == 1)
            held = bench.held()
            eventually(lambda: (6, 15) in cloud.batches)
            cloud.publish_watermark(cloud.epoch, 30)
            eventually(bench.empty)

        assert held == (6, 30)

    def test_a_lane_that_the_cloud_has_forgotten_is_sent_again(self, broker, bench):
        bench.append(10)
        with Cloud(broker.port) as cloud, bench.service():
            eventually(bench.empty)
            cloud.committing = False
            cloud.batches.clear()

            cloud.publish_raw(encode_watermark(Watermark(cloud.epoch, (0, None, None))))  # from a backup, then an alarm

            eventually(lambda: (1, 10) in cloud.batches)

    def test_of_a_lane_that_the_cloud_has_not_spoken_of_nothing_is_sent_again(self, broker, bench):
        bench.append(20)
        with Cloud(broker.port), bench.service():
            eventually(bench.empty)
        with Cloud(broker.port, committing=False) as cloud, bench.service() as gateway:
            epoch = eventually(lambda: gateway.status()["broker_connected"] and gateway.status()["epoch"])
            cloud.publish_raw(encode_watermark(Watermark(epoch, (0, None, None))))
            eventually(lambda: gateway.metrics.counters["watermarks"])
            held, counters = bench.held(), gateway.metrics.counters

        assert (held, counters["watermarks_backwards"], cloud.batches) == ((21, 20), 0, [])

    def test_a_watermark_above_all_numbers_begins_a_new_epoch(self, broker, bench):
        bench.append(5)
        with Cloud(broker.port, committing=False) as cloud, bench.service() as gateway:
            old = gateway.status()["epoch"]
            eventually(lambda: 5 in cloud.messages)
            cloud.publish_watermark(old, 1000)
            eventually(lambda: gateway.metrics.counters["watermarks_ahead"] == 1)
            eventually(lambda: cloud.epoch != old)
            eventually(lambda: json.loads(cloud.statuses[-1])["epoch"] != old)
            held, new = bench.held(), gateway.status()["epoch"]
            cloud.commit()
            eventually(bench.empty)

        assert held == (1, 5)
        assert new == cloud.epoch != old

    def test_a_cloud_that_starts_again_from_nothing_gets_what_is_held_and_what_another_had(self, broker, bench):
        bench.append(10)
        with Cloud(broker.port) as cloud, bench.service():
            eventually(bench.empty)
        bench.append(10)
        broker.kill()
        broker.wipe()
        broker.start()
        with Cloud(broker.port) as fresh, bench.service():
            eventually(bench.empty)

        assert sorted(key.f_cnt for key in cloud.keys) == list(range(1, 11))
        assert sorted(key.f_cnt for key in fresh.keys) == list(range(1, 21))


class TestEpoch:
    """Each start of the service numbers what it holds from 1, under a new name."""

    def test_a_restored_older_database_loses_nothing(self, broker, bench, tmp_path):
        with Cloud(broker.port) as cloud:
            bench.append(10)
            with bench.service():
                eventually(bench.empty)
            bench.back_up(tmp_path / "backup")
            bench.append(20)
            with bench.service():
                eventually(bench.empty)
            bench.restore(tmp_path / "backup")
            bench._f_cnt = 30
            bench.append(30)  # while the backhaul is away: the retained watermark stands at 30 of an epoch long dead
            with bench.service():
                eventually(bench.empty)

        assert {key.f_cnt for key in cloud.keys} == set(range(1, 61))

    def test_two_starts_have_two_epochs_and_both_number_from_one(self, broker, bench):
        epochs, firsts = [], []
        for _ in range(2):
            bench.append(3)
            with Cloud(broker.port) as cloud, bench.service() as gateway:
                eventually(bench.empty)
                epochs.append(gateway.status()["epoch"])
                firsts.append(min(cloud.messages))

        assert epochs[0] != epochs[1]
        assert firsts == [1, 1]
        assert all(0 <= epoch < 1 << 32 for epoch in epochs)

    def test_what_a_cloud_says_it_has_is_not_sent_again_after_a_start(self, broker, bench):
        with Cloud(broker.port) as cloud:
            bench.append(20)
            with bench.service():
                eventually(bench.empty)
            bench.append(10)
            with bench.service() as gateway:
                eventually(bench.empty)
                status = gateway.status()

        assert {seq: message.key.f_cnt for seq, message in cloud.messages.items()} == {
            seq: seq for seq in range(21, 31)
        }
        assert (status["outbox_last_seq"], status["counters"]["watermarks_backwards"]) == (30, 0)

    def test_a_cloud_restored_from_before_the_start_gets_all_that_is_held(self, broker, bench):
        bench.append(20)
        with Cloud(broker.port), bench.service():
            eventually(bench.empty)
        bench.append(10)
        with Cloud(broker.port) as restored, bench.service():
            eventually(lambda: len(restored.messages) == 30)
            eventually(bench.empty)

        assert {seq: message.key.f_cnt for seq, message in restored.messages.items()} == {
            seq: seq for seq in range(1, 31)
        }

    def test_of_what_is_delivered_the_horizon_s_worth_is_kept(self, broker, bench):
        bench.config = replace(bench.config, store=replace(bench.config.store, horizon_mb=0))
        bench.append(30)
        with Cloud(broker.port), bench.service() as gateway:
            eventually(bench.empty)
            eventually(lambda: gateway.status()["outbox_bytes"] == 0)

        assert bench._reader.held() == (31, 30, 30)

    def test_a_dead_epoch_s_watermark_does_not_hide_the_live_one(self, broker, bench):
        bench.append(5)
        with Cloud(broker.port, committing=False) as cloud, bench.service() as gateway:
            eventually(lambda: 5 in cloud.messages)
            forwarder = gateway._forwarder
            live, dead = Watermark(cloud.epoch, (None, 5, None)), Watermark(cloud.epoch ^ 1, (None, 2, None))
            for watermark in (live, dead):  # both before the forwarder looks
                forwarder._broker._loop.call_soon_threadsafe(
                    forwarder._heard, topics.committed(GATEWAY_EUI), encode_watermark(watermark)
                )
            eventually(bench.empty)

    def test_a_watermark_above_what_was_sent_deletes_nothing_even_if_held(self, broker, bench):
        bench.append(300)
        with Cloud(broker.port, committing=False) as cloud, bench.service() as gateway:
            eventually(lambda: 200 in cloud.messages)  # a window of 20 batches of 10
            cloud.publish_watermark(cloud.epoch, 250)
            eventually(lambda: gateway.metrics.counters["watermarks_ahead"])

        assert bench.held() == (1, 300)
