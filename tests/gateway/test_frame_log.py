# SPDX-License-Identifier: EUPL-1.2
"""The frame log: rings that stay small, and words that a technician understands."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoders.lorawan.frame import DataFrame, Fhdr
from gateway.frame_log import MOST_FRAMES, FrameLog, Join, RefusedData, Uplink, When, heard_by
from gateway.frame_objects import as_object
from gateway.frame_words import describe, when
from gateway.radio import Order, Priority, Slot
from tests.gateway.nodes import Node, reception, tree_payload

NODE = "70b3d57ed1000001"
AT = When(1_770_964_782.5, 1000.0)


def uplink(node=None, at=AT, f_cnt=0, **fields):
    node = node or Node()
    heard = reception(node.uplink(f_cnt=f_cnt, **fields))
    return Uplink(at, heard, f_cnt, tree_payload(), "tree", "", [heard_by(heard)])


def refused_join(node, reason, at=AT):
    heard = reception(node.join_request())
    return Join(at, heard, reason, None, [heard_by(heard)])


def order(phy_payload, *, rx1=True, rx2=False, number=1, tmst_us=1_000_000):
    return Order(
        number, "0016c001ff10b001", NODE, tmst_us, 0, Slot(1000, 868_300_000, 3) if rx1 else None,
        Slot(2000, 869_525_000, 0) if rx2 else None, False, 14, Priority.ACK, phy_payload,
    )  # fmt: skip


def answer(f_opts=b"", f_cnt=5, f_ctrl=0x20):
    return DataFrame(0b011, Fhdr(0x01000000, f_ctrl, f_cnt, f_opts), None, b"").serialize(bytes(16), bytes(16), f_cnt)


class TestRings:
    def test_the_last_fifty_of_a_node_are_kept(self):
        log = FrameLog()
        for f_cnt in range(80):
            log.uplink(NODE, 1, uplink(f_cnt=f_cnt))

        assert [entry.f_cnt for entry in log.frames(NODE, 200)] == list(range(30, 80))
        assert [entry.f_cnt for entry in log.frames(NODE, 2)] == [78, 79]
        assert log.frames(NODE, 0) == []

    def test_many_nodes_share_the_memory(self):
        log = FrameLog()
        entry = uplink()
        for round_ in range(30):
            for n in range(2000):
                log.uplink(f"{n:016x}", n, Uplink(entry.at, entry.reception, round_, b"", "tree", "", []))

        assert len(log) <= MOST_FRAMES
        assert len(log.frames(f"{7:016x}", 100)) == 8

    def test_who_is_asked_about_keeps_more_for_an_hour(self):
        log = FrameLog()
        log.watch(NODE, 1000.0)
        for f_cnt in range(300):
            log.uplink(NODE, 1, uplink(f_cnt=f_cnt))
        assert len(log.frames(NODE, 1000)) == 200

        log.uplink(NODE, 1, uplink(f_cnt=300, at=When(None, 5000.0)))

        assert len(log.frames(NODE, 1000)) == 50

    @settings(max_examples=10, deadline=None)
    @given(st.integers(0, 1 << 32))
    def test_no_flood_of_strangers_makes_it_grow_or_hides_whom_somebody_looks_for(self, seed):
        log = FrameLog()
        log.watch(NODE, 1000.0)
        for n in range(3000):
            node = Node()
            if n == 5:
                log.join_of_stranger(NODE, refused_join(node, "unknown_dev_eui"))
            log.join_of_stranger(f"{seed + n * 7919:016x}", refused_join(node, "unknown_dev_eui"))

        assert len(log) <= 256 * 8
        assert len(log.frames(NODE, 10)) == 1
        assert len(list(log.strangers())) == 256

    def test_what_others_send_in_its_name_pushes_out_little(self):
        log, node = FrameLog(), Node()
        log.uplink(NODE, 0x01000000, uplink(f_cnt=7))
        for _ in range(500):
            log.join(NODE, refused_join(node, "mic_mismatch"))
            log.refused_data(0x01000000, RefusedData(AT, uplink().reception, "replay", []))

        assert log.frames(NODE, 100)[0].f_cnt == 7
        assert len(log) == 11

    def test_a_device_that_is_registered_takes_its_past_along_and_one_removed_leaves_nothing(self):
        log, node = FrameLog(), Node()
        log.join_of_stranger(NODE, refused_join(node, "unknown_dev_eui"))
        log.keep_only(frozenset((NODE,)))
        assert list(log.strangers()) == []
        assert len(log.frames(NODE, 10)) == 1

        log.keep_only(frozenset())

        assert log.frames(NODE, 10) == []


class TestFollowing:
    def test_an_uplink_is_settled_when_no_copy_can_come_any_more(self):
        log, entry = FrameLog(), uplink()
        log.uplink(NODE, 1, entry)
        assert log.settled_after(NODE, 0, 1001.0) == []

        log.copy(NODE, entry.reception._replace(concentrator="0016c001ff10b002", rssi_dbm=-110.0))

        (settled,) = log.settled_after(NODE, 0, 1002.0)
        assert [by.concentrator for by in settled.heard_by] == ["0016c001ff10b001", "0016c001ff10b002"]
        assert log.settled_after(NODE, settled.seq, 1002.0) == []

    def test_nothing_overtakes_a_downlink_that_is_still_open(self):
        log = FrameLog()
        log.uplink(NODE, 1, uplink(f_cnt=0))
        log.ordered(AT, order(answer()))
        log.uplink(NODE, 1, uplink(f_cnt=1))

        assert len(log.settled_after(NODE, 0, 1005.0)) == 1
        log.sent(NODE, answer())
        assert len(log.settled_after(NODE, 0, 1005.0)) == 3

    def test_one_that_nobody_ever_answers_is_given_up(self):
        log = FrameLog()
        log.ordered(AT, order(answer()))

        assert len(log.settled_after(NODE, 0, 1020.0)) == 1


class TestWords:
    def test_an_uplink(self):
        frame = as_object(uplink(f_cnt=17, f_opts=b"\x03\x07\x06\xc8\x3a", f_ctrl=0x80))

        assert (frame["f_cnt"], frame["f_port"], frame["data_rate"]) == (17, 2, 3)
        assert describe(frame) == [
            "uplink f_cnt=17 f_port=2 adr",
            "DR3 868.300 MHz 30 bytes <- 0016c001ff10b001 -97 dBm SNR 5.0 dB",
            "LinkADRAns channel_mask_ok=1 data_rate_ok=1 tx_power_ok=1",
            "DevStatusAns battery=200 margin_db=-6",
            "Battery voltage 3.612 V (2026-02-13 06:39:42Z)",
            "Soil moisture 23.45 % (2026-02-13 06:39:42Z)",
            "Soil temperature 12.5 °C (2026-02-13 06:39:42Z)",
            "Surface temperature -3.25 °C (2026-02-13 06:39:42Z)",
        ]
        assert when(frame) == "2026-02-13 06:39:42Z"

    def test_an_uplink_as_a_german_reads_it_on_a_page(self):
        """Its numbers with a comma; its times those of Jena, an hour ahead of UTC in winter."""
        frame, jena = as_object(uplink(f_cnt=17)), ZoneInfo("Europe/Berlin")

        assert describe(frame, "de", jena)[:3] == [
            "uplink f_cnt=17 f_port=2",
            "DR3 868,300 MHz 25 Byte <- 0016c001ff10b001 -97 dBm SNR 5,0 dB",
            "Batteriespannung 3,612 V (2026-02-13 07:39:42)",
        ]
        assert when(frame, jena) == "2026-02-13 07:39:42"

    @pytest.mark.parametrize(
        ("language", "words"),
        [
            ("en", "and 4 older values back to 2026-02-13 05:39:42Z"),
            ("de", "und 4 ältere Werte bis zurück zu 2026-02-13 05:39:42Z"),
        ],
    )
    def test_of_the_samples_that_an_uplink_carries_again_it_is_said_how_many(self, language, words):
        frame = as_object(uplink())
        newest = describe(frame, language)
        frame["readings"] += [reading | {"at": "2026-02-13T05:39:42.000+00:00"} for reading in frame["readings"]]

        assert describe(frame, language) == [*newest, words]

    def test_a_payload_that_no_layout_of_its_profile_reads_is_only_measured(self):
        entry = uplink(payload=b"\x01secret", f_port=77)
        entry.frm_payload = b"\x01secret"

        assert describe(as_object(entry))[-1] == "payload 7 bytes"

    def test_while_nobody_knows_the_time(self):
        assert when(as_object(uplink(at=When(None, 61.25)))) == "boot +61.2 s"

    @pytest.mark.parametrize(
        ("reason", "language", "head"),
        [
            ("mic_mismatch", "en", "join refused: MIC wrong: the AppKey of node and gateway differ"),
            ("mic_mismatch", "de", "Join abgelehnt: MIC falsch: der AppKey von Knoten und Gateway ist verschieden"),
            (
                "unknown_dev_eui", "en",
                "join refused: this DevEUI is not registered here: stadtfunk gateway devices add",
            ),
            (
                "dev_nonce_reused", "en",
                "join refused: DevNonce has not risen: was the node's memory erased? stadtfunk gateway devices rearm",
            ),
        ],
    )  # fmt: skip
    def test_a_refused_join_says_why(self, reason, language, head):
        lines = describe(as_object(refused_join(Node(), reason)), language)

        assert lines[:2] == [head, "join_eui=70b3d57ed0000000 dev_nonce=0"]

    def test_a_downlink_with_its_window_its_time_and_its_end(self):
        log = FrameLog()
        log.uplink(NODE, 1, uplink())
        log.ordered(AT, order(answer(b"\x03\x51\x07\x00\x01")))
        log.failed(order(b""), "collision_packet")

        assert describe(as_object(log.frames(NODE, 1)[0])) == [
            "downlink f_cnt=5 ack: not sent: another frame is in the way",
            "RX1 DR3 868.300 MHz 17 bytes 14 dBm -> 0016c001ff10b001 (2026-02-13 06:39:43.500Z)",
            "LinkADRReq data_rate=5 tx_power=1 channel_mask=7 channel_mask_control=0 nb_trans=1",
        ]

    @pytest.mark.parametrize(("sent_hz", "window"), [(None, "RX1 or RX2"), (868_300_000, "RX1"), (869_525_000, "RX2")])
    def test_a_station_that_had_both_windows_says_which_it_took(self, sent_hz, window):
        log = FrameLog()
        log.ordered(AT, order(answer(), rx2=True))
        log.confirmed(NODE, 1, sent_hz)
        log.sent(NODE, answer())

        frame = as_object(log.frames(NODE, 1)[0])
        assert (frame["window"], frame["result"]) == (window, "sent")

    def test_a_join_accept_and_an_answer_that_nobody_could_send(self):
        log = FrameLog()
        log.ordered(AT, order(b"\x20" + bytes(16)))
        log.dropped(AT, NODE, "duty_cycle")
        accept, dropped = (as_object(entry) for entry in log.frames(NODE, 2))

        assert describe(accept)[0] == "downlink Join-Accept: still open"
        assert describe(dropped, "de") == ["keine Antwort: nicht gesendet: Sendezeit der Stunde verbraucht"]

    def test_what_has_failed_already_is_not_told_twice(self):
        log = FrameLog()
        log.ordered(AT, order(answer()))
        log.failed(order(b""), "too_late")
        log.dropped(AT, NODE, "too_late")

        assert [as_object(entry)["kind"] for entry in log.frames(NODE, 9)] == ["downlink"]
