# SPDX-License-Identifier: EUPL-1.2
"""What the SX1262 driver must do, as functions of the driver's module, so that broken drivers can be tried too.

DS = DS_SX1261-2_V2.1. Expected values are the data sheet's, LoRaWAN's (RP002-1.0.4) or follow from the simulated air.
"""

from collections.abc import Callable
from types import ModuleType

from tests.firmware.radio.sx1262_bench import Bench
from tests.firmware.radio.sx1262_downlinks import DOWNLINKS
from tests.firmware.radio.sx1262_faults import FAULTS
from tests.firmware.radio.sx1262_uplinks import UPLINKS

Behaviour = Callable[[ModuleType], None]


# DS 8.1 "Reset", 9.2 "Calibrate", 13.3 "DIO and IRQ Control Functions": the cold start


def a_cold_start_sets_up_the_whole_chip(driver: ModuleType) -> None:
    bench = Bench(driver).started()

    config = bench.sim.config
    assert bench.sim.mode == "stby_rc"
    assert config.lora
    assert config.tcxo == (1.8, 5_000)
    assert config.dc_dc
    assert config.calibrated == 0x7F
    assert config.image_mhz == (860, 876)  # DS 9.2.1: 863-870 MHz by 0xD7, 0xDB
    assert config.rf_switch
    assert (config.tx_base, config.rx_base) == (0, 0)
    assert (config.registers[0x0740], config.registers[0x0741]) == (0x34, 0x44)
    assert config.registers[0x08D8] & 0x1E == 0x1E
    assert bench.asked(0x17) == 0  # DS 13.6.1 GetDeviceErrors
    bench.assert_clean()


def a_cold_start_forgets_what_was_before(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    bench.stage_uplink()

    bench.radio.start()

    assert bench.sim.config.frequency_hz is None
    bench.assert_clean()


def a_board_with_a_crystal_gets_no_tcxo(driver: ModuleType) -> None:
    bench = Bench(driver, tcxo_start_us=None, tcxo_mv=0).started()

    assert bench.sim.config.tcxo is None
    assert bench.uplink().sf == 7
    bench.assert_clean()


def a_board_that_switches_its_antenna_itself_keeps_dio2(driver: ModuleType) -> None:
    assert not Bench(driver, dio2_rf_switch=False).started().sim.config.rf_switch


def a_tcxo_that_does_not_start_is_a_fault(driver: ModuleType) -> None:
    slow = Bench(driver, tcxo_start_us=6_000)
    wrong_voltage = Bench(driver, tcxo_mv=3300)

    assert slow.fault_of(slow.radio.start) == "device errors 0x0020"  # DS 13.6.1: XOSC_START_ERR
    assert wrong_voltage.fault_of(wrong_voltage.radio.start) == "device errors 0x0020"


def every_voltage_of_dio3_can_be_asked_for(driver: ModuleType) -> None:
    for millivolts, volts in (
        (1600, 1.6), (1700, 1.7), (1800, 1.8), (2200, 2.2), (2400, 2.4), (2700, 2.7), (3000, 3.0), (3300, 3.3),
    ):  # fmt: skip
        bench = Bench(driver, tcxo_mv=millivolts)
        bench.fault_of(bench.radio.start)

        assert bench.sim.config.tcxo == (volts, 5_000)


# DS 9.3 "Sleep Mode", 13.1.1 "SetSleep"


def a_warm_sleep_keeps_the_configuration(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    bench.radio.sleep(True)
    bench.time.sleep_ms(1_000)
    assert bench.sim.mode == "sleep_warm"
    bench.radio = bench.another_driver()

    bench.radio.wake()

    assert bench.uplink(power_dbm=22).power_dbm == 22
    bench.assert_clean()


def sleeping_and_waking_at_once_is_allowed(driver: ModuleType) -> None:
    bench = Bench(driver).started()

    bench.radio.sleep(True)
    bench.radio.wake()

    assert bench.sim.mode == "stby_rc"
    bench.assert_clean()


def sleep_ends_whatever_the_radio_was_doing(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    bench.listen(symbols=248)

    bench.radio.sleep()

    assert bench.sim.mode == "sleep_cold"
    bench.assert_clean()


def waking_a_chip_that_lost_its_power_is_a_fault(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    bench.radio.sleep(True)
    bench.reset.drive(0)
    bench.time.sleep_ms(1)
    bench.reset.drive(1)
    bench.time.sleep_ms(10)

    assert bench.fault_of(bench.radio.wake) == "configuration lost"
    bench.radio.start()
    assert bench.uplink().power_dbm == 14


def waking_a_chip_that_is_awake_does_no_harm(driver: ModuleType) -> None:
    bench = Bench(driver).started()

    bench.radio.wake()

    assert bench.uplink().power_dbm == 14
    bench.assert_clean()


# DS 8.3.1 "BUSY Control Line"


def a_busy_line_that_stays_high_is_a_fault_and_soon(driver: ModuleType) -> None:
    for action in ("start", "wake", "sleep", "finish_tx"):
        bench = Bench(driver).started()
        bench.busy.jammed = True
        bench.busy.looks = 0
        bench.dio1.drive(1)
        before_us = bench.clock.now_us

        assert bench.fault_of(getattr(bench.radio, action)) == "busy stuck"

        assert bench.clock.now_us - before_us < 150_000
        assert bench.busy.looks < 150
        assert bench.nss.level == 1


def a_busy_chip_is_not_launched(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    bench.stage_uplink()
    bench.busy.jammed = True
    before_us = bench.clock.now_us

    assert bench.fault_of(bench.radio.launch_tx) == "busy at launch"
    assert bench.fault_of(bench.radio.launch_rx) == "busy at launch"

    assert bench.clock.now_us - before_us < 50
    bench.time.sleep_ms(1)
    assert bench.heard_on_air == []


BEHAVIOURS: list[Behaviour] = [
    a_cold_start_sets_up_the_whole_chip,
    a_cold_start_forgets_what_was_before,
    a_board_with_a_crystal_gets_no_tcxo,
    a_board_that_switches_its_antenna_itself_keeps_dio2,
    a_tcxo_that_does_not_start_is_a_fault,
    every_voltage_of_dio3_can_be_asked_for,
    *UPLINKS,
    *DOWNLINKS,
    a_warm_sleep_keeps_the_configuration,
    sleeping_and_waking_at_once_is_allowed,
    sleep_ends_whatever_the_radio_was_doing,
    waking_a_chip_that_lost_its_power_is_a_fault,
    waking_a_chip_that_is_awake_does_no_harm,
    a_busy_line_that_stays_high_is_a_fault_and_soon,
    a_busy_chip_is_not_launched,
    *FAULTS,
]
