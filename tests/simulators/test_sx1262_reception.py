# SPDX-License-Identifier: EUPL-1.2
"""Semtech SX1261/2 data sheet, DS_SX1261-2_V2.1: the receiver."""

import pytest

from simulators.air import Position
from tests.simulators.sf7_frame import sf7_frame
from tests.simulators.sx1262_host import Host

PREAMBLE, HEADER, RX_DONE, HEADER_ERR, CRC_ERR, TIMEOUT = 0x0004, 0x0010, 0x0002, 0x0020, 0x0040, 0x0200
SYMBOL_US = 1_024  # SF7, 125 kHz


@pytest.fixture
def host(clock, air):
    """Tuned to downlinks on 868.1 MHz at SF7, in STDBY_XOSC, every interrupt on DIO1."""
    host = Host(clock, air)
    host.power_up()
    host.tune(uplink=False)
    host.command("80 01")
    host.wait()
    return host


def downlink(clock, **changes):
    """12 bytes at SF7, sent now by a gateway 500 m away: 41.216 ms."""
    ours = {"iq_inverted": True, "phy_payload": b"twelve bytes", "crc_on": False, "position": Position(500.0, 0.0)}
    return sf7_frame(clock, **ours | changes)


def rx(host, timeout="00 00 00"):
    host.command(f"82 {timeout}")
    host.wait()
    assert host.chip.mode == "rx"


def hear(host, air, **changes):
    """Receive one packet in a window opened just before it; return the interrupts."""
    rx(host)
    transmission = downlink(host.clock, **changes)
    air.transmit(transmission)
    host.clock.run_until(transmission.end_us)
    return host.irq()


class TestReception:
    """DS 9.6 "Receive (RX) Mode", 13.5.2 "GetRxBufferStatus", 13.5.3 "GetPacketStatus"."""

    def test_a_packet_raises_its_interrupts_in_order(self, clock, air, host):
        rx(host)
        start = clock.now_us
        seen = {}
        air.transmit(downlink(clock))
        while clock.now_us < start + 41_216:
            clock.run_until(clock.now_us + 256)
            for bit in (PREAMBLE, HEADER, RX_DONE):
                if host.chip.radio.irq & bit:
                    seen.setdefault(bit, clock.now_us - start)

        # five symbols; 8 + 4.25 + 8 symbols; the end
        assert seen == {PREAMBLE: 5_120, HEADER: 20_736, RX_DONE: 41_216}
        assert host.chip.mode == "stby_rc"
        assert host.chip.refusals == []
        assert host.chip.degradations == []

    def test_the_packet_lies_at_the_base_address(self, air, host):
        host.command("8F 00 F8")

        hear(host, air)

        assert host.command("13 00 00 00")[2:] == b"\x0c\xf8"
        assert host.command("1E F8 00" + "00" * 12)[3:] == b"twelve bytes"

    def test_rssi_and_snr_are_those_of_the_link(self, air, host):
        hear(host, air)

        # 14 dBm - 121.97 dB = -107.97 dBm (signal), with noise of -117.03 dBm: -107.46 dBm; SNR 9.06 dB
        assert host.command("14 00 00 00 00")[2:] == bytes([215, 36, 216])

    def test_an_snr_below_zero_is_signed(self, air, host):
        hear(host, air, power_dbm=0.0)

        assert host.command("14 00 00 00 00")[3] == 0x100 - 20  # -4.94 dB

    def test_a_continuous_receiver_takes_one_packet_after_the_other(self, clock, air, host):
        rx(host, "FF FF FF")
        for _ in range(2):
            air.transmit(downlink(clock))
            host.run(50_000)

        assert host.chip.mode == "rx"
        assert host.command("13 00 00 00")[2:] == b"\x0c\x0c"
        assert host.command("10 00 00 00 00 00 00 00")[2:] == b"\x00\x02\x00\x00\x00\x00"

    def test_statistics_are_reset(self, air, host):
        hear(host, air)
        host.command("00 00 00 00 00 00 00")

        assert host.command("10 00 00 00 00 00 00 00")[2:] == bytes(6)

    @pytest.mark.parametrize(
        "other",
        [
            {"sf": 8},
            {"bandwidth_hz": 250_000},
            {"iq_inverted": False},
            {"frequency_hz": 868_131_300},
            {"frequency_hz": 868_300_000},
            {"power_dbm": -2.7},  # SNR -7.6 dB
        ],
        ids=str,
    )
    def test_a_signal_that_does_not_fit_is_not_even_a_preamble(self, air, host, other):
        assert hear(host, air, **other) == 0

    @pytest.mark.parametrize("near", [{"frequency_hz": 868_131_200}, {"power_dbm": -2.5}], ids=str)
    def test_a_signal_that_just_fits_is_received(self, air, host, near):
        assert hear(host, air, **near) == PREAMBLE | HEADER | RX_DONE

    def test_a_foreign_sync_word_is_a_preamble_and_nothing_more(self, air, host):
        assert hear(host, air, sync_word=0x1424) == PREAMBLE
        assert host.chip.mode == "rx"

    def test_wrong_low_data_rate_optimisation_destroys_the_payload(self, air, host):
        assert hear(host, air, crc_on=True, low_data_rate=True) == PREAMBLE | HEADER | RX_DONE | CRC_ERR

    def test_without_crc_damage_goes_unnoticed(self, air, host):
        assert hear(host, air, low_data_rate=True) == PREAMBLE | HEADER | RX_DONE
        assert host.command("1E 00 00" + "00" * 12)[3:] != b"twelve bytes"

    def test_a_sender_that_stops_half_way_leaves_a_crc_error(self, clock, air, host):
        rx(host)
        transmission = downlink(clock, crc_on=True)
        air.transmit(transmission)
        host.run(30_000)
        air.cut(transmission)
        host.run(20_000)

        assert host.irq() == PREAMBLE | HEADER | RX_DONE | CRC_ERR

    def test_a_sender_that_stops_in_the_preamble_was_never_there(self, clock, air, host):
        rx(host)
        transmission = downlink(clock)
        air.transmit(transmission)
        host.run(5_000)
        air.cut(transmission)
        host.run(50_000)

        assert host.irq() == 0

    def test_nothing_is_received_after_the_window(self, clock, air, host):
        host.command("A0 08")
        rx(host)
        host.run(10_000)
        air.transmit(downlink(clock))
        host.run(50_000)

        assert host.irq() == TIMEOUT
        assert host.chip.mode == "stby_rc"

    def test_a_collision_in_the_header_is_a_header_error(self, clock, air, host):
        rx(host)
        air.transmit(downlink(clock))
        host.run(15_000)
        air.transmit(downlink(clock, position=Position(0.0, 500.0)))
        host.run(50_000)

        assert host.irq() == PREAMBLE | HEADER_ERR
        assert host.chip.mode == "stby_rc"
        assert host.command("10 00 00 00 00 00 00 00")[2:] == b"\x00\x00\x00\x00\x00\x01"

    def test_a_collision_in_the_payload_is_a_crc_error(self, clock, air, host):
        rx(host)
        air.transmit(downlink(clock, crc_on=True))
        host.run(25_000)
        air.transmit(downlink(clock, position=Position(0.0, 500.0)))
        host.run(50_000)

        assert host.irq() == PREAMBLE | HEADER | RX_DONE | CRC_ERR

    def test_the_instantaneous_rssi_is_noise_until_something_is_on_the_air(self, clock, air, host):
        rx(host, "FF FF FF")
        quiet = host.command("15 00 00")[2]
        air.transmit(downlink(clock))

        assert (quiet, host.command("15 00 00")[2]) == (234, 215)  # -117 and -107.5 dBm


