# SPDX-License-Identifier: EUPL-1.2
"""Firmware on the real MicroPython meets the board that ``machine`` and ``time`` promise it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from simulators.clock import Clock
from simulators.kernel import Kernel
from simulators.node import NodeBench
from simulators.node_states import ResetCause, State
from simulators.wires import Wire
from simulators.wiring import NotWired, Wiring
from tests.simulators.node_bench import BOOTED_US, Inverter, S, node, said

Run = Callable[..., NodeBench]


class TestPowerUp:
    def test_main_finds_a_board_that_has_just_been_switched_on(self, run: Run) -> None:
        bench = run(
            """
            import machine, time
            print(machine.reset_cause() == machine.PWRON_RESET, machine.unique_id().hex(), machine.RTC().memory())
            print(time.time(), time.gmtime()[:6], time.ticks_ms() // 100, machine.RTC().datetime()[:4])
            print(time.mktime((2026, 7, 1, 12, 0, 0, 0, 0)), time.gmtime(836222400)[:6])
            """
        )

        assert said(bench) == [
            "True 240ac4000001 b''",
            "0 (2000, 1, 1, 0, 0, 0) 3 (2000, 1, 1, 5)",  # 1 January 2000 was a Saturday
            "836222400 (2026, 7, 1, 12, 0, 0)",
        ]

    def test_a_main_that_comes_to_its_end_leaves_the_board_in_the_repl(self, run: Run) -> None:
        bench = run("print('done')")

        assert (bench.state, bench.statistics.returned, bench.statistics.crashes) == (State.STOPPED, 1, [])

    def test_the_heap_is_that_of_a_small_board(self, run: Run) -> None:
        bench = run("x = bytearray(140_000)")

        assert "MemoryError" in bench.statistics.crashes[0].traceback


class TestCrash:
    def test_an_uncaught_exception_is_kept_with_its_traceback_and_the_node_is_dead(self, run: Run) -> None:
        bench = run("import time\ntime.sleep_ms(250)\nraise RuntimeError('no soil')")

        (crash,) = bench.statistics.crashes
        # boot 300 ms, formatting the empty flash 91 ms (two erases), sleep 250 ms
        assert (crash.where, crash.time_us // 1000) == ("main", 641)
        assert crash.traceback.splitlines()[0] == "Traceback (most recent call last):"
        assert 'File "main", line 3' in crash.traceback
        assert crash.traceback.splitlines()[-1] == "RuntimeError: no soil"
        assert bench.state is State.STOPPED

    def test_only_a_watchdog_brings_a_dead_node_back(self, run: Run) -> None:
        bench = run(
            """
            import machine
            print(machine.reset_cause())
            if machine.reset_cause() == machine.PWRON_RESET:
                machine.WDT(timeout=4000)
                raise RuntimeError
            """
        )

        assert said(bench)[0] == "1"
        assert said(bench)[-1] == "3"
        assert bench.statistics.boots == {ResetCause.POWER_ON: 1, ResetCause.WATCHDOG: 1}

    def test_an_exception_in_a_handler_is_kept_and_main_goes_on(self, run: Run, clock: Clock) -> None:
        button = Wire()
        clock.at(S, lambda: button.drive(1))

        bench = run(
            """
            import machine, time
            def pressed(pin):
                raise ValueError("handler")
            machine.Pin(7, machine.Pin.IN).irq(pressed, machine.Pin.IRQ_RISING)
            time.sleep(2)
            print("went on")
            """,
            Wiring(pins={7: button}),
        )

        assert [(crash.where, crash.traceback) for crash in bench.statistics.crashes] == [
            ("GPIO7", "ValueError('handler',)")
        ]
        assert said(bench)[-1] == "went on"

    def test_what_the_bench_does_not_simulate_is_refused(self, run: Run) -> None:
        bench = run(
            """
            import machine
            for what in (lambda: machine.Timer, lambda: machine.Pin(8, machine.Pin.OUT),
                         lambda: machine.SPI(1, polarity=1), lambda: machine.UART(1, invert=1),
                         lambda: __import__("asyncio"), lambda: machine.Pin(3).irq(print, trigger=4)):
                try:
                    what()
                    print("pretended")
                except (AttributeError, ValueError, NotImplementedError, ImportError) as e:
                    print(type(e).__name__)
            """,
            Wiring(pins={3: Wire()}),
        )

        assert said(bench) == [
            "AttributeError", "ValueError", "NotImplementedError", "NotImplementedError", "ImportError",
            "NotImplementedError",
        ]  # fmt: skip

    def test_the_older_module_names_do_not_reach_the_wall_clock(self, run: Run) -> None:
        bench = run("import machine, time, umachine, utime\nprint(utime is time, umachine is machine, utime.time())")

        assert said(bench) == ["True True 0"]

    def test_a_bus_that_leads_nowhere_stops_the_bench(self, run: Run) -> None:
        with pytest.raises(NotWired, match=r"SPI\(2\)"):
            run("import machine\nmachine.SPI(2).write(b'x')\nimport time\ntime.sleep(1)")


class TestDeepSleep:
    def test_rtc_memory_and_rtc_time_survive_and_ticks_start_again(self, run: Run) -> None:
        bench = run(
            """
            import machine, time
            memory = machine.RTC().memory()
            print(machine.reset_cause(), len(memory), memory[-1:], time.time(), time.ticks_ms() // 100)
            machine.RTC().memory(memory + bytes([65 + len(memory) // 600] * 600))
            machine.deepsleep(60_000)
            """,
            seconds=130,
        )

        assert said(bench) == ["1 0 b'' 0 3", "4 600 b'A' 60 3", "4 1200 b'B' 120 3"]
        assert bench.state is State.ASLEEP

    def test_power_loss_takes_rtc_memory_and_time_but_not_the_flash(self, run: Run, clock: Clock) -> None:
        bench = run(
            """
            import machine, os, time
            print(machine.RTC().memory(), time.time(), os.listdir("/data"))
            machine.RTC().memory(b"kept")
            with open("/data/kept", "w") as f:
                f.write("kept")
            machine.deepsleep(20_000)
            """,
            seconds=0,
        )
        clock.at(30 * S, bench.power_off)
        clock.at(40 * S, bench.power_on)

        Kernel(clock, [bench]).run_until(45 * S)

        assert said(bench) == ["b'' 0 []", "b'kept' 20 ['kept']", "b'' 0 ['kept']"]

    def test_a_clock_that_runs_fast_wakes_the_node_early(self, run: Run) -> None:
        bench = run(
            """
            import machine, time
            print(time.time())
            machine.deepsleep(100_000)
            """,
            seconds=210,
            rtc_drift_ppm=10_000,
        )

        # Its 100 s last 99.0099 s; three boots and sleeps fit into 210 s, and it believes to be at 0, 100 and 201 s.
        assert said(bench) == ["0", "100", "201"]

    def test_pins_float_while_asleep_unless_they_are_held(self, run: Run) -> None:
        plain, held, pad_hold_only, with_sleep_hold = (Wire() for _ in range(4))

        bench = run(
            """
            import machine
            for gpio, hold in ((4, None), (5, True), (36, True)):
                machine.Pin(gpio, machine.Pin.OUT, value=1, hold=hold)
            machine.deepsleep(60_000)
            """,
            Wiring(pins={4: plain, 5: held, 36: pad_hold_only}),
        )
        assert (plain.level, held.level, pad_hold_only.level) == (0, 1, 0)
        bench.close()

        run(
            """
            import machine, esp32
            machine.Pin(36, machine.Pin.OUT, value=1, hold=True)
            esp32.gpio_deep_sleep_hold(True)
            machine.deepsleep(60_000)
            """,
            Wiring(pins={36: with_sleep_hold}),
            seconds=20,
        )
        assert with_sleep_hold.level == 1

    def test_a_finally_after_deepsleep_reaches_nothing(self, run: Run) -> None:
        lamp = Wire()

        bench = run(
            """
            import machine
            lamp = machine.Pin(4, machine.Pin.OUT, value=0, hold=True)
            try:
                machine.deepsleep(60_000)
            finally:
                lamp.init(hold=False)
                lamp.on()
                with open("/data/late", "w") as f:
                    f.write("late")
            """,
            Wiring(pins={4: lamp}),
        )

        assert (lamp.level, bench.state) == (0, State.ASLEEP)
        assert b"late" not in bench.flash.image()

    def test_reset_and_soft_reset_run_main_again_with_their_causes(self, run: Run) -> None:
        bench = run(
            """
            import machine, sys
            print(machine.reset_cause())
            {1: machine.reset, 2: machine.soft_reset, 5: lambda: machine.deepsleep()}[machine.reset_cause()]()
            """
        )

        assert said(bench) == ["1", "2", "5"]
        assert bench.state is State.ASLEEP


class TestTime:
    def test_a_busy_loop_ends(self, run: Run) -> None:
        bench = run(
            """
            import time
            start = time.ticks_ms()
            while time.ticks_diff(time.ticks_ms(), start) < 500:
                pass
            print("over")
            """,
            seconds=1,
        )

        assert said(bench) == ["over"]
        assert bench.statistics.requests < 20

    def test_ticks_wrap_at_two_to_the_thirty(self, run: Run) -> None:
        bench = run(
            """
            import time
            first = time.ticks_us()
            time.sleep_ms(1000)
            second = time.ticks_us()
            print(first > 2**29, second < 2**29, time.ticks_diff(second, first) // 1000)
            print(time.ticks_add(2**30 - 1, 2), time.ticks_diff(1, 2**30 - 1), time.ticks_diff(2**30 - 1, 1))
            """,
            ticks_start_us=2**30 - BOOTED_US - 500_000,
        )

        assert said(bench) == ["True True 1000", "1 2 -2"]

    def test_light_sleep_passes_time_and_misses_edges(self, run: Run, clock: Clock) -> None:
        button = Wire()
        clock.at(S, lambda: button.drive(1))
        clock.at(4 * S, lambda: button.drive(0))

        bench = run(
            """
            import machine, time
            machine.Pin(7, machine.Pin.IN).irq(lambda pin: print("edge", pin.value()))
            start = time.ticks_ms()
            machine.lightsleep(2000)
            print(time.ticks_diff(time.ticks_ms(), start), machine.Pin(7).value())
            time.sleep(3)
            """,
            Wiring(pins={7: button}),
        )

        assert said(bench) == ["2000 1", "edge 0"]
        assert bench.statistics.state_us[State.LIGHT_SLEEP] == 2 * S

    def test_in_light_sleep_every_pad_floats_that_is_not_held(self, run: Run, clock: Clock) -> None:
        held, floating, unused = Wire(0), Wire(0), Wire(1)
        seen: list[tuple[int, int, int]] = []
        for at_us in (BOOTED_US + S // 2, BOOTED_US + 2 * S):
            clock.at(at_us, lambda: seen.append((held.level, floating.level, unused.level)))

        run(
            """
            import machine, time
            pins = [machine.Pin(gpio, machine.Pin.OUT, value=1) for gpio in (7, 8)]
            pins[0].init(hold=True)
            machine.lightsleep(1000)
            time.sleep(3)
            """,
            Wiring(pins={7: held, 8: floating, 9: unused}),
        )

        assert seen == [(1, 0, 1), (1, 1, 1)]

    def test_the_rtc_can_be_set_and_keeps_its_time_over_sleep(self, run: Run) -> None:
        bench = run(
            """
            import machine, time
            if machine.reset_cause() == machine.PWRON_RESET:
                machine.RTC().datetime((2026, 7, 1, 2, 12, 0, 0, 0))
            print(time.gmtime()[:6])
            machine.deepsleep(3_600_000)
            """,
            seconds=3700,
        )

        assert said(bench) == ["(2026, 7, 1, 12, 0, 0)", "(2026, 7, 1, 13, 0, 0)"]

    def test_randomness_repeats_with_the_seed_and_only_then(self, clock: Clock, tmp_path: Path) -> None:
        source = "import os, random\nprint(os.urandom(4).hex(), random.getrandbits(30))"
        benches = [node(clock, tmp_path, source, index=n, seed=seed) for n, seed in enumerate((7, 7, 8))]

        with Kernel(clock, benches) as kernel:
            for bench in benches:
                bench.power_on()
            kernel.run_until(S)
            first, again, other = (said(bench) for bench in benches)

        assert first == again != other


class TestWatchdog:
    def test_it_resets_a_node_that_does_not_feed_it_and_rtc_memory_survives(self, run: Run) -> None:
        bench = run(
            """
            import machine, time
            print(machine.reset_cause(), machine.RTC().memory())
            if machine.reset_cause() == machine.PWRON_RESET:
                machine.RTC().memory(b"before")
                watchdog = machine.WDT(timeout=2000)
                for _ in range(3):
                    time.sleep(1)
                    watchdog.feed()
                while True:
                    time.sleep_ms(10)
            """,
            seconds=8,
        )

        assert said(bench) == ["1 b''", "3 b'before'"]
        # power-up 0.3 s, three seconds fed, then 2 s to the reset and 0.3 s to main again
        assert bench.statistics.state_us[State.AWAKE] // S == 5

    def test_deep_sleep_stops_it(self, run: Run) -> None:
        bench = run("import machine\nmachine.WDT(timeout=2000)\nmachine.deepsleep(60_000)")

        assert bench.statistics.boots == {ResetCause.POWER_ON: 1}


class TestPowerCut:
    def test_power_can_fail_before_any_operation(self, run: Run, clock: Clock) -> None:
        chip = Inverter(clock)
        bench = run("import machine\nfor n in range(3):\n    machine.SPI(1).write(bytes([n]))", Wiring(spi={1: chip}))
        kernel = Kernel(clock, [bench])
        heard = []

        for cut_after in range(6):
            bench.power_off()
            chip.asked.clear()
            bench.cut_at_operation = bench.operations + cut_after
            bench.power_on()
            kernel.run_until(clock.now_us + S)
            heard.append((bench.state, [data[0] for _, data in chip.asked]))

        # the flash is mounted without a request; then three writes and the last word with its note of the heap
        assert heard == [
            (State.OFF, []),
            (State.OFF, [0]),
            (State.OFF, [0, 1]),
            (State.OFF, [0, 1, 2]),
            (State.OFF, [0, 1, 2]),
            (State.STOPPED, [0, 1, 2]),
        ]

    def test_a_node_without_power_shows_it_on_its_supply(self, run: Run) -> None:
        wiring = Wiring()
        bench = run("", wiring)
        on = wiring.power.level

        bench.power_off()

        assert (on, wiring.power.level) == (1, 0)
