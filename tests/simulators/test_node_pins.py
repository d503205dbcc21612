# SPDX-License-Identifier: EUPL-1.2
"""Firmware on the real MicroPython meets the pins and buses that ``machine`` promises it."""

from collections.abc import Callable
from itertools import pairwise

from simulators.clock import Clock
from simulators.node import NodeBench
from simulators.wires import SerialPort, SerialSettings, Wire
from simulators.wiring import Wiring
from tests.simulators.node_bench import Inverter, S, said


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
