# SPDX-License-Identifier: EUPL-1.2
"""The simulated SMT100 against the Modbus specifications and Truebner's application note, never against our driver."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.chips.smt100 import (
    Fault,
    Smt100Sim,
    counts_from_permittivity,
    crc16,
    permittivity_from_water,
    water_from_permittivity,
)
from simulators.clock import Clock
from simulators.wires import Rs485, SerialSettings, Wire

READ_TEMPERATURE_AND_WATER = "010300000002c40b"  # CRC worked out in a third party's manual (Sonbest SM3102M)


class Bench:
    """One sensor with 22.5 % water at 18.75 Cel on a powered bus; the master keeps DE right unless told otherwise."""

    def __init__(
        self,
        *,
        powered: bool = True,
        address: int = 1,
        seed: int = 0,
        noise_percent: float = 0.0,
        noise_celsius: float = 0.0,
    ) -> None:
        self.clock = Clock()
        self.de = Wire(0)
        self.power = Wire(0)
        self.truth = (22.5, 18.75)
        self.truth_read_at: list[int] = []
        self.port = Rs485(self.clock, self.de)
        self.port.settings = SerialSettings(9600, 8, 0, 1)
        self.sensor = Smt100Sim(
            self.clock,
            self.port,
            self.power,
            self._truth,
            address,
            seed=seed,
            noise_percent=noise_percent,
            noise_celsius=noise_celsius,
        )
        if powered:
            self.power.drive(1)
            self.wait_ms(300)

    def _truth(self, now_us: int) -> tuple[float, float]:
        self.truth_read_at.append(now_us)
        return self.truth

    def wait_ms(self, ms: int) -> None:
        self.clock.run_until(self.clock.now_us + 1000 * ms)

    def send(self, data: bytes) -> int:
        """Send with DE high exactly as long as needed; return the time at which the last stop bit ended."""
        self.de.drive(1)
        self.clock.run_until(self.clock.now_us + 100)
        end = self.port.transmit(data)
        self.clock.run_until(end)
        self.de.drive(0)
        return end

    def ask(self, request: str, *, add_crc: bool = False) -> str:
        """The answer to one request, both in hex; empty if there is none within 100 ms."""
        data = bytes.fromhex(request)
        self.send(data + crc16(data).to_bytes(2, "little") if add_crc else data)
        self.wait_ms(100)
        answer = bytes(self.port.received)
        self.port.received.clear()
        return answer.hex()

    def words(self, register: int, count: int = 1) -> list[int]:
        answer = bytes.fromhex(self.ask(f"0103{register:04x}{count:04x}", add_crc=True))
        return [int.from_bytes(answer[n : n + 2], "big") for n in range(3, 3 + 2 * count, 2)]


class TestDriverEnable:
    """A character counts if DE held over all of it; 8E1 at 9600 Bd are 1146 us."""

    @pytest.mark.parametrize(
        ("high_us", "low_us", "heard"),
        [(-100, 1150, True), (400, 1150, False), (-100, 700, False), (-100, 1100, False)],
    )
    def test_it_must_hold_over_the_whole_character(self, high_us, low_us, heard):
        bench = Bench()
        received = []
        bench.port.device = SimpleNamespace(byte_received=lambda byte, _settings: received.append(byte))
        start_us = bench.clock.now_us + 1000
        bench.clock.at(start_us + high_us, lambda: bench.de.drive(1))
        bench.clock.at(start_us, lambda: bench.port.transmit(b"\x55"))
        bench.clock.at(start_us + low_us, lambda: bench.de.drive(0))

        bench.wait_ms(10)

        assert received == ([0x55] if heard else [])


class TestCrc:
    """MODBUS over Serial Line V1.02, appendix "CRC Generation"."""

    def test_the_specifications_own_example_message(self):
        assert crc16(bytes.fromhex("0207")).to_bytes(2, "little").hex() == "4112"

    def test_a_published_request_frame(self):
        assert crc16(bytes.fromhex("010300000002")).to_bytes(2, "little").hex() == "c40b"

    def test_the_catalogued_check_value_of_crc_16_modbus(self):
        assert crc16(b"123456789") == 0x4B37

    @given(st.binary(max_size=40))
    def test_a_message_followed_by_its_crc_has_crc_zero(self, data):
        assert crc16(data + crc16(data).to_bytes(2, "little")) == 0


class TestRegisters:
    """AN002: 0 temperature (raw - 10000) / 100, 1 water raw / 100, 2 permittivity raw / 100, 3 counts, 4 address."""

    def test_temperature_and_water_arrive_in_one_answer_with_its_crc(self):
        bench = Bench()

        answer = bytes.fromhex(bench.ask(READ_TEMPERATURE_AND_WATER))

        assert answer[:3].hex() == "010304"
        assert int.from_bytes(answer[3:5], "big") == 11_875
        assert int.from_bytes(answer[5:7], "big") == 2250
        assert crc16(answer) == 0
        assert bench.sensor.refusals == []

    def test_all_five_registers_can_be_read_at_once(self):
        _, water, permittivity, counts, address = Bench().words(0, 5)

        assert water == 2250
        assert permittivity == pytest.approx(1164, rel=0.03)  # 11.64 by Topp's own inverse, which is a second fit
        assert 9_000 < counts < 18_000
        assert address == 1

    @pytest.mark.parametrize(("celsius", "raw"), [(-40.0, 6000), (0.0, 10_000), (27.97, 12_797), (60.0, 16_000)])
    def test_published_temperature_codes(self, celsius, raw):
        bench = Bench(powered=False)
        bench.truth = (20.0, celsius)
        bench.power.drive(1)
        bench.wait_ms(300)

        assert bench.words(0) == [raw]

    def test_noise_stays_within_a_tenth_of_a_percent_and_is_the_same_in_every_run(self):
        def series() -> list[int]:
            bench = Bench(seed=7, noise_percent=0.1)
            readings = []
            for _ in range(20):
                bench.wait_ms(1000)
                readings += bench.words(1)
            return readings

        first = series()

        assert first == series()
        assert len(set(first)) > 5
        assert all(abs(reading - 2250) <= 11 for reading in first)


class TestTopp:
    """Topp, Davis & Annan (1980): the pairs of their equation, worked out by hand."""

    def test_dry_soil_of_permittivity_four(self):
        assert water_from_permittivity(4.0) == pytest.approx(5.5275, abs=1e-4)

    def test_water_of_permittivity_eighty(self):
        assert water_from_permittivity(80.0) == pytest.approx(96.46, abs=0.01)

    @given(st.floats(0, 95))
    def test_permittivity_is_the_inverse(self, water):
        assert water_from_permittivity(permittivity_from_water(water)) == pytest.approx(water, abs=1e-6)

    def test_counts_fall_from_air_to_water(self):
        counts = [counts_from_permittivity(permittivity) for permittivity in (1.0, 1.8342, 5.0, 20.0, 40.0, 80.0)]

        assert counts == sorted(counts, reverse=True)
        assert counts[1] == 18_000


class TestTiming:
    """MODBUS over Serial Line V1.02, "RTU Transmission Mode": 1.5 and 3.5 characters of 11 bits at 9600 baud."""

    def test_nothing_is_answered_before_three_and_a_half_characters_of_silence(self):
        bench = Bench()

        end = bench.send(bytes.fromhex(READ_TEMPERATURE_AND_WATER))
        bench.clock.run_until(end + 4_010 + 1_145)
        early = bytes(bench.port.received)
        bench.clock.run_until(end + 4_011 + 5_000 + 9 * 1_146)

        assert early == b""
        assert len(bench.port.received) == 9

    def test_a_request_with_a_long_gap_inside_is_dropped(self):
        bench = Bench()
        request = bytes.fromhex(READ_TEMPERATURE_AND_WATER)

        bench.send(request[:4])
        bench.wait_ms(2)
        bench.send(request[4:])
        bench.wait_ms(100)

        assert bench.port.received == b""
        assert bench.sensor.refusals == ["gap inside the frame"]

    def test_a_second_request_in_the_turnaround_silences_the_first_answer(self):
        bench = Bench()

        bench.send(bytes.fromhex(READ_TEMPERATURE_AND_WATER))
        bench.wait_ms(5)
        answer = bench.ask(READ_TEMPERATURE_AND_WATER)

        assert answer.startswith("010304")
        assert len(answer) == 18
        assert bench.sensor.refusals == ["character while the answer was due"]

    def test_an_answer_to_a_master_that_still_drives_the_bus_is_lost(self):
        bench = Bench()

        bench.send(bytes.fromhex(READ_TEMPERATURE_AND_WATER))
        bench.de.drive(1)
        bench.wait_ms(100)

        assert bench.port.received == b""


class TestWhatIsIgnored:
    """SL "Master / Slaves State Diagrams": frames with errors and frames for others get no answer."""

    def test_wrong_crc(self):
        bench = Bench()

        assert bench.ask("010300000002c40c") == ""
        assert bench.sensor.refusals == ["wrong CRC in 010300000002c40c"]

    def test_another_address(self):
        bench = Bench()

        assert bench.ask("020300000002", add_crc=True) == ""
        assert bench.sensor.refusals == ["request to address 2"]

    def test_no_parity_where_even_parity_is_due(self):
        bench = Bench()
        bench.port.settings = SerialSettings(9600, 8, None, 1)

        assert bench.ask(READ_TEMPERATURE_AND_WATER) == ""
        assert bench.sensor.refusals == ["wrong framing"]

    def test_a_broadcast_write_is_done_but_not_answered(self):
        bench = Bench()

        assert bench.ask("000600040005", add_crc=True) == ""
        assert bench.sensor.address == 5

    @given(st.binary(min_size=1, max_size=12))
    def test_any_bytes_get_silence_or_a_frame_with_a_good_crc(self, data):
        bench = Bench()

        answer = bytes.fromhex(bench.ask(data.hex()))

        assert answer == b"" or crc16(answer) == 0

    @given(st.binary(min_size=1, max_size=8))
    def test_any_well_framed_request_gets_a_normal_or_an_exception_answer(self, pdu):
        bench = Bench()

        answer = bytes.fromhex(bench.ask((b"\x01" + pdu).hex(), add_crc=True))

        assert crc16(answer) == 0
        assert answer[1] in (pdu[0], pdu[0] | 0x80)


class TestExceptions:
    """AP "MODBUS Exception Responses"."""

    @pytest.mark.parametrize(
        ("request_pdu", "answer_pdu"),
        [
            ("0400000001", "8401"),  # input registers: function not implemented
            ("0300050001", "8302"),  # no such register
            ("0300030003", "8302"),  # runs past the last register
            ("0300000000", "8303"),  # quantity 0
            ("030000007e", "8303"),  # quantity 126
            ("0600000001", "8602"),  # a measured register cannot be written
            ("0600040000", "8603"),  # 0 is the broadcast address
            ("06000400f8", "8603"),  # 248..255 are reserved
            ("03000000", "8303"),  # truncated
        ],
    )
    def test_is_answered_with_the_code(self, request_pdu, answer_pdu):
        bench = Bench()

        answer = bench.ask("01" + request_pdu, add_crc=True)

        assert answer[:-4] == "01" + answer_pdu
        assert crc16(bytes.fromhex(answer)) == 0
        assert len(bench.sensor.refusals) == 1


class TestAddress:
    """AN002: register 4 holds the address; every sensor listens to 0xFD and answers it as 0."""

    def test_is_read_through_the_configuration_address(self):
        assert Bench(address=17).ask("fd0300040001", add_crc=True).startswith("0003020011")

    def test_is_changed_by_an_echoed_write_and_survives_power_off(self):
        bench = Bench()

        echo = bench.ask("010600040009", add_crc=True)
        bench.power.drive(0)
        bench.power.drive(1)
        bench.wait_ms(300)

        assert echo[:-4] == "010600040009"
        assert bench.ask("090300040001", add_crc=True).startswith("0903020009")


class TestPower:
    def test_is_silent_until_the_start_up_time_is_over(self):
        bench = Bench(powered=False)
        bench.power.drive(1)
        bench.wait_ms(200)

        assert bench.ask(READ_TEMPERATURE_AND_WATER) == ""
        assert bench.sensor.refusals == ["character before the sensor was ready"]

    def test_a_flicker_of_the_supply_starts_the_start_up_time_again(self):
        bench = Bench(powered=False)
        bench.power.drive(1)
        bench.wait_ms(200)
        bench.power.drive(0)
        bench.power.drive(1)
        bench.wait_ms(200)

        assert bench.ask(READ_TEMPERATURE_AND_WATER) == ""
        assert bench.ask(READ_TEMPERATURE_AND_WATER) != ""

    def test_is_silent_without_power(self):
        bench = Bench(powered=False)

        assert bench.ask(READ_TEMPERATURE_AND_WATER) == ""
        assert bench.sensor.refusals == ["character while unpowered"]

    def test_every_power_up_measures_afresh(self):
        bench = Bench()
        bench.power.drive(0)
        bench.truth = (11.0, 5.0)
        bench.power.drive(1)
        bench.wait_ms(300)

        assert bench.words(1) == [1100]

    def test_a_reading_is_never_older_than_a_second(self):
        bench = Bench()
        bench.truth = (11.0, 5.0)

        at_once = bench.words(1)
        bench.wait_ms(1000)
        later = bench.words(1)

        assert (at_once, later) == ([2250], [1100])
        assert len(bench.truth_read_at) == 2

    def test_power_off_in_the_middle_of_an_answer_cuts_it_off(self):
        bench = Bench()

        end = bench.send(bytes.fromhex(READ_TEMPERATURE_AND_WATER))
        bench.clock.run_until(end + 4_011 + 5_000 + 3 * 1_146)
        bench.power.drive(0)
        bench.wait_ms(100)

        assert 0 < len(bench.port.received) < 5

    def test_the_ledger_counts_time_under_power_and_charge(self):
        bench = Bench()
        bench.wait_ms(700)
        bench.power.drive(0)
        bench.wait_ms(60_000)

        assert bench.sensor.powered_us() == 1_000_000
        assert bench.sensor.charge_uc() == pytest.approx(5_000 + 35_000 * 0.05)  # 1 s at 5 mA, 50 ms at 40 mA


class TestFaults:
    def test_absent_is_silence(self):
        bench = Bench()
        bench.sensor.fault = Fault.ABSENT

        assert bench.ask(READ_TEMPERATURE_AND_WATER) == ""

    def test_never_ready_is_silence_however_long_one_waits(self):
        bench = Bench()
        bench.sensor.fault = Fault.NEVER_READY
        bench.wait_ms(10_000)

        assert bench.ask(READ_TEMPERATURE_AND_WATER) == ""

    def test_wrong_crc_differs_from_a_good_answer_in_one_bit(self):
        bench = Bench()
        good = int(bench.ask(READ_TEMPERATURE_AND_WATER), 16)
        bench.sensor.fault = Fault.WRONG_CRC
        bad = int(bench.ask(READ_TEMPERATURE_AND_WATER), 16)

        assert (good ^ bad).bit_count() == 1

    def test_a_cable_break_leaves_half_a_frame(self):
        bench = Bench()
        bench.sensor.fault = Fault.CABLE_BREAK

        assert len(bench.ask(READ_TEMPERATURE_AND_WATER)) == 2 * 4

    def test_stuck_repeats_the_last_values_in_every_period_and_after_power_off(self):
        bench = Bench()
        first = bench.words(0, 4)
        bench.sensor.fault = Fault.STUCK
        bench.truth = (5.0, 30.0)
        bench.power.drive(0)
        bench.power.drive(1)
        bench.wait_ms(5_000)

        assert bench.words(0, 4) == first

    def test_swapped_lines_carry_nothing_that_it_understands(self):
        bench = Bench()
        bench.sensor.fault = Fault.LINES_SWAPPED

        assert bench.ask(READ_TEMPERATURE_AND_WATER) == ""
        assert bench.sensor.refusals == ["A and B are swapped: character without a stop bit"]

    def test_in_air_there_is_no_water_and_permittivity_is_one(self):
        bench = Bench(powered=False)
        bench.sensor.fault = Fault.IN_AIR
        bench.power.drive(1)
        bench.wait_ms(300)

        assert bench.words(1, 2) == [0, 100]

    def test_out_of_range_fills_every_measured_register(self):
        bench = Bench(powered=False)
        bench.sensor.fault = Fault.OUT_OF_RANGE
        bench.power.drive(1)
        bench.wait_ms(300)

        assert bench.words(0, 5) == [0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 1]
