# SPDX-License-Identifier: EUPL-1.2
"""Downlinks of applications in the database: queued, sent one at a time, confirmed with bounded tries, known after."""

import sqlite3
from pathlib import Path

import pytest

import gateway
from decoders.downlink import DownlinkCommand, DownlinkEvent
from decoders.lorawan.frame import ACK, CONFIRMED_DOWN, F_PENDING, UNCONFIRMED_DOWN
from gateway.command import open_database
from gateway.downlink_queue import MOST_PER_DEVICE, DownlinkQueue
from gateway.errors import Refused
from gateway.radio import Priority
from tests.gateway.nodes import Node, new_store
from tests.gateway.server_bench import Bench

NOW = 1_770_964_782.0
LATER = NOW + 3600


def command(name="one", payload=b"\x01\x02", *, node=None, confirmed=False, expires_at=LATER):
    return DownlinkCommand(name, (node or Node()).dev_eui, 21, payload, confirmed, expires_at)


@pytest.fixture
def bench(tmp_path, node):
    return Bench(tmp_path, node)


def put(bench, *commands, now=NOW):
    with bench.store.transaction() as ledger:
        return [ledger.downlinks.put(item, now) for item in commands]


def settle(bench, variant, sent=True):
    with bench.store.transaction() as ledger:
        return ledger.downlinks.settle(variant.item, sent)


def opened(node, variant, f_cnt):
    frame = node.open_downlink(variant.phy_payload, f_cnt)
    return frame, frame.decrypt(node.nwk_s_key, node.app_s_key, f_cnt)


class TestQueue:
    def test_the_same_command_twice_is_one(self, bench):
        assert put(bench, command(), command(expires_at=LATER + 1)) == [True, False]

    @pytest.mark.parametrize(
        "other", [command(node=Node(2)), command(payload=b"\x01\x03"), command(confirmed=True)],
        ids=["node", "payload", "confirmed"],
    )  # fmt: skip
    def test_another_one_under_the_name_of_one_that_waits_is_refused(self, bench, other):
        put(bench, command())

        with pytest.raises(Refused) as refused:
            put(bench, other)

        assert refused.value.reason == "id_taken"

    @pytest.mark.parametrize(
        ("item", "reason"),
        [(command(node=Node(9)), "unknown_dev_eui"), (command(expires_at=NOW), "expired")],
    )
    def test_what_cannot_be_sent_is_refused_at_once(self, bench, item, reason):
        with pytest.raises(Refused) as refused:
            put(bench, item)

        assert refused.value.reason == reason

    def test_a_queue_has_an_end(self, bench):
        put(bench, *(command(f"c{n}") for n in range(MOST_PER_DEVICE)))

        with pytest.raises(Refused) as refused:
            put(bench, command("too many"))

        assert refused.value.reason == "queue_full"

    def test_it_outlasts_a_restart(self, bench, node):
        put(bench, command())
        bench.restart()

        assert bench.handle(node.uplink()).answer.variants[0].item is not None

    def test_what_was_on_its_way_at_a_crash_waits_again(self, bench, node):
        put(bench, command())
        bench.handle(node.uplink())
        assert bench.handle(node.uplink()).answer is None
        bench.restart()
        with bench.store.transaction() as ledger:
            ledger.downlinks.recover()

        assert bench.handle(node.uplink()).answer is not None

    def test_the_old_ones_expire(self, bench, node):
        put(bench, command("short", expires_at=NOW + 10), command("long"))
        with bench.store.transaction() as ledger:
            events = ledger.downlinks.expire(NOW + 10)

        assert events == [DownlinkEvent("short", node.dev_eui, "expired")]
        assert bench.handle(node.uplink()).answer is not None

    def test_a_removed_device_takes_its_downlinks_along(self, bench, node):
        put(bench, command())
        with bench.store.transaction() as ledger:
            ledger.remove(node.dev_eui)

            assert ledger.downlinks.held() == 0

    def test_one_may_be_taken_back(self, bench):
        put(bench, command())
        with bench.store.transaction() as ledger:
            assert ledger.downlinks.cancel("one") is True
            assert ledger.downlinks.cancel("one") is False


