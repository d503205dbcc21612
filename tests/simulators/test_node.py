# SPDX-License-Identifier: EUPL-1.2
"""Firmware on the real MicroPython meets the board that ``machine`` and ``time`` promise it."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from simulators.bench import NotWired, Wiring
from simulators.clock import Clock
from simulators.kernel import Kernel
from simulators.node import NodeBench, ResetCause, State
from simulators.wires import SerialPort, SerialSettings, Wire
from tests.simulators.node_bench import BOOTED_US, S, node, said


class Inverter:
    """Answers each byte's complement on SPI, and notes when it was asked what."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.asked: list[tuple[int, bytes]] = []

    def transfer(self, mosi: bytes) -> bytes:
        self.asked.append((self._clock.now_us, mosi))
        return bytes(byte ^ 0xFF for byte in mosi)


class Repeater:
    """Answers each character on a serial line with its successor, if the framing is its own."""

    def __init__(self, settings: SerialSettings) -> None:
        self._settings = settings
        self.port: SerialPort | None = None
        self.heard: list[int] = []

    def byte_received(self, byte: int, settings: SerialSettings) -> None:
        assert settings == self._settings
        assert self.port is not None
        self.heard.append(byte)
        self.port.answer(bytes([byte + 1]), self._settings, delay_us=2000)


