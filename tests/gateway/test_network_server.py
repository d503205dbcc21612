# SPDX-License-Identifier: EUPL-1.2
"""Data uplinks, against a real database and real frames."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoders.lorawan.errors import MalformedFrame, MicMismatch
from decoders.records import UplinkKey
from decoders.senml import Reading
from gateway.errors import Refused
from gateway.network_server import Accepted, Copy, candidate_counters
from gateway.replay_window import is_late_first, seen_after
from tests.gateway.nodes import tree_payload
from tests.gateway.server_bench import OTHER, Bench


@pytest.fixture
def bench(tmp_path, node):
    bench = Bench(tmp_path, node)
    yield bench
    bench.store.close()


class TestUplink:
    """TS001-1.0.4 "Data messages"."""

    def test_its_readings_are_in_the_outbox_with_its_key(self, bench, node):
        accepted = bench.handle(node.uplink())

        (message,) = bench.messages()
        key = UplinkKey("70b3d57ed1000001", bench.session(), 0)
        assert accepted == Accepted(key, 2, 3, -97.0, True, "", None, None, tree_payload(), "tree")
        assert message.key == key
        assert message.received_at == 1_770_964_782.5
        assert message.profile == "tree"
        assert sorted(message.readings) == [
            Reading("battery_voltage", "V", 1_770_964_782, 3.612, None),
            Reading("soil_moisture", "%", 1_770_964_782, 23.45, None),
            Reading("soil_temperature", "Cel", 1_770_964_782, 12.5, None),
            Reading("surface_temperature", "Cel", 1_770_964_782, -3.25, None),
        ]

    def test_a_sample_without_a_time_was_taken_at_the_reception(self, bench, node):
        bench.handle(node.uplink(tree_payload(gps_s=0)), gps_ms=1_455_000_007_999)

        (message,) = bench.messages()
        assert {reading.at for reading in message.readings} == {1_770_964_789}

    def test_the_sample_s_own_time_counts_however_late_it_arrives(self, bench, node):
        bench.handle(node.uplink(tree_payload(gps_s=1_454_900_000)))

        (message,) = bench.messages()
        assert {reading.at for reading in message.readings} == {1_770_864_782}

    def test_an_unknown_address_is_refused(self, bench, node):
        node.dev_addr += 5

        assert bench.refusal(node.uplink()) == "unknown_dev_addr"

    def test_a_wrong_mic_changes_nothing(self, bench, node):
        phy_payload = node.uplink()

        with pytest.raises(MicMismatch):
            bench.handle(phy_payload[:-1] + bytes([phy_payload[-1] ^ 0x80]))

        assert (bench.f_cnt_up(), bench.messages()) == (-1, ())

    def test_mac_commands_in_both_places_are_refused(self, bench, node):
        phy_payload = bytearray(node.uplink(b"", f_port=None, f_opts=b"\x02"))

        with pytest.raises(MalformedFrame):
            bench.handle(bytes(phy_payload[:9]) + b"\x00\x02" + bytes(phy_payload[-4:]))

    @pytest.mark.parametrize(
        ("payload", "f_port", "problem"),
        [(b"\x01\x02\x03", 2, "malformed_payload"), (b"hello", 77, "no_layout"), (b"", 2, "malformed_payload")],
    )
    def test_a_payload_that_nobody_can_read_is_kept_raw_and_the_counter_advances(
        self, bench, node, payload, f_port, problem
    ):
        accepted = bench.handle(node.uplink(payload, f_port=f_port))

        rows = bench.store.connection.execute("SELECT f_cnt, f_port, frm_payload, problem FROM quarantine").fetchall()
        assert (accepted.stored, accepted.problem) == (False, problem)
        assert rows == [(0, f_port, payload, problem)]
        assert (bench.f_cnt_up(), bench.messages()) == (0, ())

    def test_a_frame_without_a_payload_only_advances_the_counter(self, bench, node):
        accepted = bench.handle(node.uplink(f_port=None))

        assert (accepted.stored, accepted.f_port, accepted.problem) == (False, None, "")
        assert (bench.f_cnt_up(), bench.messages()) == (0, ())


class TestFrameCounter:
    """TS001-1.0.4 "Frame counter (FCnt)": 32 bits, of which 16 are on air."""

    @pytest.mark.parametrize(
        ("last", "on_air", "expected"),
        [
            (-1, 0, [0]),
            (-1, 40_000, [40_000]),
            (5, 6, [6]),
            (5, 5, [5, 65_541]),
            (5, 4, [65_540, 4]),
            (0xFFFE, 0xFFFF, [0xFFFF]),
            (0xFFFF, 0, [0x10000, 0]),
            (0x1_0002, 0xFFFF, [0x1_FFFF, 0xFFFF]),
            (0xFFFF_FFFF, 0, [0xFFFF_0000]),
        ],
    )
    def test_the_candidates_are_the_next_and_the_nearest_before(self, last, on_air, expected):
        assert candidate_counters(last, on_air) == expected

    def test_a_first_counter_of_one_is_fine(self, bench, node):
        bench.handle(node.uplink(f_cnt=1))

        assert bench.f_cnt_up() == 1

    def test_it_passes_16_bits(self, bench, node):
        for f_cnt in (65_534, 65_535, 65_536, 65_538, 131_000):
            bench.handle(node.uplink(f_cnt=f_cnt))

        assert [message.key.f_cnt for message in bench.messages()] == [65_534, 65_535, 65_536, 65_538, 131_000]

    def test_a_late_copy_from_before_the_turn_of_16_bits_is_a_copy(self, bench, node):
        late = node.uplink(f_cnt=65_535)
        bench.handle(late)
        bench.handle(node.uplink())

        assert isinstance(bench.handle(late, concentrator=OTHER), Copy)
        assert bench.f_cnt_up() == 65_536


class TestCopiesAndReplays:
    def test_a_copy_through_another_concentrator_is_not_stored_twice(self, bench, node):
        phy_payload = node.uplink()
        bench.handle(phy_payload)

        copy = bench.handle(phy_payload, concentrator=OTHER)

        assert copy == Copy(UplinkKey("70b3d57ed1000001", bench.session(), 0), None)
        assert len(bench.messages()) == 1

    def test_a_copy_is_known_after_a_restart(self, bench, node):
        phy_payload = node.uplink()
        bench.handle(phy_payload)
        bench.restart()

        assert isinstance(bench.handle(phy_payload), Copy)

    def test_the_same_frame_much_later_is_a_replay(self, bench, node):
        phy_payload = node.uplink()
        bench.handle(phy_payload)

        assert bench.refusal(phy_payload, gps_ms=1_455_000_061_000) == "replay"

    def test_a_first_copy_that_comes_late_is_stored_once(self, bench, node):
        skipped = node.uplink()
        bench.handle(node.uplink())

        late = bench.handle(skipped, concentrator=OTHER)
        again = bench.handle(skipped)

        assert (type(late), late.stored, type(again)) == (Accepted, True, Copy)
        assert [message.key.f_cnt for message in bench.messages()] == [1, 0]
        assert bench.f_cnt_up() == 1

    def test_a_late_frame_is_not_answered_its_windows_are_over(self, bench, node):
        skipped = node.uplink(f_opts=b"\x0d", confirmed=True)
        bench.handle(node.uplink())

        assert bench.handle(skipped).answer is None

    def test_what_came_late_is_a_replay_from_then_on_even_after_a_restart(self, bench, node):
        skipped = node.uplink()
        bench.handle(node.uplink())
        bench.handle(skipped)
        bench.restart()

        assert bench.refusal(skipped) == "replay"
        assert bench.refusal(node.uplink(tree_payload(moisture_percent_100=999), f_cnt=0)) == "replay"

    def test_frames_are_late_up_to_32_counters(self, bench, node):
        frames = [node.uplink() for _ in range(41)]
        bench.handle(frames[40])

        outcomes = []
        for f_cnt in (9, 8, 7):
            try:
                outcomes.append(type(bench.handle(frames[f_cnt])))
            except Refused as refused:
                outcomes.append(refused.reason)

        assert outcomes == [Accepted, Accepted, "replay"]

    def test_a_frame_accepted_in_its_turn_stays_a_replay_while_the_counter_moves_on(self, bench, node):
        frames = [node.uplink() for _ in range(8)]
        for f_cnt in (0, 2, 3, 7):
            bench.handle(frames[f_cnt])
        bench.restart()

        refused = [f_cnt for f_cnt in (0, 2, 3) if bench.refusal(frames[f_cnt]) == "replay"]
        accepted = [f_cnt for f_cnt in (6, 5, 4, 1) if bench.handle(frames[f_cnt]).stored]

        assert (refused, accepted) == ([0, 2, 3], [6, 5, 4, 1])

    def test_a_late_frame_from_before_the_turn_of_16_bits_has_its_own_counter(self, bench, node):
        bench.handle(node.uplink(f_cnt=65_534))
        late = node.uplink()
        bench.handle(node.uplink())

        assert bench.handle(late).key.f_cnt == 65_535

    @given(st.lists(st.integers(0, 70), max_size=40))
    @settings(max_examples=100, deadline=None)
    def test_no_order_stores_anything_twice_or_refuses_what_is_new_and_near(self, order):
        last, seen, accepted = -1, 0, set()
        for f_cnt in order:
            is_new = f_cnt > last or (f_cnt not in accepted and last - f_cnt <= 32)
            assert is_late_first(last, seen, f_cnt) == (is_new and f_cnt < last)
            if is_new:
                last, seen = seen_after(last, seen, f_cnt)
                accepted.add(f_cnt)

    def test_another_payload_under_a_used_counter_is_a_replay(self, bench, node):
        bench.handle(node.uplink())

        assert bench.refusal(node.uplink(tree_payload(moisture_percent_100=999), f_cnt=0)) == "replay"

    def test_a_replay_of_an_old_session_finds_no_session(self, bench, node):
        old = node.uplink()
        bench.handle(old)
        bench.join()
        bench.handle(node.uplink())

        assert bench.refusal(old) == "unknown_dev_addr"

    def test_the_old_session_works_until_the_new_one_is_used(self, bench, node):
        bench.handle(node.uplink())
        second, old = node.uplink(), bench.session()
        bench.join()

        still = bench.handle(second)
        new = bench.handle(node.uplink())

        assert [outcome.key for outcome in (still, new)] == [
            UplinkKey("70b3d57ed1000001", old, 1),
            UplinkKey("70b3d57ed1000001", bench.session(), 0),
        ]
        assert bench.session() != old
