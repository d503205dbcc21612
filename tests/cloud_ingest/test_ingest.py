# SPDX-License-Identifier: EUPL-1.2
"""Each uplink and each reading is applied once, whatever order and however often it comes."""

import sqlite3
import zlib

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_ingest import dead_letters, streams
from cloud_ingest.ingest import Ingest
from decoders import topics
from decoders.records import READING
from decoders.senml import Reading
from decoders.uplink import Batch, Watermark, encode_batch
from tests.cloud_ingest.world import (
    GATEWAY,
    HOUR,
    NODES,
    OTHER_GATEWAY,
    START,
    STRANGER,
    UP,
    batch,
    moisture_series,
    observations,
    opened,
    registry_json,
    sample,
    small_city,
    uplink,
)


@pytest.fixture
def world(tmp_path):
    store, ingest = opened(tmp_path / "store.db")
    yield store, ingest
    store.close()


def counter(store, name, reason):
    row = store.db.execute("SELECT value FROM counters WHERE name = ? AND reason = ?", (name, reason)).fetchone()
    return row[0] if row else 0


class TestOnce:
    def test_a_batch_is_stored_with_its_watermark_and_latest_values(self, world):
        store, ingest = world

        applied = ingest.apply(UP, moisture_series(NODES[0], [20.0, 19.5]))

        assert (applied.gateway_eui, applied.watermark) == (GATEWAY, Watermark(1, (None, 2, None)))
        assert [row[1:4] for row in observations(store)] == [
            ("soil_moisture", START, 20.0),
            ("soil_moisture", START + HOUR, 19.5),
            ("soil_temperature", START, 20.0),
            ("soil_temperature", START + HOUR, 20.0),
        ]
        newest = store.db.execute("SELECT at, result FROM latest ORDER BY datastream").fetchall()
        assert newest == [(START + HOUR, 19.5), (START + HOUR, 20.0)]

    def test_the_same_batch_again_changes_nothing_and_is_counted(self, world):
        store, ingest = world
        ingest.apply(UP, moisture_series(NODES[0], [20.0]))
        before = observations(store)

        applied = ingest.apply(UP, moisture_series(NODES[0], [20.0]))

        assert applied.watermark == Watermark(1, (None, 1, None))
        assert observations(store) == before
        assert counter(store, "uplinks", "duplicates") == 1

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_one_key_is_counted_applied_once_whichever_reception_comes_first(self, world, order):
        store, ingest = world
        receptions = [batch(uplink(1, NODES[0], 5, sample(START, 20.0), START + late)) for late in (5, 10)]

        for i in order:
            ingest.apply(UP, receptions[i])

        assert (counter(store, "uplinks", "applied"), counter(store, "uplinks", "duplicates")) == (1, 1)
        assert observations(store)[0][5] == START + 5

    def test_a_reading_in_three_uplinks_is_one_observation(self, world):
        store, ingest = world
        old, middle, new = (sample(START + i * HOUR, 20.0 - i) for i in range(3))

        ingest.apply(UP, batch(uplink(1, NODES[0], 0, old), uplink(2, NODES[0], 1, middle + old)))
        ingest.apply(UP, batch(uplink(3, NODES[0], 2, new + middle + old)))

        assert [row[3] for row in observations(store) if row[1] == "soil_moisture"] == [20.0, 19.0, 18.0]
        assert counter(store, "readings", "values") == 6
        assert counter(store, "readings", "duplicates") == 6

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_a_fault_never_hides_a_value_of_the_same_moment(self, world, order):
        store, ingest = world
        messages = [
            batch(uplink(1, NODES[0], 0, sample(START, 20.0), received_at=START + 9)),
            batch(uplink(2, NODES[0], 1, sample(START, "no_answer"), received_at=START + 3)),
        ]

        for i in order:
            ingest.apply(UP, messages[i])

        assert observations(store)[0] == (NODES[0], "soil_moisture", START, 20.0, None, START + 9)
        assert store.db.execute("SELECT result, flag FROM latest WHERE datastream = 1").fetchone() == (20.0, None)

    def test_a_value_that_cannot_be_true_is_kept_but_flagged(self, world):
        store, ingest = world

        ingest.apply(UP, batch(uplink(1, NODES[0], 0, sample(START, 100.5))))

        assert observations(store)[0][3:5] == (100.5, "out_of_range")

    @settings(max_examples=25, deadline=None)
    @given(st.data())
    def test_any_order_and_repetition_of_batches_gives_the_same_tables(self, data):
        values = st.sampled_from([20.0, 15.25, "no_answer", 120.0])
        messages = []
        truth = {}
        for seq in range(1, 9):
            node = data.draw(st.sampled_from([*NODES, STRANGER]))
            at = START + data.draw(st.integers(0, 3)) * HOUR
            # a node may report a fault and later a value for one moment, but never two values
            value = data.draw(st.just("no_answer") | st.just(truth.setdefault((node, at), data.draw(values))))
            received_at = at + data.draw(st.integers(1, 5)) / 4
            messages.append(uplink(seq, node, seq, sample(at, value), received_at))
        cuts = sorted(data.draw(st.sets(st.integers(1, 7))))
        oldest = data.draw(st.sampled_from([1, 1, 3]))
        pieces = [messages[a:b] for a, b in zip([0, *cuts], [*cuts, 8], strict=True)]
        batches = [batch(*piece, oldest_seq=min(oldest, piece[0].seq)) for piece in pieces]
        shuffled = data.draw(st.permutations(batches + data.draw(st.lists(st.sampled_from(batches), max_size=4))))

        assert self._tables(shuffled) == self._tables(batches)

    @staticmethod
    def _tables(batches):
        store, ingest = opened(":memory:")
        for payload in batches:
            ingest.apply(UP, payload)
        tables = [observations(store)]
        for table, columns in (
            ("uplinks", "*"),
            ("applied", "*"),
            ("gaps", "*"),
            ("watermarks", "*"),
            ("dead_letters", "identity, raw"),
        ):
            tables.append(sorted(store.db.execute(f"SELECT {columns} FROM {table}")))
        newest = "SELECT dev_eui, quantity, at, result, flag FROM latest JOIN datastreams ON id = datastream"
        tables.append(sorted(store.db.execute(newest), key=str))
        store.close()
        return tables

    def test_what_one_process_committed_the_next_one_knows(self, tmp_path):
        store, ingest = opened(tmp_path / "store.db")
        ingest.apply(UP, moisture_series(NODES[0], [20.0, 19.0]))
        store.close()

        store, ingest = opened(tmp_path / "store.db")
        ingest.apply(UP, moisture_series(NODES[0], [20.0, 19.0]))

        assert len(observations(store)) == 4
        assert streams.watermarks(store) == [(GATEWAY, Watermark(1, (None, 2, None)))]
        store.close()

    def test_each_epoch_has_its_own_watermark(self, world):
        store, ingest = world
        ingest.apply(UP, batch(uplink(1, NODES[0], 0, sample(START, 20.0)), epoch=1))
        ingest.apply(UP, batch(uplink(1, NODES[0], 1, sample(START + 60, 20.0)), epoch=2))

        assert streams.watermarks(store) == [
            (GATEWAY, Watermark(1, (None, 1, None))),
            (GATEWAY, Watermark(2, (None, 1, None))),
        ]

    def test_the_current_epoch_is_the_one_that_first_came_last_whatever_its_number(self, world):
        store, ingest = world
        for f_cnt, epoch in enumerate((900, 7, 900, 300, 7)):
            ingest.apply(UP, batch(uplink(f_cnt + 1, NODES[0], f_cnt, sample(START + f_cnt, 20.0)), epoch=epoch))

        assert [mark.epoch for _, mark in streams.watermarks(store)] == [900, 7, 300]
        assert streams.current_epoch(store, GATEWAY) == 300
        assert streams.current_epoch(store, OTHER_GATEWAY) is None

    def test_an_uplink_sent_again_under_a_new_epoch_is_stored_once_and_leaves_no_gap(self, world):
        store, ingest = world
        ingest.apply(UP, batch(*(uplink(n, NODES[0], n, sample(START + n, 20.0)) for n in (1, 2, 3)), epoch=900))

        applied = ingest.apply(
            UP, batch(*(uplink(n - 1, NODES[0], n, sample(START + n, 20.0)) for n in (2, 3, 4)), epoch=7)
        )

        assert applied.watermark == Watermark(7, (None, 3, None))
        assert len([row for row in observations(store) if row[1] == "soil_moisture"]) == 4
        assert counter(store, "uplinks", "duplicates") == 2
        assert store.db.execute("SELECT * FROM gaps").fetchall() == []

    def test_a_failure_in_the_middle_leaves_nothing_behind(self, world, mocker):
        store, ingest = world
        mocker.patch.object(streams, "note", side_effect=sqlite3.OperationalError("disk full"))

        with pytest.raises(sqlite3.OperationalError):
            ingest.apply(UP, moisture_series(NODES[0], [20.0]))
        mocker.stopall()

        assert observations(store) == []
        ingest.apply(UP, moisture_series(NODES[0], [20.0]))
        assert len(observations(store)) == 2


