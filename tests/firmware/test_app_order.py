# SPDX-License-Identifier: EUPL-1.2
"""The firmware as it ships: what is written before it is sent, what is off afterwards, and what is no longer sent."""

import pytest

from decoders.layouts.tree import LAYOUT as TREE
from decoders.payload_reader import read
from firmware.state import Store
from simulators.chips.sx1262_faults import Fault
from simulators.node_states import ResetCause, State
from tests.firmware.heltec_bench import S
from tests.firmware.lorawan_peer import joined
from tests.firmware.other_profile import measures, measuring


@pytest.fixture
def street(begun):
    return begun


def sent_f_cnts(street):
    """Of every data uplink that began, heard or not."""
    frames = [sent.phy_payload for sent in street.network.transmissions]
    return [int.from_bytes(frame[6:8], "little") for frame in frames if frame[0] >> 5 in (2, 4)]


class TestCountersAreSpentBeforeTheyAreSent:
    @pytest.mark.parametrize("after_ms", [10, 500, 1100, 1700])
    def test_a_reset_in_an_exchange_repeats_no_counter(self, street, after_ms):
        one = street(300)
        one.run(60)
        one.network.tells_time = False
        for _ in range(3):
            sent = len(one.network.transmissions)
            one.kernel.run_until(one.clock.now_us + 3600 * S, lambda sent=sent: len(one.network.transmissions) > sent)
            one.run(after_ms / 1000)
            one.node._boot(ResetCause.WATCHDOG)
        one.run(3600)

        assert len(sent_f_cnts(one)) >= 6
        assert sent_f_cnts(one) == sorted(set(sent_f_cnts(one)))

    def test_a_power_cut_after_many_uplinks_without_a_downlink_repeats_none_either(self, street):
        one = street(60)
        one.run(60)
        one.network.hears = False
        one.run(50 * 60)
        assert sent_f_cnts(one)[-1] > 40

        one.node.power_off()
        one.node.power_on()
        one.run(600)

        assert sent_f_cnts(one) == sorted(set(sent_f_cnts(one)))


class TestEverythingIsOffAfterwards:
    def test_nothing_feeds_a_rail_that_is_off_or_drains_the_battery(self, street):
        for kind in ("heltec_v3", "heltec_v3_2"):
            one = street(600, kind=kind)
            heard, leaks = one.network.heard, []

            def look(transmission, one=one, heard=heard, leaks=leaks):
                leaks.extend(leak for leak in one.tree.leaks() if not leak.startswith("the radio"))
                heard(transmission)

            one.network.heard = look
            one.run(3600)

            assert len(one.f_cnts()) > 3
            assert leaks + one.tree.leaks() == []
            one.assert_healthy()

    def test_noise_on_nss_wakes_no_radio(self, street):
        one = street(600)
        one.run(3600)
        assert one.node.state is State.ASLEEP

        one.tree.wire("LORA_NSS").drive(one.tree.wire("LORA_NSS").level)
        one.run(100)

        assert one.tree.wire("LORA_NSS").level == 1
        assert one.radio.mode == "sleep_cold"

    def test_a_radio_that_fails_is_asleep_afterwards(self, street):
        one = street(600)
        one.run(100)
        sent = len(one.network.transmissions)
        one.kernel.run_until(one.clock.now_us + 1200 * S, lambda: len(one.network.transmissions) > sent)
        one.radio.fault(Fault.IRQ_LOST)
        one.run(100)

        assert "radio: uplink not sent" in one.node.console()
        assert one.node.state is State.ASLEEP
        assert one.radio.mode == "sleep_cold"


class TestHistory:
    def test_samples_of_a_week_go_out_together_if_they_are_rare(self, street):
        one = street(57_600)
        one.run(6 * 24 * 3600)

        frames = [fields for _, fields in one.network.heard_uplinks if fields["FPort"] == TREE.f_port]
        messages = [read(TREE, fields["FRMPayload"]) for fields in frames]
        assert [len(message.samples) for message in messages][:9] == [1, 2, 3, 4, 5, 6, 7, 8, 8]
        one.assert_healthy()


class TestJoin:
    def test_the_first_report_follows_as_soon_as_the_duty_cycle_allows(self, street):
        one = street()
        one.network.least_sf = 12
        one.kernel.run_until(3600 * S, lambda: one.network.sessions)
        joined_us = one.clock.now_us
        boots = one.node.statistics.boots[ResetCause.DEEP_SLEEP]
        one.run(180)

        assert len(one.f_cnts()) == 1
        assert 150 * S < one.network.heard_uplinks[0][0].start_us - joined_us < 175 * S
        assert one.node.statistics.boots[ResetCause.DEEP_SLEEP] == boots + 1


SLOW = 'board.clock.sleep_ms(29_000); return {field.name: "no_answer" for field in layout(profile).fields}'


class TestWatchdog:
    def test_measuring_and_sending_have_thirty_seconds_each(self, street, tmp_path):
        one = street(600, files=True)
        one.network.least_sf = 12
        one.kernel.run_until(3600 * S, lambda: one.network.sessions)
        measures(tmp_path, SLOW)
        one.run(3600)

        assert len(one.f_cnts()) >= 5
        assert one.node.statistics.boots[ResetCause.WATCHDOG] == 0
        one.assert_healthy()


class TestCrashes:
    def test_they_are_counted_for_good(self, street, tmp_path):
        one = street(600, files=True)
        one.run(600)
        with measuring(tmp_path, "raise ValueError('x')"):
            one.kernel.run_until(one.clock.now_us + 3600 * S, lambda: one.node.console().count("ValueError: x") == 2)
            one.run(1)
        one.run(3600)

        mac, _ = joined()
        memory = Store(Rtc(bytes(one.node.board.rtc_memory)), Empty()).load(mac, 10**6)
        assert memory.counters.crashes == 2


class Rtc:
    """Memory to read."""

    def __init__(self, data):
        self._data = data

    def memory(self):
        return self._data


class Empty:
    """A journal without a record."""

    def load(self):
        return None
