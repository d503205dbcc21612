# SPDX-License-Identifier: EUPL-1.2
"""The simulated SCD41 against the SCD4x datasheet V1.5 (DS); frames are DS's examples."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.chips.scd41 import Scd41Sim
from simulators.chips.sensirion import Fault
from tests.simulators.i2c_master import Air, Master

SHOT, READY, READ, ASC_OFF, POWER_DOWN, WAKE_UP = "219d", "e4b8", "ec05", "2416000081", "36e0", "36f6"


def master(air: Air = Air(), settled_ms: int = 2_000, **options: Any) -> Master:  # noqa: B008
    options.setdefault("noise_ppm", 0)
    return Master(lambda clock, power: Scd41Sim(clock, power, lambda _us: air, **options), settled_ms)


def shot(sensor: Master) -> int:
    """One shot's CO2."""
    sensor.send(SHOT, 5_001)
    answer = sensor.ask(READ, 9, 1)
    assert answer is not None
    return int(answer[:4], 16)


class TestSingleShot:
    """DS "measure_single_shot", "get_data_ready_status", "read_measurement"."""

    def test_of_the_datasheets_air_gives_the_datasheets_answer(self) -> None:
        # DS: 25 Cel and 37 %; its words are 25.003 and 37.002
        air = Air(co2=500.0, air_temperature=25.003, relative_humidity=37.002, air_pressure=1013.0)
        sensor = master(air)
        shot(sensor)

        sensor.send(SHOT, 5_001)

        assert sensor.ask(READY, 3, 1) == "800604"
        assert sensor.ask(READ, 9, 1) == "01f4336667a25eb93c"
        assert sensor.chip.refusals == []

    def test_takes_five_seconds_in_which_nothing_is_acknowledged(self) -> None:
        sensor = master()
        sensor.send(SHOT, 4_990)

        assert not sensor.send(READY)
        sensor.wait(20)
        assert sensor.send(READY, 1)
        assert sensor.chip.refusals == ["addressed while it executes a command"]

    def test_is_read_once(self) -> None:
        sensor = master()
        shot(sensor)

        assert sensor.ask(READY, 3, 1) == "8000a2"
        assert sensor.ask(READ, 9, 1) is None
        assert sensor.chip.refusals == ["read, but nothing was asked for"]

    def test_the_first_after_power_on_and_after_waking_is_wrong(self) -> None:
        sensor = master(Air(co2=500.0, air_pressure=1013.0))

        assert [shot(sensor) for _ in range(3)] == [400, 500, 500]
        sensor.send(POWER_DOWN, 10)
        sensor.send(WAKE_UP)
        sensor.wait(40)
        assert [shot(sensor) for _ in range(2)] == [400, 500]

    def test_what_is_not_simulated_is_refused(self) -> None:
        sensor = master()

        assert not sensor.send("21b1")
        assert sensor.chip.refusals == ["unknown command 0x21b1"]


class TestSettings:
    """DS "set_ambient_pressure", "set_automatic_self_calibration_enabled"."""

    def test_pressure_shifts_the_value(self) -> None:
        sensor = master(Air(co2=500.0, air_pressure=987.0))
        shot(sensor)

        assert shot(sensor) == 487  # 500 x 987 / 1013
        assert sensor.send("e00003db42", 2)  # DS: 98 700 Pa
        assert shot(sensor) == 500
        assert sensor.ask("e000", 3, 2) == "03db42"

    def test_pressure_has_limits(self) -> None:
        sensor = master()

        sensor.send("e000000081", 2)

        assert sensor.chip.refusals == ["ambient pressure of 0 hPa"]

    def test_self_calibration_is_on_after_each_power_on(self) -> None:
        sensor = master()
        assert sensor.ask("2313", 3, 2) == "0001b0"
        assert sensor.send(ASC_OFF, 2)
        assert sensor.ask("2313", 3, 2) == "000081"
        shot(sensor)
        assert sensor.chip.asc_shots == 0

        sensor.power.drive(0)
        sensor.power.drive(1)
        sensor.wait(1_100)
        shot(sensor)
        assert sensor.chip.asc_shots == 1

    def test_serial_number(self) -> None:
        assert master().ask("3682", 9, 2) == "f896319f07c23bbe89"  # DS "get_serial_number"


class TestSleep:
    """DS "power_down", "wake_up": the latter is not acknowledged."""

    def test_wakes_without_acknowledging(self) -> None:
        sensor = master()
        sensor.send(POWER_DOWN, 5)
        assert sensor.chip.sleeping

        assert not sensor.send(WAKE_UP)
        assert not sensor.chip.sleeping
        sensor.wait(31)
        assert sensor.send(ASC_OFF)

    def test_hears_nothing_else(self) -> None:
        sensor = master()
        sensor.send(POWER_DOWN, 5)

        assert not sensor.send(SHOT)
        assert sensor.read(3) is None
        assert sensor.chip.sleeping
        assert sensor.chip.refusals == ["command 0x219d while sleep"]

    @given(st.lists(st.binary(max_size=12), max_size=3))
    def test_any_bytes_leave_it_alive(self, frames: list[bytes]) -> None:
        sensor = master()

        for frame in frames:
            sensor.send(frame.hex(), 5_100)
        sensor.send(WAKE_UP)
        sensor.wait(40)

        assert sensor.ask("3682", 9, 2) is not None


class TestPower:
    """DS "Electrical Specifications"."""

    @pytest.mark.parametrize("power_up_us", [30_000, 1_000_000])
    def test_says_nothing_before_it_has_powered_up(self, power_up_us: int) -> None:
        sensor = master(settled_ms=power_up_us // 1000 - 5, power_up_us=power_up_us)

        assert not sensor.send(READY)
        sensor.wait(10)
        assert sensor.send(READY)

    def test_a_shot_costs_243_mj(self) -> None:
        sensor = master()
        before_uc = sensor.chip.charge_uc()
        shot(sensor)

        assert (sensor.chip.charge_uc() - before_uc) * 3.3e-3 == pytest.approx(243, rel=0.02)

    def test_hardly_anything_asleep(self) -> None:
        sensor = master()
        sensor.send(POWER_DOWN, 5)
        before_uc = sensor.chip.charge_uc()
        sensor.wait(1_000_000)

        assert sensor.chip.charge_uc() - before_uc <= 1_100  # 1 uA

    def test_a_power_cut_during_a_shot_ends_it(self) -> None:
        sensor = master()
        sensor.send(SHOT, 2_000)
        sensor.power.drive(0)
        sensor.wait(10)
        sensor.power.drive(1)
        sensor.wait(1_100)

        assert sensor.ask(READY, 3, 1) == "8000a2"


class TestFaults:
    def test_never_ready_and_stuck(self) -> None:
        for fault in (Fault.NEVER_READY, Fault.STUCK):
            sensor = master()
            shot(sensor)
            sensor.chip.fault = fault
            sensor.send(SHOT, 5_001)
            assert sensor.ask(READY, 3, 1) == "8000a2", fault
            assert sensor.ask(READ, 9, 1) is None

    def test_out_of_range(self) -> None:
        sensor = master()
        sensor.chip.fault = Fault.OUT_OF_RANGE

        assert shot(sensor) == 0
