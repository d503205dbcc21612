# SPDX-License-Identifier: EUPL-1.2
"""What the link and its timing must do, as functions of the module, so that broken ones can be tried too.

Instants are measured on the simulated air. RP002-1.0.4: a downlink starts at the delay +-20 us.
"""

from collections.abc import Callable
from types import ModuleType

import pytest

from simulators.chips.sx1262_faults import Fault
from tests.firmware.link_rig import PausingGc, Rig, ScriptedMac, each_call_takes

Behaviour = Callable[[ModuleType], None]

OURS = b"\x60 for this node, sealed"
THEIRS = b"\x61 for a neighbour, sealed"


# TS001-1.0.4 "Receive windows"


def a_window_opens_its_error_early_and_lasts_it_twice(link: ModuleType) -> None:
    # offset = -(lead + err), symbols = ceil((lead + 2 err) / Ts) + 6
    for symbol_us, error_us, symbols, early_us in (
        (1_024, 20_000, 46, 20_062),  # 40.062 ms are 39.1 symbols of SF7
        (4_096, 20_000, 16, 20_062),  # 9.8 of SF9
        (8_192, 20_000, 11, 20_062),  # 4.9 of SF10
        (32_768, 20_000, 8, 20_062),  # 1.2 of SF12
        (32_768, 5_000, 7, 5_062),
        (1_024, 100_000, 202, 100_062),  # 195.4
        (32_768, 100_000, 13, 100_062),  # 6.1
        (512, 100_000, 248, 61_983),  # SF7 at 250 kHz: the chip counts no further, (248 - 6) * 512 = 62 + 2 * 61921
    ):
        window = link.Window(symbol_us, error_us, 62)

        assert (window.symbols, window.early_us, window.us) == (symbols, early_us, symbols * symbol_us)


def both_open_their_error_early_whatever_the_ticks_say(link: ModuleType) -> None:
    # fresh budget: 20 ms, 40 ppm of two crystals, 62 us from SetRx to a listening receiver
    for now_us in (0, (1 << 30) - 500_000, (1 << 30) - 1_800_000):
        for sf in (7, 12):
            rig = Rig(link, now_us=now_us)

            rig.exchange(ScriptedMac(sf))

            assert rig.opened_us() == pytest.approx([979_898, 1_979_858], abs=30)


def later_delays_move_them(link: ModuleType) -> None:
    rig = Rig(link)

    rig.exchange(ScriptedMac(rx1_us=5_000_000))

    assert rig.opened_us() == pytest.approx([4_979_738, 5_979_698], abs=30)


def they_are_set_up_as_the_core_says(link: ModuleType) -> None:
    rig = Rig(link)

    rig.exchange(ScriptedMac(9))

    assert rig.radio.staged == [(868_300_000, 9, 125_000, 16), (869_525_000, 12, 125_000, 8)]


def a_downlink_on_time_is_heard_at_every_spreading_factor(link: ModuleType) -> None:
    for sf in range(7, 13):
        for off_us in (-20, 20):
            rig = Rig(link)
            rig.answer(OURS, 1_000_000 + off_us, sf)

            assert rig.exchange(ScriptedMac(sf)) == [OURS]
            assert len(rig.opened_us()) == 1  # RX2 stays closed


def a_downlink_anywhere_in_the_budget_is_heard(link: ModuleType) -> None:
    for sf in (7, 9, 12):
        for off_us in (-19_900, 19_900):
            rig = Rig(link)
            rig.answer(OURS, 1_000_000 + off_us, sf)
            assert rig.exchange(ScriptedMac(sf)) == [OURS]
            rig = Rig(link)
            rig.answer(OURS, 2_000_000 + off_us, sf, 869_525_000)
            assert rig.exchange(ScriptedMac(7, rx2_sf=sf)) == [OURS]


def a_downlink_outside_the_budget_is_not_paid_for(link: ModuleType) -> None:
    # the preamble has 8 symbols, the chip needs 5 of them: 3 more on the early side, 1 on the late one
    for off_us in (-20_100 - 4 * 1_024, 20_300 + 2 * 1_024):
        rig = Rig(link)
        rig.answer(OURS, 1_000_000 + off_us)

        assert rig.exchange(ScriptedMac()) == []


