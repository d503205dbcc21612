# SPDX-License-Identifier: EUPL-1.2
"""The simulated DS18B20 against its data sheet (19-7487) and Maxim application note 27, never against our driver."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.chips.ds18b20 import Ds18b20Sim, Fault, crc8, raw_from_celsius, rom_code
from simulators.clock import Clock
from simulators.inprocess_buses import OneWire
from simulators.wires import Wire

AN27_ROM = bytes.fromhex("021cb801000000a2")  # application note 27 example, first byte sent first


class Bench:
    """One chip at 21.3 Cel on a powered bus, seen through bus operations of the right duration."""

    def __init__(self, *, powered: bool = True) -> None:
        self.clock = Clock()
        self.power = Wire(int(powered))
        self.celsius = 21.3
        self.chip = Ds18b20Sim(self.clock, self.power, lambda _now_us: self.celsius, rom_code(0x0000_0B5A_11CE))
        self.bus = OneWire(self.clock, self.chip)

    def command(self, *data: int) -> None:
        """Reset, SKIP ROM, then ``data``."""
        assert self.bus.reset()
        self.bus.write(bytes([0xCC, *data]))

    def read(self, count: int) -> bytes:
        return bytes(self.bus.readbyte() for _ in range(count))

    def scratchpad(self) -> bytes:
        self.command(0xBE)
        return self.read(9)

    def convert(self) -> None:
        self.command(0x44)
        self.clock.run_until(self.clock.now_us + 750_000)


class TestCrc:
    """Application note 27."""

    def test_the_worked_example(self):
        assert crc8(AN27_ROM[:7]) == 0xA2

    def test_a_whole_rom_code_has_crc_zero(self):
        assert crc8(AN27_ROM) == 0

    def test_a_rom_code_is_family_serial_and_crc(self):
        code = rom_code(0x0102_0304_0506)

        assert code[:7].hex() == "28060504030201"
        assert crc8(code) == 0

    def test_a_rom_code_with_a_wrong_crc_is_not_accepted(self):
        with pytest.raises(ValueError, match="not a ROM code"):
            Ds18b20Sim(Clock(), Wire(1), lambda _now_us: 20.0, b"\x28" + bytes(7))


class TestTemperatureRegister:
    """DS "Temperature/Data Relationship"."""

    @pytest.mark.parametrize(
        ("celsius", "raw"),
        [
            (125.0, 0x07D0),
            (85.0, 0x0550),
            (25.0625, 0x0191),
            (10.125, 0x00A2),
            (0.5, 0x0008),
            (0.0, 0x0000),
            (-0.5, 0xFFF8),
            (-10.125, 0xFF5E),
            (-25.0625, 0xFE6F),
            (-55.0, 0xFC90),
        ],
    )
    def test_codes(self, celsius, raw):
        assert raw_from_celsius(celsius) == raw

    def test_saturates_at_the_ends_of_its_range(self):
        assert raw_from_celsius(300.0) == 0x07D0
        assert raw_from_celsius(-100.0) == 0xFC90

    @pytest.mark.parametrize(("bits", "raw"), [(9, 0x0190), (10, 0x0194), (11, 0x0196), (12, 0x0197)])
    def test_undefined_bits_below_the_resolution_are_zero(self, bits, raw):
        assert raw_from_celsius(25.4375, bits) == raw


class TestInitialization:
    def test_presence_is_shown_after_reset(self):
        assert Bench().bus.reset()

    def test_without_power_there_is_no_presence_and_the_bus_stays_high(self):
        bench = Bench(powered=False)

        assert not bench.bus.reset()
        assert bench.read(9) == b"\xff" * 9
        assert bench.chip.refusals == ["reset while unpowered"]


class TestRomCommands:
    def test_read_rom_sends_the_code_and_then_takes_a_function_command(self):
        bench = Bench()
        bench.bus.reset()
        bench.bus.writebyte(0x33)

        code = bench.read(8)
        bench.bus.writebyte(0xBE)

        assert code == bench.chip.rom
        assert crc8(bench.read(9)) == 0

    def test_match_rom_selects_this_chip(self):
        bench = Bench()
        bench.bus.reset()
        bench.bus.write(b"\x55" + bench.chip.rom + b"\xbe")

        assert bench.read(2) == b"\x50\x05"

    def test_match_rom_of_another_chip_leaves_it_silent(self):
        bench = Bench()
        bench.bus.reset()
        bench.bus.write(b"\x55" + rom_code(99) + b"\xbe")

        assert bench.read(9) == b"\xff" * 9

    @staticmethod
    def _search(bus: OneWire, command: int = 0xF0) -> bytes | None:
        """The only chip's code, found as DS "Search ROM" and application note 187 have it."""
        bus.reset()
        bus.writebyte(command)
        bits = []
        for _ in range(64):
            bit, complement = bus.readbit(), bus.readbit()
            if bit == complement:
                return None
            bits.append(bit)
            bus.writebit(bit)
        return sum(bit << n for n, bit in enumerate(bits)).to_bytes(8, "little")

    def test_search_rom_finds_the_code_bit_by_bit(self):
        bench = Bench()

        assert self._search(bench.bus) == bench.chip.rom

    def test_a_chip_drops_out_of_a_search_that_goes_the_other_way(self):
        bench = Bench()
        bench.bus.reset()
        bench.bus.writebyte(0xF0)
        first, _complement = bench.bus.readbit(), bench.bus.readbit()
        bench.bus.writebit(1 - first)

        assert (bench.bus.readbit(), bench.bus.readbit()) == (1, 1)

    def test_an_alarm_search_finds_only_a_chip_outside_its_limits(self):
        bench = Bench()
        bench.command(0x4E, 30, 10, 0x7F)
        bench.convert()
        inside = self._search(bench.bus, 0xEC)
        bench.celsius = 31.0
        bench.convert()

        assert inside is None
        assert self._search(bench.bus, 0xEC) == bench.chip.rom

    def test_an_unknown_rom_command_is_ignored_until_the_next_reset(self):
        bench = Bench()
        bench.bus.reset()
        bench.bus.write(b"\x44\xbe")

        assert bench.read(9) == b"\xff" * 9
        assert bench.chip.refusals == ["unknown ROM command 0x44"]
        assert bench.scratchpad()[:2] == b"\x50\x05"


