# SPDX-License-Identifier: EUPL-1.2
"""The firmware as it ships, on the real MicroPython with the heap of a board, simulated chips and a small network."""

from itertools import pairwise

import pytest

from decoders.layouts.diagnostics import LAYOUT as DIAGNOSTICS
from decoders.payload_reader import read
from firmware.provisioning import pack_identity
from simulators.chips.smt100 import Fault
from simulators.city import Truth
from simulators.node_states import ResetCause, State
from tests.firmware.heltec_bench import GPS_AT_0, HOUR, S, identity_of, messages, power_fails, switched_on
from tests.firmware.lorawan_peer import APP_KEY, IDENTITY
from tests.firmware.other_profile import measuring, replaced

SECOND_EUI = "70b3d57ed0000002"
AFTER_COLD_BOOT = 101  # operations: what follows a cold boot's first sleep


class DeadChip:
    """Nothing drives MISO."""

    def transfer(self, mosi):
        return b"\xff" * len(mosi)


class TestFirstHours:
    def test_it_joins_and_reports_the_truth_over_deep_sleeps(self, street):
        one = switched_on(street(), 60)
        one.truth = Truth(19.87, 3.25, 41.0, 0.0)
        one.run(2 * 3600)

        (_, first), (_, second), (_, third) = messages(one)[:3]
        one.assert_healthy()
        assert one.f_cnts()[:3] == [0, 1, 2]
        assert [fields["FPort"] for _, fields in one.network.heard_uplinks][:3] == [6, 3, 3]
        assert first.samples[0].values | {"soil_permittivity": None} == {
            "soil_permittivity": None,
            "soil_moisture": pytest.approx(23.45, abs=0.05),
            "soil_temperature": pytest.approx(18.2, abs=0.1),
            "surface_temperature": pytest.approx(21.5, abs=0.1),
            "battery_voltage": pytest.approx(3.912, abs=0.006),
        }
        for message in (second, third):
            assert message.samples[0].values | {"soil_permittivity": None} == {
                "soil_permittivity": None,
                "soil_moisture": pytest.approx(19.87, abs=0.05),
                "soil_temperature": pytest.approx(3.25, abs=0.1),
                "surface_temperature": pytest.approx(41.0, abs=0.1),
                "battery_voltage": pytest.approx(3.912, abs=0.006),
            }

    def test_the_first_uplink_asks_for_the_time_and_then_the_first_sample_follows_with_its_own(self, street):
        one = switched_on(street(), 3 * 3600)

        (asking, first), (report, second), *_ = one.network.heard_uplinks
        assert (first["FPort"], first["FOpts"]) == (6, b"\x0d")
        assert (second["FPort"], second["FOpts"]) == (3, b"\x02")
        assert report.start_us - asking.end_us < 40 * S
        samples = [[sample.time for sample in message.samples] for _, message in messages(one)]
        assert 0 < asking.start_us / S - (samples[0][0] - GPS_AT_0) < 30
        assert [len(times) for times in samples][:3] == [1, 2, 3]

    def test_samples_are_stamped_with_network_time_and_sent_seven_times_more(self, street):
        one = switched_on(street(), 14 * 3600)

        reports = messages(one)
        one.assert_healthy()
        assert [len(message.samples) for _, message in reports] == [*range(1, 8)] + [8] * (len(reports) - 7)
        for start_us, message in reports[1:]:
            assert GPS_AT_0 + start_us / S - message.samples[0].time == pytest.approx(2, abs=1.5)
        for (_, earlier), (_, later) in pairwise(reports):
            assert [s.time for s in later.samples[1:]] == [s.time for s in earlier.samples[:7]]
            assert [s.values for s in later.samples[1:]] == [s.values for s in earlier.samples[:7]]

    def test_samples_lie_on_a_grid_and_each_node_has_its_own(self, street):
        places = []
        for dev_eui in (IDENTITY.dev_eui, SECOND_EUI):
            one = street(identity=pack_identity(dev_eui, IDENTITY.join_eui, APP_KEY, 900))
            switched_on(one, 2 * 3600)
            places.append({message.samples[0].time % 900 for _, message in messages(one)[1:]})
            assert len(one.network.heard_uplinks) >= 8

        for of_one_node in places:
            assert max(of_one_node) - min(of_one_node) <= 2
        assert min(abs(a - b) for a in places[0] for b in places[1]) > 10

    def test_the_time_is_asked_for_again_less_and_less_often(self, street):
        one = switched_on(street(), 50 * 3600)

        asking = [round(s.start_us / HOUR) for s, fields in one.network.heard_uplinks if fields["FOpts"] == b"\x0d"]
        assert asking[:2] == [0, 2]
        assert (asking[2], asking[3]) in ((6, 22), (7, 23))  # the slot or the next, as above
        assert asking[4:] in ([46], [47], [48])  # a day later, give or take a second: that slot or the next
        one.assert_healthy()

    def test_an_unanswered_request_is_repeated(self, street):
        one = street()
        one.network.tells_time = False
        switched_on(one, 3 * 3600)

        assert [fields["FOpts"][:1] for _, fields in one.network.heard_uplinks] == [b"\x0d"] * 3
        assert messages(one) == []

    @pytest.mark.parametrize("hears", [False, True], ids=["and is silent", "and answers all else"])
    def test_a_network_that_never_tells_the_time_gets_each_sample_once_as_so_long_ago(self, street, hears):
        one = street()
        one.network.tells_time = False
        one.network.hears = hears
        switched_on(one, 9 * 3600)

        reports = messages(one)
        taken = sorted(start_us / S + sample.time for start_us, message in reports for sample in message.samples)
        assert [len(message.samples) for _, message in reports][:3] == [5, 1, 1]
        assert len(taken) >= 8
        assert all(3590 < later - earlier < 3610 for earlier, later in pairwise(taken))

    def test_a_power_cut_while_the_gateway_is_away_costs_nothing_that_is_taken_afterwards(self, street):
        one = switched_on(street(), 6 * 3600)
        gateway, one.network._ended = one.network._ended, lambda sent: None
        one.run(3600)
        one.node.power_off()
        one.node.power_on()
        one.run(24 * 3600)
        one.network._ended = gateway
        one.run(12 * 3600)

        taken = sorted({sample.time for _, message in messages(one) for sample in message.samples})
        assert taken[0] > 0
        assert len(taken) >= 42
        assert all(0 < later - earlier < 5400 for earlier, later in pairwise(taken))
        assert one.node.console() == ""

    def test_between_reports_everything_that_draws_current_is_off(self, street):
        one = switched_on(street(), 600)

        assert one.node.state is State.ASLEEP
        assert one.radio.mode == "sleep_cold"
        assert one.tree.sensor_power.level == 0
        assert one.node.statistics.state_us[State.AWAKE] < 30 * S  # with the spread after power-up
        one.run(3600)
        awake_us = one.node.statistics.state_us[State.AWAKE]
        one.run(3600)
        assert one.node.statistics.state_us[State.AWAKE] - awake_us < 5 * S

    def test_the_other_board_revision_measures_its_battery_too(self, street):
        one = switched_on(street(kind="heltec_v3_2"))

        assert messages(one)[0][1].samples[0].values["battery_voltage"] == pytest.approx(3.912, abs=0.006)