class TestKnownIds:
    """README.md "Downlinks": an id names one command, also after it has ended; MQTT QoS 1 may bring it twice."""

    def sent(self, bench, node, **command_fields):
        put(bench, command(**command_fields))
        (variant,) = bench.handle(node.uplink()).answer.variants
        settle(bench, variant)

    def result(self, bench, name="one"):
        return bench.store.ledger.downlinks.result(name)

    def test_one_that_was_sent_is_not_sent_again(self, bench, node):
        self.sent(bench, node)

        assert put(bench, command(expires_at=LATER + 9)) == [False]
        assert self.result(bench) == DownlinkEvent("one", node.dev_eui, "sent")
        assert bench.handle(node.uplink()).answer is None

    def test_one_that_waits_or_is_not_acknowledged_yet_has_no_result(self, bench, node):
        put(bench, command("waits"))

        assert self.result(bench, "waits") is None
        assert self.result(bench, "nobody's") is None
        with bench.store.transaction() as ledger:
            ledger.downlinks.cancel("waits")
        self.sent(bench, node, confirmed=True)
        assert self.result(bench) is None

    @pytest.mark.parametrize(
        ("f_ctrl", "state", "reason"), [(ACK, "acknowledged", ""), (0, "failed", "not_acknowledged")]
    )
    def test_a_confirmed_one_is_answered_with_its_end(self, bench, node, f_ctrl, state, reason):
        put(bench, command(confirmed=True))
        for _ in range(3):
            (variant,) = bench.handle(node.uplink()).answer.variants
            settle(bench, variant)
        bench.handle(node.uplink(f_ctrl=f_ctrl))

        assert put(bench, command(confirmed=True)) == [False]
        assert self.result(bench) == DownlinkEvent("one", node.dev_eui, state, reason)

    def test_one_that_has_expired_is_answered_with_that(self, bench, node):
        put(bench, command(expires_at=NOW + 10))
        with bench.store.transaction() as ledger:
            ledger.downlinks.expire(NOW + 10)

        assert put(bench, command(), now=NOW + 20) == [False]
        assert self.result(bench) == DownlinkEvent("one", node.dev_eui, "expired")

    def test_another_one_under_a_name_that_was_used_is_refused(self, bench, node):
        self.sent(bench, node)

        with pytest.raises(Refused) as refused:
            put(bench, command(payload=b"\x01\x03"))

        assert refused.value.reason == "id_taken"

    def test_one_that_was_taken_back_or_refused_may_be_asked_for_again(self, bench):
        put(bench, command())
        with bench.store.transaction() as ledger:
            ledger.downlinks.cancel("one")
        with pytest.raises(Refused):
            put(bench, command("two", expires_at=NOW))

        assert put(bench, command(), command("two")) == [True, True]

    def test_it_is_known_after_a_restart(self, bench, node):
        self.sent(bench, node)
        bench.restart()

        assert put(bench, command()) == [False]

    def test_only_so_many_are_kept_and_none_goes_that_waits(self, bench, node, monkeypatch):
        monkeypatch.setattr("gateway.downlink_queue._MOST_KNOWN", 5)
        put(bench, command("waits", node=node, confirmed=True))
        for n in range(20):
            put(bench, command(f"c{n}", expires_at=NOW + 1))
            with bench.store.transaction() as ledger:
                ledger.downlinks.expire(NOW + 1)

        (kept,) = bench.store.connection.execute("SELECT count(*) FROM commands").fetchone()

        assert kept == 6
        assert put(bench, command("waits", node=node, confirmed=True)) == [False]
        assert put(bench, command("c19", expires_at=LATER)) == [False]
        assert put(bench, command("c3", expires_at=LATER)) == [True]

    def test_what_waited_at_an_update_is_known_afterwards(self, tmp_path):
        connection = sqlite3.connect(tmp_path / "before.sqlite3", isolation_level=None)
        for path in sorted((Path(gateway.__file__).parent / "migrations").glob("000*.sql")):
            connection.executescript(path.read_text("utf-8"))
        connection.execute(
            "INSERT INTO devices (dev_eui, join_eui, app_key, profile, name) VALUES ('a', 'b', x'', 't', '')"
        )
        connection.execute(
            "INSERT INTO downlinks (command_id, dev_eui, f_port, frm_payload, confirmed, expires_at) "
            "VALUES ('one', 'a', 21, x'0102', 0, 1e10)"
        )
        connection.executescript((Path(gateway.__file__).parent / "migrations/0010_commands.sql").read_text("utf-8"))

        queue = DownlinkQueue(connection)

        assert queue.put(DownlinkCommand("one", "a", 21, b"\x01\x02", False, 1e10), NOW) is False
        connection.close()


