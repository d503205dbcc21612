# SPDX-License-Identifier: EUPL-1.2
"""Data uplinks, against a real database and real frames."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoders.lorawan import mac_commands
from decoders.lorawan.errors import MalformedFrame, MicMismatch
from decoders.lorawan.frame import ACK, ADR_ACK_REQ, UNCONFIRMED_DOWN
from decoders.records import UplinkKey
from decoders.senml import Reading
from gateway.config import DevAddrBlock
from gateway.errors import Refused
from gateway.join_server import JoinServer
from gateway.mac_control import Wanted
from gateway.network_server import Accepted, Copy, NetworkServer, candidate_counters
from gateway.replay_window import is_late_first, seen_after
from gateway.store import open_store
from tests.gateway.nodes import GATEWAY_EUI, new_store, reception, tree_payload, uplinks_in

OTHER = "0016c001ff10b002"
NO_STATUS = Wanted(dev_status_every_s=0)


class Bench:
    """A joined node and a network server on a database; ``handle`` is one transaction."""

    def __init__(self, folder, node):
        self.config, self.store = new_store(folder, [node])
        self.node = node
        self.restart()
        self.join()

    def restart(self, wanted=NO_STATUS):
        self.store.close()
        self.store = open_store(self.config.gateway.database, self.config.gateway.key_file)
        self.server = NetworkServer(GATEWAY_EUI, 60, "boot", wanted=wanted)

    def join(self):
        server = JoinServer(0, DevAddrBlock(0x01000000, 65536), 60)
        with self.store.transaction() as ledger:
            joined = server.answer(reception(self.node.join_request()), ledger)
        self.node.joined(joined.answer.variants[0].phy_payload)

    def handle(self, phy_payload, **fields):
        with self.store.transaction() as ledger:
            return self.server.handle(reception(phy_payload, **fields), ledger)

    def refusal(self, phy_payload, **fields):
        with pytest.raises(Refused) as refused:
            self.handle(phy_payload, **fields)
        return refused.value.reason

    def messages(self):
        return uplinks_in(self.store)

    def session(self):
        return self.store.ledger.sessions(self.node.dev_addr)[0].session

    def f_cnt_up(self):
        return self.store.ledger.sessions(self.node.dev_addr)[0].f_cnt_up


@pytest.fixture
def bench(tmp_path, node):
    bench = Bench(tmp_path, node)
    yield bench
    bench.store.close()


class TestUplink:
    """TS001-1.0.4 "Data messages"."""

    def test_its_readings_are_in_the_outbox_with_its_key(self, bench, node):
        accepted = bench.handle(node.uplink())

        (message,) = bench.messages()
        key = UplinkKey("70b3d57ed1000001", bench.session(), 0)
        assert accepted == Accepted(key, 2, 3, -97.0, True, "", None, None, tree_payload(), "tree")
        assert message.key == key
        assert message.received_at == 1_770_964_782.5
        assert message.profile == "tree"
        assert sorted(message.readings) == [
            Reading("battery_voltage", "V", 1_770_964_782, 3.612, None),
            Reading("soil_moisture", "%", 1_770_964_782, 23.45, None),
            Reading("soil_temperature", "Cel", 1_770_964_782, 12.5, None),
            Reading("surface_temperature", "Cel", 1_770_964_782, -3.25, None),
        ]

    def test_a_sample_without_a_time_was_taken_at_the_reception(self, bench, node):
        bench.handle(node.uplink(tree_payload(gps_s=0)), gps_ms=1_455_000_007_999)

        (message,) = bench.messages()
        assert {reading.at for reading in message.readings} == {1_770_964_789}

    def test_the_sample_s_own_time_counts_however_late_it_arrives(self, bench, node):
        bench.handle(node.uplink(tree_payload(gps_s=1_454_900_000)))

        (message,) = bench.messages()
        assert {reading.at for reading in message.readings} == {1_770_864_782}

    def test_an_unknown_address_is_refused(self, bench, node):
        node.dev_addr += 5

        assert bench.refusal(node.uplink()) == "unknown_dev_addr"

    def test_a_wrong_mic_changes_nothing(self, bench, node):
        phy_payload = node.uplink()

        with pytest.raises(MicMismatch):
            bench.handle(phy_payload[:-1] + bytes([phy_payload[-1] ^ 0x80]))

        assert (bench.f_cnt_up(), bench.messages()) == (-1, ())

    def test_mac_commands_in_both_places_are_refused(self, bench, node):
        phy_payload = bytearray(node.uplink(b"", f_port=None, f_opts=b"\x02"))

        with pytest.raises(MalformedFrame):
            bench.handle(bytes(phy_payload[:9]) + b"\x00\x02" + bytes(phy_payload[-4:]))

    @pytest.mark.parametrize(
        ("payload", "f_port", "problem"),
        [(b"\x01\x02\x03", 2, "malformed_payload"), (b"hello", 77, "no_layout"), (b"", 2, "malformed_payload")],
    )
    def test_a_payload_that_nobody_can_read_is_kept_raw_and_the_counter_advances(
        self, bench, node, payload, f_port, problem
    ):
        accepted = bench.handle(node.uplink(payload, f_port=f_port))

        rows = bench.store.connection.execute("SELECT f_cnt, f_port, frm_payload, problem FROM quarantine").fetchall()
        assert (accepted.stored, accepted.problem) == (False, problem)
        assert rows == [(0, f_port, payload, problem)]
        assert (bench.f_cnt_up(), bench.messages()) == (0, ())

    def test_a_frame_without_a_payload_only_advances_the_counter(self, bench, node):
        accepted = bench.handle(node.uplink(f_port=None))

        assert (accepted.stored, accepted.f_port, accepted.problem) == (False, None, "")
        assert (bench.f_cnt_up(), bench.messages()) == (0, ())


class TestFrameCounter:
    """TS001-1.0.4 "Frame counter (FCnt)": 32 bits, of which 16 are on air."""

    @pytest.mark.parametrize(
        ("last", "on_air", "expected"),
        [
            (-1, 0, [0]),
            (-1, 40_000, [40_000]),
            (5, 6, [6]),
            (5, 5, [5, 65_541]),
            (5, 4, [65_540, 4]),
            (0xFFFE, 0xFFFF, [0xFFFF]),
            (0xFFFF, 0, [0x10000, 0]),
            (0x1_0002, 0xFFFF, [0x1_FFFF, 0xFFFF]),
            (0xFFFF_FFFF, 0, [0xFFFF_0000]),
        ],
    )
    def test_the_candidates_are_the_next_and_the_nearest_before(self, last, on_air, expected):
        assert candidate_counters(last, on_air) == expected

    def test_a_first_counter_of_one_is_fine(self, bench, node):
        bench.handle(node.uplink(f_cnt=1))

        assert bench.f_cnt_up() == 1

    def test_it_passes_16_bits(self, bench, node):
        for f_cnt in (65_534, 65_535, 65_536, 65_538, 131_000):
            bench.handle(node.uplink(f_cnt=f_cnt))

        assert [message.key.f_cnt for message in bench.messages()] == [65_534, 65_535, 65_536, 65_538, 131_000]

    def test_a_late_copy_from_before_the_turn_of_16_bits_is_a_copy(self, bench, node):
        late = node.uplink(f_cnt=65_535)
        bench.handle(late)
        bench.handle(node.uplink())

        assert isinstance(bench.handle(late, concentrator=OTHER), Copy)
        assert bench.f_cnt_up() == 65_536


class TestCopiesAndReplays:
    def test_a_copy_through_another_concentrator_is_not_stored_twice(self, bench, node):
        phy_payload = node.uplink()
        bench.handle(phy_payload)

        copy = bench.handle(phy_payload, concentrator=OTHER)

        assert copy == Copy(UplinkKey("70b3d57ed1000001", bench.session(), 0), None)
        assert len(bench.messages()) == 1

    def test_a_copy_is_known_after_a_restart(self, bench, node):
        phy_payload = node.uplink()
        bench.handle(phy_payload)
        bench.restart()

        assert isinstance(bench.handle(phy_payload), Copy)

    def test_the_same_frame_much_later_is_a_replay(self, bench, node):
        phy_payload = node.uplink()
        bench.handle(phy_payload)

        assert bench.refusal(phy_payload, gps_ms=1_455_000_061_000) == "replay"

    def test_a_first_copy_that_comes_late_is_stored_once(self, bench, node):
        skipped = node.uplink()
        bench.handle(node.uplink())

        late = bench.handle(skipped, concentrator=OTHER)
        again = bench.handle(skipped)

        assert (type(late), late.stored, type(again)) == (Accepted, True, Copy)
        assert [message.key.f_cnt for message in bench.messages()] == [1, 0]
        assert bench.f_cnt_up() == 1

    def test_a_late_frame_is_not_answered_its_windows_are_over(self, bench, node):
        skipped = node.uplink(f_opts=b"\x0d", confirmed=True)
        bench.handle(node.uplink())

        assert bench.handle(skipped).answer is None

    def test_what_came_late_is_a_replay_from_then_on_even_after_a_restart(self, bench, node):
        skipped = node.uplink()
        bench.handle(node.uplink())
        bench.handle(skipped)
        bench.restart()

        assert bench.refusal(skipped) == "replay"
        assert bench.refusal(node.uplink(tree_payload(moisture_percent_100=999), f_cnt=0)) == "replay"

    def test_frames_are_late_up_to_32_counters(self, bench, node):
        frames = [node.uplink() for _ in range(41)]
        bench.handle(frames[40])

        outcomes = []
        for f_cnt in (9, 8, 7):
            try:
                outcomes.append(type(bench.handle(frames[f_cnt])))
            except Refused as refused:
                outcomes.append(refused.reason)

        assert outcomes == [Accepted, Accepted, "replay"]

    def test_a_frame_accepted_in_its_turn_stays_a_replay_while_the_counter_moves_on(self, bench, node):
        frames = [node.uplink() for _ in range(8)]
        for f_cnt in (0, 2, 3, 7):
            bench.handle(frames[f_cnt])
        bench.restart()

        refused = [f_cnt for f_cnt in (0, 2, 3) if bench.refusal(frames[f_cnt]) == "replay"]
        accepted = [f_cnt for f_cnt in (6, 5, 4, 1) if bench.handle(frames[f_cnt]).stored]

        assert (refused, accepted) == ([0, 2, 3], [6, 5, 4, 1])

    def test_a_late_frame_from_before_the_turn_of_16_bits_has_its_own_counter(self, bench, node):
        bench.handle(node.uplink(f_cnt=65_534))
        late = node.uplink()
        bench.handle(node.uplink())

        assert bench.handle(late).key.f_cnt == 65_535

    @given(st.lists(st.integers(0, 70), max_size=40))
    @settings(max_examples=100, deadline=None)
    def test_no_order_stores_anything_twice_or_refuses_what_is_new_and_near(self, order):
        last, seen, accepted = -1, 0, set()
        for f_cnt in order:
            is_new = f_cnt > last or (f_cnt not in accepted and last - f_cnt <= 32)
            assert is_late_first(last, seen, f_cnt) == (is_new and f_cnt < last)
            if is_new:
                last, seen = seen_after(last, seen, f_cnt)
                accepted.add(f_cnt)

    def test_another_payload_under_a_used_counter_is_a_replay(self, bench, node):
        bench.handle(node.uplink())

        assert bench.refusal(node.uplink(tree_payload(moisture_percent_100=999), f_cnt=0)) == "replay"

    def test_a_replay_of_an_old_session_finds_no_session(self, bench, node):
        old = node.uplink()
        bench.handle(old)
        bench.join()
        bench.handle(node.uplink())

        assert bench.refusal(old) == "unknown_dev_addr"

    def test_the_old_session_works_until_the_new_one_is_used(self, bench, node):
        bench.handle(node.uplink())
        second, old = node.uplink(), bench.session()
        bench.join()

        still = bench.handle(second)
        new = bench.handle(node.uplink())

        assert [outcome.key for outcome in (still, new)] == [
            UplinkKey("70b3d57ed1000001", old, 1),
            UplinkKey("70b3d57ed1000001", bench.session(), 0),
        ]
        assert bench.session() != old


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
