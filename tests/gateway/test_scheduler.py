# SPDX-License-Identifier: EUPL-1.2
"""The choice among all possibilities is a function of what it is given, in real time as in virtual time."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.airtime_budget import AirtimeBudget
from gateway.radio import Answer, Priority, Variant, windows_after
from gateway.scheduler import Candidate, booking_of, choose
from tests.gateway.nodes import reception

NAMES = [f"0016c001ff10b{number:03x}" for number in range(4)]
ACK = Variant(Priority.ACK, bytes(12))


def candidate(name, snr_db, ended_us=10_000_000, earliest_us=10_600_000, sf=9):
    return Candidate(reception(b"uplink", concentrator=name, snr_db=snr_db, sf=sf), ended_us, earliest_us, 14)


def answer(sf=9):
    return Answer("70b3d57ed1000001", windows_after(reception(b"uplink", sf=sf), 1000), (ACK,))


def budgets(taken=()):
    """``taken``: (concentrator, window) in which it sends something else."""
    made = {name: AirtimeBudget() for name in NAMES}
    for name, window in taken:
        slot = answer().windows[window]
        made[name].book(booking_of(bytes(12), slot, 10_000_000 + slot.delay_ms * 1000))
    return made


class TestMargin:
    """SF9 needs -12.5 dB. SX1261/2 data sheet "LoRa Modulation"."""

    def test_the_concentrator_with_the_widest_margin_sends(self):
        offers = [candidate(NAMES[0], -5.0), candidate(NAMES[1], 4.5), candidate(NAMES[2], 1.0)]

        choice, obstacle = choose(answer(), offers, budgets())

        assert (choice.concentrator, choice.window, choice.margin_db, obstacle) == (NAMES[1], 0, 17.0, "")

    def test_the_next_best_sends_where_the_best_is_busy(self):
        offers = [candidate(NAMES[0], -5.0), candidate(NAMES[1], 4.5), candidate(NAMES[2], 1.0)]

        choice, _ = choose(answer(), offers, budgets([(NAMES[1], 0)]))

        assert (choice.concentrator, choice.window) == (NAMES[2], 0)

    def test_nobody_sends_when_all_windows_are_over(self):
        assert choose(answer(), [candidate(NAMES[0], 5.0, earliest_us=12_000_001)], budgets()) == (None, "too_late")


OFFERS = st.lists(
    st.builds(
        candidate,
        st.sampled_from(NAMES),
        st.integers(-80, 40).map(lambda quarters: quarters / 4),
        earliest_us=st.sampled_from([10_600_000, 11_000_001, 12_000_001]),
    ),
    min_size=1,
    max_size=4,
    unique_by=(lambda offer: offer.reception.concentrator, lambda offer: offer.reception.snr_db),
)
TAKEN = st.sets(st.tuples(st.sampled_from(NAMES), st.sampled_from([0, 1])), max_size=4)


class TestPure:
    @settings(max_examples=200, deadline=None)
    @given(OFFERS, TAKEN, st.permutations(range(4)))
    def test_neither_the_order_of_reports_nor_an_earlier_choice_changes_it(self, offers, taken, order):
        transmitters = budgets(sorted(taken))
        shuffled = [offers[place] for place in order if place < len(offers)]

        first = choose(answer(), offers, transmitters)

        assert choose(answer(), shuffled, transmitters) == first
        assert choose(answer(), offers, budgets(sorted(taken))) == first
