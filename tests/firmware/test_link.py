# SPDX-License-Identifier: EUPL-1.2
"""firmware.link: MAC core, driver and simulated chip through whole exchanges, against literal instants."""

import gc

import pytest

import firmware.radio.sx1262 as driver
from decoders.lorawan.region import EU868
from firmware.link import ERROR_US, LOST_ERROR_US, Link, Window
from firmware.mac import Accepted, Dropped, Joined, Mac, NetworkTime
from simulators.chips.sx1262_commands import Modulation, Packet, time_on_air_us
from tests.firmware.lorawan_peer import DEV_ADDR, IDENTITY, free_bands, join_accept, joined
from tests.firmware.radio.sx1262_bench import Bench


class Watched:
    """The driver, with the instants of its launches and what the collector was allowed to do then."""

    def __init__(self, radio, clock):
        self._radio = radio
        self._clock = clock
        self.launches = []
        self.collecting = []

    def __getattr__(self, name):
        return getattr(self._radio, name)

    def _note(self, what):
        self.launches.append((what, self._clock.now_us))
        self.collecting.append(gc.isenabled())

    def launch_tx(self):
        launched = self._radio.launch_tx()
        self._note("tx")
        return launched

    def launch_rx(self):
        launched = self._radio.launch_rx()
        self._note("rx")
        return launched


class Rig:
    def __init__(self, **options):
        self.bench = Bench(driver, **options).started()
        self.radio = Watched(self.bench.radio, self.bench.clock)
        self.fed = 0
        self.link = Link(self.radio, self.bench.time, self._feed, antenna_gain_dbi=2)

    def _feed(self):
        self.fed += 1

    def answer(self, phy_payload, after_us, sf=7, frequency_hz=868_100_000):
        """Let the network send so long after the end of the next uplink."""
        air = self.bench.air

        class Network:
            def heard(_, sent):
                air.detach(network)
                wait_us = sent.end_us - self.bench.clock.now_us + after_us
                self.bench.downlink(
                    phy_payload, after_us=wait_us, sf=sf, frequency_hz=frequency_hz or sent.frequency_hz,
                    low_data_rate=sf >= 11,
                )  # fmt: skip

        network = Network()
        air.attach(network)

    def exchange(self, mac, transmit, error_us=ERROR_US):
        _, events = self.link.exchange(mac, transmit, error_us)
        self.bench.assert_clean()
        return events


def uplink(mac, sf=7):
    mac.session.dr = 12 - sf
    return free_bands(mac).uplink(100, 2, b"0123456789")


class TestWindowLength:
    """Symbols and lead of a window: reference form offset = -(lead + err), timeout = ceil((lead + 2 err) / Ts) + 6."""

    @pytest.mark.parametrize(
        ("dr", "error_us", "symbols", "early_us"),
        [
            (5, 20_000, 46, 20_062),  # 40.062 ms are 39.1 symbols of 1.024 ms
            (3, 20_000, 16, 20_062),  # 9.8 of 4.096 ms
            (2, 20_000, 11, 20_062),  # 4.9 of 8.192 ms
            (0, 20_000, 8, 20_062),  # 1.2 of 32.768 ms
            (5, 100_000, 202, 100_062),  # 195.4
            (0, 100_000, 13, 100_062),  # 6.1
        ],
    )
    def test_it_covers_the_error_both_ways_and_a_preamble(self, dr, error_us, symbols, early_us):
        window = Window(EU868.data_rates[dr], error_us)

        assert (window.symbols, window.early_us) == (symbols, early_us)


class TestUplink:
    def test_it_goes_out_as_the_core_says(self):
        rig = Rig()
        mac, _ = joined()
        transmit = uplink(mac)

        rig.exchange(mac, transmit)

        sent = rig.bench.heard_on_air[0]
        assert sent.phy_payload == transmit.phy_payload
        assert (sent.frequency_hz, sent.sf, sent.bandwidth_hz) == (transmit.frequency_hz, 7, 125_000)
        assert (sent.sync_word, sent.iq_inverted, sent.crc_on, sent.preamble_symbols) == (0x3444, False, True, 8)
        assert sent.power_dbm == 14  # 16 dBm EIRP with 2 dBi of antenna

    def test_the_collector_rests_at_every_launch_and_runs_again_afterwards(self):
        rig = Rig()
        mac, _ = joined()

        rig.exchange(mac, uplink(mac))

        assert [what for what, _ in rig.radio.launches] == ["tx", "rx", "rx"]
        assert rig.radio.collecting == [False, False, False]
        assert gc.isenabled()

    def test_the_watchdog_is_fed_between_the_windows(self):
        rig = Rig()
        mac, _ = joined()

        rig.exchange(mac, uplink(mac))

        assert rig.fed == 3


