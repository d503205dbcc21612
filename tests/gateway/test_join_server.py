# SPDX-License-Identifier: EUPL-1.2
"""Joining by OTAA, against a real database."""

import pytest

from decoders.lorawan.errors import MalformedFrame, MicMismatch
from gateway.command import open_database
from gateway.config import DevAddrBlock
from gateway.errors import Refused
from gateway.join_server import JoinServer
from gateway.mac_control import Wanted
from gateway.radio import Priority
from tests.gateway.nodes import Node, new_store, reception


class Bench:
    """A join server on a database; ``join`` is one transaction."""

    def __init__(self, folder, nodes):
        self.config, self.store = new_store(folder, nodes)
        self.server = JoinServer(0x000000, DevAddrBlock(0x01000000, 65536), 60)

    def join(self, phy_payload, **fields):
        with self.store.transaction() as ledger:
            return self.server.answer(reception(phy_payload, **fields), ledger)

    def refusal(self, phy_payload, **fields):
        with pytest.raises(Refused) as refused:
            self.join(phy_payload, **fields)
        return refused.value.reason


@pytest.fixture
def bench(tmp_path, node):
    bench = Bench(tmp_path, [node, Node(2)])
    yield bench
    bench.store.close()


class TestJoinAccept:
    """TS001-1.0.4 "Join-Accept frame"; RP002-1.0.4 "EU863-870 Receive Windows"."""

    def test_it_is_for_the_windows_five_and_six_seconds_after_the_request(self, bench, node):
        joined = bench.join(node.join_request(), frequency_hz=868_500_000, sf=12)

        assert joined.answer.windows == ((5000, 868_500_000, 0), (6000, 869_525_000, 0))
        assert joined.answer.priority == Priority.JOIN_ACCEPT

    def test_the_node_can_read_it(self, bench, node):
        joined = bench.join(node.join_request())

        accept = node.joined(joined.answer.variants[0].phy_payload)

        assert accept.net_id == 0
        assert accept.dev_addr == joined.dev_addr == 0x01000000
        assert accept.dl_settings == 0x00  # RX1DROffset 0, RX2 at DR0
        assert accept.rx_delay == 1
        assert accept.join_nonce == 1

    def test_it_names_the_channels_and_windows_of_the_configuration(self, bench, node):
        wanted = Wanted(2, (869_525_000, 3), 5, channels_hz=(867_100_000, 867_300_000))
        bench.server = JoinServer(0, DevAddrBlock(0x01000000, 65536), 60, wanted)

        accept = node.joined(bench.join(node.join_request()).answer.variants[0].phy_payload)

        assert (accept.dl_settings, accept.rx_delay) == (0x23, 5)
        # RP002-1.0.4 "EU863-870 Join-Accept CFList": 8671000 = 0x844f18, 8673000 = 0x8456e8, unused, type 0
        assert accept.cf_list.hex() == "184f84e85684" + "000000" * 3 + "00"

    def test_a_full_block_refuses_and_uses_up_no_nonce(self, bench, node):
        bench.server = JoinServer(0, DevAddrBlock(0x02000000, 2), 60)
        bench.join(node.join_request())
        bench.join(Node(2).join_request())

        assert bench.refusal(node.join_request()) == "no_dev_addr_left"
        assert bench.store.ledger.device(node.dev_eui).dev_nonce == 0

    def test_both_sides_have_the_same_session_keys(self, bench, node):
        joined = bench.join(node.join_request())
        node.joined(joined.answer.variants[0].phy_payload)

        (session,) = bench.store.ledger.sessions(joined.dev_addr)

        assert (session.nwk_s_key, session.app_s_key) == (node.nwk_s_key, node.app_s_key)
        assert (session.f_cnt_up, session.f_cnt_down) == (-1, -1)

    def test_a_session_is_never_named_twice_even_if_node_and_gateway_begin_anew(self, tmp_path):
        sessions = []
        for name in ("before", "after"):
            (tmp_path / name).mkdir()
            bench = Bench(tmp_path / name, [Node()])
            joined = bench.join(Node().join_request())
            sessions.append(bench.store.ledger.sessions(joined.dev_addr)[0].session)
            bench.store.close()

        assert sessions[0] != sessions[1]
        assert all(0 <= session < 1 << 53 for session in sessions)

    def test_every_device_gets_an_address_of_its_own(self, bench, node):
        addresses = [bench.join(device.join_request()).dev_addr for device in (node, Node(2), node)]

        assert len(set(addresses)) == 3

    def test_join_nonce_rises_and_is_stored_before_the_answer_leaves(self, bench, node):
        accepts = [node.joined(bench.join(node.join_request()).answer.variants[0].phy_payload) for _ in range(3)]

        assert [accept.join_nonce for accept in accepts] == [1, 2, 3]
        assert bench.store.ledger.device(node.dev_eui).join_nonce == 3


class TestRefusal:
    """TS001-1.0.4 "Join-Request frame": DevNonce is incremented and never reused."""

    def test_zero_is_a_valid_first_dev_nonce(self, bench, node):
        request = node.join_request()

        bench.join(request)

        assert node.dev_nonce == 0
        assert bench.store.ledger.device(node.dev_eui).dev_nonce == 0

    def test_the_same_request_later_is_refused(self, bench, node):
        request = node.join_request()
        bench.join(request)

        assert bench.refusal(request, gps_ms=1_455_000_061_000) == "dev_nonce_reused"

    def test_the_same_request_through_another_concentrator_is_a_duplicate(self, bench, node):
        request = node.join_request()
        bench.join(request)

        assert bench.refusal(request, concentrator="0016c001ff10b002") == "duplicate"

    def test_a_lower_dev_nonce_is_refused_even_after_a_restart(self, bench, node):
        first = node.join_request()
        bench.join(node.join_request())
        bench.store.close()
        bench.store = open_database(bench.config)
        bench.server = JoinServer(0, DevAddrBlock(0x01000000, 65536), 60)

        assert bench.refusal(first) == "dev_nonce_reused"

    def test_a_refused_request_leaves_the_session_alone(self, bench, node):
        request = node.join_request()
        joined = bench.join(request)

        bench.refusal(request)

        assert len(bench.store.ledger.sessions(joined.dev_addr)) == 1

    def test_an_unknown_device_is_refused(self, bench):
        assert bench.refusal(Node(77).join_request()) == "unknown_dev_eui"

    def test_another_join_eui_is_refused(self, bench, node):
        request = bytearray(node.join_request())
        request[1] ^= 1

        assert bench.refusal(bytes(request)) == "unknown_join_eui"

    def test_a_wrong_mic_is_refused_and_uses_up_nothing(self, bench, node):
        request = node.join_request()

        with pytest.raises(MicMismatch):
            bench.join(request[:-1] + bytes([request[-1] ^ 1]))

        assert bench.store.ledger.device(node.dev_eui).dev_nonce == -1
        bench.join(request)

    def test_a_short_request_is_malformed(self, bench, node):
        with pytest.raises(MalformedFrame):
            bench.join(node.join_request()[:-1])

    def test_a_frequency_outside_the_plan_is_not_answered(self, bench, node):
        assert bench.refusal(node.join_request(), frequency_hz=915_000_000) == "unknown_frequency"

    def test_a_data_rate_outside_the_plan_is_not_answered(self, bench, node):
        assert bench.refusal(node.join_request(), sf=5) == "unknown_data_rate"
