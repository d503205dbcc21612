# SPDX-License-Identifier: EUPL-1.2
"""hardware.update_session: the technician's side, against messages as decoders/console_frame.py lists them."""

import hashlib
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders import console_frame as frames
from decoders.bundle_builder import build_bundle
from hardware.update_session import (
    FellSilent,
    NoAnswer,
    NotABundle,
    OtherProtocol,
    Refused,
    Session,
    Stage,
    UpdateFailed,
)

MODULES = {"firmware/app.mpy": bytes(range(256)), "firmware/boards/this.mpy": b"this"}
BUNDLE = build_bundle(3, "heltec_v3", MODULES, lambda _header: (1, 2))


def info(board="heltec_v3", version=2, trial=0, piece=100, protocol=1):
    return frames.serialize(frames.INFO, struct.pack("<BBII16s", protocol, piece, version, trial, board.encode()))


def held(count):
    return frames.serialize(frames.HELD, struct.pack("<I", count))


def said(session, now_s):
    """The one message that is sent now, None if there is none."""
    messages = frames.FrameReader().feed(session.poll(now_s))
    assert len(messages) <= 1
    return messages[0] if messages else None


@pytest.fixture
def session():
    return Session(BUNDLE, 0.0)


class TestCalling:
    def test_it_calls_five_times_a_second(self, session):
        calls = [n for n in range(64) if said(session, n / 64) == (frames.HELLO, b"\x01")]

        assert calls == [0, 13, 26, 39, 52]

    def test_nobody_in_time_is_an_error(self, session):
        session.poll(60.0)

        with pytest.raises(NoAnswer, match="no node has answered within 60 s: press its reset button"):
            session.poll(60.1)

    def test_without_a_bundle_it_asks_and_says_good_bye(self):
        session = Session(None, 0.0)

        session.receive(info(version=7, trial=8), 1.0)

        assert (session.info.board, session.info.version, session.info.trial) == ("heltec_v3", 7, 8)
        assert session.stage is Stage.DONE
        assert said(session, 1.0) == (frames.BYE, b"")
        assert said(session, 9.0) is None


class TestOffer:
    def test_size_and_digest_are_offered(self, session):
        session.receive(info(), 1.0)

        digest = hashlib.sha256(BUNDLE).digest()
        assert said(session, 1.0) == (frames.BEGIN, len(BUNDLE).to_bytes(4, "little") + digest[:8])

    @pytest.mark.parametrize(
        ("node", "text"),
        [
            ({"board": "pico_waveshare"}, "the node refuses: the bundle is for heltec_v3, this is a pico_waveshare"),
            ({"version": 4}, "the node refuses: the bundle is version 3, the node has 4 already"),
        ],
    )
    def test_what_the_node_would_refuse_is_not_offered(self, session, node, text):
        with pytest.raises(Refused) as refused:
            session.receive(info(**node), 1.0)

        assert str(refused.value) == text

    @pytest.mark.parametrize("node", [{"version": 3}, {"trial": 3}])
    def test_a_node_that_has_it_is_done(self, session, node):
        session.receive(info(**node), 1.0)

        assert (session.stage, session.installed) == (Stage.DONE, None)

    @pytest.mark.parametrize("node", [{"protocol": 2}, {"piece": 0}, {"piece": 173}])
    def test_another_protocol_is_said(self, session, node):
        with pytest.raises(OtherProtocol):
            session.receive(info(**node), 1.0)


class TestSending:
    def test_pieces_follow_from_where_the_node_is(self, session):
        session.receive(info(), 1.0)

        session.receive(held(40), 2.0)

        assert session.resumed_at == 40
        assert said(session, 2.0) == (frames.DATA, b"\x28\0\0\0" + BUNDLE[40:140])
        session.receive(held(140), 2.1)
        assert said(session, 2.1) == (frames.DATA, b"\x8c\0\0\0" + BUNDLE[140:240])

    def test_what_is_not_answered_is_said_again_each_second(self, session):
        session.receive(info(), 1.0)
        session.receive(held(0), 2.0)

        times = [n for n in range(20, 60) if said(session, n / 10) is not None]

        assert times == [20, 30, 40, 50]

    def test_an_answer_that_comes_twice_doubles_nothing(self, session):
        session.receive(info(), 1.0)
        session.receive(held(0), 2.0)
        session.receive(held(100), 2.1)
        said(session, 2.1)

        session.receive(held(100), 2.2)

        assert said(session, 2.2) is None

    def test_a_node_that_falls_silent_is_an_error_that_says_how_far_it_is(self, session):
        session.receive(info(), 1.0)
        session.receive(held(len(BUNDLE) // 2), 2.0)
        session.poll(17.0)

        with pytest.raises(FellSilent, match=r"stopped answering at .. %: run this again, it goes on from there"):
            session.poll(17.1)

    def test_after_the_last_piece_the_end_is_said_until_it_is_installed(self, session):
        session.receive(info(), 1.0)
        session.receive(held(0), 2.0)
        session.receive(held(len(BUNDLE)), 3.0)

        assert said(session, 3.0) == (frames.END, b"")
        session.receive(frames.serialize(frames.WORKING), 3.1)
        assert said(session, 120.0) == (frames.END, b"")
        session.receive(frames.serialize(frames.INSTALLED, b"\x03\0\0\0"), 120.5)
        assert (session.stage, session.installed) == (Stage.DONE, 3)
        assert said(session, 120.5) == (frames.BYE, b"")

    @pytest.mark.parametrize(
        ("reason", "text"),
        [
            (
                b"no_key",
                "the node refuses: it has no key for updates: write update_key.bin to it first (docs/update.md)",
            ),
            (
                b"bad_signature",
                "the node refuses: the bundle is signed with another key than the node's, or was changed",
            ),
            (b"no_room", "the node refuses: its flash is full"),
            (b"not_newer", "the node refuses: the bundle is version 3, the node has 2 already"),
            (b"something_new", "the node refuses: something_new"),
        ],
    )
    def test_a_refusal_is_one_line(self, session, reason, text):
        session.receive(info(), 1.0)
        session.receive(held(0), 2.0)

        with pytest.raises(Refused) as refused:
            session.receive(frames.serialize(frames.REFUSED, reason), 3.0)

        assert str(refused.value).startswith(text)
        assert "\n" not in str(refused.value)


class TestBundle:
    @pytest.mark.parametrize("content", [b"", b"PK\3\4" + bytes(600), BUNDLE[:-1], BUNDLE + b"\0", BUNDLE[:50]])
    def test_what_is_none_is_not_sent(self, content):
        with pytest.raises(NotABundle):
            Session(content, 0.0)


MESSAGES = st.one_of(
    st.builds(frames.serialize, st.integers(0, 11), st.binary(max_size=30)),
    st.builds(held, st.integers(0, 0xFFFFFFFF)),
    st.builds(info, version=st.integers(0, 5), trial=st.integers(0, 5), piece=st.integers(0, 255)),
    st.binary(max_size=30),
)


@given(messages=st.lists(MESSAGES, max_size=12))
def test_whatever_a_node_says_it_ends_or_fails_as_its_tree_says(messages):
    session = Session(BUNDLE, 0.0)
    with suppress(UpdateFailed):
        for n, message in enumerate(messages):
            session.receive(message, float(n))
            assert len(session.poll(float(n))) <= frames.LONGEST_LINE
