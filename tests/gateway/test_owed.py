# SPDX-License-Identifier: EUPL-1.2
"""The calendar of undecided answers."""

import pytest

from gateway.owed import Owed, Pending
from gateway.radio import Answer, Priority, Slot, Variant


def pending(key, at_us, priority=Priority.ACK):
    answer = Answer("70b3d57ed1000001", (Slot(1000, 868_300_000, 5),), (Variant(priority, bytes(12)),))
    return Pending(key, answer, {}, at_us)


@pytest.fixture
def owed():
    return Owed()


class TestCalendar:
    def test_what_matters_most_of_what_is_due_comes_first(self, owed):
        for number, priority in enumerate((Priority.MAC, Priority.JOIN_ACCEPT, Priority.ACK)):
            owed.add(pending(bytes([number]), 10 - number, priority))
        owed.add(pending(b"later", 11))

        due = owed.due(10)

        assert [one.key for one in due] == [b"\x01", b"\x02", b"\x00"]
        assert owed.next_at_us() == 11

    def test_only_the_last_word_on_a_moment_counts(self, owed):
        one = pending(b"one", 10)
        owed.add(one)
        for at_us in (30, 5, 5, 20):
            owed.decide_at(one, at_us)

        assert owed.next_at_us() == 20
        assert owed.due(30) == [one]
        assert owed.due(30) == []

    def test_what_has_ended_is_never_due(self, owed):
        one = pending(b"one", 10)
        owed.add(one)
        owed.drop(one)

        assert owed.next_at_us() is None
        assert list(owed) == []

    def test_a_new_answer_to_the_same_uplink_takes_the_place_of_the_old(self, owed):
        old, new = pending(b"one", 10), pending(b"one", 40)
        owed.add(old)
        owed.add(new)
        owed.drop(old)

        assert owed.due(10) == []
        assert owed.due(40) == [new]

    def test_only_those_that_found_no_place_are_looked_at_again(self, owed):
        hindered, waiting = pending(b"hindered", 1000), pending(b"waiting", 1000)
        hindered.hindered = True
        owed.add(hindered)
        owed.add(waiting)

        owed.look_again()

        assert owed.due(10) == [hindered]
        assert not hindered.hindered
