# SPDX-License-Identifier: EUPL-1.2
"""The simulated BME280 against BST-BME280-DS002 revision 1.6 (DS) and the BMP280's worked example."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.chips.bme280 import BMP280_ID, Bme280Sim, Calibration, Fault, counts_for
from tests.simulators.i2c_master import Air, Master

FORCED = "f425"  # ctrl_meas: temperature and pressure once, forced mode
RESET_DATA = "8000008000008000"


def master(air: Air = Air(), settled_ms: int = 10, **options: Any) -> Master:  # noqa: B008
    options.setdefault("noise", 0)
    return Master(lambda clock, power: Bme280Sim(clock, power, lambda _us: air, **options), settled_ms)


def data(sensor: Master) -> str:
    answer = sensor.ask("f7", 8)
    assert answer is not None
    return answer


class TestCompensation:
    """BST-BMP280-DS001 "Calculating pressure and temperature": raw 519888 and 415148 are 25.08 Cel, 100 653.27 Pa."""

    def test_the_worked_example(self) -> None:
        calibration = Calibration()

        t_fine = calibration.t_fine(519_888)

        assert round(t_fine) == 128_422
        assert round(calibration.celsius(519_888), 2) == 25.08
        assert round(calibration.pascal(415_148, t_fine), 2) == 100_653.27

    @given(st.floats(-40, 85), st.floats(30_000, 110_000), st.floats(0, 100))
    def test_counts_are_the_inverse_of_the_formulas(self, celsius: float, pascal: float, percent: float) -> None:
        calibration = Calibration()

        counts = counts_for(celsius, 20, calibration.celsius)
        t_fine = calibration.t_fine(counts)
        pressure = counts_for(pascal, 20, lambda n: calibration.pascal(n, t_fine))
        humidity = counts_for(percent, 16, lambda n: calibration.percent(n, t_fine))

        assert calibration.celsius(counts) == pytest.approx(celsius, abs=0.001)
        assert calibration.pascal(pressure, t_fine) == pytest.approx(pascal, abs=0.2)
        assert calibration.percent(humidity, t_fine) == pytest.approx(percent, abs=0.01)

    def test_the_air_of_the_example_gives_its_counts(self) -> None:
        sensor = master(Air(air_temperature=25.0825, air_pressure=1006.5327))

        sensor.send("f201" + FORCED, 20)

        pressure, temperature = int(data(sensor)[:5], 16), int(data(sensor)[6:11], 16)
        assert abs(temperature - 519_888) <= 1
        assert abs(pressure - 415_148) <= 2

    def test_the_trimming_words_lie_where_the_memory_map_says(self) -> None:
        sensor = master()

        assert sensor.ask("88", 8) == "706b436718fc7d8e"  # 27504, 26435, -1000, 36477
        assert sensor.ask("a1", 1) == "4b"  # H1 75
        assert sensor.ask("e1", 7) == "6a01001426031e"  # H2 362, H3 0, H4 326, H5 50, H6 30


class TestForcedMode:
    """DS "Forced mode", "Measurement time", "Register 0xF2", "Register 0xF3"."""

    def test_measures_once_and_sleeps_again(self) -> None:
        sensor = master()
        assert data(sensor) == RESET_DATA.replace(" ", "")

        sensor.send("f201" + FORCED)
        assert sensor.ask("f3", 1) == "08"
        sensor.wait(10)

        assert sensor.ask("f3", 1) == "00"
        assert sensor.ask("f4", 1) == "24"
        assert sensor.chip.measurements == 1
        assert "8000" not in (data(sensor)[:4], data(sensor)[6:10], data(sensor)[12:])
        assert sensor.chip.refusals == []

    @pytest.mark.parametrize(
        ("humidity", "control", "us"),
        [("01", "25", 9_300), ("00", "25", 6_425), ("01", "21", 6_425), ("03", "6d", 1_250 + 3 * 9_200 + 1_150)],
    )
    def test_takes_its_time(self, humidity: str, control: str, us: int) -> None:
        sensor = master()
        sensor.send("f2" + humidity + "f4" + control)
        begun_us = sensor.clock.now_us

        sensor.clock.run_until(begun_us + us - 400)
        assert sensor.ask("f3", 1) == "08"
        sensor.clock.run_until(begun_us + us + 10)
        assert sensor.ask("f3", 1) == "00"

    def test_humidity_changes_with_the_next_ctrl_meas_only(self) -> None:
        sensor = master()
        sensor.send(FORCED + "f201", 20)
        assert data(sensor)[12:] == "8000"

        sensor.send(FORCED, 20)
        assert data(sensor)[12:] != "8000"

    def test_what_is_skipped_keeps_its_reset_value(self) -> None:
        sensor = master()
        sensor.send("f201f405", 20)  # pressure and humidity alone

        assert data(sensor)[6:12] == "800000"
        assert data(sensor)[:6] != "800000"

    def test_a_reset_forgets_the_data(self) -> None:
        sensor = master()
        sensor.send("f201" + FORCED, 20)

        sensor.send("e0b6", 3)

        assert data(sensor) == RESET_DATA.replace(" ", "")
        assert sensor.ask("f2", 1) == "00"

    @pytest.mark.parametrize(
        ("frame", "why"),
        [
            ("f427", "normal mode is not simulated"),
            ("f504", "config 0x04: filter and 3-wire SPI are not simulated"),
            ("e0b5", "reset with 0xb5"),
            ("f208", "ctrl_hum 0x08"),
            ("8800", "register 0x88 written"),
        ],
    )
    def test_what_it_does_not_decode_is_refused(self, frame: str, why: str) -> None:
        sensor = master()

        assert not sensor.send(frame)
        assert sensor.chip.refusals == [why]

    def test_measuring_while_it_measures(self) -> None:
        sensor = master()
        sensor.send("f201" + FORCED)
        sensor.send(FORCED)

        assert sensor.chip.refusals == ["a measurement begun during a measurement"]

    @given(st.binary(min_size=1, max_size=20))
    def test_any_bytes_leave_it_alive(self, frame: bytes) -> None:
        sensor = master()
        sensor.send(frame.hex(), 200)
        sensor.wait(10)

        assert sensor.ask("d0", 1) == "60"


class TestPower:
    """DS "Electrical parameter specification"."""

    def test_says_nothing_in_its_first_2_ms(self) -> None:
        sensor = master(settled_ms=1)

        assert not sensor.send("d0")
        sensor.wait(2)
        assert sensor.ask("d0", 1) == "60"

    def test_draws_current_while_it_measures_only(self) -> None:
        sensor = master()
        sensor.send("f201" + FORCED, 100_000)

        assert sensor.chip.charge_uc() == pytest.approx(0.714 * 9.3, rel=0.05)
        assert sensor.chip.powered_us() > 100_000_000

    def test_a_bmp280_has_no_humidity(self) -> None:
        sensor = master(chip_id=BMP280_ID)
        sensor.send("f201" + FORCED, 20)

        assert sensor.ask("d0", 1) == "58"
        assert data(sensor)[12:] == "8000"
        assert data(sensor)[6:12] != "800000"


class TestFaults:
    def test_each_does_what_it_says(self) -> None:
        sensor = master()
        sensor.chip.fault = Fault.NEVER_READY
        sensor.send("f201" + FORCED, 1_000)
        assert sensor.ask("f3", 1) == "08"

        sensor = master()
        sensor.chip.fault = Fault.STUCK
        sensor.send("f201" + FORCED, 1_000)
        assert (sensor.ask("f3", 1), data(sensor)) == ("00", RESET_DATA.replace(" ", ""))

        sensor.chip.fault = Fault.OUT_OF_RANGE
        sensor.send(FORCED, 20)
        assert data(sensor) == "000000ffff00ffff"
        sensor.chip.fault = Fault.BLANK
        assert sensor.ask("88", 2) == "0000"
        sensor.chip.fault = Fault.ERASED
        assert sensor.ask("e1", 2) == "ffff"
        sensor.chip.fault = Fault.ABSENT
        assert not sensor.send("d0")
