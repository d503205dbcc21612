# SPDX-License-Identifier: EUPL-1.2
"""The simulated SPS30 against its datasheet V1.0 D1 (DS), frames written out by hand."""

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.chips.sensirion import Fault
from simulators.chips.sps30 import Sps30Sim
from tests.simulators.i2c_master import Air, Master

START, START_UINT16, STOP, READY, READ = "00100300ac", "00100500f6", "0104", "0202", "0300"  # DS "I2C Commands"


def master(air: Air = Air(), settled_ms: int = 2_000, **options: Any) -> Master:  # noqa: B008
    options.setdefault("noise_percent", 0)
    return Master(lambda clock, power: Sps30Sim(clock, power, lambda _us: air, **options), settled_ms)


def floats(answer: str | None) -> tuple[float, ...]:
    """The ten floats of an answer with checksums."""
    assert answer is not None
    raw = bytes.fromhex(answer)
    data = b"".join(raw[n : n + 2] for n in range(0, len(raw), 3))
    return struct.unpack(f">{len(data) // 4}f", data)


class TestMeasurement:
    """DS "Start Measurement", "Read Data-Ready Flag", "Read Measured Values"."""

    def test_gives_ten_floats_of_the_air(self) -> None:
        sensor = master(Air(9.0, 14.0, 17.0, 21.0))

        sensor.send(START, 60_000)

        values = floats(sensor.ask(READ, 60))
        assert values[:4] == pytest.approx((9.0, 14.0, 17.0, 21.0), rel=0.01)
        assert values[4:9] == tuple(sorted(values[4:9]))  # each number counts all that are smaller
        assert sensor.chip.refusals == []

    def test_gives_whole_numbers_if_they_are_asked_for(self) -> None:
        sensor = master(Air(9.0, 14.0, 17.0, 21.0))

        sensor.send(START_UINT16, 60_000)

        assert (sensor.ask(READ, 12) or "")[:4] == "0009"
        answer = sensor.ask(READ, 12) or ""
        assert [int(answer[n : n + 4], 16) for n in (0, 6, 12, 18)] == [9, 14, 17, 21]

    def test_is_ready_once_a_second(self) -> None:
        sensor = master()
        sensor.send(START, 900)

        assert sensor.ask(READY, 3) == "000081"
        sensor.wait(150)
        assert sensor.ask(READY, 3) == "0001b0"
        sensor.ask(READ, 60)
        assert sensor.ask(READY, 3) == "000081"
        sensor.wait(1_000)
        assert sensor.ask(READY, 3) == "0001b0"

    @pytest.mark.parametrize(
        ("pm2_5", "early_s", "late_s"),
        [(60.0, 2, 8), (20.0, 4, 16), (5.0, 8, 30)],  # 420, 140 and 35 particles a cm3
    )
    def test_takes_its_start_up_time(self, pm2_5: float, early_s: int, late_s: int) -> None:
        sensor = master(Air(pm2_5=pm2_5))
        sensor.send(START, 20)

        sensor.wait(early_s * 1_000)
        assert floats(sensor.ask(READ, 60))[1] < 0.7 * pm2_5
        sensor.wait((late_s - early_s) * 1_000)
        assert floats(sensor.ask(READ, 60))[1] == pytest.approx(pm2_5, rel=0.06)

    def test_scatters_but_the_same_seed_scatters_alike(self) -> None:
        def values(seed: int) -> list[float]:
            sensor = master(noise_percent=5.0, seed=seed)
            sensor.send(START, 30_000)
            found = []
            for _ in range(5):
                sensor.wait(1_000)
                found.append(floats(sensor.ask(READ, 60))[1])
            return found

        assert values(1) == values(1) != values(2)
        assert all(0.85 * 14 < value < 1.06 * 14 for value in values(1))

    def test_may_be_read_in_part(self) -> None:
        sensor = master()
        sensor.send(START, 5_000)

        assert len(sensor.ask(READ, 24) or "") == 48
        assert sensor.chip.refusals == []


class TestRefusals:
    """DS "I2C Commands": what a real sensor does not acknowledge."""

    @pytest.mark.parametrize(
        ("frame", "why"),
        [
            ("1234", "unknown command 0x1234"),
            ("00100300ad", "wrong checksum in 00100300ad"),
            ("0300", "command 0x0300 while idle"),
            ("0104", "command 0x0104 while idle"),
            ("5607", "command 0x5607 while idle"),
            ("00100300ac0300ac", "more arguments than the command takes"),
        ],
    )
    def test_not_acknowledged(self, frame: str, why: str) -> None:
        sensor = master()

        assert not sensor.send(frame)
        assert sensor.chip.refusals == [why]

    @pytest.mark.parametrize("frame", ["00", "0010", "001003", "00100300"])
    def test_incomplete_commands_do_nothing(self, frame: str) -> None:
        sensor = master()

        sensor.send(frame, 100)

        assert sensor.chip.refusals == [f"incomplete command {frame}"]
        assert not sensor.chip.measuring

    def test_another_output_format(self) -> None:
        sensor = master()

        sensor.send("0010040002", 100)

        assert not sensor.chip.measuring
        assert sensor.chip.refusals == ["output format 0x0400"]

    def test_busy_while_it_starts(self) -> None:
        sensor = master()
        sensor.send(START, 15)

        assert not sensor.send(READY)
        sensor.wait(10)
        assert sensor.send(READY)
        assert sensor.chip.refusals == ["addressed while it executes a command"]

    def test_reading_without_asking_and_more_than_there_is(self) -> None:
        sensor = master()

        assert sensor.read(3) is None
        sensor.send(START, 1_500)
        assert (sensor.ask(READY, 6) or "").endswith("ffffff")
        assert sensor.chip.refusals == ["read, but nothing was asked for", "more read than there is"]

    @given(st.binary(max_size=30))
    def test_any_bytes_leave_it_alive(self, frame: bytes) -> None:
        sensor = master()

        sensor.send(frame.hex(), 200)
        sensor.send("1103", 10)
        sensor.wait(10)
        sensor.send("1103", 10)

        assert sensor.ask("d100", 3, 10) is not None


