# SPDX-License-Identifier: EUPL-1.2
"""What the network server answers to data uplinks, and what it asks of nodes, against a real database."""

import pytest

from decoders.lorawan import mac_commands
from decoders.lorawan.frame import ACK, ADR_ACK_REQ, UNCONFIRMED_DOWN
from gateway.mac_control import Wanted
from tests.gateway.server_bench import OTHER, Bench


@pytest.fixture
def bench(tmp_path, node):
    bench = Bench(tmp_path, node)
    yield bench
    bench.store.close()


class TestAnswers:
    """TS001-1.0.4 "MAC commands"; answers go out in RX1, one second after the uplink."""

    def test_most_uplinks_get_none(self, bench, node):
        assert bench.handle(node.uplink()).answer is None

    def test_device_time_is_that_of_the_end_of_the_uplink(self, bench, node):
        accepted = bench.handle(node.uplink(f_opts=bytes([0x0D])), gps_ms=1_455_000_000_500, tmst_us=4_294_500_000)

        frame = node.open_downlink(accepted.answer.variants[0].phy_payload, 0)
        assert frame.fhdr.f_opts == bytes.fromhex("0dc089b95680")  # 1455000000 = 0x56b989c0 s, 128/256
        assert frame.m_type == UNCONFIRMED_DOWN
        assert frame.f_port is None
        assert accepted.answer.windows == ((1000, 868_300_000, 3), (2000, 869_525_000, 0))

    def test_link_check_reports_margin_and_who_heard_the_uplink_before(self, bench, node):
        phy_payload = node.uplink()
        bench.handle(phy_payload)
        bench.handle(phy_payload, concentrator=OTHER)

        accepted = bench.handle(node.uplink(f_opts=bytes([0x02])), snr_db=5.0, sf=9)

        # SF9 is demodulated down to -12.5 dB: margin 17 dB
        assert node.open_downlink(accepted.answer.variants[0].phy_payload, 0).fhdr.f_opts == bytes([0x02, 17, 2])

    def test_a_frame_below_the_floor_has_no_negative_margin(self, bench, node):
        accepted = bench.handle(node.uplink(f_opts=bytes([0x02])), snr_db=-25.0, sf=12)

        assert node.open_downlink(accepted.answer.variants[0].phy_payload, 0).fhdr.f_opts == bytes([0x02, 0, 1])

    def test_requests_are_answered_in_their_order_whole_answers_only(self, bench, node):
        accepted = bench.handle(node.uplink(f_opts=bytes([0x02, 0x0D, 0x02, 0x02, 0x02])))

        commands = mac_commands.parse_downlink(
            node.open_downlink(accepted.answer.variants[0].phy_payload, 0).fhdr.f_opts
        )
        assert [cid for cid, _ in commands] == [0x02, 0x0D, 0x02, 0x02]

    def test_requests_on_port_zero_are_answered(self, bench, node):
        accepted = bench.handle(node.uplink(bytes([0x0D]), f_port=0))

        assert node.open_downlink(accepted.answer.variants[0].phy_payload, 0).fhdr.f_opts[0] == 0x0D
        assert accepted.stored is False

    def test_a_confirmed_uplink_is_acknowledged(self, bench, node):
        accepted = bench.handle(node.uplink(confirmed=True))

        frame = node.open_downlink(accepted.answer.variants[0].phy_payload, 0)
        assert (frame.fhdr.f_ctrl, frame.fhdr.f_opts) == (ACK, b"")
        assert accepted.stored

    def test_a_node_that_asks_for_a_sign_of_life_gets_one(self, bench, node):
        accepted = bench.handle(node.uplink(f_ctrl=0x80 | ADR_ACK_REQ))

        assert node.open_downlink(accepted.answer.variants[0].phy_payload, 0).fhdr.f_ctrl == 0

    def test_a_downlink_counter_is_never_used_twice_even_after_a_restart(self, bench, node):
        counters = []
        for _ in range(3):
            accepted = bench.handle(node.uplink(confirmed=True))
            counters.append(node.open_downlink(accepted.answer.variants[0].phy_payload, len(counters)).fhdr.f_cnt)
            bench.restart()

        assert counters == [0, 1, 2]

    def test_a_retransmission_is_answered_again_but_stored_once(self, bench, node):
        phy_payload = node.uplink(confirmed=True)
        bench.handle(phy_payload, tmst_us=1_000_000)

        copy = bench.handle(phy_payload, tmst_us=5_000_000, gps_ms=1_455_000_004_500)

        assert node.open_downlink(copy.answer.variants[0].phy_payload, 1).fhdr.f_ctrl == ACK
        assert len(bench.messages()) == 1

    def test_a_retransmission_that_only_another_concentrator_hears_is_answered_there(self, bench, node):
        phy_payload = node.uplink(confirmed=True)
        bench.handle(phy_payload, tmst_us=1_000_000)

        copy = bench.handle(phy_payload, concentrator=OTHER, tmst_us=70_000_000, gps_ms=1_455_000_004_500)

        assert node.open_downlink(copy.answer.variants[0].phy_payload, 1).fhdr.f_ctrl == ACK
        assert len(bench.messages()) == 1

    def test_one_transmission_is_answered_once_whoever_hears_it_and_in_whatever_order(self, bench, node):
        phy_payload = node.uplink(confirmed=True)
        heard = [
            ("a", 1, 500),
            ("b", 2, 501),
            ("b", 4, 4500),
            ("a", 5, 4499),
            ("c", 6, 4500),
            ("c", 9, 8500),
            ("a", 8, 8501),
        ]

        answered = [
            bench.handle(phy_payload, concentrator=name, tmst_us=tmst * 1_000_000, gps_ms=1_455_000_000_000 + ms)
            .answer is not None
            for name, tmst, ms in heard
        ]  # fmt: skip

        assert answered == [True, False, True, False, False, True, False]

    def test_the_same_datagram_twice_is_no_retransmission(self, bench, node):
        phy_payload = node.uplink(confirmed=True)
        bench.handle(phy_payload, tmst_us=1_000_000)

        assert bench.handle(phy_payload, tmst_us=1_000_000).answer is None

    def test_nobody_is_answered_more_than_fifteen_times(self, bench, node):
        phy_payload = node.uplink(confirmed=True)
        bench.handle(phy_payload, tmst_us=0)

        answers = [bench.handle(phy_payload, tmst_us=1_000_000 * n).answer is not None for n in range(1, 31)]

        assert answers == [True] * 14 + [False] * 16

    def test_a_frequency_outside_the_plan_is_heard_and_still_has_rx2(self, bench, node):
        accepted = bench.handle(node.uplink(confirmed=True), frequency_hz=868_650_000)

        assert accepted.stored
        assert accepted.answer.windows[1] == (2000, 869_525_000, 0)