def a_neighbours_downlink_in_rx1_does_not_cost_ours_in_rx2(link: ModuleType) -> None:
    rig = Rig(link)
    before = rig.budget.pack()
    rig.answer(THEIRS, 990_000)
    rig.answer(OURS, 2_000_000, 12, 869_525_000)

    events = rig.exchange(ScriptedMac())

    assert [type(event).__name__ for event in events] == ["Dropped", "bytes"]
    rig = Rig(link)
    rig.answer(THEIRS, 990_000)
    rig.exchange(ScriptedMac())
    assert rig.budget.pack() == before  # it says nothing about our clock


def a_window_whose_time_has_passed_stays_closed(link: ModuleType) -> None:
    rig = Rig(link)
    rig.answer(b"\x61" + bytes(50), 1_000_000, 12)  # 2.3 s

    rig.exchange(ScriptedMac(12, rx2_sf=9))

    assert len(rig.opened_us()) == 1


def the_longest_frame_is_waited_for(link: ModuleType) -> None:
    rig = Rig(link)
    rig.answer(b"\x60" + bytes(63), 2_000_000, 12, 869_525_000)  # 2.8 s

    assert rig.exchange(ScriptedMac()) == [b"\x60" + bytes(63)]


def level_and_noise_reach_the_core(link: ModuleType) -> None:
    rig = Rig(link, loss_db=130)
    mac = ScriptedMac()
    rig.answer(OURS, 1_000_000)

    rig.exchange(mac)

    assert mac.snr_quarter_db == pytest.approx(4, abs=1)


# The interpreter


def a_slow_interpreter_opens_on_time(link: ModuleType) -> None:
    for call_us in (100, 1_000, 3_000):
        rig = Rig(link)
        with each_call_takes(call_us):
            rig.exchange(ScriptedMac())

        assert rig.opened_us() == pytest.approx([979_898, 1_979_858], abs=40 + 3 * call_us)


def the_collector_rests_from_the_uplink_to_the_last_window(link: ModuleType) -> None:
    rig = Rig(link)

    rig.exchange(ScriptedMac())

    assert [what for what, _ in rig.radio.launches] == ["tx", "rx", "rx"]
    assert rig.radio.collecting == [False, False, False]
    assert rig.gc.enabled
    assert rig.fed == 3  # the watchdog: before each window and afterwards


def the_collector_may_run_while_a_frame_is_judged(link: ModuleType) -> None:
    rig = Rig(link)
    rig.answer(THEIRS, 1_000_000)
    mac = ScriptedMac()
    judged: list[bool] = []
    receive = mac.received
    mac.received = lambda *frame: judged.append(rig.gc.enabled) or receive(*frame)  # type: ignore[assignment, func-returns-value]

    rig.exchange(mac)

    assert judged == [True]
    assert rig.radio.collecting == [False, False, False]
    assert rig.gc.enabled


def the_heap_is_collected_before_a_window_if_there_is_time(link: ModuleType) -> None:
    for free, pause_us, collections in (
        (100_000, 2_000, 3),  # a board without PSRAM: before the uplink and each window
        (100_000, 100_000, 1),  # much heap takes long, but then enough is left
        (10_000, 100_000, 3),
        (10_000, 286_000, 3),
        (10_000, 1_500_000, 1),  # no time for it
    ):
        rig = Rig(link)
        link.gc = rig.gc = PausingGc(rig.time, pause_us, free)  # type: ignore[attr-defined]

        rig.exchange(ScriptedMac())

        assert len(rig.gc.collected_us) == collections
        assert rig.opened_us() == pytest.approx([979_898, 1_979_858], abs=40)
        assert rig.link.least_free == free
        assert rig.gc.enabled


# The budget


def it_starts_wide(link: ModuleType) -> None:
    budget = link.WindowBudget()

    assert budget.error_us(1_000_000, 0) == 20_040
    assert budget.error_us(5_000_000, 0) == 20_200
    assert budget.error_us(1_000_000, 700_000) == 50_000
    assert budget.error_us(6_000_000, 5_000_000) == 50_240  # 20 ms + 40 ppm of 6 s + 0.6 % of 5 s
    assert budget.error_us(15_000_000, 15_000_000) == 110_600