class TestTimeouts:
    """DS 13.1.5 "SetRx", 13.1.6 "StopTimerOnPreamble", 13.4.9 "SetLoRaSymbNumTimeout"."""

    @pytest.mark.parametrize(
        ("late_symbols", "irq"),
        [(-10, PREAMBLE | HEADER | RX_DONE), (3, PREAMBLE | HEADER | RX_DONE), (3.1, 0), (6, 0)],
    )
    def test_five_of_the_eight_symbols_must_be_left(self, clock, air, host, late_symbols, irq):
        """DS 6.1.1.1: the receiver needs part of the preamble to synchronise."""
        begins = clock.now_us + 20_000
        clock.at(begins, lambda: air.transmit(downlink(clock)))
        host.clock.run_until(begins + round(late_symbols * SYMBOL_US) - 62 - 6)

        rx(host)
        host.run(60_000)

        assert host.irq() == irq

    @pytest.mark.parametrize(("symbols", "irq"), [(8, PREAMBLE | HEADER | RX_DONE), (4, TIMEOUT)])
    def test_the_symbol_timeout_waits_for_a_detection_and_no_longer(self, clock, air, host, symbols, irq):
        host.command(f"A0 {symbols:02X}")

        assert hear(host, air) == irq
        assert host.chip.mode == "stby_rc"

    def test_the_symbol_timeout_strikes_on_time(self, clock, host):
        host.command("A0 18")
        rx(host)
        began = clock.now_us
        host.run(100_000)

        assert host.rises_us == [began + 24 * SYMBOL_US]
        assert host.irq() == TIMEOUT

    def test_a_long_symbol_timeout_is_mantissa_and_exponent(self, clock, host):
        """DS 13.4.9: register 0x0706 = mantissa << 3 | exponent; symbols = mantissa * 2^(2 exponent + 1)."""
        host.command("0D 07 06 81")  # 16 << 3 | 1: 128 symbols
        rx(host)
        began = clock.now_us
        host.run(200_000)

        assert host.rises_us == [began + 128 * SYMBOL_US]

    def test_set_packet_type_clears_the_symbol_timeout(self, host):
        host.commands("A0 08", "8A 01")
        host.tune(uplink=False)
        rx(host)
        host.run(1_000_000)

        assert host.chip.mode == "rx"

    def test_the_timer_counts_steps_of_15_625_us(self, clock, host):
        rx(host, "00 06 40")
        began = clock.now_us
        host.run(100_000)

        assert host.rises_us == [began + 25_000]
        assert host.irq() == TIMEOUT
        assert host.chip.mode == "stby_rc"

    @pytest.mark.parametrize(
        ("stop_on_preamble", "steps", "irq"),
        [
            ("9F 00", "00 05 40", PREAMBLE | HEADER | RX_DONE),  # 21 ms: the header (20.7 ms) stops it
            ("9F 00", "00 03 E8", PREAMBLE | TIMEOUT),  # 15.6 ms
            ("9F 01", "00 03 E8", PREAMBLE | HEADER | RX_DONE),  # the preamble stops it
            ("9F 01", "00 01 40", TIMEOUT),  # 5 ms, the preamble takes 5.12
        ],
    )
    def test_what_stops_the_timer(self, clock, air, host, stop_on_preamble, steps, irq):
        host.command(stop_on_preamble)
        rx(host, steps)
        air.transmit(downlink(clock))
        host.run(60_000)

        assert host.irq() == irq