ADR = 0x80


class TestControl:
    """Requests ride in FOpts; what the node answers counts from that uplink on, and survives a restart."""

    def commands(self, node, outcome, f_cnt):
        frame = node.open_downlink(outcome.answer.variants[0].phy_payload, f_cnt)
        return mac_commands.parse_downlink(frame.fhdr.f_opts)

    def test_a_strong_node_is_made_faster_after_twelve_frames_and_left_alone_then(self, bench, node):
        silent = [bench.handle(node.uplink(f_ctrl=ADR), snr_db=9.0, sf=12).answer for _ in range(11)]

        ((cid, request),) = self.commands(node, bench.handle(node.uplink(f_ctrl=ADR), snr_db=9.0, sf=12), 0)
        bench.restart()
        after = [bench.handle(node.uplink(f_opts=b"\x03\x07", f_ctrl=ADR), snr_db=9.0, sf=7).answer]
        after += [bench.handle(node.uplink(f_ctrl=ADR), snr_db=9.0, sf=7).answer for _ in range(10)]

        assert silent == [None] * 11
        assert (cid, request[0] >> 4, request[1:3], request[3]) == (0x03, 5, b"\x07\x00", 1)
        assert after == [None] * 11

    def test_a_node_that_keeps_its_data_rate_to_itself_is_not_asked(self, bench, node):
        assert [bench.handle(node.uplink(), snr_db=9.0, sf=12).answer for _ in range(40)] == [None] * 40

    def test_a_node_that_loses_frames_is_made_slower(self, bench, node):
        outcomes = []
        for _ in range(8):
            node.f_cnt += 2  # two of three are lost
            outcomes.append(bench.handle(node.uplink(f_ctrl=ADR), snr_db=-6.0, sf=7))

        answers = [outcome for outcome in outcomes if outcome.answer is not None]
        ((cid, request),) = self.commands(node, answers[0], 0)
        assert (cid, request[0] & 0x0F) == (0x03, 0)
        assert request[0] >> 4 < 5 or request[3] > 1

    def test_an_asking_node_gets_the_advice_in_the_same_downlink(self, bench, node):
        for _ in range(11):
            bench.handle(node.uplink(f_ctrl=ADR), snr_db=9.0, sf=12)

        asking = bench.handle(node.uplink(f_ctrl=ADR | ADR_ACK_REQ), snr_db=9.0, sf=12)

        assert len(asking.answer.variants) == 1
        assert [cid for cid, _ in self.commands(node, asking, 0)] == [0x03]

    def test_windows_follow_what_the_node_has_agreed_to(self, bench, node):
        bench.handle(node.uplink())
        bench.restart(Wanted(2, (869_500_000, 3), 5, dev_status_every_s=0))
        before = bench.handle(node.uplink(confirmed=True), sf=7)

        agreed = bench.handle(node.uplink(confirmed=True, f_opts=b"\x05\x07\x08"), sf=7)

        assert [cid for cid, _ in self.commands(node, before, 0)] == [0x05, 0x08]
        assert before.answer.windows == ((1000, 868_300_000, 5), (2000, 869_525_000, 0))
        assert agreed.answer.windows == ((5000, 868_300_000, 3), (6000, 869_500_000, 3))

    def test_a_retransmission_is_answered_with_the_same_requests(self, bench, node):
        bench.restart(Wanted(max_duty_cycle=4, dev_status_every_s=0))
        phy_payload = node.uplink(confirmed=True)
        first = bench.handle(phy_payload, tmst_us=1_000_000)

        again = bench.handle(phy_payload, tmst_us=5_000_000, gps_ms=1_455_000_004_500)

        assert self.commands(node, first, 0) == self.commands(node, again, 1) == [(0x04, b"\x04")]

    def test_the_battery_is_asked_for_and_stored(self, bench, node):
        bench.restart(Wanted())
        bench.handle(node.uplink())

        asking = bench.handle(node.uplink(), gps_ms=1_455_086_400_500)
        bench.handle(node.uplink(f_opts=bytes([0x06, 127, 0x3F])), gps_ms=1_455_090_000_500)

        assert self.commands(node, asking, 0) == [(0x06, b"")]
        row = bench.store.connection.execute("SELECT battery, margin_db, status_at FROM devices").fetchone()
        assert row == (127, -1, 1_771_054_782.5)

    def test_answers_come_first_and_nothing_is_longer_than_fifteen_bytes(self, bench, node):
        bench.restart(Wanted(1, (869_525_000, 3), 5, 2, dev_status_every_s=0))

        outcome = bench.handle(node.uplink(f_opts=b"\x02\x0d"))

        assert [cid for cid, _ in self.commands(node, outcome, 0)] == [0x02, 0x0D, 0x05]