class TestRefusals:
    """Counted by reason, kept as a dead letter, none stops the service."""

    @pytest.mark.parametrize(
        ("topic", "payload", "reason"),
        [
            ("stadtfunk/1/xyz/up", b"", "unknown_topic"),
            ("stadtfunk/1/0016c001f1500812/status", b"", "unknown_topic"),
            (UP, b"rubbish", "malformed_batch"),
            (UP, encode_batch(Batch(OTHER_GATEWAY, 1, 1, 1, 1, None, ())), "wrong_gateway"),
            (UP, zlib.compress(b"\x81\x03"), "unknown_version"),
        ],
    )
    def test_a_message_that_means_nothing(self, world, topic, payload, reason):
        store, ingest = world

        first, second = ingest.apply(topic, payload), ingest.apply(topic, payload)

        assert first.watermark is second.watermark is None
        assert counter(store, "rejected", reason) == 2
        [letter] = dead_letters.letters(store)
        assert (letter.reason, letter.topic, letter.raw, letter.times) == (reason, topic, payload, 2)

    def test_what_its_gateway_still_has_is_not_counted_as_applied_however_well_its_head_reads(self, world):
        store, ingest = world
        malformed = zlib.compress(cbor2.dumps([2, bytes.fromhex(GATEWAY), 1, READING, 1, 1, None, [[9]]]))

        applied = ingest.salvage(UP, malformed, "a bug")

        assert [letter.reason for letter in dead_letters.letters(store)] == ["malformed_batch"]
        assert applied.watermark is None
        assert streams.watermark(store, GATEWAY, 1) == Watermark(1, (None, None, None))

    def test_a_gateway_that_the_operator_did_not_list(self, tmp_path):
        store, _ = opened(tmp_path / "store.db")
        ingest = Ingest(store, small_city(), gateways=(OTHER_GATEWAY,))

        ingest.apply(UP, moisture_series(NODES[0], [20.0]))

        assert counter(store, "rejected", "unknown_gateway") == 1
        assert observations(store) == []

    @pytest.mark.parametrize(
        ("reading", "reason"),
        [
            (Reading("mood", "1", START, 1.0, None), "unknown_quantity"),
            (Reading("soil_moisture", "m3/m3", START, 0.2, None), "wrong_unit"),
            (Reading("soil_moisture", "%", START, None, "tired"), "unknown_fault"),
            (Reading("soil_moisture", "%", START + 3700, 20.0, None), "time_ahead"),
        ],
    )
    def test_a_reading_that_means_nothing_does_not_take_the_others_with_it(self, world, reading, reason):
        store, ingest = world
        good = Reading("soil_temperature", "Cel", START, 20.0, None)

        applied = ingest.apply(UP, batch(uplink(1, NODES[0], 0, [reading, good], received_at=START + 1)))

        assert applied.watermark == Watermark(1, (None, 1, None))
        assert [row[1] for row in observations(store)] == ["soil_temperature"]
        assert [letter.reason for letter in dead_letters.letters(store)] == [reason]

    def test_an_unknown_node_is_applied_for_the_watermark_and_replayed_once_registered(self, tmp_path):
        store, ingest = opened(tmp_path / "store.db")
        stranger = uplink(2, STRANGER, 0, sample(START, 17.5))
        applied = ingest.apply(
            UP,
            batch(
                uplink(1, NODES[0], 0, sample(START, 20.0)), stranger, uplink(3, NODES[0], 1, sample(START + 60, 20.0))
            ),
        )
        assert applied.watermark == Watermark(1, (None, 3, None))
        [letter] = dead_letters.letters(store)
        assert not ingest.replay(letter)

        nodes = [*registry_json()["nodes"], {"dev_eui": STRANGER, "tree": "J-0003", "interval_s": HOUR}]
        city = small_city(nodes=nodes)
        store.register(city)

        assert Ingest(store, city).replay(letter)
        assert (STRANGER, "soil_moisture", START, 17.5, None, START + 2.0) in observations(store)
        assert dead_letters.letters(store) == []
        assert counter(store, "uplinks", "applied") == 3

    def test_dead_letters_are_bounded_and_rubbish_does_not_push_readings_out(self, tmp_path):
        store, _ = opened(tmp_path / "store.db")
        ingest = Ingest(store, small_city(), max_dead_bytes=16_000)
        ingest.apply(UP, batch(uplink(1, STRANGER, 0, sample(START, 17.5))))

        for number in range(50):
            ingest.apply(UP, b"rubbish %d" % number)

        letters = dead_letters.letters(store)
        assert letters[0].reason == "unknown_dev_eui"
        assert letters[-1].raw == b"rubbish 49"
        assert 5 < len(letters) < 10
        assert counter(store, "dead_letters", "evicted") == 51 - len(letters)

    def test_readings_that_wait_for_their_node_are_bounded_too(self, tmp_path):
        store, _ = opened(tmp_path / "store.db")
        ingest = Ingest(store, small_city(), max_dead_bytes=16_000)

        ingest.apply(UP, batch(*(uplink(i + 1, STRANGER, i, sample(START + i, 17.5)) for i in range(50))))

        letters = dead_letters.letters(store)
        assert 10 < len(letters) < 25
        assert "f_cnt=49" in letters[-1].detail

    @settings(max_examples=60, deadline=None)
    @given(st.text(max_size=30) | st.just(UP), st.binary(max_size=80))
    def test_any_bytes_on_any_topic_are_refused_and_nothing_else(self, topic, payload):
        store, ingest = opened(":memory:")

        applied = ingest.apply(topic, payload)

        assert applied.watermark is None
        assert len(dead_letters.letters(store)) == 1
        store.close()