class TestImplicitHeader:
    """DS 6.1.3 "LoRa Packet Format" and 15.3 "Implicit Header Mode Timeout Behavior"."""

    @pytest.fixture
    def beacon(self, host):
        """Set for 12 bytes without header or CRC."""
        host.command("8C 00 08 01 0C 00 01")
        host.command("0D 07 36 09")
        return host

    def test_length_and_coding_come_from_the_receiver(self, air, beacon):
        assert hear(beacon, air, implicit_header=True) == PREAMBLE | RX_DONE
        assert beacon.command("1E 00 00" + "00" * 12)[3:] == b"twelve bytes"

    def test_an_explicit_packet_does_not_fit(self, air, beacon):
        assert hear(beacon, air) == PREAMBLE

    def test_the_timer_runs_on_after_rx_done_and_strikes_in_another_mode(self, clock, air, beacon):
        rx(beacon, "00 19 00")  # 100 ms
        air.transmit(downlink(clock, implicit_header=True))
        beacon.run(50_000)
        before = beacon.irq()
        beacon.run(60_000)

        assert (before, beacon.irq()) == (PREAMBLE | RX_DONE, PREAMBLE | RX_DONE | TIMEOUT)

    def test_the_workaround_stops_it(self, clock, air, beacon):
        rx(beacon, "00 19 00")
        air.transmit(downlink(clock, implicit_header=True))
        beacon.run(50_000)
        beacon.commands("0D 09 02 00", "0D 09 44 02")
        beacon.run(60_000)

        assert beacon.irq() == PREAMBLE | RX_DONE


class TestSetUpThatCostsSensitivity:
    """What a driver may get wrong without the chip noticing: the same packet, measured."""

    def signal(self, host, air, **changes):
        """SNR in dB of a packet with 6.06 dB when all is well, or None if it is lost."""
        received = hear(host, air, power_dbm=11.0, **changes) & RX_DONE
        return host.command("14 00 00 00 00")[3] / 4 if received else None

    def test_nothing_is_lost_when_all_is_well(self, air, host):
        assert self.signal(host, air) == 6.0
        assert host.chip.degradations == []

    def test_power_saving_gain(self, air, host):
        """DS 9.6: register 0x08AC."""
        host.command("0D 08 AC 94")

        assert self.signal(host, air) == 3.0

    @pytest.mark.parametrize(
        ("wrong", "snr", "why"),
        [
            ("98 E1 E9", 0.0, "SetRx: image calibrated for 900-932 MHz, not for 868100000 Hz"),
            ("0D 07 36 0D", 3.0, "SetRx: IQ polarity 0x0736 bit 2 does not fit (DS 15.4)"),
            ("9D 00", None, "SetRx: DIO2 does not drive the antenna switch"),
            ("0D 08 E5 03", None, "SetRx: front end left switched off after drawing random numbers"),
        ],
    )
    def test_it_shows_in_the_signal_and_in_the_record(self, air, host, wrong, snr, why):
        host.command(wrong)

        assert self.signal(host, air) == snr
        assert host.chip.degradations == [why]

    def test_the_wrong_polarity_bit_destroys_longer_packets(self, air, host):
        host.command("0D 07 36 0D")
        end = host.clock.now_us + 77_056 + 68

        irq = hear(host, air, phy_payload=bytes(33), crc_on=True, end_us=end)

        assert irq == PREAMBLE | HEADER | RX_DONE | CRC_ERR


class TestRandomNumbers:
    """DS 12.1 "Register Table", RandomNumberGen."""

    def test_they_are_noise_of_the_receiver(self, host):
        rx(host, "FF FF FF")

        first, second = (host.command("1D 08 19 00 00 00 00 00")[4:] for _ in range(2))

        assert first != second
        assert host.chip.degradations == []

    def test_there_is_none_in_standby(self, host):
        assert host.command("1D 08 19 00 00 00 00 00")[4:] == bytes(4)
        assert host.chip.degradations[0] == "random number read while not receiving"