def a_missed_answer_makes_it_wider_and_a_second_one_forgets(link: ModuleType) -> None:
    budget = link.WindowBudget()
    for _ in range(20):
        budget.heard(2_000, 900_000)
    learned_us = budget.correction_us(900_000)

    budget.missed()
    assert budget.error_us(5_000_000, 0) == 100_000
    assert budget.error_us(1_000_000, 900_000) == 100_000
    assert budget.correction_us(900_000) == learned_us > 0
    budget.missed()
    assert budget.correction_us(900_000) == 0
    budget.heard(0)
    assert budget.error_us(1_000_000, 0) == 12_540  # half the way from 20 ms to 5 ms, 40 ppm


def every_downlink_makes_it_narrower(link: ModuleType) -> None:
    budget = link.WindowBudget()
    errors = []
    for _ in range(5):
        budget.heard(200)
        errors.append(budget.error_us(1_000_000, 0))

    assert errors == [12_540, 8_790, 6_915, 5_977, 5_508]


def a_late_one_makes_it_wider_at_once(link: ModuleType) -> None:
    for late_us in (-15_000, 15_000):
        budget = link.WindowBudget()
        for _ in range(9):
            budget.heard(0)
        assert budget.error_us(0, 0) < 5_100

        budget.heard(late_us)

        assert budget.error_us(0, 0) == 32_000  # twice what it was off, and 2 ms of measurement


def it_survives_being_stored(link: ModuleType) -> None:
    budget = link.WindowBudget()
    budget.heard(1_000, 900_000)
    budget.heard(-300)
    budget.missed()

    stored = budget.pack()
    again = link.WindowBudget.unpack(stored)

    assert len(stored) == link.WindowBudget.SIZE == 7
    assert again.pack() == stored
    assert again.correction_us(1_000_000) == budget.correction_us(1_000_000) != 0
    again.heard(0)
    budget.heard(0)
    assert again.error_us(1_000_000, 900_000) == budget.error_us(1_000_000, 900_000)


# Downlinks teach the budget, light sleep has a clock of its own


def the_arrival_is_measured_to_a_fraction_of_a_millisecond(link: ModuleType) -> None:
    for sf, off_us in ((7, 0), (7, 9_000), (12, -9_000), (10, 3_000)):
        for window, after_us, frequency_hz in ((1, 1_000_000, 868_300_000), (2, 2_000_000, 869_525_000)):
            rig = Rig(link)
            told: list[tuple[int, int]] = []
            rig.link._budget = Listener(rig.budget, told)
            rig.answer(OURS, after_us + off_us, sf, frequency_hz)

            rig.exchange(ScriptedMac(sf if window == 1 else 7, rx2_sf=sf))

            assert len(told) == 1
            ((late_us, asleep_us),) = told
            assert late_us == pytest.approx(off_us, abs=60)
            assert asleep_us == 0


class Listener:
    """A budget that says what it was told."""

    def __init__(self, budget: object, told: list[tuple[int, int]]) -> None:
        self._budget = budget
        self._told = told

    def __getattr__(self, name: str) -> object:
        return getattr(self._budget, name)

    def heard(self, late_us: int, asleep_us: int) -> None:
        self._told.append((late_us, asleep_us))


def light_sleep_fills_the_waits_and_ends_before_the_radio_is_needed(link: ModuleType) -> None:
    rig = Rig(link, drift_ppm=0)
    for _ in range(20):
        rig.budget.heard(0, 900_000)

    rig.exchange(ScriptedMac(12))

    assert sum(ms for ms, _ in rig.light_sleeps) > 1_100 + 800 + 500  # 1.5 s of uplink, two waits less the windows
    assert {mode for _, mode in rig.light_sleeps} == {"tx", "sleep_warm", "rx"}
    # 5 ms, 40 ppm of two crystals and 500 ppm of sleep, that of the uplink's 1.5 s included
    assert rig.opened_us() == pytest.approx([993_760, 1_993_260], abs=300)


def a_window_is_slept_through_until_something_can_have_come(link: ModuleType) -> None:
    """At SF12 a window of 8 symbols of 32.8 ms, less 10 to wake up; at SF7 nothing: a header is there after 12 ms."""
    for sf, slept_ms in ((12, [252, 252]), (7, [])):
        rig = Rig(link, drift_ppm=0)
        for _ in range(20):
            rig.budget.heard(0, 900_000)

        rig.exchange(ScriptedMac(sf, rx2_sf=sf))

        assert [ms for ms, mode in rig.light_sleeps if mode == "rx"] == pytest.approx(slept_ms, abs=2)


