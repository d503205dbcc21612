# SPDX-License-Identifier: EUPL-1.2
"""What the drivers of pulse inputs must do, as functions of ``tubes``, so that broken ones can be tried too."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from simulators.chips.pulse_source import Fault, LoopSim, PirSim
from simulators.clock import Clock
from simulators.inprocess import Pin, Time
from simulators.vehicles import Direction, Kind, Vehicle
from simulators.wires import Wire
from tests.firmware.sensors.pulses_rig import MS, Contact, Tubes, cars, counters
from tests.firmware.sensors.traffic_rig import S

Behaviour = Callable[[ModuleType], None]
APPROACHING, RECEDING = Direction.APPROACHING, Direction.RECEDING


# One contact


def each_kind_has_its_quantity(tubes: ModuleType) -> None:
    for kind, name in (("Pir", "people_count"), ("Loop", "vehicle_count"), ("BikeLoop", "bicycle_count")):
        contact = Contact(tubes, kind)
        contact.run(70)

        quantities = contact.driver.QUANTITIES
        assert quantities == (name,)
        assert contact.driver.read() == {name: 0}


def a_pulse_counts_once_however_it_bounces(tubes: ModuleType) -> None:
    for bounces in (0, 1, 4, 12):
        contact = Contact(tubes)
        for _ in range(3):
            contact.pulse(bounces=bounces)

        assert contact.read() == 3
        assert contact.read() == 0


def opening_counts_nothing_even_after_a_long_time(tubes: ModuleType) -> None:
    contact = Contact(tubes)
    contact.change(True)
    contact.run(30)
    assert contact.read() == 1

    contact.change(False, bounces=6)
    contact.run(5)
    assert contact.read() == 0


def pulses_at_once_after_each_other_count_each(tubes: ModuleType) -> None:
    contact = Contact(tubes)
    for _ in range(5):
        contact.pulse(closed_s=0.3, open_s=0.2, bounces=2)

    assert contact.read() == 5


def a_dip_shorter_than_the_rest_is_no_pulse(tubes: ModuleType) -> None:
    contact = Contact(tubes)
    contact.change(True)
    contact.run(0.5)
    contact.change(False)
    contact.run(0.05)
    contact.change(True)
    contact.run(0.5)
    contact.change(False)
    contact.run(1)

    assert contact.read() == 1


def a_spike_does_not_turn_closing_and_opening_round(tubes: ModuleType) -> None:
    contact = Contact(tubes)
    contact.clock.after(1, lambda: contact.wire.drive(0))
    contact.clock.after(2, lambda: contact.wire.drive(1))
    contact.run(1)
    spike = contact.read()
    for _ in range(4):
        contact.pulse(closed_s=2.0, open_s=3.0)

    assert spike in (0, 1)
    assert contact.read() == 4


def an_edge_that_nobody_saw_is_made_good_by_the_next_poll(tubes: ModuleType) -> None:
    contact = Contact(tubes)
    contact.wire.level = 0  # without telling anybody
    contact.run(1)
    contact.change(False)
    contact.run(1)

    assert contact.read() == 0


def nothing_is_lost_between_two_polls(tubes: ModuleType) -> None:
    contact = Contact(tubes)
    for n in range(10):
        at_us = contact.clock.now_us + n * 700 * MS
        contact.clock.at(at_us, lambda: contact.wire.drive(0))
        contact.clock.at(at_us + 300 * MS, lambda: contact.wire.drive(1))
    contact.clock.run_until(contact.clock.now_us + 8 * S)

    assert contact.read() == 10


def hours_of_silence_do_not_hide_a_pulse(tubes: ModuleType) -> None:
    for quiet_s in (100, 400, 700, 1_000, 1_200):
        contact = Contact(tubes)
        contact.pulse()
        contact.read()
        contact.run(quiet_s, every_us=20 * S)
        contact.pulse(bounces=3)

        assert contact.read() == 1


def a_contact_closed_at_the_start_counts_when_it_closes_again(tubes: ModuleType) -> None:
    contact = Contact(tubes, start=False)
    assert contact.read() == "not_ready"
    contact.wire.drive(0)
    contact.driver.start()
    contact.run(1)
    contact.change(False, bounces=2)
    contact.run(1)
    assert contact.read() == 0

    contact.pulse()
    assert contact.read() == 1


def a_contact_closed_at_the_start_that_opens_at_once_counts_nothing(tubes: ModuleType) -> None:
    contact = Contact(tubes, start=False)
    contact.wire.drive(0)
    contact.driver.start()
    contact.clock.after(50 * MS, lambda: contact.wire.drive(1))  # nobody has polled yet
    contact.clock.run_until(contact.clock.now_us + S)

    assert contact.read() == 0


def a_contact_that_is_held_is_stuck_until_it_lets_go(tubes: ModuleType) -> None:
    contact = Contact(tubes)
    contact.pulse()
    contact.change(True)
    contact.run(550, every_us=5 * S)
    assert contact.read() == 2
    contact.run(100, every_us=5 * S)
    assert contact.read() == "stuck"
    contact.run(10)
    assert contact.read() == "stuck"

    contact.change(False)
    contact.run(20)
    contact.read()
    contact.pulse()
    assert contact.read() == 1


def a_contact_that_chatters_is_stuck(tubes: ModuleType) -> None:
    for wire_level, fault in ((1, Fault.CHATTERING), (1, None)):
        clock = Clock(7 * S)
        wire = Wire(wire_level)
        sim = LoopSim(clock, wire)
        driver: Any = counters(tubes)["Loop"](Pin(clock, wire), Time(clock))
        driver.start()
        sim.fault(fault)
        for _ in range(120):
            clock.run_until(clock.now_us + 200 * MS)
            driver.poll()

        assert driver.read() == {"vehicle_count": "stuck" if fault else 0}


def stopping_listens_no_more(tubes: ModuleType) -> None:
    contact = Contact(tubes)
    contact.pulse()
    contact.driver.stop()
    contact.change(True)
    contact.run(1)

    assert contact.read() == "not_ready"
    assert contact.driver._contact.pulses == 1
    contact.change(False)
    contact.driver.start()
    contact.run(1)
    assert contact.read() == 0


def a_pir_warms_up(tubes: ModuleType) -> None:
    clock, wire, power = Clock(7 * S), Wire(0), Wire(0)
    people = [Vehicle(100 * S + n * 20 * S, 5.0, APPROACHING, Kind.PEDESTRIAN) for n in range(6)]
    sim = PirSim(clock, wire, power, people, seed=3)
    driver: Any = counters(tubes)["Pir"](Pin(clock, wire), Time(clock))
    power.drive(1)

    assert driver.start() == 60_000
    assert driver.read() == {"people_count": "not_ready"}
    while clock.now_us < 240 * S:
        clock.run_until(clock.now_us + 200 * MS)
        driver.poll()
    assert driver.read() == {"people_count": 6}
    assert sim.contact.closings > 6


def a_pir_sees_crowds_and_is_stuck_only_after_a_quarter_of_an_hour(tubes: ModuleType) -> None:
    contact = Contact(tubes, "Pir")
    contact.run(70)
    contact.change(True)
    contact.run(800, every_us=5 * S)
    assert contact.read() == 1
    contact.run(200, every_us=5 * S)
    assert contact.read() == "stuck"


def a_pir_that_changes_eight_times_a_second_is_stuck(tubes: ModuleType) -> None:
    contact = Contact(tubes, "Pir")
    contact.run(70)
    for _ in range(60):
        contact.pulse(closed_s=0.125, open_s=0.125)

    assert contact.read() == "stuck"


def a_pir_counts_when_somebody_comes(tubes: ModuleType) -> None:
    contact = Contact(tubes, "Pir")
    contact.run(61)
    contact.change(True)
    contact.run(0.5)
    assert contact.read() == 1

    contact.change(False)
    contact.run(1)
    assert contact.read() == 0


def a_loop_counts_vehicles(tubes: ModuleType) -> None:
    for kind, bicycles in ((Kind.CAR, False), (Kind.BICYCLE, True)):
        clock, wire = Clock(7 * S), Wire(1)
        LoopSim(clock, wire, cars(7, APPROACHING, 20.0, kind=kind, length_mm=2_000), bicycles=bicycles)
        driver: Any = counters(tubes)["BikeLoop"](Pin(clock, wire), Time(clock))
        driver.start()
        while clock.now_us < 70 * S:
            clock.run_until(clock.now_us + 200 * MS)
            driver.poll()

        assert driver.read() == {"bicycle_count": 7}


# Interrupts: MicroPython documentation, "Writing interrupt handlers"


def the_handler_stays_the_same_object(tubes: ModuleType) -> None:
    contact = Contact(tubes).driver._contact

    assert contact._handler is contact._handler
    assert "_handler" in vars(contact)


# Two tubes


def tubes_count_directions_and_classes(tubes: ModuleType) -> None:
    road = [
        *cars(3, APPROACHING, 25.0),
        *cars(4, APPROACHING, 45.0, 40 * S),
        *cars(5, RECEDING, 60.0, 70 * S),
        *cars(2, RECEDING, 20.0, 100 * S),
    ]
    pair = Tubes(tubes, road)
    assert pair.ready_ms == 0

    pair.run(130)

    assert pair.read() == [3, 4, 0, 2, 0, 5]
    assert pair.read() == [0, 0, 0, 0, 0, 0]


def the_speed_is_the_spacing_by_the_delay(tubes: ModuleType) -> None:
    # 1 m in 120 ms is 30.0 km/h, in 72 ms 50.0 km/h
    for delay_ms, expected in ((122, [1, 0, 0]), (119, [0, 1, 0]), (73, [0, 1, 0]), (71, [0, 0, 1])):
        pair = Tubes(tubes)
        base_ms = delay_ms * 2.6
        pair.pulses((0, base_ms), (delay_ms, delay_ms + base_ms))
        pair.run(15)
        assert pair.read() == [*expected, 0, 0, 0]

    pair = Tubes(tubes, cars(3, APPROACHING, 45.0), spacing_mm=2_000)
    pair.run(60)
    assert pair.read() == [0, 3, 0, 0, 0, 0]


def classes_and_direction_are_settings(tubes: ModuleType) -> None:
    pair = Tubes(tubes, cars(3, APPROACHING, 45.0), swapped=True, slow_below_kmh=50, fast_above_kmh=70)
    pair.run(60)

    assert pair.read() == [0, 0, 0, 3, 0, 0]


def a_truck_is_one_vehicle(tubes: ModuleType) -> None:
    articulated = cars(3, APPROACHING, 45.0, axles_mm=(0, 3_800, 10_500, 11_800, 13_100))
    bus = cars(3, APPROACHING, 45.0, 50 * S, axles_mm=(0, 11_500))
    trailer = cars(3, RECEDING, 45.0, 80 * S, axles_mm=(0, 2_600, 7_000))
    pair = Tubes(tubes, [*articulated, *bus, *trailer])

    pair.run(120)

    assert sum(pair.read()) == 9


def bicycles_are_no_vehicles_and_motorcycles_are(tubes: ModuleType) -> None:
    bicycles = cars(3, APPROACHING, 18.0, kind=Kind.BICYCLE, axles_mm=(0, 1_050))
    motorcycles = cars(3, RECEDING, 45.0, 50 * S, axles_mm=(0, 1_450))
    pair = Tubes(tubes, [*bicycles, *motorcycles])

    pair.run(90)

    assert pair.read() == [0, 0, 0, 0, 3, 0]


def two_who_meet_on_the_tubes_are_two_unless_their_axles_meet(tubes: ModuleType) -> None:
    for shift_us in (-300 * MS, -160 * MS, -120 * MS, 40 * MS, 60 * MS, 100 * MS, 260 * MS):
        road = [Vehicle(20 * S, 45.0, APPROACHING), Vehicle(20 * S + shift_us, 41.0, RECEDING)]
        pair = Tubes(tubes, sorted(road), bounces=0)
        pair.run(30)

        assert pair.read() == [0, 1, 0, 0, 1, 0]


def two_who_meet_are_two_though_the_handlers_are_late(tubes: ModuleType) -> None:
    pair = Tubes(tubes)
    pair.pulses((0, 42, 208, 266), (-48, 78, 182, 289))
    pair.run(30)

    assert pair.read() == [0, 1, 0, 0, 1, 0]


def followers_are_two(tubes: ModuleType) -> None:
    for after_us in (900 * MS, 1_200 * MS, 2 * S):
        pair = Tubes(tubes, [Vehicle(20 * S, 45.0, APPROACHING), Vehicle(20 * S + after_us, 47.0, APPROACHING)])
        pair.run(30)

        assert pair.read() == [0, 2, 0, 0, 0, 0]


def a_vehicle_with_a_lost_axle_still_counts(tubes: ModuleType) -> None:
    pair = Tubes(tubes)
    pair.pulses((0,), (80,))
    pair.run(20)
    assert pair.read() == [0, 1, 0, 0, 0, 0]

    pair.pulses((0, 208), (80,))
    pair.run(20)
    assert pair.read() == [0, 1, 0, 0, 0, 0]

    pair.pulses((0, 208, 780), (80, 288, 700))
    pair.run(20)
    assert pair.read() == [0, 1, 0, 0, 1, 0]


def pulses_of_one_tube_are_no_vehicle_and_many_a_bad_answer(tubes: ModuleType) -> None:
    pair = Tubes(tubes)
    pair.pulses((0, 200), ())
    pair.run(20)
    assert pair.read() == [0, 0, 0, 0, 0, 0]

    pair = Tubes(tubes, cars(8, APPROACHING, 45.0))
    pair.sim.fault(Fault.ABSENT, 1)
    pair.run(80)
    assert pair.read() == "bad_answer"
    pair.sim.fault(None, 1)
    pair.run(5)
    assert pair.read() == [0, 0, 0, 0, 0, 0]


def impossible_speeds_are_no_vehicle(tubes: ModuleType) -> None:
    for delay_ms in (15, 900):
        pair = Tubes(tubes)
        pair.pulses((0,), (delay_ms,))
        pair.run(20)

        assert pair.read() == [0, 0, 0, 0, 0, 0]


def a_held_or_chattering_tube_is_stuck(tubes: ModuleType) -> None:
    for fault, tube in ((Fault.STUCK, 0), (Fault.STUCK, 1), (Fault.CHATTERING, 1)):
        pair = Tubes(tubes, cars(8, APPROACHING, 45.0))
        pair.sim.fault(fault, tube)
        pair.run(40)
        assert pair.read() == "stuck"

        pair.sim.fault(None, tube)
        pair.run(15)
        pair.read()
        assert not isinstance(pair.read(), str)


def nothing_is_lost_while_the_radio_joins_on_tubes(tubes: ModuleType) -> None:
    pair = Tubes(tubes, cars(20, APPROACHING, 45.0))
    pair.run(140, every_us=7 * S)

    assert pair.read() == [0, 20, 0, 0, 0, 0]


def a_queue_without_a_gap_is_counted_for_hours(tubes: ModuleType) -> None:
    queue = [Vehicle(20 * S + n * 1_400 * MS, 45.0, APPROACHING) for n in range(1_400)]
    pair = Tubes(tubes, queue, bounces=0)
    pair.run(2_000, every_us=S)

    assert pair.read() == [0, 1_400, 0, 0, 0, 0]


def hours_of_silence_do_not_hide_a_vehicle(tubes: ModuleType) -> None:
    late = [Vehicle(20 * S, 45.0, APPROACHING), Vehicle(900 * S, 45.0, APPROACHING), Vehicle(2_500 * S, 45.0, RECEDING)]
    pair = Tubes(tubes, late)
    pair.run(2_600, every_us=20 * S)

    assert pair.read() == [0, 2, 0, 0, 1, 0]


def a_vehicle_across_a_read_counts_once(tubes: ModuleType) -> None:
    for early_us in (100 * MS, 300 * MS, 800 * MS):
        pair = Tubes(tubes, [Vehicle(20 * S, 45.0, APPROACHING)])
        pair.run((13 * S + early_us - pair.clock.now_us + 7 * S) / S)
        first = pair.read()
        pair.run(10)

        assert sum(first) + sum(pair.read()) == 1


def tubes_that_are_stopped_listen_no_more(tubes: ModuleType) -> None:
    pair = Tubes(tubes, cars(4, APPROACHING, 45.0))
    pair.driver.stop()
    pair.clock.run_until(27 * S)
    assert pair.read() == "not_ready"
    assert [contact.pulses for contact in pair.driver._contacts] == [0, 0]

    pair.driver.start()
    pair.run(20)
    assert pair.read() == [0, 2, 0, 0, 0, 0]


def nothing_of_a_vehicle_is_left_on_the_tubes(tubes: ModuleType) -> None:
    pair = Tubes(tubes, cars(1, APPROACHING, 45.0))
    pair.run(30)

    assert pair.driver._have == [0, 0]


BEHAVIOURS: list[Behaviour] = [
    each_kind_has_its_quantity,
    a_pulse_counts_once_however_it_bounces,
    opening_counts_nothing_even_after_a_long_time,
    pulses_at_once_after_each_other_count_each,
    a_dip_shorter_than_the_rest_is_no_pulse,
    a_spike_does_not_turn_closing_and_opening_round,
    nothing_is_lost_between_two_polls,
    hours_of_silence_do_not_hide_a_pulse,
    a_contact_closed_at_the_start_counts_when_it_closes_again,
    a_contact_closed_at_the_start_that_opens_at_once_counts_nothing,
    a_contact_that_is_held_is_stuck_until_it_lets_go,
    a_pir_sees_crowds_and_is_stuck_only_after_a_quarter_of_an_hour,
    a_pir_that_changes_eight_times_a_second_is_stuck,
    stopping_listens_no_more,
    an_edge_that_nobody_saw_is_made_good_by_the_next_poll,
    a_pir_counts_when_somebody_comes,
    two_who_meet_are_two_though_the_handlers_are_late,
    a_pir_warms_up,
    a_loop_counts_vehicles,
    the_handler_stays_the_same_object,
    tubes_count_directions_and_classes,
    the_speed_is_the_spacing_by_the_delay,
    classes_and_direction_are_settings,
    a_truck_is_one_vehicle,
    bicycles_are_no_vehicles_and_motorcycles_are,
    two_who_meet_on_the_tubes_are_two_unless_their_axles_meet,
    followers_are_two,
    a_vehicle_with_a_lost_axle_still_counts,
    pulses_of_one_tube_are_no_vehicle_and_many_a_bad_answer,
    impossible_speeds_are_no_vehicle,
    nothing_is_lost_while_the_radio_joins_on_tubes,
    hours_of_silence_do_not_hide_a_vehicle,
    a_vehicle_across_a_read_counts_once,
    tubes_that_are_stopped_listen_no_more,
    nothing_of_a_vehicle_is_left_on_the_tubes,
    # The slow ones last: most broken drivers are found out before.
    a_contact_that_chatters_is_stuck,
    a_held_or_chattering_tube_is_stuck,
    a_queue_without_a_gap_is_counted_for_hours,
]
