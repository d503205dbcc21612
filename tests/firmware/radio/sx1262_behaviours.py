# SPDX-License-Identifier: EUPL-1.2
"""What the SX1262 driver must do, as functions of the driver's module, so that broken drivers can be tried too.

DS = DS_SX1261-2_V2.1. Expected values are the data sheet's, LoRaWAN's (RP002-1.0.4) or follow from the simulated air.
"""

from collections.abc import Callable
from types import ModuleType

from simulators.chips import sx1262_registers as r
from tests.firmware.radio.sx1262_bench import Bench

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
    assert bench.sim.radio.errors == 0
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
    assert bench.sim.radio.irq == 0
    bench.assert_clean()


def finishing_waits_a_few_milliseconds_for_a_slow_chip(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    bench.stage_uplink()
    bench.radio.launch_tx()
    sent = bench.heard_on_air_at_last()
    bench.clock.run_until(sent.end_us - 3_000)

    bench.radio.finish_tx()

    assert sent.end_us <= bench.clock.now_us < sent.end_us + 500
    bench.assert_clean()


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


# Downlinks: RP002-1.0.4 (IQ inverted, no CRC), DS 13.4.9 "SetLoRaSymbNumTimeout", DS 15.4


def a_downlink_is_received(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    for sf, bandwidth_hz, frequency_hz in (
        (7, 125_000, 868_100_000),
        (9, 125_000, 869_525_000),
        (12, 125_000, 869_525_000),
        (12, 250_000, 868_300_000),
    ):
        for payload in (b"\x20" + bytes(range(16)), bytes(range(64)), b"\xff"):
            ends_us = bench.downlink(
                payload,
                after_us=60_000,
                sf=sf,
                bandwidth_hz=bandwidth_hz,
                frequency_hz=frequency_hz,
                low_data_rate=sf == 12,
            )
            bench.time.sleep_us(50_000)
            bench.listen(symbols=24, sf=sf, frequency_hz=frequency_hz, bandwidth_hz=bandwidth_hz)

            bench.clock.run_until(ends_us - 100)
            assert bench.radio.rx_state() == driver.RX_WAITING
            bench.clock.run_until(ends_us + 100)
            assert bench.radio.rx_state() == driver.RX_DONE
            assert bench.radio.rx_state() == driver.RX_DONE
            buffer = bytearray(b"\xaa" * 255)
            assert bench.radio.read_packet(buffer) == len(payload)
            assert buffer[: len(payload)] == payload
            assert buffer[len(payload) :] == b"\xaa" * (255 - len(payload))
    bench.assert_clean()


def level_and_noise_of_a_downlink_are_told(driver: ModuleType) -> None:
    # The air loses 100..140 dB of 14 dBm; the noise is -117.0 dBm in 125 kHz. The chip adds signal and noise.
    for loss_db, rssi_dbm, snr_db in ((100, -86, 15.0), (130, -113.5, 1.0), (140, -116.5, -9.0)):
        bench = Bench(driver, loss_db=loss_db).started()
        ends_us = bench.downlink(after_us=20_000, sf=10)
        bench.listen(sf=10)
        bench.clock.run_until(ends_us + 100)
        bench.radio.read_packet(bytearray(255))

        assert abs(bench.radio.rssi_dbm - rssi_dbm) <= 0.6
        assert abs(bench.radio.snr_quarter_db - 4 * snr_db) <= 1


def the_receiver_listens_with_boosted_gain(driver: ModuleType) -> None:
    # DS 9.6: -123.0 dBm at SF7 is 1.5 dB above the limit with boosted gain, below it without
    bench = Bench(driver, loss_db=137.0).started()
    ends_us = bench.downlink(after_us=20_000)
    bench.listen()
    bench.clock.run_until(ends_us + 100)

    assert bench.radio.rx_state() == driver.RX_DONE
    assert bench.sim.config.registers[r.RX_GAIN] == 0x96


def other_networks_and_other_nodes_are_not_heard(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    for stranger in ({"iq_inverted": False}, {"sync_word": 0x1424}, {"frequency_hz": 868_300_000}, {"sf": 8}):
        bench.downlink(after_us=20_000, **stranger)
        bench.listen()
        bench.time.sleep_ms(300)

        assert bench.radio.rx_state() != driver.RX_DONE


def an_empty_window_closes_after_the_symbols_asked_for(driver: ModuleType) -> None:
    # Symbols, and what mantissa * 2^(2 * exponent + 1) with five and three bits makes of them
    for sf, symbol_us, symbols, kept in (
        (7, 1_024, 1, 2),
        (7, 1_024, 6, 6),
        (12, 32_768, 8, 8),
        (7, 1_024, 24, 24),
        (9, 4_096, 57, 58),
        (7, 1_024, 62, 62),
        (7, 1_024, 63, 64),
        (7, 1_024, 102, 104),
        (10, 8_192, 200, 200),
        (7, 1_024, 248, 248),
        (7, 1_024, 255, 248),
    ):
        bench = Bench(driver).started()

        launched_us = bench.listen(symbols, sf)
        bench.time.sleep_us(symbols * symbol_us // 2)
        assert bench.radio.rx_state() == driver.RX_WAITING
        bench.time.sleep_us(4 * symbols * symbol_us)

        assert bench.radio.rx_state() == driver.RX_TIMEOUT
        (closed_us,) = bench.dio1_rose_us
        assert abs(closed_us - launched_us - driver.RX_START_US - kept * symbol_us) <= 10
        assert bench.sim.config.registers[r.SYMBOL_TIMEOUT] != 0
        bench.assert_clean()


def the_symbol_timeout_is_encoded_twice(driver: ModuleType) -> None:
    # DS 13.4.9: the argument, and mantissa in bits 7..3 and exponent in bits 2..0 of register 0x0706
    for symbols, argument, register in (
        (6, 6, 3 << 3),
        (24, 24, 12 << 3),
        (62, 62, 31 << 3),
        (63, 64, 8 << 3 | 1),
        (104, 104, 13 << 3 | 1),
        (200, 200, 25 << 3 | 1),
        (248, 248, 31 << 3 | 1),
        (300, 248, 31 << 3 | 1),
    ):
        bench = Bench(driver).started()
        bench.spi.sent.clear()

        bench.radio.stage_rx(868_100_000, 7, 125_000, symbols)

        assert bytes((0xA0, argument)) in bench.spi.sent
        assert bytes((0x0D, 0x07, 0x06, register)) in bench.spi.sent


def the_window_is_set_up_as_for_lorawan(driver: ModuleType) -> None:
    bench = Bench(driver).started()

    bench.radio.stage_rx(869_525_000, 12, 125_000, 8)

    packet = bench.sim.config.packet
    assert packet is not None
    assert (packet.preamble, packet.implicit_header, packet.length) == (8, False, 255)
    assert (packet.crc_on, packet.iq_inverted) == (False, True)
    assert bench.sim.config.registers[0x0736] == 0x09  # DS 15.4: bit 2 clear
    assert bench.sim.config.irq_mask == 0x0263
    assert bench.sim.config.dio1_mask == 0x0263


def a_collision_is_an_error(driver: ModuleType) -> None:
    # SF7: preamble and sync word are over after 12.5 ms, the header after 20.7 ms
    for other_after_us in (10_000, 30_000):
        bench = Bench(driver).started()
        ends_us = bench.downlink(bytes(60), after_us=5_000 + 1_000, crc_on=True)
        bench.downlink(bytes(60), after_us=6_000 + other_after_us, crc_on=True)
        bench.listen()
        bench.clock.run_until(ends_us + 100)

        assert bench.radio.rx_state() == driver.RX_ERROR


def a_second_window_knows_nothing_of_the_first(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    bench.listen()
    bench.time.sleep_ms(100)
    assert bench.radio.rx_state() == driver.RX_TIMEOUT

    bench.radio.stage_rx(869_525_000, 9, 125_000, 24)
    assert bench.radio.rx_state() == driver.RX_WAITING
    ends_us = bench.downlink(after_us=10_000, sf=9, frequency_hz=869_525_000)
    bench.radio.launch_rx()
    bench.clock.run_until(ends_us + 100)

    assert bench.radio.rx_state() == driver.RX_DONE
    bench.assert_clean()


def uplinks_and_downlinks_alternate(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    for n in range(3):
        assert bench.uplink(bytes((n,)) * 30).phy_payload == bytes((n,)) * 30
        ends_us = bench.downlink(bytes((n,)) * 50, after_us=20_000)
        bench.listen()
        bench.clock.run_until(ends_us + 100)
        assert bench.radio.rx_state() == driver.RX_DONE
        buffer = bytearray(50)
        assert bench.radio.read_packet(buffer) == 50
        assert buffer == bytes((n,)) * 50
    bench.assert_clean()


def a_downlink_longer_than_the_buffer_is_a_fault(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    ends_us = bench.downlink(bytes(33), after_us=20_000)
    bench.listen()
    bench.clock.run_until(ends_us + 100)

    assert bench.fault_of(lambda: bench.radio.read_packet(bytearray(32))) == "packet of 33 bytes"
    assert bench.radio.read_packet(bytearray(33)) == 33


# DS 9.3 "Sleep Mode", 13.1.1 "SetSleep"


def a_warm_sleep_keeps_the_configuration(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    bench.radio.sleep()
    bench.time.sleep_ms(1_000)
    assert bench.sim.mode == "sleep_warm"
    bench.radio = bench.another_driver()

    bench.radio.wake()

    assert bench.uplink(power_dbm=22).power_dbm == 22
    bench.assert_clean()


def sleeping_and_waking_at_once_is_allowed(driver: ModuleType) -> None:
    bench = Bench(driver).started()

    bench.radio.sleep()
    bench.radio.wake()

    assert bench.sim.mode == "stby_rc"
    bench.assert_clean()


def sleep_ends_whatever_the_radio_was_doing(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    bench.listen(symbols=248)

    bench.radio.sleep()

    assert bench.sim.mode == "sleep_warm"
    bench.assert_clean()


def waking_a_chip_that_lost_its_power_is_a_fault(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    bench.radio.sleep()
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
    an_uplink_that_does_not_end_is_a_fault_and_is_stopped,
    the_chip_ends_an_uplink_after_five_seconds_by_itself,
    a_downlink_is_received,
    level_and_noise_of_a_downlink_are_told,
    the_receiver_listens_with_boosted_gain,
    other_networks_and_other_nodes_are_not_heard,
    an_empty_window_closes_after_the_symbols_asked_for,
    the_symbol_timeout_is_encoded_twice,
    the_window_is_set_up_as_for_lorawan,
    a_collision_is_an_error,
    a_second_window_knows_nothing_of_the_first,
    uplinks_and_downlinks_alternate,
    a_downlink_longer_than_the_buffer_is_a_fault,
    a_warm_sleep_keeps_the_configuration,
    sleeping_and_waking_at_once_is_allowed,
    sleep_ends_whatever_the_radio_was_doing,
    waking_a_chip_that_lost_its_power_is_a_fault,
    waking_a_chip_that_is_awake_does_no_harm,
    a_busy_line_that_stays_high_is_a_fault_and_soon,
    a_busy_chip_is_not_launched,
]