class TestWindowInstants:
    """TS001-1.0.4 "Receive windows": measured from the end of the uplink on the air, not from what the driver saw."""

    @pytest.mark.parametrize("sf", [7, 9, 12])
    @pytest.mark.parametrize("now_us", [0, (1 << 30) - 500_000, (1 << 30) - 1_800_000])
    def test_both_open_20_ms_early_whatever_the_ticks_say(self, sf, now_us):
        rig = Rig(now_us=now_us)
        mac, _ = joined()

        rig.exchange(mac, uplink(mac, sf))

        end_us = rig.bench.heard_on_air[0].end_us
        _, (_, rx1_us), (_, rx2_us) = rig.radio.launches
        assert rx1_us - end_us == pytest.approx(979_938, abs=30)
        assert rx2_us - end_us == pytest.approx(1_979_938, abs=30)

    def test_the_delay_of_the_join_accept_moves_them(self):
        rig = Rig()
        mac, _ = joined(rx_delay=5)

        rig.exchange(mac, uplink(mac))

        end_us = rig.bench.heard_on_air[0].end_us
        assert [at_us - end_us for _, at_us in rig.radio.launches[1:]] == pytest.approx([4_979_938, 5_979_938], abs=30)

    def test_after_an_unanswered_join_they_open_100_ms_early(self):
        rig = Rig()
        mac = Mac(IDENTITY)

        rig.exchange(mac, mac.join_request(0), LOST_ERROR_US)

        end_us = rig.bench.heard_on_air[0].end_us
        assert [at_us - end_us for _, at_us in rig.radio.launches[1:]] == pytest.approx([4_899_938, 5_899_938], abs=30)

    @pytest.mark.parametrize("off_us", [-19_000, 0, 19_000])
    @pytest.mark.parametrize("sf", [7, 9, 12])
    def test_a_downlink_within_the_error_budget_is_heard_in_rx1(self, sf, off_us):
        rig = Rig()
        mac, peer = joined()
        transmit = uplink(mac, sf)
        rig.answer(peer.downlink(0, port=21, payload=b"set"), 1_000_000 + off_us, sf, transmit.frequency_hz)

        events = rig.exchange(mac, transmit)

        assert events == [Accepted(0, 21, b"set")]
        assert len(rig.radio.launches) == 2  # RX2 stays closed

    @pytest.mark.parametrize("off_us", [-19_000, 0, 19_000])
    def test_a_downlink_within_the_error_budget_is_heard_in_rx2(self, off_us):
        rig = Rig()
        mac, peer = joined()
        rig.answer(peer.downlink(0, port=21, payload=b"set"), 2_000_000 + off_us, 12, 869_525_000)

        assert rig.exchange(mac, uplink(mac)) == [Accepted(0, 21, b"set")]

    @pytest.mark.parametrize(("after_us", "sf", "frequency_hz"), [(5_000_000, 7, None), (6_000_000, 12, 869_525_000)])
    def test_a_join_accept_is_heard_in_either_window(self, after_us, sf, frequency_hz):
        rig = Rig()
        mac = Mac(IDENTITY)
        rig.answer(join_accept(), after_us, sf, frequency_hz)

        assert rig.exchange(mac, mac.join_request(0)) == [Joined(DEV_ADDR)]

    def test_a_neighbours_downlink_in_rx1_does_not_cost_ours_in_rx2(self):
        rig = Rig()
        mac, peer = joined()
        transmit = uplink(mac)
        rig.answer(peer.downlink(0, dev_addr=1), 1_000_000, 7, transmit.frequency_hz)
        rig.answer(peer.downlink(0, port=21, payload=b"ours"), 2_000_000, 12, 869_525_000)

        assert rig.exchange(mac, transmit) == [Dropped("dev_addr"), Accepted(0, 21, b"ours")]

    def test_the_longest_frame_of_sf12_is_waited_for(self):
        rig = Rig()
        mac, peer = joined()
        rig.answer(peer.downlink(0, port=21, payload=bytes(51)), 2_000_000, 12, 869_525_000)

        assert rig.exchange(mac, uplink(mac)) == [Accepted(0, 21, bytes(51))]
        assert time_on_air_us(Modulation(12, 125_000, 1, True), Packet(8, False, 64, False, True)) > 2_700_000


class TestNetworkTime:
    def test_it_belongs_to_the_second_in_which_the_uplink_ended(self):
        rig = Rig(now_us=999_000_000)
        mac, peer = joined()
        mac.ask_time()
        transmit = uplink(mac)
        rig.answer(
            peer.downlink(0, f_opts=bytes.fromhex("0d15cd5b5780")), 1_000_000, 7, transmit.frequency_hz
        )  # fmt: skip

        ended_s, events = rig.link.exchange(mac, transmit, ERROR_US)

        assert events[1] == NetworkTime(0x575BCD15, 128)
        assert ended_s == rig.bench.heard_on_air[0].end_us // 1_000_000


class TestFaults:
    def test_a_radio_that_hangs_raises_and_the_collector_runs_again(self):
        rig = Rig()
        mac, _ = joined()
        transmit = uplink(mac)
        rig.bench.clock.after(300_000, lambda: setattr(rig.bench.busy, "jammed", True))

        with pytest.raises(driver.RadioFault):
            rig.link.exchange(mac, transmit, ERROR_US)

        assert gc.isenabled()

    def test_a_reception_without_an_end_is_given_up(self):
        rig = Rig()
        mac, _ = joined()
        rig.radio.rx_state = lambda: driver.RX_WAITING

        with pytest.raises(driver.RadioFault, match="does not end"):
            rig.link.exchange(mac, uplink(mac), ERROR_US)

        _, launched_us = rig.radio.launches[1]
        assert 400_000 < rig.bench.clock.now_us - launched_us < 600_000  # SF7: the longest frame lasts 399 ms