def what_comes_while_a_window_is_slept_through_is_heard_and_measured(link: ModuleType) -> None:
    for sf in (8, 9, 10, 12):
        for off_us in (-90_000, 0, 90_000):
            rig = Rig(link, drift_ppm=0)
            told: list[tuple[int, int]] = []
            for _ in range(20):
                rig.budget.heard(0, 900_000)
            rig.budget.missed()  # a wide window, 100 ms either way
            rig.link._budget = Listener(rig.budget, told)
            rig.answer(OURS, 1_000_000 + off_us, sf)

            assert rig.exchange(ScriptedMac(sf)) == [OURS]

            assert [late_us for late_us, _ in told] == pytest.approx([off_us], abs=60)


def while_the_drift_is_unknown_little_is_slept(link: ModuleType) -> None:
    rig = Rig(link, drift_ppm=0)

    rig.exchange(ScriptedMac(12, rx1_us=5_000_000))

    assert 500 < sum(ms for ms, _ in rig.light_sleeps) <= 600
    rig.answer(OURS, 5_000_000, 12)
    rig.exchange(ScriptedMac(12, rx1_us=5_000_000))
    rig.light_sleeps.clear()
    rig.exchange(ScriptedMac(12, rx1_us=5_000_000))
    assert sum(ms for ms, _ in rig.light_sleeps) > 6_000


def the_first_drift_is_believed_and_widens_nothing(link: ModuleType) -> None:
    budget = link.WindowBudget()

    budget.heard(30_000, 600_000)

    assert budget.correction_us(600_000) == pytest.approx(30_000, abs=200)
    assert budget.error_us(1_000_000, 0) == 20_040
    assert budget.error_us(1_000_000, 900_000) < 25_000


def a_clock_five_percent_off_hears_its_first_downlink_and_all_that_follow(link: ModuleType) -> None:
    for drift_ppm in (-50_000, -30_000, 30_000, 50_000):
        for sf in (7, 12):
            for rx1_us in (1_000_000, 5_000_000):
                rig = Rig(link, drift_ppm=drift_ppm, limit_ms=90_000)
                for _ in range(6):
                    rig.answer(OURS, rx1_us, sf)

                    assert rig.exchange(ScriptedMac(sf, rx1_us=rx1_us)) == [OURS]

                assert rig.budget.correction_us(1_000_000) == pytest.approx(drift_ppm, abs=3_000)


def a_drifting_sleep_clock_is_covered_then_learned(link: ModuleType) -> None:
    for drift_ppm in (-5_000, 5_000):
        for sf in (7, 12):
            rig = Rig(link, drift_ppm=drift_ppm, limit_ms=90_000)
            for n in range(14):
                if n % 4 < 3:
                    rig.answer(OURS, 1_000_000, sf)
                    mac = ScriptedMac(sf)
                else:  # the longest wait there is
                    rig.answer(OURS, 6_000_000, sf, 869_525_000)
                    mac = ScriptedMac(7, rx1_us=5_000_000, rx2_sf=sf)

                assert rig.exchange(mac) == [OURS]

            assert rig.budget.error_us(1_000_000, 900_000) < 9_000
            assert rig.budget.error_us(6_000_000, 5_500_000) < 13_000
            assert rig.budget.correction_us(1_000_000) == pytest.approx(drift_ppm, abs=700)


def a_learned_drift_moves_the_window(link: ModuleType) -> None:
    # 5.0 s before RX1 at most 4.95 of sleep: a clock 0.5 % fast sees the downlink up to 25 ms late
    rig = Rig(link, drift_ppm=5_000, limit_ms=90_000)
    for _ in range(8):
        rig.answer(OURS, 5_000_000)
        rig.exchange(ScriptedMac(rx1_us=5_000_000))

    (opened_us,) = rig.opened_us()
    assert 5_000_000 - opened_us < 10_000