class TestConvert:
    """DS "Convert T [44h]" and "AC Electrical Characteristics"."""

    def test_before_the_first_conversion_the_register_holds_85_degrees(self):
        assert Bench().scratchpad()[:2] == b"\x50\x05"

    def test_read_slots_give_0_until_750_ms_have_passed_and_then_1(self):
        bench = Bench()
        bench.command(0x44)
        started = bench.clock.now_us
        at_once = bench.bus.readbit()
        bench.clock.run_until(started + 749_000)
        late = bench.bus.readbit()
        bench.clock.run_until(started + 750_000)

        assert (at_once, late, bench.bus.readbit()) == (0, 0, 1)

    def test_the_result_is_released_only_at_the_end(self):
        bench = Bench()
        bench.command(0x44)
        bench.clock.run_until(bench.clock.now_us + 700_000)
        early = bench.scratchpad()
        bench.clock.run_until(bench.clock.now_us + 50_000)

        assert early[:2] == b"\x50\x05"
        assert bench.scratchpad()[:2] == b"\x55\x01"  # 341 sixteenths = 21.3125 Cel

    @pytest.mark.parametrize(
        ("configuration", "duration_us", "raw"),
        [(0x1F, 93_750, 0x0150), (0x3F, 187_500, 0x0154), (0x5F, 375_000, 0x0154), (0x7F, 750_000, 0x0155)],
    )
    def test_resolution_sets_duration_and_undefined_bits(self, configuration, duration_us, raw):
        bench = Bench()
        bench.command(0x4E, 75, 70, configuration)
        bench.command(0x44)
        started = bench.clock.now_us
        bench.clock.run_until(started + duration_us - 200)
        before = bench.bus.readbit()
        bench.clock.run_until(started + duration_us)

        assert (before, bench.bus.readbit()) == (0, 1)
        assert int.from_bytes(bench.scratchpad()[:2], "little") == raw

    def test_a_second_conversion_during_the_first_is_refused(self):
        bench = Bench()
        bench.command(0x44)
        bench.command(0x44)
        bench.clock.run_until(bench.clock.now_us + 2_000_000)

        assert bench.chip.refusals == ["command 0x44 while the chip was busy"]
        assert bench.chip.conversions == 1

    def test_two_conversions_draw_one_and_a_half_milliampere_for_a_second_and_a_half(self):
        bench = Bench()
        bench.convert()
        bench.convert()

        assert bench.chip.charge_uc() == 2250

    def test_power_off_ends_it_and_brings_85_degrees_back(self):
        bench = Bench()
        bench.convert()
        bench.command(0x44)
        bench.power.drive(0)
        bench.clock.run_until(bench.clock.now_us + 1_000_000)
        bench.power.drive(1)

        assert bench.scratchpad()[:2] == b"\x50\x05"
        assert bench.chip.conversions == 1


