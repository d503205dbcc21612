# SPDX-License-Identifier: EUPL-1.2
"""Semtech SX1261/2 data sheet, DS_SX1261-2_V2.1: the transmitter, and what set up badly costs signal."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoders.lorawan.airtime import low_data_rate_optimize, time_on_air_us
from simulators.chips import sx1262_commands as commands
from tests.simulators.sx1262_host import Ear, send


class TestTransmit:
    """DS 13.1.4 "SetTx", 9.7 "Transmit (TX) Mode", 6.1.4 "LoRa Time-on-Air"."""

    def test_tx_done_comes_after_oscillator_switching_ramp_and_time_on_air(self, host):
        send(host, 23)
        launched = host.clock.now_us
        host.run(100_000)

        # SF7, 23 bytes: 60.25 symbols of 1.024 ms, by hand after Semtech AN1200.13
        assert host.rises_us == [launched + 5000 + 126 + 200 + 61_696]
        assert host.chip.mode == "stby_rc"
        assert host.chip.degradations == []

    def test_the_packet_on_the_air_is_what_was_set(self, air, host):
        ear = Ear(air)
        host.command("8F 80 00")
        host.command("0E 80 40 41 42 43")
        host.tune(length=4, sf=12)

        host.command("83 00 00 00")
        host.wait()

        (t,) = ear.transmissions
        assert (t.phy_payload, t.frequency_hz, t.sf, t.bandwidth_hz) == (b"@ABC", 868_100_000, 12, 125_000)
        assert (t.sync_word, t.crc_on, t.iq_inverted, t.preamble_symbols) == (0x3444, True, False, 8)
        assert (t.coding_rate, t.implicit_header, t.low_data_rate) == (1, False, True)
        assert t.end_us - t.start_us == 827_392  # 25.25 symbols of 32.768 ms

    @pytest.mark.parametrize(
        ("pa", "params", "dbm"),
        [
            ("95 04 07 00 01", "8E 16 04", 22),
            ("95 04 07 00 01", "8E 0E 04", 14),
            ("95 03 05 00 01", "8E 16 04", 20),
            ("95 02 03 00 01", "8E 16 04", 17),
            ("95 02 02 00 01", "8E 16 04", 14),
            ("95 02 02 00 01", "8E F7 04", -17),
        ],
    )
    def test_power_follows_from_pa_config_and_tx_params(self, air, host, pa, params, dbm):
        """DS 13.1.14.1 "PA Optimal Settings"."""
        ear = Ear(air)
        host.commands(pa, params)

        send(host)
        host.wait()

        assert [t.power_dbm for t in ear.transmissions] == [dbm]

    def test_the_timer_ends_a_packet_that_is_too_long(self, air, host):
        ear = Ear(air)
        host.tune(length=12)
        host.command("83 00 06 40")  # 1600 steps: 25 ms
        host.wait()
        host.run(25_000)

        assert host.irq() == 0x0200
        assert host.chip.mode == "stby_rc"
        assert air.was_cut(ear.transmissions[0])

    def test_standby_ends_a_transmission(self, air, host):
        ear = Ear(air)
        send(host)
        host.wait()
        host.command("80 00")
        host.run(100_000)

        assert air.was_cut(ear.transmissions[0])
        assert host.irq() == 0x0000

    @pytest.mark.parametrize(("mode", "name"), [("20", "stby_rc"), ("30", "stby_xosc"), ("40", "fs")])
    def test_the_fallback_mode_follows(self, host, mode, name):
        """DS 13.1.15 "SetRxTxFallbackMode"."""
        host.command(f"93 {mode}")

        send(host)
        host.run(60_000)

        assert host.chip.mode == name

    @settings(deadline=None)
    @given(
        length=st.integers(0, 255), sf=st.integers(5, 12), bandwidth=st.sampled_from([0x04, 0x05, 0x06]),
        coding_rate=st.integers(1, 4), implicit=st.booleans(), crc=st.booleans(), preamble=st.integers(1, 65535),
    )  # fmt: skip
    def test_the_formula_agrees_with_the_integer_one(self, length, sf, bandwidth, coding_rate, implicit, crc, preamble):
        hz = commands.BANDWIDTH_HZ[bandwidth]
        modulation = commands.Modulation(sf, hz, coding_rate, low_data_rate_optimize(sf, hz))
        packet = commands.Packet(preamble, implicit, length, crc, False)

        exact = time_on_air_us(
            length, sf, hz, crc=crc, preamble=preamble, implicit_header=implicit, coding_rate=coding_rate
        )

        assert abs(commands.time_on_air_us(modulation, packet) - exact) <= 1


class TestSetUpThatCostsSignal:
    """What a driver may get wrong without the chip noticing; clean: 14 dBm, nothing recorded."""

    @pytest.mark.parametrize(
        ("wrong", "dbm", "why"),
        [
            ("9D 00", -46.0, "SetTx: DIO2 does not drive the antenna switch"),
            ("0D 08 D8 C8", 9.0, "SetTx: TX clamp 0x08D8 bits 4:1 not set (DS 15.2)"),
            ("0D 08 89 01", 11.0, "SetTx: TX modulation 0x0889 bit 2 does not fit the bandwidth (DS 15.1)"),
            ("0D 07 36 09", 11.0, "SetTx: IQ polarity 0x0736 bit 2 does not fit (DS 15.4)"),
            ("98 E1 E9", 14.0, "SetTx: image calibrated for 900-932 MHz, not for 868100000 Hz"),
            ("8B 07 04 01 01", 14.0, "SetTx: low data rate optimisation does not fit the symbol time"),
        ],
    )
    def test_it_shows_on_the_air_and_in_the_record(self, air, host, wrong, dbm, why):
        ear = Ear(air)
        host.tune(length=12)
        host.command(wrong)

        host.command("83 00 00 00")
        host.wait()

        assert [t.power_dbm for t in ear.transmissions] == [dbm]
        assert host.chip.degradations == [why]

    def test_an_over_current_limit_below_the_amplifiers_need_clips(self, air, host):
        """DS 12.1, register 0x08E7: 2.5 mA a step; SetPaConfig sets 140 mA."""
        ear = Ear(air)
        host.commands("8E 16 04", "0D 08 E7 18")

        send(host)
        host.wait()

        assert [t.power_dbm for t in ear.transmissions] == [16.0]
        assert host.chip.degradations == ["SetTx: over-current protection 0x08E7 below what the PA draws"]

    def test_at_500_khz_the_modulation_bit_is_the_other_way_round(self, host):
        """DS 15.1 "Modulation Quality with 500 kHz LoRa Bandwidth"."""
        host.tune(length=12)
        host.commands("8B 07 06 01 00", "0D 08 89 01", "83 00 00 00")
        host.wait()

        assert host.chip.degradations == []

    def test_set_packet_params_undoes_the_polarity_correction(self, host):
        """DS 15.4 "Optimizing the Inverted IQ Operation": after every SetPacketParams."""
        host.tune(uplink=False)
        host.command("8C 00 08 00 FF 00 01")

        assert host.command("1D 07 36 00 00")[4:] == b"\x0d"