class TestMovedNode:
    def test_a_reading_goes_to_the_tree_at_which_its_node_stood_then(self, tmp_path):
        old, *rest = registry_json()["nodes"]
        moved = {**old, "tree": "J-0003", "since": "2026-07-01T05:00:00Z"}
        store, ingest = opened(tmp_path / "store.db", small_city(nodes=[old, moved, *rest]))

        ingest.apply(UP, batch(uplink(1, NODES[0], 0, sample(START + 5 * HOUR, 12.0) + sample(START + 4 * HOUR, 30.0))))

        assert store.db.execute(
            "SELECT t.site, o.result FROM observations o JOIN datastreams d ON d.id = o.datastream "
            "JOIN things t ON t.id = d.thing WHERE d.quantity = 'soil_moisture' ORDER BY t.site"
        ).fetchall() == [("J-0001", 30.0), ("J-0003", 12.0)]

    def test_a_reading_from_before_the_node_stood_anywhere_is_set_aside(self, tmp_path):
        old, *rest = registry_json()["nodes"]
        nodes = [{**old, "since": "2026-07-01T05:00:00Z"}, *rest]
        store, ingest = opened(tmp_path / "store.db", small_city(nodes=nodes))

        ingest.apply(UP, batch(uplink(1, NODES[0], 0, sample(START + 5 * HOUR, 12.0) + sample(START + 4 * HOUR, 30.0))))

        assert [row[3] for row in observations(store) if row[1] == "soil_moisture"] == [12.0]
        assert [letter.reason for letter in dead_letters.letters(store)] == ["before_since"]


