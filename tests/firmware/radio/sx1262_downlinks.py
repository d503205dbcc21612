# SPDX-License-Identifier: EUPL-1.2
"""What the SX1262 driver must do for a downlink, as functions of its module, so that broken drivers can be tried too.

DS = DS_SX1261-2_V2.1. Expected values are the data sheet's, LoRaWAN's (RP002-1.0.4) or follow from the simulated air.
"""

from collections.abc import Callable
from types import ModuleType

from simulators.chips import sx1262_registers as r
from tests.firmware.radio.sx1262_bench import Bench

Behaviour = Callable[[ModuleType], None]


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


def the_end_of_a_window_is_timed(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    bench.radio.stage_rx(868_100_000, 7, 125_000, 24)
    assert bench.radio.done is None
    ends_us = bench.downlink(after_us=10_000)
    bench.radio.launch_rx()
    bench.time.sleep_ms(200)

    assert bench.radio.done is not None
    assert abs(bench.radio.done - ends_us) <= 5  # whenever anybody looks

    bench.listen(symbols=24)
    assert bench.radio.done is None


def reading_sends_nothing_but_the_command(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    ends_us = bench.downlink(b"\xff" * 40, after_us=20_000)
    bench.listen()
    bench.clock.run_until(ends_us + 100)
    bench.radio.read_packet(bytearray(255))
    bench.spi.sent.clear()

    bench.radio.rx_state()

    assert bench.spi.sent == [b"\x12\x00\x00\x00"]  # DS 13.3.3 "GetIrqStatus": NOP after the opcode


DOWNLINKS: list[Behaviour] = [
    the_end_of_a_window_is_timed,
    reading_sends_nothing_but_the_command,
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
]