class TestPowerCuts:
    def test_it_goes_on_in_its_session_and_uses_no_counter_twice(self, street):
        one = switched_on(street(), 3 * 3600)
        before = one.f_cnts()
        one.node.power_off()
        one.run(100)
        one.node.power_on()
        one.run(2 * 3600)

        after = one.f_cnts()[len(before) :]
        assert before == [0, 1, 2, 3, 4]
        assert after[0] == 36  # the checkpoint after the downlink to uplink 3 reserved 4..35
        assert after == list(range(after[0], after[0] + len(after)))
        assert len(one.network.join_requests) == 1
        one.assert_healthy()

    def test_a_power_cut_in_the_middle_of_anything_costs_no_counter_and_no_session(self, street):
        one = switched_on(street(), 60)
        one.node.power_off()
        before, after = 0, 0
        for operations in range(AFTER_COLD_BOOT, 720, 13):  # from the boot to well after the downlink
            uplinks, downlinks = len(one.network.transmissions), one.network.downlinks
            power_fails(one, operations)
            before += len(one.network.transmissions) == uplinks
            after += one.network.downlinks > downlinks
        switched_on(one, 600)

        counters = [int.from_bytes(sent.phy_payload[6:8], "little") for sent in one.network.transmissions[1:]]
        assert before >= 5
        assert after >= 5
        assert counters == sorted(set(counters))
        assert len(one.network.join_requests) == 1
        assert one.node.statistics.crashes == []

    @pytest.mark.parametrize("operation", range(0, 12, 2))
    def test_flash_that_is_torn_while_writing_keeps_the_node_alive(self, street, operation):
        one = street()
        one.node.power_on()
        one.node.flash.cut_at = one.node.flash.operations + operation
        one.run(60)
        one.node.power_off()
        one.node.power_on()
        one.run(2 * 3600)

        nonces = [dev_nonce for _, dev_nonce in one.network.join_requests]
        assert nonces == sorted(set(nonces))
        assert len(one.f_cnts()) >= 1
        assert one.node.statistics.crashes == []

    def test_damaged_rtc_memory_is_like_a_power_cut(self, street):
        one = switched_on(street(), 3 * 3600)
        one.node.board.rtc_memory[100] ^= 1
        one.run(2 * 3600)

        assert one.f_cnts()[:6] == [0, 1, 2, 3, 4, 36]
        assert len(one.network.join_requests) == 1