FAR = 4_102_444_800  # 2100-01-01


class TestTimeAhead:
    """A wrong clock somewhere must not move the city's present."""

    def test_what_was_received_later_than_now_waits_as_a_dead_letter(self, tmp_path):
        store, _ = opened(tmp_path / "store.db")
        now = [START]
        ingest = Ingest(store, small_city(), clock=lambda: now[0])

        applied = ingest.apply(
            UP,
            batch(
                uplink(1, NODES[0], 0, sample(START + 200, 20.0), START + 299),
                uplink(2, NODES[0], 1, sample(START + 400, 19.0), START + 301),
            ),
        )

        assert applied.watermark == Watermark(1, (None, 2, None))
        assert [row[3] for row in observations(store) if row[1] == "soil_moisture"] == [20.0]
        assert counter(store, "rejected", "received_ahead") == 1
        [letter] = dead_letters.letters(store)
        assert not ingest.replay(letter)
        now[0] += 60
        assert ingest.replay(letter)
        assert store.newest_received_at() == START + 301

    def test_without_a_clock_a_jump_of_more_than_a_day_waits_for_a_second_uplink_that_agrees(self, world):
        store, ingest = world
        ingest.apply(UP, batch(uplink(1, NODES[0], 0, sample(START, 20.0))))
        later = START + 5 * 86400

        ingest.apply(UP, batch(uplink(2, NODES[0], 1, sample(FAR, 30.0), FAR + 2)))
        ingest.apply(UP, batch(uplink(3, NODES[0], 2, sample(later, 15.0))))
        assert store.newest_received_at() == START + 2
        applied = ingest.apply(UP, batch(uplink(4, NODES[1], 0, sample(later + 60, 14.0))))

        assert store.newest_received_at() == later + 62
        assert [row[2:4] for row in observations(store) if row[1] == "soil_moisture"] == [
            (START, 20.0),
            (later, 15.0),
            (later + 60, 14.0),
        ]
        assert applied.things == {store.thing_of(NODES[0]), store.thing_of(NODES[1])}
        assert [letter.reason for letter in dead_letters.letters(store)] == ["received_ahead"]

    def test_nodes_that_sample_once_in_two_days_make_no_jumps(self, tmp_path):
        node = {**registry_json()["nodes"][0], "interval_s": 2 * 86400}
        store, ingest = opened(tmp_path / "store.db", small_city(nodes=[node]))

        for n in range(4):
            ingest.apply(UP, batch(uplink(n + 1, NODES[0], n, sample(START + n * 2 * 86400, 20.0))))

        assert dead_letters.letters(store) == []

    def test_of_several_gateways_one_alone_cannot_move_the_present(self, world):
        store, ingest = world
        ingest.apply(UP, batch(uplink(1, NODES[0], 0, sample(START, 20.0))))
        other = {"gateway_eui": OTHER_GATEWAY}
        ingest.apply(topics.up(OTHER_GATEWAY), batch(uplink(1, NODES[1], 0, sample(START, 20.0)), **other))

        ingest.apply(UP, batch(*(uplink(n + 2, NODES[0], n + 1, sample(FAR + n, 30.0)) for n in range(3))))
        assert store.newest_received_at() == START + 2
        ingest.apply(topics.up(OTHER_GATEWAY), batch(uplink(2, NODES[1], 1, sample(FAR, 20.0)), **other))

        assert store.newest_received_at() == FAR + 4
        assert dead_letters.letters(store) == []
