# SPDX-License-Identifier: EUPL-1.2
"""What was received later than now: looked at uplink by uplink only where that can make a difference."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_ingest.ingest import Ingest
from cloud_ingest.present import Present
from tests.cloud_ingest.world import (
    HOUR,
    NODES,
    START,
    STRANGER,
    UP,
    batch,
    observations,
    opened,
    sample,
    small_city,
    uplink,
)

DAY = 86_400


def received(*moments: float):
    return [uplink(n + 1, NODES[0], n, sample(START, 20.0), moment)[1] for n, moment in enumerate(moments)]


class TestSure:
    def test_with_a_clock_five_minutes_ahead_of_it_are_believed(self, tmp_path):
        store, _ = opened(tmp_path / "store.db")
        present = Present(store, small_city(), lambda: START)

        assert present.is_sure_of(received(START - DAY, START + 300))
        assert not present.is_sure_of(received(START + 301, START))

    def test_without_one_a_day_after_all_that_is_known(self, tmp_path):
        store, ingest = opened(tmp_path / "store.db")
        present = Present(store, small_city(), None)
        before = present.is_sure_of(received(START))
        ingest.apply(UP, batch(uplink(1, NODES[0], 0, sample(START, 20.0), START)))

        assert not before  # nothing is known: the first decides about the next
        assert present.is_sure_of(received(START + DAY))
        assert not present.is_sure_of(received(START, START + DAY + 1))


delays = st.lists(st.sampled_from([0, HOUR, DAY, 3 * DAY, 400 * DAY]), min_size=6, max_size=6)  # by counter
steps = st.lists(st.tuples(st.sampled_from([*NODES, STRANGER]), st.integers(0, 5)), min_size=1, max_size=8)


class TestTogether:
    @settings(max_examples=60, deadline=None)
    @given(st.lists(steps, min_size=1, max_size=4), delays, st.none() | st.integers(0, 4))
    def test_uplinks_taken_together_end_as_those_taken_one_by_one(self, batches, delays, clock_days):
        clock = None if clock_days is None else lambda: START + clock_days * DAY
        together = tables(batches, delays, clock)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Present, "is_sure_of", lambda *_: False)
            one_by_one = tables(batches, delays, clock)

        assert together == one_by_one


def tables(batches, delays, clock):
    store, _ = opened(":memory:")
    ingest = Ingest(store, small_city(), clock=clock)
    seq = 1
    for said in batches:
        messages = []
        for dev_eui, f_cnt in said:
            at = START + f_cnt * HOUR
            messages.append(uplink(seq, dev_eui, f_cnt, sample(at, 20.0), at + delays[f_cnt]))
            seq += 1
        ingest.apply(UP, batch(*messages))
    found = [observations(store)]
    for sql in (
        "SELECT * FROM uplinks",
        "SELECT identity, reason, times FROM dead_letters ORDER BY 1",
        "SELECT * FROM counters",
    ):
        found.append(store.db.execute(sql).fetchall())
    store.close()
    return found
