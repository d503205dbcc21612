# SPDX-License-Identifier: EUPL-1.2
"""What a node says of the charge it has used: against what its simulated parts have drawn."""

import pytest

from decoders.layouts.diagnostics import LAYOUT
from decoders.payload import FAULT
from firmware.diagnostics import Counters
from simulators.device import Device
from simulators.energy import EnergyLedger
from simulators.firmware_build import build_rom
from simulators.node_memory import memory_of
from simulators.nodes import alone
from simulators.small_network import SmallNetwork
from tests.firmware.lorawan_peer import APP_KEY, IDENTITY

S = 1_000_000
HOUR_US = 3_600 * S


@pytest.fixture(scope="module")
def firmware(tmp_path_factory):
    return build_rom(tmp_path_factory.mktemp("firmware"))


class TestCharge:
    # a tree node each hour, the others each quarter; SPS30 and LD2451 draw more than all the rest
    @pytest.mark.parametrize(
        ("profile", "interval_s", "hours"), [("tree", 3_600, 12), ("air", 900, 3), ("radar", 900, 1), ("tubes", 900, 1)]
    )
    def test_a_node_knows_what_it_has_used_to_a_fifth(self, firmware, profile, interval_s, hours):
        world = alone("traffic" if profile in ("radar", "tubes") else profile, 1)
        if profile == "radar":
            world = world._replace(probes=())
        profile = "traffic" if profile in ("radar", "tubes") else profile
        with Device(
            IDENTITY.dev_eui,
            IDENTITY.join_eui,
            APP_KEY,
            interval_s=interval_s,
            seed=3,
            profile=profile,
            world=world,
            firmware=firmware,
        ) as device:
            network = SmallNetwork(device, APP_KEY, gps_at_0=1_450_000_000, dr=3)
            device.on_transmit = network.heard
            device.power_on()
            device.run_until(3 * HOUR_US)
            ledger, before = EnergyLedger(device.node), memory_of(device.node.bench).counters.charge_uas
            device.run_until((3 + hours) * HOUR_US)

            drawn_uas = sum(ledger.charge_uc().values())
            told_uas = memory_of(device.node.bench).counters.charge_uas - before
            assert told_uas == pytest.approx(drawn_uas, rel=0.2)

    def test_it_is_kept_to_a_thousandth_however_much_it_is(self):
        for uas in (0, 1, 2_147_483_647, 2_147_483_648, 18_720_000_000, 155_000_000_000):
            counters = Counters()
            counters.charge_uas = uas

            assert Counters.unpack(counters.pack()).charge_uas == pytest.approx(uas, rel=0.001)

    def test_what_a_message_cannot_hold_is_left_out_and_no_fault(self):
        """Its field ends at 6,552.7 mAh; a mAh are 3.6 million uA s."""
        counters = Counters()
        for mah, raws in ((0, [0]), (6_552, [65_520]), (6_553, []), (34_000, [])):
            counters.charge_uas = mah * 3_600_000

            mask, told = LAYOUT.raws(counters.values(0, 1))

            assert [
                raw for field, raw in zip(LAYOUT.present(mask), told, strict=True) if field.name == "charge_used"
            ] == raws
            assert max(told) < FAULT

    def test_what_flash_holds_of_an_older_version_is_read_as_it_was_meant(self):
        counters = Counters()
        counters.charge_uas = 0x01020304

        assert counters.pack()[-4:] == bytes.fromhex("04030201")


class TestCounters:
    def test_a_wake_is_charged_with_its_boot_and_the_sleep_after_it(self):
        """30 mA for 1 s and 0.3 s of boot, 45 mA for 0.1 s, 20 uA for 900 s, and what the sensors drew."""
        counters = Counters()

        counters.note_wake(1_000, 100_000, 900, 20, 5_000)
        slept = counters.charge_uas
        counters.note_wake(1_000, 0, 0, 20, 0)

        assert slept == 1_300 * 30 + 100 * 45 + 900 * 20 + 5_000
        assert counters.charge_uas - slept == 1_000 * 30

    def test_the_least_free_heap_counts_and_a_pc_has_none(self):
        counters = Counters()

        for free in (20_000, 18_000, 19_000, 1 << 30):
            counters.note_free(free)

        assert counters.heap_free == 18_000

    def test_no_more_than_all_answers_were_heard(self):
        counters = Counters()
        counters.asked, counters.answered = 4, 3
        kept = Counters.unpack(counters.pack()).values(0, 1)
        counters.answered = 9

        assert kept["rx_hit_rate"] == 7_500
        assert counters.values(0, 1)["rx_hit_rate"] == 10_000
