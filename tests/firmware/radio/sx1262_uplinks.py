# SPDX-License-Identifier: EUPL-1.2
"""What the SX1262 driver must do for an uplink, as functions of its module, so that broken drivers can be tried too.

DS = DS_SX1261-2_V2.1. Expected values are the data sheet's, LoRaWAN's (RP002-1.0.4) or follow from the simulated air.
"""

from collections.abc import Callable
from types import ModuleType

from simulators.chips.sx1262_faults import Fault
from tests.firmware.radio.sx1262_bench import Bench

Behaviour = Callable[[ModuleType], None]


# Uplinks: RP002-1.0.4 "EU863-870 Preamble Format", "Data Rate"; DS 13.4 "RF Modulation and Packet-Related Functions"


def an_uplink_is_on_the_air_as_lorawan_wants_it(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    for sf, bandwidth_hz, frequency_hz, low_data_rate in (
        (7, 125_000, 868_100_000, False),
        (8, 125_000, 868_300_000, False),
        (9, 125_000, 868_500_000, False),
        (10, 125_000, 867_900_000, False),
        (11, 125_000, 863_100_000, True),
        (12, 125_000, 869_525_000, True),
        (7, 250_000, 868_300_000, False),
        (11, 250_000, 868_300_000, False),
        (12, 250_000, 868_300_000, True),
        (12, 500_000, 868_300_000, False),
    ):
        payload = bytes(range(sf * 2))

        sent = bench.uplink(payload, sf, frequency_hz=frequency_hz, bandwidth_hz=bandwidth_hz)

        assert (sent.sf, sent.bandwidth_hz, sent.frequency_hz) == (sf, bandwidth_hz, frequency_hz)
        assert (sent.phy_payload, sent.crc_on, sent.iq_inverted) == (payload, True, False)
        assert (sent.sync_word, sent.preamble_symbols, sent.coding_rate) == (0x3444, 8, 1)
        assert not sent.implicit_header
        assert sent.low_data_rate is low_data_rate
    bench.assert_clean()


def the_power_at_the_pin_is_what_was_asked_for(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    for power_dbm in range(-17, 23):
        assert bench.uplink(power_dbm=power_dbm).power_dbm == power_dbm
    bench.assert_clean()


def the_most_efficient_amplifier_setting_is_used(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    # DS 13.1.14, "PA Operating Modes with Optimal Settings": 14 dBm at 45 mA, not at the 90 mA of the large setting
    for power_dbm, setting in ((14, (2, 2)), (15, (2, 3)), (17, (2, 3)), (18, (3, 5)), (20, (3, 5)), (21, (4, 7))):
        bench.uplink(power_dbm=power_dbm)

        assert bench.sim.config.pa == setting
        assert bench.sim.config.ramp_us == 40
        assert bench.sim.config.registers[0x08E7] == 0x38  # 140 mA


def what_the_chip_cannot_do_is_refused(driver: ModuleType) -> None:
    bench = Bench(driver).started()

    assert bench.fault_of(lambda: bench.stage_uplink(power_dbm=23)) == "power 23 dBm"
    assert bench.fault_of(lambda: bench.stage_uplink(power_dbm=-18)) == "power -18 dBm"
    assert bench.fault_of(lambda: bench.stage_uplink(sf=6)) == "SF6 at 125000 Hz"
    assert bench.fault_of(lambda: bench.stage_uplink(sf=13)) == "SF13 at 125000 Hz"
    assert bench.fault_of(lambda: bench.stage_uplink(bandwidth_hz=62_500)) == "SF7 at 62500 Hz"
    bench.assert_clean()


def the_launch_tells_when_the_uplink_begins(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    bench.stage_uplink()

    ticks = bench.radio.launch_tx()

    begins_us = bench.heard_on_air_at_last().start_us
    assert abs(begins_us - ticks - driver.TX_START_US) <= 5
    assert driver.TX_START_US == 105 + 40  # DS 8.3.1, STDBY_XOSC to TX; SetTxParams' ramp


def the_launch_is_one_short_command(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    bench.stage_uplink()
    before_us = bench.clock.now_us
    bench.spi.sent.clear()
    bench.busy.looks = 0

    bench.radio.launch_tx()

    assert [len(sent) for sent in bench.spi.sent] == [4]
    assert bench.busy.looks == 1
    assert bench.clock.now_us - before_us < 40


def staging_is_quick_and_keeps_the_oscillator_running(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    before_us = bench.clock.now_us

    bench.stage_uplink()
    assert bench.sim.mode == "stby_xosc"
    bench.radio.stage_rx(868_100_000, 7, 125_000, 24)
    assert bench.sim.mode == "stby_xosc"

    assert bench.clock.now_us - before_us < 12_000


def the_bus_is_not_worn_out(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    bench.spi.sent.clear()
    bench.busy.looks = 0

    bench.uplink()
    bench.listen()
    bench.time.sleep_ms(100)
    bench.radio.rx_state()
    bench.radio.sleep()

    assert len(bench.spi.sent) <= 42
    assert bench.busy.looks <= 120


def a_finished_uplink_leaves_standby_and_no_interrupt(driver: ModuleType) -> None:
    bench = Bench(driver).started()

    bench.uplink()

    assert bench.sim.mode == "stby_rc"
    assert bench.dio1.level == 0
    assert bench.asked(0x12) == 0  # DS 13.3.3 GetIrqStatus
    bench.assert_clean()


def finishing_waits_a_few_milliseconds_for_a_slow_chip(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    bench.stage_uplink()
    bench.radio.launch_tx()
    sent = bench.heard_on_air_at_last()
    bench.clock.run_until(sent.end_us - 3_000)

    bench.radio.finish_tx()

    assert sent.end_us <= bench.clock.now_us < sent.end_us + 700
    bench.assert_clean()


def a_glitch_of_the_interrupt_line_is_not_the_end_of_an_uplink(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    bench.stage_uplink()
    bench.radio.launch_tx()
    sent = bench.heard_on_air_at_last()
    bench.clock.run_until(sent.end_us - 3_000)
    bench.sim.fault(Fault.DIO1_SPURIOUS)

    bench.radio.finish_tx()

    assert not bench.air.was_cut(sent)


def an_uplink_that_does_not_end_is_a_fault_and_is_stopped(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    bench.stage_uplink(sf=12)
    bench.radio.launch_tx()
    sent = bench.heard_on_air_at_last()

    assert bench.fault_of(bench.radio.finish_tx) == "uplink not sent"

    bench.time.sleep_ms(1)
    assert bench.air.was_cut(sent)
    assert bench.sim.mode == "stby_rc"


def the_chip_ends_an_uplink_after_five_seconds_by_itself(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    assert bench.uplink(bytes(64), sf=12).phy_payload == bytes(64)  # RP002-1.0.4: the longest at DR0, 2.8 s
    bench.stage_uplink(bytes(255), sf=12)
    bench.radio.launch_tx()
    sent = bench.heard_on_air_at_last()

    bench.clock.run_until(sent.start_us + 4_990_000)
    assert bench.sim.mode == "tx"
    bench.clock.run_until(sent.start_us + 5_010_000)
    assert bench.sim.mode == "stby_rc"
    assert bench.fault_of(bench.radio.finish_tx) == "uplink not sent"


UPLINKS: list[Behaviour] = [
    an_uplink_is_on_the_air_as_lorawan_wants_it,
    the_power_at_the_pin_is_what_was_asked_for,
    the_most_efficient_amplifier_setting_is_used,
    what_the_chip_cannot_do_is_refused,
    the_launch_tells_when_the_uplink_begins,
    the_launch_is_one_short_command,
    staging_is_quick_and_keeps_the_oscillator_running,
    the_bus_is_not_worn_out,
    a_finished_uplink_leaves_standby_and_no_interrupt,
    finishing_waits_a_few_milliseconds_for_a_slow_chip,
    a_glitch_of_the_interrupt_line_is_not_the_end_of_an_uplink,
    an_uplink_that_does_not_end_is_a_fault_and_is_stopped,
    the_chip_ends_an_uplink_after_five_seconds_by_itself,
]
