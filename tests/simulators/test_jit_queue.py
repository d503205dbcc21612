# SPDX-License-Identifier: EUPL-1.2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.jit_queue import Downlink, JitQueue, parse_txpk

GOOD = {
    "tmst": 1_000_000,
    "freq": 869.525,
    "rfch": 0,
    "powe": 27,
    "modu": "LORA",
    "datr": "SF12BW125",
    "codr": "4/5",
    "ipol": True,
    "ncrc": True,
    "size": 3,
    "data": "AAEC",
}
DOWNLINK = Downlink(1_000_000, 869_525_000, 27, 12, 125_000, 1, True, 8, False, False, b"\x00\x01\x02")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=3,
)


class TestTxpk:
    """PROTOCOL.md 6 "Downstream JSON data structure"."""

    def test_every_field_is_read(self):
        assert parse_txpk(GOOD, 0, 0) == DOWNLINK

    def test_padding_of_the_data_is_optional(self):
        assert parse_txpk({**GOOD, "data": "AAEC/w", "size": 4}, 0, 0) == DOWNLINK._replace(
            phy_payload=b"\x00\x01\x02\xff"
        )

    def test_what_is_left_out_has_its_default(self):
        bare = {name: GOOD[name] for name in ("tmst", "freq", "modu", "datr", "codr", "size", "data")}

        assert parse_txpk(bare, 0, 0) == DOWNLINK._replace(power_dbm=14, iq_inverted=False, crc_on=True)

    def test_a_preamble_has_at_least_six_symbols(self):
        assert parse_txpk({**GOOD, "prea": 4}, 0, 0) == DOWNLINK._replace(preamble=6)

    @settings(deadline=None)
    @given(st.sampled_from(sorted(GOOD)) | st.sampled_from(["imme", "tmms", "prea", "nhdr", "brd"]), JSON)
    def test_anything_in_a_field_gives_a_downlink_or_nothing(self, name, value):
        assert isinstance(parse_txpk({**GOOD, name: value}, 0, 0), Downlink | None)

    @settings(deadline=None)
    @given(JSON)
    def test_anything_at_all_gives_nothing(self, value):
        assert parse_txpk(value, 0, 0) is None


class TestQueue:
    """jitqueue.c, jit_enqueue()."""

    def test_it_holds_thirty_two_downlinks(self):
        queue = JitQueue()

        results = [queue.enqueue(DOWNLINK._replace(tmst=n * 2_000_000), 0, 0) for n in range(1, 34)]

        assert results == [*range(2_000_000, 66_000_000, 2_000_000), "COLLISION_PACKET"]

    def test_a_downlink_is_taken_when_it_is_due(self):
        queue = JitQueue()
        for n in (3, 1, 2):
            queue.enqueue(DOWNLINK._replace(tmst=n * 2_000_000, phy_payload=bytes([n])), 0, 0)

        assert queue.take(4_000_000).phy_payload == b"\x02"
        assert queue.enqueue(DOWNLINK._replace(tmst=4_000_000), 0, 0) == 4_000_000

    @pytest.mark.parametrize(("tmst", "result"), [(1_130_108, "COLLISION_PACKET"), (1_130_107, 1_130_107)])
    def test_one_must_be_over_before_the_next_is_prepared(self, tmst, result):
        queue = JitQueue()
        queue.enqueue(DOWNLINK._replace(tmst=2_000_000), 0, 0)

        # SF12, 3 bytes: 827.392 ms; 41.5 ms to prepare the next and 1 ms between them
        assert queue.enqueue(DOWNLINK._replace(tmst=tmst), 0, 0) == result

    def test_the_counter_may_wrap_before_it_is_due(self):
        assert JitQueue().enqueue(DOWNLINK._replace(tmst=500_000), 77, (1 << 32) - 500_000) == 1_000_077

    def test_an_immediate_one_fits_between_two_others(self):
        queue = JitQueue()
        queue.enqueue(DOWNLINK._replace(tmst=100_000), 0, 0)
        queue.enqueue(DOWNLINK._replace(tmst=5_000_000), 0, 0)

        # SF12, 3 bytes: 20.25 + 5 symbols of 32.768 ms = 827.392 ms, and 82.5 ms
        assert queue.enqueue(DOWNLINK._replace(tmst=None), 0, 0) == 1_009_892