class TestFaults:
    def test_an_unplugged_probe_is_reported_as_such(self, street):
        one = street()
        one.tree.smt100.fault = Fault.ABSENT
        switched_on(one)

        sample = messages(one)[0][1].samples[0]
        assert sample.faults["soil_moisture"] == "no_answer"
        assert sample.values["surface_temperature"] == pytest.approx(21.5, abs=0.0625)

    def test_a_dead_radio_costs_the_exchange_and_nothing_else(self, street):
        one = switched_on(street(), 3600)
        heard = len(one.f_cnts())
        chip, one.tree.spi[1] = one.tree.spi[1], DeadChip()
        one.run(2 * 3600)
        assert len(one.f_cnts()) == heard
        one.tree.spi[1] = chip
        one.run(3600)

        last = messages(one)[-1][1]
        assert len(one.f_cnts()) == heard + 1
        assert len(last.samples) >= 3  # what could not be sent then
        assert one.node.statistics.crashes == []

    def test_an_exception_is_slept_off_longer_and_longer(self, street, tmp_path):
        one = switched_on(street(files=True), 600)
        with measuring(tmp_path, "raise ValueError('x')"):
            one.run(3 * 3600)
            boots = one.node.statistics.boots[ResetCause.DEEP_SLEEP]
            assert "ValueError: x" in one.node.console()
            assert one.node.state is State.ASLEEP
            assert one.radio.mode == "sleep_cold"
        one.run(2 * 3600)

        # 60, 120, 240, 480, 960 s apart; then one that is safe, the rest of its diagnostics, and all that once more
        assert 6 <= boots <= 16
        assert len(one.f_cnts()) >= 2
        assert one.f_cnts() == sorted(set(one.f_cnts()))
        assert len(one.network.join_requests) == 1

    def test_after_a_safe_wake_one_more_crash_is_enough_until_a_sample_was_taken(self, street, tmp_path):
        one = switched_on(street(files=True), 600)
        with measuring(tmp_path, "raise ValueError('x')"):
            one.run(8 * 3600)
        crashes = one.node.console().count("ValueError: x")
        told = [
            read(DIAGNOSTICS, fields["FRMPayload"]).samples[0].values["crash_count"]
            for _, fields in one.network.heard_uplinks
            if fields["FPort"] == DIAGNOSTICS.f_port
        ]
        one.run(3 * 3600)
        with measuring(tmp_path, "raise ValueError('y')"):
            one.run(3600)
        again = one.node.console().count("ValueError: y")

        assert told[1] == 5  # the first were those of the start
        assert len(told) >= 6
        assert set(told[2:]) == {1}
        assert crashes - 1 <= sum(told) <= crashes  # the last one may still be on its way
        assert again >= 4  # the samples in between have cleared the count

    def test_a_hang_is_ended_by_the_watchdog(self, street, tmp_path):
        identity = identity_of(600)
        one = switched_on(street(identity=identity, files=True), 40)
        with measuring(tmp_path, "while True: board.clock.sleep_ms(10_000)"):
            one.run(3600)
            boots = one.node.statistics.boots.copy()
            awake_us = one.node.statistics.state_us[State.AWAKE]
        one.run(1300)

        assert 4 <= boots[ResetCause.WATCHDOG] <= 8  # 60, 120, 240, 480, 600 s apart
        assert awake_us < 300 * S
        assert one.f_cnts()[:2] == [0, 1]
        assert len(one.network.join_requests) == 1

    def test_a_node_without_identity_says_so_and_waits_for_the_technician_ten_minutes(self, street):
        one = switched_on(street(identity=None), 590)

        assert one.node.console().splitlines() == ["identity.bin: file - provision this node"]
        assert one.node.state is State.AWAKE
        assert one.radio.mode == "sleep_cold"
        one.run(20)
        awake_us = one.node.statistics.state_us[State.AWAKE]
        one.run(24 * 3600 + 60)
        assert one.node.state is State.ASLEEP
        assert one.node.statistics.boots[ResetCause.DEEP_SLEEP] == 24
        assert one.node.statistics.state_us[State.AWAKE] - awake_us < 60 * S

    @pytest.mark.parametrize("cause", [ResetCause.HARD, ResetCause.WATCHDOG])
    def test_a_reset_puts_the_radio_to_sleep_whether_anything_is_due_or_not(self, street, cause):
        one = street()
        one.network.joins = False
        switched_on(one, 7200)
        assert one.node.state is State.ASLEEP
        one.radio.radio.enter("stby_rc")  # brown-out: the chip lost its state, RTC memory did not
        sent = len(one.network.transmissions)

        one.node._boot(cause)
        one.run(5)

        assert one.node.state is State.ASLEEP
        assert one.radio.mode == "sleep_cold"
        assert len(one.network.transmissions) == sent

    @pytest.mark.parametrize("module", ["app", "state", "node"])
    def test_what_keeps_the_program_from_starting_is_slept_off(self, street, tmp_path, module):
        one = switched_on(street(files=True), 600)
        with replaced(tmp_path, module, "raise MemoryError('x')\n"):
            one.run(3 * 3600)
            assert "MemoryError: x" in one.node.console()
            assert one.node.state is State.ASLEEP
        one.run(2 * 3600)

        assert len(one.f_cnts()) >= 2
        assert len(one.network.join_requests) == 1

    def test_a_damaged_identity_is_not_used(self, street):
        identity = pack_identity(IDENTITY.dev_eui, IDENTITY.join_eui, APP_KEY)
        one = switched_on(street(identity=identity[:-1] + b"\0"))

        assert one.node.console().splitlines() == ["identity.bin: crc - provision this node"]
        assert one.network.transmissions == []

    def test_keys_are_never_printed(self, street):
        one = switched_on(street(), 2 * 3600)

        assert one.node.console() == ""
