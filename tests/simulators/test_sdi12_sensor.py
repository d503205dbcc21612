# SPDX-License-Identifier: EUPL-1.2
"""The simulated SDI-12 sensor by itself: it answers who keeps the standard's times and refuses who does not."""

import pytest

from simulators.chips.sdi12_sensor import SETTINGS, Fault, Sdi12SensorSim, checksum
from simulators.clock import Clock
from simulators.wires import Sdi12Line, SerialSettings, Wire

BREAK = SerialSettings(600, 8, None, 1, True)


class Recorder:
    """Drives the line by hand."""

    def __init__(self, values: tuple[str, ...] = ("+3.14", "-2.5"), **options: int) -> None:
        self.clock = Clock()
        self.drive, self.power = Wire(0), Wire(0)
        self.line = Sdi12Line(self.clock, self.drive)
        self.sim = Sdi12SensorSim(self.clock, self.line, self.drive, self.power, lambda _: values, **options)
        self.line.settings = SETTINGS
        self.power.drive(1)
        self.rest(400)

    def rest(self, ms: float) -> None:
        self.clock.run_until(self.clock.now_us + round(ms * 1000))

    def wake(self, settings: SerialSettings = BREAK, byte: int = 0, marking_ms: float = 9.0) -> None:
        self.drive.drive(1)
        self.rest(0.1)
        self.line.settings = settings
        self.clock.run_until(self.line.transmit(bytes([byte])))
        self.line.settings = SETTINGS
        self.rest(marking_ms)

    def ask(self, command: str, wait_ms: float = 500.0, release_ms: float = 0.0) -> str:
        self.drive.drive(1)
        self.rest(0.1)
        self.clock.run_until(self.line.transmit(command.encode()))
        self.rest(release_ms)
        self.line.received.clear()
        self.drive.drive(0)
        self.rest(wait_ms)
        return bytes(self.line.received).decode()


class TestCommands:
    """SPEC 4.4."""

    @pytest.mark.parametrize(
        ("command", "answer"),
        [("0!", "0\r\n"), ("?!", "0\r\n"), ("0I!", "014TRUEBNERSMT100100\r\n"), ("0V!", "00000\r\n"), ("1!", "")],
    )
    def test_it_answers_what_is_meant_for_it(self, command: str, answer: str) -> None:
        recorder = Recorder()
        recorder.wake()

        assert recorder.ask(command) == answer
        assert recorder.sim.refusals == []

    def test_a_measurement_announces_itself_asks_for_service_and_is_sent(self) -> None:
        recorder = Recorder()
        recorder.wake()

        assert recorder.ask("0M!") == "00012\r\n0\r\n"
        recorder.wake()
        assert recorder.ask("0D0!") == "0+3.14-2.5\r\n"

    def test_with_a_checksum_if_asked_for(self) -> None:
        recorder = Recorder(("+3.14",))
        recorder.wake()
        recorder.ask("0MC!")
        recorder.wake()

        assert recorder.ask("0D0!") == "0+3.14OqZ\r\n"  # SPEC 4.4.12

    def test_a_concurrent_measurement_asks_for_no_service_and_survives_a_break(self) -> None:
        recorder = Recorder()
        recorder.wake()

        assert recorder.ask("0C!", wait_ms=100) == "000102\r\n"
        recorder.wake()
        assert recorder.ask("0D0!") == "0\r\n"
        recorder.wake()
        assert recorder.ask("0D0!") == "0+3.14-2.5\r\n"

    def test_a_break_aborts_a_measurement(self) -> None:
        recorder = Recorder()
        recorder.wake()
        recorder.ask("0M!", wait_ms=100)
        recorder.wake()

        assert recorder.ask("0D0!") == "0\r\n"

    def test_many_values_take_several_answers(self) -> None:
        recorder = Recorder(tuple(f"+{n}2345.67" for n in range(1, 7)))
        recorder.wake()
        recorder.ask("0M!")
        recorder.wake()
        assert recorder.ask("0D0!").count("+") == 3
        recorder.wake()
        assert recorder.ask("0D1!").count("+") == 3

    def test_it_can_be_given_another_address(self) -> None:
        recorder = Recorder()
        recorder.wake()
        assert recorder.ask("0Ab!") == "b\r\n"
        recorder.wake()
        assert recorder.ask("b!") == "b\r\n"


class TestTiming:
    """SPEC 7."""

    def test_it_answers_within_15_ms(self) -> None:
        recorder = Recorder()
        recorder.wake()

        assert recorder.ask("0!", wait_ms=8.3) == ""
        recorder.rest(15 - 8.3 + 8.4)
        assert bytes(recorder.line.received) == b"0"

    @pytest.mark.parametrize(
        ("wake", "why"),
        [
            ({"byte": 0x10}, "a break of 8333 us, or a character with the wrong framing"),
            ({"settings": BREAK._replace(inverted=False)}, "the line is upside down: marking is low"),
            ({"marking_ms": 2.0}, "of marking after the break"),
            ({"marking_ms": 130.0}, "spoken to while it was asleep: no break before"),
        ],
    )
    def test_a_bad_break_is_refused(self, wake: dict[str, float], why: str) -> None:
        recorder = Recorder()
        recorder.wake(**wake)  # type: ignore[arg-type]

        assert recorder.ask("0!") == ""
        assert why in recorder.sim.refusals[0]

    def test_a_command_without_a_break_is_refused(self) -> None:
        recorder = Recorder()

        assert recorder.ask("0!") == ""
        assert recorder.sim.refusals == ["spoken to while it was asleep: no break before"]

    def test_a_recorder_that_does_not_let_go_is_refused(self) -> None:
        recorder = Recorder()
        recorder.wake()
        recorder.ask("0!", release_ms=9.0)

        assert recorder.sim.refusals == ["the recorder still drives the line 7500 us after its command"]

    def test_before_it_has_started_up_it_hears_nothing(self) -> None:
        recorder = Recorder()
        recorder.power.drive(0)
        recorder.power.drive(1)
        recorder.wake()

        assert recorder.ask("0!") == ""
        assert recorder.sim.refusals == ["spoken to before it has started up"]

    def test_wrong_parity_is_not_heard(self) -> None:
        recorder = Recorder()
        recorder.wake()
        recorder.line.settings = SETTINGS._replace(parity=1)

        assert recorder.ask("0!") == ""
        assert recorder.sim.refusals


class TestFaults:
    @pytest.mark.parametrize("fault", [Fault.ABSENT, Fault.DEAF_ONCE])
    def test_silence(self, fault: Fault) -> None:
        recorder = Recorder()
        recorder.sim.fault = fault
        recorder.wake()

        assert recorder.ask("0!") == ""

    def test_one_wrong_bit(self) -> None:
        recorder = Recorder(("+3.14",))
        recorder.wake()
        recorder.ask("0MC!")
        recorder.sim.fault = Fault.WRONG_CRC
        recorder.wake()

        assert recorder.ask("0D0!") == "0+3.14Oq[\r\n"

    def test_charge_counts_time_and_measurements(self) -> None:
        recorder = Recorder()
        recorder.wake()
        recorder.ask("0M!", wait_ms=1000)
        recorder.power.drive(0)

        assert recorder.sim.measurements == 1
        assert recorder.sim.powered_us() > 1_400_000
        assert recorder.sim.charge_uc() > recorder.sim.powered_us() * 5_000 / 1e6


def test_the_checksums_of_the_standard() -> None:
    assert [checksum(text) for text in ("0+3.14", "0+7.77+8.88+9.99")] == ["OqZ", "IvW"]
