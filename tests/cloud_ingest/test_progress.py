# SPDX-License-Identifier: EUPL-1.2
"""The watermark is contiguous per gateway and epoch."""

from hypothesis import given
from hypothesis import strategies as st

from cloud_ingest.progress import Progress

BATCHES = st.lists(
    st.tuples(st.integers(1, 30), st.integers(-1, 6), st.integers(1, 30)).map(
        lambda b: (b[0], b[0] + b[1], min(b[0], b[2]))
    ),
    max_size=12,
)


def after(*batches):
    progress = Progress()
    for batch in batches:
        progress = progress.with_batch(*batch)
    return progress


class TestWatermark:
    def test_it_follows_batches_in_order(self):
        assert after((1, 3, 1), (4, 6, 1)).watermark == 6

    def test_it_waits_for_what_the_gateway_still_has(self):
        progress = after((1, 3, 1), (7, 9, 4))

        assert progress.watermark == 3
        assert progress.gaps == ()

    def test_what_came_early_counts_once_the_rest_is_there(self):
        assert after((1, 3, 1), (7, 9, 4), (4, 6, 4)).watermark == 9

    def test_what_the_gateway_no_longer_has_is_a_gap_and_does_not_hold_it_up(self):
        progress = after((1, 3, 1), (7, 9, 7))

        assert progress.watermark == 9
        assert progress.gaps == ((4, 6),)

    def test_a_gap_closes_when_its_messages_come_after_all(self):
        assert after((1, 3, 1), (7, 9, 7), (5, 5, 1)).gaps == ((4, 4), (6, 6))

    def test_an_empty_batch_only_tells_what_is_gone(self):
        progress = after((5, 4, 5))

        assert progress.watermark == 4
        assert progress.gaps == ((1, 4),)

    @given(BATCHES, st.randoms())
    def test_it_is_what_a_set_of_numbers_says_in_any_order(self, batches, random):
        arrived = {n for first, last, _ in batches for n in range(first, last + 1)}
        gone = set(range(1, max((oldest for _, _, oldest in batches), default=1))) - arrived
        expected = next(n for n in range(1, 100) if n not in arrived | gone) - 1
        shuffled = random.sample([*batches, *batches[:3]], len(batches) + len(batches[:3]))

        progress = after(*shuffled)

        assert progress.watermark == expected
        assert {n for first, last in progress.gaps for n in range(first, last + 1)} == gone
        assert {n for first, last in progress.applied for n in range(first, last + 1)} == arrived
        assert all(a[1] + 1 < b[0] for a, b in zip(progress.applied, progress.applied[1:], strict=False))