def the_radio_dozes_while_nothing_is_expected(link: ModuleType) -> None:
    rig = Rig(link)
    before = rig.bench.sim.ledger()

    rig.exchange(ScriptedMac())

    after = rig.bench.sim.ledger()
    spent_ms = {mode: (after[mode] - before[mode]) // 1000 for mode in after}
    assert spent_ms["sleep_warm"] > 1_800
    assert spent_ms["stby_rc"] + spent_ms["stby_xosc"] < 80
    assert spent_ms["rx"] == pytest.approx(46 * 1.024 + 8 * 32.768, abs=2)


# Faults


def a_radio_that_hangs_is_a_fault_and_the_collector_runs_again(link: ModuleType) -> None:
    rig = Rig(link)
    rig.bench.clock.after(300_000, lambda: rig.bench.sim.fault(Fault.BUSY_STUCK))

    with pytest.raises(link.RadioFault, match="busy stuck"):
        rig.exchange(ScriptedMac())

    assert rig.gc.enabled


def a_broken_interrupt_line_costs_time_but_no_downlink(link: ModuleType) -> None:
    rig = Rig(link)
    rig.bench.sim.fault(Fault.DIO1_LOST)
    rig.answer(OURS, 1_000_000)

    assert rig.exchange(ScriptedMac()) == [OURS]


def an_odd_reception_teaches_nothing(link: ModuleType) -> None:
    rig = Rig(link)
    told: list[tuple[int, int]] = []
    rig.link._budget = Listener(rig.budget, told)
    rig.answer(OURS, 1_000_000)
    rig.bench.clock.after(1_080_000, lambda: rig.bench.sim.fault(Fault.DIO1_SPURIOUS))  # between opening and frame

    assert rig.exchange(ScriptedMac()) == [OURS]
    assert told == []


def a_reception_without_an_end_is_given_up(link: ModuleType) -> None:
    rig = Rig(link)
    rig.after_uplink(
        lambda sent: rig.bench.clock.at(sent.end_us + 500_000, lambda: rig.bench.sim.fault(Fault.IRQ_LOST))
    )

    with pytest.raises(link.RadioFault, match="does not end"):
        rig.exchange(ScriptedMac())

    _, launched_us = rig.radio.launches[1]
    assert 400_000 < rig.bench.clock.now_us - launched_us < 600_000  # SF7: the longest frame lasts 399 ms


BEHAVIOURS: list[Behaviour] = [
    a_window_opens_its_error_early_and_lasts_it_twice,
    it_starts_wide,
    a_missed_answer_makes_it_wider_and_a_second_one_forgets,
    every_downlink_makes_it_narrower,
    a_late_one_makes_it_wider_at_once,
    it_survives_being_stored,
    both_open_their_error_early_whatever_the_ticks_say,
    later_delays_move_them,
    they_are_set_up_as_the_core_says,
    a_downlink_on_time_is_heard_at_every_spreading_factor,
    a_downlink_anywhere_in_the_budget_is_heard,
    a_downlink_outside_the_budget_is_not_paid_for,
    a_neighbours_downlink_in_rx1_does_not_cost_ours_in_rx2,
    a_window_whose_time_has_passed_stays_closed,
    the_longest_frame_is_waited_for,
    level_and_noise_reach_the_core,
    a_slow_interpreter_opens_on_time,
    the_collector_rests_from_the_uplink_to_the_last_window,
    the_collector_may_run_while_a_frame_is_judged,
    the_heap_is_collected_before_a_window_if_there_is_time,
    the_arrival_is_measured_to_a_fraction_of_a_millisecond,
    light_sleep_fills_the_waits_and_ends_before_the_radio_is_needed,
    a_window_is_slept_through_until_something_can_have_come,
    what_comes_while_a_window_is_slept_through_is_heard_and_measured,
    while_the_drift_is_unknown_little_is_slept,
    the_first_drift_is_believed_and_widens_nothing,
    a_clock_five_percent_off_hears_its_first_downlink_and_all_that_follow,
    a_drifting_sleep_clock_is_covered_then_learned,
    a_learned_drift_moves_the_window,
    the_radio_dozes_while_nothing_is_expected,
    a_radio_that_hangs_is_a_fault_and_the_collector_runs_again,
    a_broken_interrupt_line_costs_time_but_no_downlink,
    an_odd_reception_teaches_nothing,
    a_reception_without_an_end_is_given_up,
]