class TestScratchpad:
    """DS "Memory Map"."""

    def test_has_nine_bytes_with_reserved_values_and_crc(self):
        pad = Bench().scratchpad()

        # The example that is printed in many manuals: 85 Cel, TH 75, TL 70, 12 bit, CRC 0x1C.
        assert pad.hex() == "50054b467fff0c101c"

    def test_after_the_ninth_byte_the_bus_stays_high(self):
        bench = Bench()
        bench.scratchpad()

        assert bench.read(1) == b"\xff"

    def test_a_reset_ends_a_read_early_without_complaint(self):
        bench = Bench()
        bench.command(0xBE)
        bench.read(2)

        assert crc8(bench.scratchpad()) == 0
        assert bench.chip.refusals == []

    def test_only_the_resolution_bits_of_the_configuration_can_be_written(self):
        bench = Bench()
        bench.command(0x4E, 0x11, 0x22, 0x80)

        assert bench.scratchpad()[2:5].hex() == "11221f"

    def test_a_reset_before_the_third_byte_is_recorded(self):
        bench = Bench()
        bench.command(0x4E, 0x11, 0x22)
        bench.bus.reset()

        assert bench.chip.refusals == ["reset before all three scratchpad bytes were written"]

    def test_only_what_was_copied_to_eeprom_survives_power_off(self):
        bench = Bench()
        bench.command(0x4E, 1, 2, 0x3F)
        bench.command(0x48)
        busy = bench.bus.readbit()
        bench.clock.run_until(bench.clock.now_us + 10_000)
        done = bench.bus.readbit()
        bench.command(0x4E, 3, 4, 0x5F)
        bench.power.drive(0)
        bench.power.drive(1)

        assert (busy, done) == (0, 1)
        assert bench.scratchpad()[2:5].hex() == "01023f"

    def test_recall_brings_back_the_eeprom(self):
        bench = Bench()
        bench.command(0x4E, 3, 4, 0x5F)
        bench.command(0xB8)

        assert bench.bus.readbit() == 1
        assert bench.scratchpad()[2:5].hex() == "4b467f"

    def test_read_power_supply_says_externally_powered(self):
        bench = Bench()
        bench.command(0xB4)

        assert bench.bus.readbit() == 1

    def test_an_unknown_function_command_is_ignored_and_recorded(self):
        bench = Bench()
        bench.command(0x45)

        assert bench.read(9) == b"\xff" * 9
        assert bench.chip.refusals == ["unknown function command 0x45"]


class TestFaults:
    def test_absent_shows_no_presence(self):
        bench = Bench()
        bench.chip.fault = Fault.ABSENT

        assert not bench.bus.reset()

    def test_wrong_crc_spoils_every_scratchpad(self):
        bench = Bench()
        bench.chip.fault = Fault.WRONG_CRC
        bench.convert()

        assert bench.scratchpad()[:2] == b"\x55\x01"
        assert crc8(bench.scratchpad()) != 0

    def test_stuck_repeats_its_first_result(self):
        bench = Bench()
        bench.chip.fault = Fault.STUCK
        bench.convert()
        bench.celsius = -3.0
        bench.convert()

        assert bench.scratchpad()[:2] == b"\x55\x01"

    def test_never_converts_stays_busy_at_85_degrees(self):
        bench = Bench()
        bench.chip.fault = Fault.NEVER_CONVERTS
        bench.command(0x44)
        bench.clock.run_until(bench.clock.now_us + 10_000_000)

        assert bench.bus.readbit() == 0
        assert bench.scratchpad()[:2] == b"\x50\x05"

    def test_a_brown_out_looks_finished_but_left_85_degrees(self):
        bench = Bench()
        bench.chip.fault = Fault.BROWNS_OUT
        bench.convert()

        assert bench.bus.readbit() == 1
        pad = bench.scratchpad()
        assert pad[:2] == b"\x50\x05"
        assert crc8(pad) == 0


@given(st.lists(st.one_of(st.none(), st.integers(0, 255)), max_size=12))
def test_any_traffic_leaves_a_chip_that_answers_the_next_reset(traffic):
    bench = Bench()

    for item in traffic:
        if item is None:
            bench.bus.reset()
        else:
            bench.bus.writebyte(item)
            bench.bus.readbit()

    assert bench.bus.reset()
    bench.bus.write(b"\xcc\xbe")
    assert crc8(bench.read(9)) == 0