class TestFrames:
    """TS001-1.0.4 "MAC Frame Formats": FPort, FPending, confirmed and not."""

    def test_any_uplink_takes_the_next_one_along(self, bench, node):
        put(bench, command(payload=b"\x05\x06"))

        answer = bench.handle(node.uplink()).answer

        (variant,) = answer.variants
        frame, payload = opened(node, variant, 0)
        assert (frame.m_type, frame.f_port, payload) == (UNCONFIRMED_DOWN, 21, b"\x05\x06")
        assert frame.fhdr.f_ctrl == 0
        assert answer.priority == Priority.APPLICATION

    def test_f_pending_says_that_more_waits(self, bench, node):
        put(bench, command("one"), command("two"))

        (variant,) = bench.handle(node.uplink()).answer.variants

        assert opened(node, variant, 0)[0].fhdr.f_ctrl == F_PENDING

    def test_an_ack_has_a_frame_of_its_own_to_fall_back_to(self, bench, node):
        put(bench, command(payload=bytes(51)))

        full, bare = bench.handle(node.uplink(confirmed=True)).answer.variants

        frame, payload = opened(node, full, 0)
        assert (frame.fhdr.f_ctrl, payload) == (ACK, bytes(51))
        frame, payload = opened(node, bare, 1)
        assert (frame.fhdr.f_ctrl, frame.f_port, payload) == (ACK | F_PENDING, None, b"")
        assert (full.priority, bare.priority) == (Priority.APPLICATION, Priority.ACK)

    def test_mac_answers_leave_no_room_for_a_long_payload_and_go_first(self, bench, node):
        put(bench, command(payload=bytes(51)))

        (bare,) = bench.handle(node.uplink(f_opts=b"\x0d")).answer.variants

        frame, _ = opened(node, bare, 0)
        assert (frame.fhdr.f_opts[0], frame.fhdr.f_ctrl) == (0x0D, F_PENDING)
        (variant,) = bench.handle(node.uplink()).answer.variants
        assert variant.item is not None

    def test_every_frame_fits_the_slowest_data_rate(self, bench, node):
        """RP002-1.0.4 "EU863-870 Maximum Payload Size": DR0 carries a MACPayload of 59 bytes."""
        for size in range(52):
            put(bench, command(f"c{size}", bytes(size)))
            answer = bench.handle(node.uplink(confirmed=True, f_opts=b"\x0d")).answer
            assert all(len(variant.phy_payload) - 5 <= 59 for variant in answer.variants)
            for variant in answer.variants:
                if variant.item is not None:
                    settle(bench, variant)
            with bench.store.transaction() as ledger:
                ledger.downlinks.cancel(f"c{size}")


class TestConfirmed:
    """TS001-1.0.4 "Confirmed frame": the next uplink says whether it arrived."""

    def sent(self, bench, node, **uplink):
        (variant,) = bench.handle(node.uplink(**uplink)).answer.variants
        assert settle(bench, variant).state == "sent"
        return variant

    def test_an_acknowledged_one_is_done(self, bench, node):
        put(bench, command(confirmed=True))
        variant = self.sent(bench, node)
        assert opened(node, variant, 0)[0].m_type == CONFIRMED_DOWN

        accepted = bench.handle(node.uplink(f_ctrl=ACK))

        assert accepted.event == DownlinkEvent("one", node.dev_eui, "acknowledged")
        assert accepted.answer is None

    def test_it_is_sent_again_under_a_new_counter_and_then_given_up(self, bench, node):
        put(bench, command(confirmed=True))
        counters = [opened(node, self.sent(bench, node), n)[0].fhdr.f_cnt for n in range(3)]

        accepted = bench.handle(node.uplink())

        assert counters == [0, 1, 2]
        assert accepted.event == DownlinkEvent("one", node.dev_eui, "failed", "not_acknowledged")
        assert accepted.answer is None

    def test_a_repetition_of_the_uplink_says_nothing_about_it(self, bench, node):
        put(bench, command(confirmed=True))
        phy_payload = node.uplink()
        (variant,) = bench.handle(phy_payload, tmst_us=0).answer.variants
        settle(bench, variant)

        again = bench.handle(phy_payload, tmst_us=5_000_000)

        assert again.answer is None
        assert bench.handle(node.uplink(f_ctrl=ACK)).event.state == "acknowledged"

    def test_an_ack_under_a_new_session_is_not_for_the_old_one(self, bench, node):
        put(bench, command(confirmed=True))
        self.sent(bench, node)
        bench.join()

        accepted = bench.handle(node.uplink(f_ctrl=ACK))

        assert accepted.event is None
        assert accepted.answer.variants[0].item is not None

    def test_an_unsent_one_costs_no_try(self, bench, node):
        put(bench, command(confirmed=True))
        for _ in range(5):
            (variant,) = bench.handle(node.uplink()).answer.variants
            assert settle(bench, variant, sent=False) is None

        self.sent(bench, node)


class TestRestart:
    """TS001-1.0.4 "Class C": the time in which such a node must acknowledge goes on."""

    def test_what_was_sent_before_a_restart_is_waited_for_after_it(self, tmp_path, bench, node):
        put(bench, command(confirmed=True))
        with bench.store.transaction() as ledger:
            (item,) = ledger._db.execute("SELECT id FROM downlinks").fetchone()
            ledger.downlinks.give(item, 7)
            ledger.downlinks.settle(item, True)

            assert ledger.downlinks.awaiting(node.dev_eui) == (item, 1)
            assert ledger.downlinks.unanswered(item, 2) is None
            assert ledger.downlinks.next(node.dev_eui, NOW)[0].tries == 1
            assert ledger.downlinks.unanswered(item, 2) is None  # it is on its way again: nothing to give up
            ledger.downlinks.give(item, 7)
            ledger.downlinks.settle(item, True)
            assert ledger.downlinks.unanswered(item, 2).state == "failed"


def test_commands_are_kept_in_the_gateway_s_own_file(tmp_path):
    config, store = new_store(tmp_path, [Node()])
    with store.transaction() as ledger:
        ledger.downlinks.put(command(), NOW)
    store.close()
    again = open_database(config)

    assert again.ledger.downlinks.held() == 1
    again.close()