class TestSleep:
    """DS "Sleep" and "Wake-up": firmware 2.0; the interface listens for 100 ms after a START."""

    def test_wakes_to_the_second_of_two_wake_ups(self) -> None:
        sensor = master()
        assert sensor.send("1001", 10)
        assert sensor.chip.sleeping

        assert not sensor.send("1103")
        assert sensor.send("1103", 10)
        assert sensor.send(START)
        assert sensor.chip.refusals == []

    def test_not_if_they_are_100_ms_apart(self) -> None:
        sensor = master()
        sensor.send("1001", 10)

        assert not sensor.send("1103", 0)
        sensor.wait(120)
        assert not sensor.send("1103", 0)

    def test_hears_nothing_else(self) -> None:
        sensor = master()
        sensor.send("1001", 10)

        assert not sensor.send(START)
        assert not sensor.send(START)
        assert sensor.chip.sleeping

    def test_not_before_firmware_2(self) -> None:
        sensor = master(firmware=(1, 2))

        assert not sensor.send("1001")
        assert not sensor.send("d206")
        assert sensor.ask("d100", 3, 10) == "010217"


class TestPower:
    """DS "Electrical Specifications", "Reset"."""

    def test_says_nothing_in_the_first_100_ms(self) -> None:
        sensor = master(settled_ms=80)

        assert not sensor.send(READY)
        sensor.wait(30)
        assert sensor.send(READY)

    def test_current_by_state(self) -> None:
        sensor = master()
        idle_uc = sensor.chip.charge_uc()
        sensor.send(START, 10_000)
        measuring_uc = sensor.chip.charge_uc()
        sensor.send(STOP, 50)
        sensor.send("1001", 50)
        asleep_uc = sensor.chip.charge_uc()
        sensor.wait(100_000)

        assert idle_uc == pytest.approx(660, rel=0.02)  # 330 uA for 2 s
        assert measuring_uc - idle_uc == pytest.approx(550_000, rel=0.02)  # 55 mA for 10 s
        assert sensor.chip.charge_uc() - asleep_uc == pytest.approx(3_800, rel=0.02)  # 38 uA for 100 s

    def test_nothing_without_power(self) -> None:
        sensor = master()
        sensor.send(START, 1_000)
        sensor.power.drive(0)
        before_uc, before_us = sensor.chip.charge_uc(), sensor.chip.powered_us()
        sensor.wait(5_000)

        assert not sensor.send(READY)
        assert (sensor.chip.charge_uc(), sensor.chip.powered_us()) == (before_uc, before_us)
        sensor.power.drive(1)
        sensor.wait(200)
        assert not sensor.chip.measuring


class TestCleaning:
    """DS "Start Fan Cleaning"."""

    def test_no_new_values_for_ten_seconds(self) -> None:
        sensor = master()
        sensor.send(START, 2_000)
        sensor.ask(READ, 60)
        sensor.send("5607", 5_000)

        assert sensor.ask(READY, 3) == "000081"
        sensor.wait(6_100)
        assert sensor.ask(READY, 3) == "0001b0"


class TestFaults:
    """DS "Device Status Register": bit 21 speed, 5 laser, 4 fan."""

    @pytest.mark.parametrize(
        ("fault", "flags"),
        [(None, 0), (Fault.FAN, 1 << 21 | 1 << 4), (Fault.FAN_SPEED, 1 << 21), (Fault.LASER, 1 << 5)],
    )
    def test_status(self, fault: Fault | None, flags: int) -> None:
        sensor = master()
        sensor.send(START, 2_000)
        sensor.chip.fault = fault

        answer = sensor.ask("d206", 6, 10) or ""

        assert int(answer[0:4] + answer[6:10], 16) == flags

    def test_wrong_checksums_and_wrong_data_are_one_bit_off(self) -> None:
        sensor = master()
        sensor.send(START, 2_000)

        sensor.chip.fault = Fault.BAD_CRC
        assert sensor.ask(READY, 3) == "0001a0"
        sensor.chip.fault = Fault.BAD_DATA
        assert sensor.ask(READY, 3) == "0009b0"

    def test_absent_never_ready_stuck_and_stretching(self) -> None:
        sensor = master()
        sensor.send(START, 2_000)

        sensor.chip.fault = Fault.NEVER_READY
        assert sensor.ask(READY, 3) == "000081"
        sensor.chip.fault = Fault.STUCK
        first = sensor.ask(READ, 60)
        sensor.wait(3_000)
        assert sensor.ask(READY, 3) == "000081"
        assert sensor.ask(READ, 60) == first
        sensor.chip.fault = Fault.STRETCHING
        before_us = sensor.clock.now_us
        assert not sensor.send(READY)
        assert sensor.clock.now_us - before_us >= 50_000
        sensor.chip.fault = Fault.ABSENT
        assert not sensor.send(READY)
