# SPDX-License-Identifier: EUPL-1.2
"""The simulated SDS011 against "Laser Dust Sensor Control Protocol" V1.3 (DS); frames are DS's examples."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.chips.sds011 import Fault, Sds011Sim
from simulators.clock import Clock
from simulators.wires import SerialPort, SerialSettings, Wire
from tests.simulators.i2c_master import Air

SETTINGS = SerialSettings(9_600)
NO_DATA = 20 * "0" + "ffff"
QUERY = "aab4040000" + NO_DATA + "02ab"
WORK, SLEEP, ASK_SLEEP = (
    f"aab406{action}" + NO_DATA + end for action, end in (("0101", "06ab"), ("0100", "05ab"), ("0000", "04ab"))
)
ON_REQUEST, UNASKED = ("aab4020101" + NO_DATA + "02ab", "aab4020100" + NO_DATA + "01ab")


class Line:
    """A master on the sensor's serial line; the supply came ``settled_ms`` ago."""

    def __init__(self, air: Air = Air(), settled_ms: int = 1_500, **options: Any) -> None:  # noqa: B008
        options.setdefault("noise_percent", 0)
        self.clock = Clock(3_000_000)
        self.port = SerialPort(self.clock)
        self.port.settings = SETTINGS
        self.power = Wire(0)
        self.chip = Sds011Sim(self.clock, self.port, self.power, lambda _us: air, **options)
        self.power.drive(1)
        self.wait(settled_ms)

    def wait(self, ms: int) -> None:
        self.clock.run_until(self.clock.now_us + ms * 1000)

    def ask(self, frame: str, wait_ms: int = 100) -> str:
        """What it says in the next ``wait_ms``, hexadecimal."""
        self.port.received.clear()
        self.port.transmit(bytes.fromhex(frame))
        self.wait(wait_ms)
        return bytes(self.port.received).hex()


def silent(air: Air = Air(), **options: Any) -> Line:  # noqa: B008
    """A sensor that speaks when it is asked."""
    return Line(air, query_mode=True, **options)


class TestData:
    """DS "Query data command", "Set data reporting mode"."""

    def test_a_query_is_answered_with_both_values(self) -> None:
        line = silent(Air(pm2_5=123.6, pm10=261.8))
        line.wait(30_000)

        assert line.ask(QUERY) == "aac0d4043a0aa1601dab"

    def test_reports_come_every_second_unasked(self) -> None:
        line = Line(Air(pm2_5=123.6, pm10=261.8), settled_ms=30_000)
        line.port.received.clear()

        line.wait(3_000)

        assert bytes(line.port.received).hex() == 3 * "aac0d4043a0aa1601dab"

    def test_the_mode_is_set_asked_for_and_kept_without_power(self) -> None:
        line = Line()
        line.ask(ON_REQUEST, 1_000)
        line.power.drive(0)
        line.power.drive(1)
        line.wait(1_500)
        line.port.received.clear()
        line.wait(5_000)

        assert line.port.received == b""
        assert line.ask("aab4020000" + NO_DATA + "00ab") == "aac502000100a16004ab"
        assert line.chip.stored == 1
        assert line.ask(UNASKED).startswith("aac502010000a16004ab")

    def test_it_takes_half_a_minute_in_clean_air(self) -> None:
        line = silent(Air(pm2_5=5.0, pm10=9.0))
        early = int(line.ask(QUERY)[4:6], 16)
        line.wait(30_000)
        late = int(line.ask(QUERY)[4:6], 16)

        assert early < 10
        assert late in range(47, 51)


class TestSleep:
    """DS "Set sleep and work"."""

    def test_is_answered_and_stops_fan_and_laser(self) -> None:
        line = silent()

        assert line.ask(SLEEP) == "aac506010000a16008ab"
        assert not line.chip.working
        assert line.ask(ASK_SLEEP) == "aac506000000a16007ab"
        assert line.ask(QUERY) == ""
        assert line.ask(WORK) == "aac506010100a16009ab"
        assert line.chip.working
        assert line.chip.refusals == ["command 4 while asleep"]

    def test_current_by_state(self) -> None:
        line = silent()
        before_uc = line.chip.charge_uc()
        line.wait(10_000)
        working_uc = line.chip.charge_uc()
        line.ask(SLEEP)
        asleep_uc = line.chip.charge_uc()
        line.wait(10_000)

        assert working_uc - before_uc == pytest.approx(700_000, rel=0.01)
        assert line.chip.charge_uc() - asleep_uc == pytest.approx(40_000, rel=0.01)

    def test_a_period_works_for_30_s_of_each(self) -> None:
        line = silent(period_min=5)
        line.wait(28_000)
        assert line.chip.working
        line.wait(2_000)
        assert not line.chip.working
        line.wait(270_000)
        assert line.chip.working


class TestRefusals:
    @pytest.mark.parametrize(
        ("frame", "why"),
        [
            ("aab4040000" + NO_DATA + "03ab", "bad frame"),
            ("aab3040000" + NO_DATA + "02ab", "bad frame"),
            ("aab4040000" + NO_DATA + "02ac", "bad frame"),
            ("aab4040000" + 20 * "0" + "1234" + "4aab", "frame to another sensor"),
            ("aab404000001" + 18 * "0" + "ffff" + "03ab", "data in bytes that are reserved"),
            ("aab4030000" + NO_DATA + "01ab", "command 030000"),
            ("aab4060102" + NO_DATA + "07ab", "command 060102"),
            ("00", "0x00 outside of a frame"),
        ],
    )
    def test_what_it_does_not_understand_is_not_answered(self, frame: str, why: str) -> None:
        line = silent()

        assert line.ask(frame, 500) == ""
        assert line.chip.refusals[0].startswith(why)

    def test_wrong_framing(self) -> None:
        line = silent()
        line.port.settings = SerialSettings(19_200)

        assert line.ask(QUERY) == ""
        assert line.chip.refusals == ["wrong framing"]

    def test_nothing_is_heard_in_the_first_second(self) -> None:
        assert silent(settled_ms=500).ask(QUERY) == ""

    @given(st.binary(max_size=60))
    def test_any_bytes_leave_it_alive(self, noise: bytes) -> None:
        line = silent()
        line.ask(noise.hex(), 1_000)
        line.ask("00" * 19, 1_000)

        assert line.ask(WORK).endswith("aac506010100a16009ab")


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "answer"),
        [
            (Fault.ABSENT, ""),
            (Fault.NEVER_READY, ""),
            (Fault.BAD_CHECKSUM, "aac0d4043a0aa1601eab"),
            (Fault.CUT, "aac0d4043a"),
            (Fault.STUCK, "aac000000000a16001ab"),
            (Fault.OUT_OF_RANGE, "aac01f4e1f4ea160dbab"),
        ],
    )
    def test_each_does_what_it_says(self, fault: Fault, answer: str) -> None:
        line = silent(Air(pm2_5=123.6, pm10=261.8))
        line.wait(30_000)
        line.chip.fault = fault

        assert line.ask(QUERY) == answer

    def test_without_power_there_is_nothing(self) -> None:
        line = silent()
        line.power.drive(0)
        before_uc = line.chip.charge_uc()

        assert line.ask(QUERY) == ""
        assert line.chip.charge_uc() == before_uc
