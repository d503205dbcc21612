# SPDX-License-Identifier: EUPL-1.2
"""Slots that are meant for what matters more, against a plain list of what everybody wants."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.airtime_budget import Booking
from gateway.holds import Holds
from gateway.radio import Priority

ONE, TWO = "0016c001ff10b001", "0016c001ff10b002"
RX1_HZ = 868_300_000


def booking(start_ms, length_ms=100):
    return Booking(start_ms * 1000, (start_ms + length_ms) * 1000, RX1_HZ)


class Bench:
    """``wanted`` is what each answer wants at present; ``asked`` counts how often it was looked up."""

    def __init__(self):
        self.wanted = {}
        self.asked = []
        self.holds = Holds(self._look_up)

    def _look_up(self, key):
        self.asked.append(key)
        return self.wanted[key]

    def expect(self, key, priority, slot):
        self.wanted[key] = slot
        self.holds.expect(key, priority)


@pytest.fixture
def bench():
    return Bench()


class TestHolds:
    def test_a_slot_is_kept_from_what_matters_less_and_from_nobody_else(self, bench):
        bench.expect(b"ack", Priority.ACK, (ONE, booking(1000)))

        kept_from = [priority for priority in Priority if bench.holds.meets(ONE, booking(1050), priority)]

        assert kept_from == [Priority.APPLICATION, Priority.MAC]
        assert not bench.holds.meets(TWO, booking(1050), Priority.MAC)
        assert not bench.holds.meets(ONE, booking(1100), Priority.MAC)

    def test_it_is_looked_up_once_whoever_asks(self, bench):
        bench.expect(b"ack", Priority.ACK, (ONE, booking(1000)))

        for start_ms in range(0, 2000, 10):
            bench.holds.meets(ONE, booking(start_ms), Priority.MAC)

        assert bench.asked == [b"ack"]

    def test_whoever_wanted_what_is_booked_now_is_looked_up_again(self, bench):
        bench.expect(b"ack", Priority.ACK, (ONE, booking(1000)))
        bench.expect(b"other", Priority.ACK, (ONE, booking(5000)))
        assert bench.holds.meets(ONE, booking(1000), Priority.MAC)
        bench.wanted[b"ack"] = (TWO, booking(2000))

        bench.holds.booked(ONE, booking(1050))

        assert not bench.holds.meets(ONE, booking(1000), Priority.MAC)
        assert bench.holds.meets(TWO, booking(2000), Priority.MAC)
        assert sorted(bench.asked) == [b"ack", b"ack", b"other"]

    def test_what_is_decided_keeps_nothing(self, bench):
        bench.expect(b"ack", Priority.ACK, (ONE, booking(1000)))
        bench.holds.meets(ONE, booking(1000), Priority.MAC)

        bench.holds.drop(b"ack")

        assert not bench.holds.meets(ONE, booking(1000), Priority.MAC)

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.integers(0, 6),
                st.sampled_from([*Priority, None]),
                st.sampled_from([ONE, TWO]),
                st.integers(0, 9000),
                st.integers(20, 2800),
            ),
            max_size=30,
        ),
        st.integers(0, 9000),
    )
    def test_it_tells_what_a_plain_list_tells(self, changes, start_ms):
        bench, plain = Bench(), {}
        for key, priority, name, at_ms, length_ms in changes:
            if priority is None:
                bench.holds.drop(bytes([key]))
                plain.pop(key, None)
            else:
                plain[key] = (priority, name, booking(at_ms, length_ms))
                bench.expect(bytes([key]), priority, (name, booking(at_ms, length_ms)))
            asked = booking(start_ms)
            for mine in Priority:
                meets = any(
                    other > mine and where == ONE and slot.start_us < asked.end_us and asked.start_us < slot.end_us
                    for other, where, slot in plain.values()
                )
                assert bench.holds.meets(ONE, asked, mine) == meets
