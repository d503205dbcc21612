# SPDX-License-Identifier: EUPL-1.2
"""The queue before the writer."""

import threading
from collections import deque
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cloud_ingest.inbox import Inbox

ALARM, READING, DIAGNOSTIC = LANES = (0, 1, 2)


def filled(*items: tuple[int, int]) -> Inbox[tuple[int, int]]:
    inbox: Inbox[tuple[int, int]] = Inbox(LANES, 1000)
    for item in items:
        assert inbox.put(item[0], item, 0.0)
    return inbox


def drained(inbox: Inbox[tuple[int, int]]) -> list[tuple[int, int]]:
    return list(iter(lambda: inbox.get(0.0), None))


class TestOrder:
    def test_the_lower_lane_goes_first_and_each_in_its_own_order(self) -> None:
        inbox = filled((DIAGNOSTIC, 1), (READING, 1), (READING, 2), (ALARM, 1), (ALARM, 2))

        assert drained(inbox) == [(ALARM, 1), (ALARM, 2), (READING, 1), (READING, 2), (DIAGNOSTIC, 1)]

    def test_a_flood_of_alarms_starves_nobody(self) -> None:
        inbox = filled(*((ALARM, n) for n in range(100)), (READING, 0), (READING, 1), (DIAGNOSTIC, 0))

        order = [lane for lane, _ in drained(inbox)]

        assert order[:19] == [ALARM] * 16 + [READING, DIAGNOSTIC, ALARM]
        assert order.index(READING, 17) == 16 + 1 + 16

    @given(st.lists(st.sampled_from(LANES) | st.none(), max_size=300))
    def test_whatever_comes_and_goes_each_lane_is_in_order_and_none_waits_for_more_than_patience_allows(self, steps):
        inbox, numbers, waiting = filled(), dict.fromkeys(LANES, 0), {lane: deque() for lane in LANES}
        taken: list[tuple[int, int]] = []
        passed = dict.fromkeys(LANES, 0)

        for step in [*steps, *[None] * 300]:
            if step is not None:
                numbers[step] += 1
                inbox.put(step, (step, numbers[step]), 0.0)
                waiting[step].append(numbers[step])
            elif (item := inbox.get(0.0)) is not None:
                taken.append(item)
                for lane in LANES:
                    passed[lane] = passed[lane] + 1 if lane != item[0] and waiting[lane] else 0
                waiting[item[0]].popleft()
            assert max(passed.values()) <= 18  # sixteen, and at most the two other lanes' turns

        assert not any(waiting.values())
        for lane in LANES:
            assert all(one < next_ for one, next_ in pairwise(n for of, n in taken if of == lane))


class TestRoom:
    def test_a_full_lane_holds_up_nobody_else(self) -> None:
        inbox: Inbox[str] = Inbox(LANES, 2)
        assert [inbox.put(READING, "reading", 0.0) for _ in range(3)] == [True, True, False]

        assert inbox.put(ALARM, "alarm", 0.0)

        assert inbox.get(0.0) == "alarm"

    def test_who_waits_for_room_goes_on_as_soon_as_there_is_some(self) -> None:
        inbox: Inbox[int] = Inbox(LANES, 1)
        inbox.put(READING, 1, 0.0)
        later = threading.Thread(target=inbox.put, args=(READING, 2, 60.0))
        later.start()

        first = inbox.get(60.0)
        second = inbox.get(60.0)

        later.join(60)
        assert (first, second) == (1, 2)

    def test_nothing_is_none(self) -> None:
        assert Inbox(LANES, 1).get(0.0) is None
