# SPDX-License-Identifier: EUPL-1.2
"""The simulated SEN55 against the SEN5x datasheet V2 (DS), frames written out by hand."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.chips.sen55 import Sen55Sim
from simulators.chips.sensirion import Fault
from tests.simulators.i2c_master import Air, Master

START, START_GAS, STOP, READY, READ, STATUS, CLEAR = "0021", "0037", "0104", "0202", "03c4", "d206", "d210"


def master(air: Air = Air(), settled_ms: int = 2_000, **options: Any) -> Master:  # noqa: B008
    options.setdefault("noise_percent", 0)
    return Master(lambda clock, power: Sen55Sim(clock, power, lambda _us: air, **options), settled_ms)


def words(sensor: Master, frame: str = READ, count: int = 8, wait_ms: int = 20) -> list[int]:
    answer = sensor.ask(frame, 3 * count, wait_ms)
    assert answer is not None
    return [int(answer[n : n + 4], 16) for n in range(0, 6 * count, 6)]


class TestMeasurement:
    """DS "Start Measurement", "Read Data Ready", "Read Measured Values"."""

    def test_gives_eight_words_with_their_scale_factors(self) -> None:
        sensor = master(Air(9.0, 14.0, 17.0, 21.0, air_temperature=-7.5, relative_humidity=71.4, voc_index=104.0))

        sensor.send(START, 60_000)

        values = words(sensor)
        assert values[:4] == [pytest.approx(10 * mass, abs=1.5) for mass in (9.0, 14.0, 17.0, 21.0)]
        assert values[4:] == [7_140, 0x10000 - 1_500, 1_040, 30]
        assert sensor.chip.refusals == []

    def test_everything_is_unknown_before_the_first_second(self) -> None:
        sensor = master()
        unknown = [0xFFFF] * 4 + [0x7FFF] * 4

        assert words(sensor) == unknown
        sensor.send(START, 500)
        assert words(sensor) == unknown

    def test_ready_is_cleared_by_reading(self) -> None:
        sensor = master()
        sensor.send(START, 1_100)

        assert words(sensor, READY, 1) == [1]
        words(sensor)
        assert words(sensor, READY, 1) == [0]

    def test_indices_come_late(self) -> None:
        sensor = master(settled_ms=100)
        sensor.send(START, 5_000)

        assert words(sensor)[6:] == [0, 0x7FFF]  # DS: NOx is unknown for 10 to 11 s after power-on
        sensor.wait(10_000)
        assert words(sensor)[6:] == [0, 0]
        sensor.wait(35_000)
        assert words(sensor)[6:] == [1_040, 30]

    def test_without_dust_fan_and_laser_are_off(self) -> None:
        sensor = master()
        sensor.send(START_GAS, 2_000)

        values = words(sensor)

        assert values[:4] == [0xFFFF] * 4
        assert values[4] == 7_140

    def test_stop_has_no_effect_in_idle_mode(self) -> None:
        sensor = master()

        assert sensor.send(STOP, 210)
        assert sensor.chip.refusals == []


class TestRefusals:
    """DS "I2C Commands": execution times, idle mode."""

    @pytest.mark.parametrize(("frame", "ms"), [(START, 50), (STOP, 200), (READY, 20), (CLEAR, 20)])
    def test_busy_for_its_execution_time(self, frame: str, ms: int) -> None:
        sensor = master()
        sensor.send(frame, ms - 3)

        assert not sensor.send(READY)
        sensor.wait(4)
        assert sensor.send(READY)

    def test_not_acknowledged(self) -> None:
        sensor = master()
        sensor.send(START, 100)

        assert not sensor.send(START)
        assert not sensor.send("3f86")  # SCD4x's stop
        assert sensor.chip.refusals == ["command 0x0021 while measuring", "unknown command 0x3f86"]

    @given(st.binary(max_size=30))
    def test_any_bytes_leave_it_alive(self, frame: bytes) -> None:
        sensor = master()

        sensor.send(frame.hex(), 200)
        sensor.wait(200)

        assert words(sensor, READY, 1) == [0]


class TestVocState:
    """DS "Set and Read VOC Algorithm State"."""

    def test_is_applied_once_to_the_next_measurement(self) -> None:
        sensor = master()
        state = "01f43303db42beef92000081"

        assert sensor.send("6181" + state, 20)
        sensor.send(START, 3_000)
        assert sensor.chip.restored_voc == [0x01F4, 0x03DB, 0xBEEF, 0]
        sensor.send(STOP, 210)
        sensor.send(START, 100)
        assert sensor.chip.restored_voc is None

    def test_changes_while_it_measures_and_stays_after_stop(self) -> None:
        sensor = master()
        assert words(sensor, "6181", 4) == [0, 0, 0, 0]
        sensor.send(START, 10_000)
        early = words(sensor, "6181", 4)
        sensor.wait(10_000)
        late = words(sensor, "6181", 4)
        sensor.send(STOP, 210)

        assert early != late
        assert words(sensor, "6181", 4) == late

    def test_cannot_be_set_while_it_measures(self) -> None:
        sensor = master()
        sensor.send(START, 1_000)

        sensor.send("618101f43303db42beef92000081", 20)

        assert sensor.chip.refusals == ["VOC state set while measuring"]


class TestStatus:
    """DS "Device Status Register": errors stay until they are cleared, warnings do not."""

    @pytest.mark.parametrize(
        ("fault", "flags"),
        [
            (None, 0),
            (Fault.FAN, 1 << 21 | 1 << 4),
            (Fault.FAN_SPEED, 1 << 21),
            (Fault.LASER, 1 << 5),
            (Fault.RHT, 1 << 6),
            (Fault.GAS, 1 << 7),
        ],
    )
    def test_flags(self, fault: Fault | None, flags: int) -> None:
        sensor = master()
        sensor.send(START, 1_000)
        sensor.chip.fault = fault

        high, low = words(sensor, STATUS, 2)

        assert high << 16 | low == flags

    def test_errors_are_sticky_until_they_are_read_and_cleared(self) -> None:
        sensor = master()
        sensor.send(START, 1_000)
        sensor.chip.fault = Fault.LASER
        words(sensor, STATUS, 2)
        sensor.chip.fault = None

        assert words(sensor, STATUS, 2) == [0, 1 << 5]
        assert words(sensor, CLEAR, 2) == [0, 1 << 5]
        assert words(sensor, STATUS, 2) == [0, 0]

    def test_cleaning_shows_and_gives_no_new_values(self) -> None:
        sensor = master()
        sensor.send(START, 2_000)
        words(sensor)
        sensor.send("5607", 3_000)

        assert words(sensor, STATUS, 2) == [1 << 3, 0]
        assert words(sensor, READY, 1) == [0]
        sensor.wait(8_000)
        assert words(sensor, STATUS, 2) == [0, 0]
        assert words(sensor, READY, 1) == [1]

    def test_a_broken_part_has_no_values(self) -> None:
        sensor = master()
        sensor.send(START, 60_000)

        sensor.chip.fault = Fault.RHT
        assert words(sensor)[4:] == [0x7FFF] * 4
        sensor.chip.fault = Fault.LASER
        assert words(sensor)[:4] == [0xFFFF] * 4


class TestPower:
    """DS "Electrical Characteristics"."""

    def test_current_by_state(self) -> None:
        sensor = master()
        idle_uc = sensor.chip.charge_uc()
        sensor.send(START, 10_000)

        assert idle_uc == pytest.approx(5_200, rel=0.02)  # 2.6 mA for 2 s
        assert sensor.chip.charge_uc() - idle_uc == pytest.approx(630_000, rel=0.02)  # 63 mA for 10 s

    def test_forgets_all_without_power(self) -> None:
        sensor = master()
        sensor.send("618101f43303db42beef92000081", 20)
        sensor.send(START, 5_000)
        sensor.power.drive(0)
        sensor.wait(10)
        sensor.power.drive(1)
        sensor.wait(100)

        assert not sensor.chip.measuring
        assert words(sensor, "6181", 4) == [0, 0, 0, 0]
