# SPDX-License-Identifier: EUPL-1.2
"""firmware.link: driver and simulated chip through whole exchanges; what it must do stands in ``link_behaviours``."""

import pytest

from firmware import link
from firmware.mac import Accepted, Dropped, Joined, Mac, NetworkTime
from tests.firmware.compiling import mpy_bytes, on_micropython
from tests.firmware.link_behaviours import BEHAVIOURS, Behaviour
from tests.firmware.link_rig import Rig
from tests.firmware.lorawan_peer import DEV_ADDR, IDENTITY, free_bands, join_accept, joined


@pytest.fixture(autouse=True)
def _collector(monkeypatch):
    monkeypatch.setattr(link, "gc", link.gc)  # rigs replace it


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
def test_the_link(behaviour: Behaviour) -> None:
    behaviour(link)


def uplink(mac, sf=7):
    mac.session.dr = 12 - sf
    return free_bands(mac).uplink(100, 2, b"0123456789")


class TestWithTheMacCore:
    def test_an_uplink_goes_out_as_the_core_says(self):
        rig = Rig(link)
        mac, _ = joined()
        transmit = uplink(mac)

        rig.exchange(mac, transmit)

        sent = rig.bench.heard_on_air[0]
        assert sent.phy_payload == transmit.phy_payload
        assert (sent.frequency_hz, sent.sf, sent.bandwidth_hz) == (transmit.frequency_hz, 7, 125_000)
        assert (sent.sync_word, sent.iq_inverted, sent.crc_on, sent.preamble_symbols) == (0x3444, False, True, 8)
        assert sent.power_dbm == 14  # 16 dBm EIRP with 2 dBi of antenna

    @pytest.mark.parametrize(("after_us", "sf", "frequency_hz"), [(5_000_000, 7, None), (6_000_000, 12, 869_525_000)])
    def test_a_join_accept_is_heard_in_either_window(self, after_us, sf, frequency_hz):
        rig = Rig(link)
        mac = Mac(IDENTITY)
        rig.answer(join_accept(), after_us, sf, frequency_hz)

        assert rig.exchange(mac, mac.join_request(0)) == [Joined(DEV_ADDR)]

    def test_a_neighbours_downlink_in_rx1_does_not_cost_ours_in_rx2(self):
        rig = Rig(link)
        mac, peer = joined()
        transmit = uplink(mac)
        rig.answer(peer.downlink(0, dev_addr=1), 1_000_000)
        rig.answer(peer.downlink(0, port=21, payload=b"ours"), 2_000_000, 12, 869_525_000)

        assert rig.exchange(mac, transmit) == [Dropped("dev_addr"), Accepted(0, 21, b"ours")]

    def test_the_network_time_belongs_to_the_second_in_which_the_uplink_ended(self):
        rig = Rig(link, now_us=999_000_000)
        mac, peer = joined()
        mac.ask_time()
        transmit = uplink(mac)
        rig.answer(peer.downlink(0, f_opts=bytes.fromhex("0d15cd5b5780")), 1_000_000)

        ended_s, events = rig.link.exchange(mac, transmit)

        assert events[1] == NetworkTime(0x575BCD15, 128)
        assert ended_s == rig.bench.heard_on_air[0].end_us // 1_000_000


class TestOnTheNode:
    def test_it_is_small(self):
        assert mpy_bytes("firmware/link.py") < 3_000
        assert mpy_bytes("firmware/timing.py") < 2_000

    def test_the_budget_calculates_with_small_integers_as_here(self):
        code = """
from firmware.timing import Window, WindowBudget
budget = WindowBudget()
told = []
for late_us, asleep_us in ((4_800, 961_000), (-29_000, 15_000_000), (120_000, 300_000), (-500, 0), (90_000, 5_900_000)):
    budget.heard(late_us, asleep_us)
    told.append((budget.error_us(15_000_000, 15_000_000), budget.correction_us(15_000_000), budget.pack()))
print(told, Window(1_024, 50_000, 62).symbols)
"""
        here = []

        printed = on_micropython(code)

        scope = {"print": lambda *values: here.append(" ".join(str(value) for value in values) + "\n")}
        exec(code, scope)
        assert [printed] == here
