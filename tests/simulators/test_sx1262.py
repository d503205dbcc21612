# SPDX-License-Identifier: EUPL-1.2
"""Semtech SX1261/2 data sheet, DS_SX1261-2_V2.1: pins, commands, modes, transmitter."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.air import STEADY, Air
from simulators.chips import sx1262_commands as commands
from simulators.clock import Clock
from tests.simulators.sx1262_host import Ear, Host, send


@pytest.fixture
def fresh(clock, air):
    """Just out of reset."""
    host = Host(clock, air)
    host.reset.drive(1)
    host.wait()
    return host


class TestReset:
    """DS 8.1 "Reset"."""

    def test_busy_is_high_until_the_chip_has_started(self, clock, air):
        host = Host(clock, air)
        host.reset.drive(1)

        assert host.wait() == 3500
        assert host.chip.mode == "stby_rc"

    def test_a_pulse_of_100_us_forgets_everything(self, host):
        host.reset.drive(0)
        host.run(100)
        host.reset.drive(1)
        host.wait()

        assert host.command("1D 07 40 00 00 00")[4:] == b"\x14\x24"
        assert host.command("11 00 00")[2:] == b"\x00"

    def test_a_shorter_pulse_is_not_seen(self, host):
        host.reset.drive(0)
        host.run(99)
        host.reset.drive(1)

        assert host.command("1D 07 40 00 00 00")[4:] == b"\x34\x44"
        assert host.chip.refusals == ["NRESET low for less than 100 us"]


class TestSpi:
    """DS 8.2 "SPI Interface" and 8.3.1 "BUSY Control Line"."""

    def test_nothing_answers_while_nss_is_high(self, fresh):
        assert fresh.chip.transfer(b"\xc0\x00") == b"\xff\xff"

    def test_a_command_in_pieces_is_one_command(self, fresh):
        fresh.nss.drive(0)
        fresh.chip.transfer(b"\x1d\x07\x40\x00")
        pieces = [fresh.chip.transfer(b"\x00"), fresh.chip.transfer(b"\x00")]
        fresh.nss.drive(1)

        assert pieces == [b"\x14", b"\x24"]

    def test_a_command_while_busy_is_ignored(self, fresh):
        fresh.raw("80 01")

        fresh.raw("8A 01")

        assert fresh.chip.refusals == [
            "SetStandby: the 32 MHz oscillator does not start",
            "command 0x8A while BUSY is high",
        ]
        assert fresh.command("11 00 00")[2:] == b"\x00"

    def test_a_driver_that_looks_at_busy_too_late_is_found_out(self, fresh):
        fresh.raw("8A 01")
        fresh.raw("8F 00 00")

        assert fresh.chip.refusals == ["command 0x8F while BUSY is high"]

    @pytest.mark.parametrize(
        ("wire", "why"),
        [
            ("80", "SetStandby with 1 bytes"),
            ("80 00 00", "SetStandby with 3 bytes"),
            ("86 36 41 99", "SetRfFrequency with 4 bytes"),
            ("12 00", "GetIrqStatus with 2 bytes"),
            ("12 00 00 00 00", "GetIrqStatus with 5 bytes"),
            ("FF", "command 0xFF is not supported"),
            ("C5", "command 0xC5 SetCad is not supported"),
            ("94 00 00 00 00 00 00", "command 0x94 SetRxDutyCycle is not supported"),
        ],
    )
    def test_a_command_of_wrong_length_or_unknown_is_refused(self, fresh, wire, why):
        fresh.command(wire)

        assert fresh.chip.refusals == [why]
        assert fresh.command("C0 00")[1] == 0x28  # STBY_RC, command processing error

    @settings(deadline=None)
    @given(st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=8))
    def test_any_bytes_leave_a_chip_that_answers(self, wires):
        clock = Clock()
        host = Host(clock, Air(clock, 0, STEADY))
        host.power_up()
        for wire in wires:
            host.command(wire.hex()) if host.chip.mode[:5] != "sleep" else host.run(1000)

        host.reset.drive(0)
        host.run(100)
        host.reset.drive(1)
        host.wait()

        assert host.command("C0 00")[1] == 0x22


class TestStatus:
    """DS 13.5.1 "GetStatus": bits 6:4 the mode, 3:1 the last command."""

    @pytest.mark.parametrize(
        ("wire", "status"),
        [
            ("80 00", 0x22),
            ("80 01", 0x32),
            ("C1", 0x42),
            ("82 FF FF FF", 0x52),
            ("83 00 00 00", 0x62),
            ("81", 0x28),  # no such command
            ("1D 12 34 00 00", 0x28),
        ],
    )
    def test_the_mode_and_the_fate_of_the_last_command(self, host, wire, status):
        host.tune(length=200)

        host.command(wire)

        assert host.command("C0 00")[1] == status

    def test_the_end_of_a_packet_shows_in_the_command_status(self, host, clock, air):
        other = Host(clock, air, (100.0, 0.0))
        other.power_up()
        other.tune()
        other.command("82 00 00 00")

        send(host)
        host.run(60_000)

        assert host.command("C0 00")[1] == 0x2C  # TX done
        assert other.command("C0 00")[1] == 0x24  # data available


class TestSwitchingTimes:
    """DS 8.3.1, table "Switching Time": typical, with a crystal."""

    @pytest.mark.parametrize(
        ("before", "wire", "mode", "us"),
        [
            ([], "80 01", "stby_xosc", 31),
            ([], "C1", "fs", 50),
            ([], "82 FF FF FF", "rx", 83),
            ([], "83 00 00 00", "tx", 126 + 200),  # and the ramp chosen
            (["80 01"], "C1", "fs", 40),
            (["80 01"], "82 FF FF FF", "rx", 62),
            (["80 01"], "83 00 00 00", "tx", 105 + 200),
            (["C1"], "82 FF FF FF", "rx", 41),
            (["C1"], "83 00 00 00", "tx", 76 + 200),
            (["82 FF FF FF"], "C1", "fs", 15),
            (["82 FF FF FF"], "83 00 00 00", "tx", 92 + 200),
        ],
    )
    def test_busy_falls_when_the_mode_is_reached(self, clock, air, before, wire, mode, us):
        host = Host(clock, air, tcxo_start_us=None)
        host.reset.drive(1)
        host.commands("8A 01", "95 04 07 00 01", "8E 0E 04")
        host.tune(length=50)
        host.commands(*before)

        host.command(wire)

        assert host.wait() == us
        assert host.chip.mode == mode

    def test_the_tcxo_delay_comes_on_top_of_leaving_stdby_rc(self, host):
        host.tune()
        host.command("80 01")

        assert host.wait() == 5000 + 31

        host.command("C1")

        assert host.wait() == 40


class TestSleep:
    """DS 13.1.1 "SetSleep", 9.3 "Sleep Mode", 9.6 "Receive (RX) Mode" on retention."""

    def test_busy_stays_high_and_the_falling_edge_of_nss_wakes(self, host):
        host.command("84 04")
        host.run(1_000_000)
        asleep = (host.chip.mode, host.busy.level)

        host.raw("C0 00")

        assert asleep == ("sleep_warm", 1)
        assert host.wait() == 340 - 4  # the two bytes of the waking command take 4 us
        assert host.chip.mode == "stby_rc"
        assert host.chip.refusals == []

    def test_a_warm_start_keeps_all_but_the_receiver_gain(self, host):
        host.command("84 04")
        host.run(1000)
        host.raw("C0 00")

        assert host.command("1D 07 40 00 00 00")[4:] == b"\x34\x44"
        assert host.command("11 00 00")[2:] == b"\x01"
        assert host.command("1D 08 AC 00 00")[4:] == b"\x94"

    def test_the_retention_list_keeps_the_gain_too(self, host):
        host.command("0D 02 9F 01 08 AC")
        host.command("84 04")
        host.run(1000)
        host.raw("C0 00")

        assert host.command("1D 08 AC 00 00")[4:] == b"\x96"

    def test_a_cold_start_forgets_and_takes_longer(self, host):
        host.command("84 00")
        host.run(1000)
        host.raw("C0 00")

        assert host.wait() == 3500 - 4
        assert host.command("11 00 00")[2:] == b"\x00"
        assert host.command("17 00 00 00")[2:] == b"\x00\x20"

    def test_for_500_us_nothing_can_wake_it(self, host):
        host.command("84 04")
        host.run(400)

        host.raw("C0 00")

        assert host.chip.refusals == ["NSS fell within 500 us of SetSleep"]

    def test_it_is_refused_while_receiving(self, host):
        host.tune()
        host.command("82 FF FF FF")
        host.command("84 04")

        assert host.chip.refusals == ["SetSleep in rx"]
        assert host.chip.mode == "rx"

    def test_the_ledger_knows_how_long_each_mode_lasted(self, host):
        before = host.chip.ledger()
        host.command("84 04")
        host.run(3_600_000_000)

        after = host.chip.ledger()

        assert after["sleep_warm"] - before["sleep_warm"] == 3_600_000_000
        assert sum(after.values()) == host.clock.now_us


class TestOscillator:
    """DS 13.3.6 "SetDIO3AsTcxoCtrl" and 13.6.1 "GetDeviceErrors"."""

    def test_a_board_with_a_tcxo_starts_with_an_error(self, fresh):
        assert fresh.command("17 00 00 00")[2:] == b"\x00\x20"

        fresh.command("07 00 00")

        assert fresh.command("17 00 00 00")[2:] == b"\x00\x00"

    @pytest.mark.parametrize(
        "tcxo",
        [
            None,  # never told
            "97 02 00 00 5F",  # 1.484 ms, it needs 1.5
            "97 00 00 01 40",  # 1.6 V
            "97 07 00 01 40",  # 3.3 V
        ],
    )
    def test_without_supply_long_enough_nothing_runs(self, fresh, tcxo):
        if tcxo:
            fresh.command(tcxo)
        fresh.command("07 00 00")

        fresh.command("89 7F")

        assert fresh.command("C0 00")[1] == 0x2A  # failure to execute
        assert fresh.command("17 00 00 00")[2:] == b"\x00\x20"
        assert fresh.chip.refusals == ["Calibrate: the 32 MHz oscillator does not start"]

    def test_a_transmission_needs_it_too(self, clock, air, fresh):
        ear = Ear(air)
        fresh.commands("8A 01", "95 04 07 00 01", "8E 0E 04")

        send(fresh)
        fresh.run(1_000_000)

        assert fresh.chip.mode == "stby_rc"
        assert ear.transmissions == []

    def test_calibration_takes_its_time(self, fresh):
        fresh.command("97 02 00 01 40")

        fresh.command("89 7F")

        assert fresh.wait() == 5000 + 3500

    def test_calibrating_everything_again_takes_the_image_back_to_its_default(self, host):
        """DS 9.2.1: by default 902-928 MHz."""
        host.command("89 7F")

        send(host)
        host.wait()

        assert host.chip.degradations == ["SetTx: image calibrated for 902-928 MHz, not for 868100000 Hz"]

    def test_what_was_calibrated_before_the_tcxo_ran_does_not_count(self, fresh):
        fresh.commands("97 02 00 01 40", "9D 01", "98 D7 DB", "8A 01", "0D 08 AC 96")
        fresh.tune()

        fresh.command("82 FF FF FF")
        fresh.wait()

        assert fresh.chip.degradations == ["SetRx: blocks not calibrated with the oscillator running"]


REFUSED = [
    ("80 02", "SetStandby 0x02"),
    ("84 02", "SetSleep with reserved bits 0x02"),
    ("84 05", "SetSleep with RTC wake-up is not supported"),
    ("9F 02", "StopTimerOnPreamble 0x02"),
    ("96 02", "SetRegulatorMode 0x02"),
    ("89 80", "Calibrate 0x80"),
    ("98 DB D7", "CalibrateImage 876-860 MHz"),
    ("95 04 07 01 01", "SetPaConfig 04070101 is not a setting of the SX1262 in the data sheet"),
    ("95 07 07 00 01", "SetPaConfig 07070001 is not a setting of the SX1262 in the data sheet"),
    ("95 04 07 00 00", "SetPaConfig 04070000 is not a setting of the SX1262 in the data sheet"),
    ("93 10", "SetRxTxFallbackMode 0x10"),
    ("08 04 00 00 00 00 00 00 00", "SetDioIrqParams with bits of no LoRa interrupt"),
    ("08 02 FF 00 00 02 FF 00 00", "SetDioIrqParams: DIO2 and DIO3 are no interrupt lines on this board"),
    ("9D 02", "SetDIO2AsRfSwitchCtrl 0x02"),
    ("97 08 00 01 40", "SetDIO3AsTcxoCtrl 0x08"),
    ("86 00 00 00 00", "SetRfFrequency 0 Hz"),
    ("8A 00", "SetPacketType 0x00: only LoRa is supported"),
    ("8E 17 04", "SetTxParams 23 dBm, ramp 0x04"),
    ("8E F6 04", "SetTxParams -10 dBm, ramp 0x04"),
    ("8E 0E 08", "SetTxParams 14 dBm, ramp 0x08"),
    ("8B 04 04 01 00", "SetModulationParams 04040100"),
    ("8B 07 07 01 00", "SetModulationParams 07070100"),
    ("8B 07 04 05 00", "SetModulationParams 07040500"),
    ("8B 07 04 01 02", "SetModulationParams 07040102"),
    ("8B 07 04 01 00 00 00 00 01", "SetModulationParams 0704010000000001"),
    ("8C 00 00 00 0C 01 00", "SetPacketParams 0000000c0100"),
    ("8C 00 08 02 0C 01 00", "SetPacketParams 0008020c0100"),
    ("8C 00 08 00 0C 02 00", "SetPacketParams 0008000c0200"),
    ("8C 00 08 00 0C 01 02", "SetPacketParams 0008000c0102"),
    ("07 00 01", "ClearDeviceErrors 0001"),
    ("00 00 00 00 00 00 01", "ResetStats 000000000001"),
    ("0D 12 34 00", "WriteRegister: register 0x1234 is not in the register map"),
    ("0D 07 36 08", "WriteRegister: register 0x0736: 0x08 changes bits that must be kept"),
    ("0D 08 AC 95", "WriteRegister: register 0x08AC: 0x95 is neither power saving (0x94) nor boosted (0x96)"),
    ("1D 12 34 00 00", "ReadRegister: register 0x1234 is not in the register map"),
]


class TestParameters:
    """DS 13 "Commands Interface": what a parameter may be."""

    @pytest.mark.parametrize(("wire", "why"), REFUSED, ids=[wire for wire, _ in REFUSED])
    def test_a_value_the_data_sheet_does_not_allow_is_refused(self, host, wire, why):
        host.command(wire)

        assert host.chip.refusals == [why]
        assert host.command("C0 00")[1] == 0x28

    @pytest.mark.parametrize(
        ("wire", "why"),
        [
            (
                "83 00 00 00",
                "SetTx without SetPacketType and SetRfFrequency and SetModulationParams and SetPacketParams",
            ),
            (
                "82 00 00 00",
                "SetRx without SetPacketType and SetRfFrequency and SetModulationParams and SetPacketParams",
            ),
            ("8B 07 04 01 00", "SetModulationParams before SetPacketType"),
            ("8C 00 08 00 0C 01 00", "SetPacketParams before SetPacketType"),
            ("8E 0E 04", "SetTxParams before SetPaConfig"),
            ("C1", "SetFs without SetRfFrequency"),
            ("D1", "SetTxContinuousWave without SetRfFrequency, SetPaConfig and SetTxParams"),
        ],
    )
    def test_what_a_command_needs_must_have_been_set_before(self, fresh, wire, why):
        fresh.command(wire)

        assert fresh.chip.refusals == [why]

    def test_the_modem_is_not_set_up_while_it_receives(self, host):
        host.tune()
        host.command("82 FF FF FF")

        host.command("86 36 41 99 9A")

        assert host.chip.refusals == ["SetRfFrequency in rx"]

    def test_every_command_has_a_handler_or_an_answer(self, host):
        for opcode, command in commands.COMMANDS.items():
            length = command.lengths[0]
            if command.name != "SetSleep":
                host.command((bytes([opcode]) + bytes(length - 1)).hex())  # must not raise

        assert host.command("C0 00")[1] >> 4 in (2, 5, 6)


class TestBuffer:
    """DS 7.1 "Data buffer": 256 bytes, addresses wrap."""

    def test_what_was_written_is_read_and_the_offset_wraps(self, fresh):
        fresh.command("0E FE 01 02 03 04")

        assert fresh.command("1E FE 00 00 00 00 00")[3:] == b"\x01\x02\x03\x04"
        assert fresh.command("1E 00 00 00 00")[3:] == b"\x03\x04"


class TestInterrupts:
    """DS 13.3 "DIO and IRQ Control Functions"."""

    def test_dio1_rises_with_tx_done_and_falls_when_it_is_cleared(self, host):
        send(host)
        host.run(60_000)
        raised = (host.dio1.level, host.irq())

        host.command("02 00 01")

        assert raised == (1, 0x0001)
        assert (host.dio1.level, host.irq()) == (0, 0x0000)

    def test_only_the_interrupts_named_are_cleared(self, host):
        send(host)
        host.run(60_000)

        host.command("02 02 00")

        assert (host.dio1.level, host.irq()) == (1, 0x0001)

    def test_an_interrupt_outside_dio1_mask_is_only_in_the_status(self, host):
        host.command("08 00 01 00 02 00 00 00 00")
        send(host)
        host.run(60_000)

        assert (host.dio1.level, host.irq()) == (0, 0x0001)

    def test_an_interrupt_outside_the_irq_mask_is_not_seen_at_all(self, host):
        host.command("08 00 02 00 03 00 00 00 00")
        send(host)
        host.run(60_000)

        assert (host.dio1.level, host.irq()) == (0, 0x0000)