class BusRecorder:
    """A 1-Wire device that is always there, notes bits with their times and answers 0xA5, lowest bit first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.resets: list[int] = []
        self.written: list[tuple[int, int]] = []
        self.read: list[int] = []

    def reset(self) -> bool:
        self.resets.append(self._clock.now_us)
        return True

    def write_bit(self, bit: int) -> None:
        self.written.append((self._clock.now_us, bit))

    def read_bit(self) -> int:
        self.read.append(self._clock.now_us)
        return 0xA5 >> (len(self.read) - 1) & 1


Run = Callable[..., NodeBench]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def run(clock: Clock, tmp_path: Path) -> Iterator[Run]:
    """Power on a node with this firmware and let it live for so many seconds."""
    benches = []

    def start(source: str, wiring: Wiring | None = None, *, seconds: int = 10, **options: int) -> NodeBench:
        bench = node(clock, tmp_path, source, wiring, **options)
        benches.append(bench)
        bench.power_on()
        Kernel(clock, [bench]).run_until(seconds * S)
        return bench

    yield start
    for bench in benches:
        bench.close()


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


class TestPins:
    def test_a_handler_runs_at_the_moment_of_its_edge(self, run: Run, clock: Clock) -> None:
        button, lamp = Wire(1), Wire()
        lit: list[int] = []
        lamp.watch(lambda level: lit.append(clock.now_us))
        for at_us, level in ((1_000_000, 0), (2_000_000, 1), (3_000_000, 0)):
            clock.at(at_us, lambda level=level: button.drive(level))  # type: ignore[misc]

        run(
            """
            import machine, time
            lamp = machine.Pin(35, machine.Pin.OUT, value=0)
            machine.Pin(0, machine.Pin.IN).irq(lambda pin: lamp.value(not lamp.value()), machine.Pin.IRQ_FALLING)
            time.sleep(5)
            """,
            Wiring(pins={0: button, 35: lamp}),
        )

        assert [at_us // 100 for at_us in lit] == [10_000, 30_000]

    def test_interrupts_wait_while_they_are_disabled(self, run: Run, clock: Clock) -> None:
        button = Wire()
        clock.at(S, lambda: button.drive(1))

        bench = run(
            """
            import machine, time
            machine.Pin(0, machine.Pin.IN).irq(lambda pin: print("edge"))
            state = machine.disable_irq()
            time.sleep(2)
            print("enabled")
            machine.enable_irq(state)
            time.sleep_ms(1)
            """,
            Wiring(pins={0: button}),
        )

        assert said(bench) == ["enabled", "edge"]

    def test_polling_a_line_costs_no_requests_and_sees_its_edge_in_time(self, run: Run, clock: Clock) -> None:
        busy = Wire(1)
        clock.at(2 * S, lambda: busy.drive(0))

        bench = run(
            """
            import machine, time
            busy = machine.Pin(13, machine.Pin.IN)
            while busy.value():
                pass
            print(time.ticks_us() // 100)
            """,
            Wiring(pins={13: busy}),
        )

        assert said(bench) == ["20000"]
        assert bench.statistics.requests < 10

    def test_an_open_drain_output_only_pulls_low(self, run: Run, clock: Clock) -> None:
        line = Wire(1)
        seen: list[int] = []
        line.watch(seen.append)

        run(
            """
            import machine, time
            pin = machine.Pin(2, machine.Pin.OPEN_DRAIN, value=1)
            pin.off()
            time.sleep_ms(1)
            pin.on()
            time.sleep_ms(1)
            """,
            Wiring(pins={2: line}),
        )

        assert seen == [0, 1]


class TestBuses:
    def test_spi_bytes_take_their_time_and_posts_keep_theirs(self, run: Run, clock: Clock) -> None:
        chip, nss = Inverter(clock), Wire(1)
        edges: list[int] = []
        nss.watch(lambda level: edges.append(clock.now_us))

        bench = run(
            """
            import machine
            spi = machine.SPI(1, baudrate=1_000_000)
            nss = machine.Pin(8, machine.Pin.OUT, value=1)
            nss.off()
            spi.write(b"abcd")
            buffer = bytearray(b"\\x00\\x0f\\xf0")
            spi.write_readinto(buffer, buffer)
            nss.on()
            print(buffer, spi.read(2, 0x55))
            """,
            Wiring(spi={1: chip}, pins={8: nss}),
            cpu_us=10,
        )

        assert said(bench) == ["bytearray(b'\\xff\\xf0\\x0f') b'\\xaa\\xaa'"]
        low_us = edges[0]
        assert [(at_us - low_us, data) for at_us, data in chip.asked] == [
            (42, b"abcd"),  # 10 us for the call and 4 times 8 bits at 1 MHz
            (76, b"\x00\x0f\xf0"),  # 10 + 24
            (112, b"\x55\x55"),  # NSS 10, then 10 + 16
        ]
        assert edges[1] - low_us == 86

    def test_any_number_of_posts_arrive_in_order(self, run: Run, clock: Clock) -> None:
        chip = Inverter(clock)

        run("import machine\nfor n in range(200):\n    machine.SPI(1).write(bytes([n]) * 300)", Wiring(spi={1: chip}))

        assert [data for _, data in chip.asked] == [bytes([n]) * 300 for n in range(200)]

    def test_a_serial_line_has_its_framing_and_its_pace(self, run: Run, clock: Clock) -> None:
        settings = SerialSettings(9600, 8, 0, 1)
        probe = Repeater(settings)
        probe.port = SerialPort(clock, probe)

        bench = run(
            """
            import machine, time
            uart = machine.UART(1, 9600, bits=8, parity=0, stop=1, timeout=20)
            start = time.ticks_us()
            print(uart.write(b"abc"), uart.txdone(), uart.any())
            uart.flush()
            print(uart.txdone(), time.ticks_diff(time.ticks_us(), start) // 1146)
            print(uart.read(3), uart.any(), uart.read())
            """,
            Wiring(uart={1: probe.port}),
        )

        assert bytes(probe.heard) == b"abc"
        assert said(bench) == ["3 False 0", "True 3", "b'bcd' 0 None"]

    def test_one_wire_slots_follow_each_other(self, run: Run, clock: Clock) -> None:
        device = BusRecorder(clock)

        bench = run(
            """
            import machine, onewire
            bus = onewire.OneWire(machine.Pin(4))
            print(bus.reset(), onewire.OneWire(machine.Pin(5)).reset())
            bus.writebyte(0xCC)
            print(bus.readbyte(), bus.crc8(b"\\x02\\x1c\\xb8\\x01\\x00\\x00\\x00"))
            """,
            Wiring(onewire={4: device, 5: None}),
        )

        # Maxim application note 27: the CRC of ROM A2 00 00 00 01 B8 1C 02 is A2.
        assert said(bench) == ["True False", "165 162"]
        assert [bit for _, bit in device.written] == [0, 0, 1, 1, 0, 0, 1, 1]
        times = [at_us for at_us, _ in device.written] + device.read
        assert [later - earlier for earlier, later in pairwise(times)] == [70] * 7 + [0] + [70] * 7

    def test_an_analogue_input_clips_at_its_attenuation(self, run: Run) -> None:
        bench = run(
            """
            import machine
            adc = machine.ADC(machine.Pin(1), atten=machine.ADC.ATTN_2_5DB)
            print(adc.read_uv(), machine.ADC(1).read_uv(), machine.ADC(1).read_u16())
            """,
            Wiring(adc={1: lambda: 1_100_000}),
        )

        assert said(bench) == ["1100000 950000 65535"]


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
