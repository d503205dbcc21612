# SPDX-License-Identifier: EUPL-1.2
"""The network server: one data uplink through a list of named steps, values in and values out.

    parse -> find_session (address, counter, MIC, decrypt) -> tell_copy_from_replay -> advance_up
          -> decode -> append | quarantine -> settle the last downlink -> answer_commands -> an answer

The first copy of a frame is handled at once, also when it comes late, after that of a newer frame (replay_window.py);
later copies only add who heard it. When and through whom an answer goes is the scheduler's (downlinks.py). Runs inside
the store's transaction: the frame counter and the reading are stored together or not at all. TS001-1.0.4 "MAC frame
formats".
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from decoders.downlink import DownlinkEvent
from decoders.lorawan import mac_commands
from decoders.lorawan.errors import MicMismatch
from decoders.lorawan.frame import ACK, ADR_ACK_REQ, CONFIRMED_UP, DataFrame, verify_data
from decoders.lorawan.region import RECEIVE_DELAY1_MS
from decoders.uplink import UplinkKey
from gateway.copies import Copies
from gateway.downlink_frames import variants
from gateway.errors import Refused
from gateway.radio import FLOOR_DB, Answer, Reception, windows_after
from gateway.readings import keep
from gateway.replay_window import is_late_first
from gateway.store import Ledger, Payload, Session

_MAX_F_CNT = 0xFFFF_FFFF
_MAX_F_OPTS = 15


class Accepted(NamedTuple):
    """An uplink whose counter and content are stored. ``problem``: why its payload is in quarantine, or "".

    ``event``: what this uplink says about the last downlink of an application.
    """

    key: UplinkKey
    f_port: int | None
    data_rate: int
    rssi_dbm: float
    stored: bool
    problem: str
    answer: Answer | None
    event: DownlinkEvent | None = None


class Copy(NamedTuple):
    """An accepted uplink again; ``answer`` repeats the answer where the node itself has sent the frame again."""

    key: UplinkKey
    answer: Answer | None


class Opened(NamedTuple):
    """A frame with its session, its full counter, and its plain payload."""

    frame: DataFrame
    session: Session
    f_cnt: int
    frm_payload: bytes

    @property
    def key(self) -> UplinkKey:
        return UplinkKey(self.session.dev_eui, self.session.session, self.f_cnt)


class NetworkServer:
    """Handles the data uplinks of all devices of a ledger."""

    def __init__(self, gateway_eui: str, duplicate_window_s: float, boot_id: str, confirmed_tries: int = 3) -> None:
        self._gateway_eui = gateway_eui
        self._boot_id = boot_id
        self._confirmed_tries = confirmed_tries
        self._copies = Copies(duplicate_window_s)

    def handle(self, reception: Reception, ledger: Ledger) -> Accepted | Copy:
        """Take one uplink through the steps; raises Refused, MalformedFrame or MicMismatch."""
        data_rate = reception.data_rate
        digest = hashlib.sha256(reception.phy_payload).digest()[:8]
        frame = DataFrame.parse(reception.phy_payload)
        opened = find_session(reception.phy_payload, frame, ledger.sessions(frame.fhdr.dev_addr))
        session, f_cnt = opened.session, opened.f_cnt
        if is_late_first(session.f_cnt_up, session.seen, f_cnt):
            ledger.fill_in(session, f_cnt)
            stored, problem = self._keep(opened, reception, ledger)
            self._copies.begin(session.id, f_cnt, digest, reception)
            return Accepted(opened.key, frame.f_port, data_rate, reception.rssi_dbm, stored, problem, None)
        if f_cnt <= session.f_cnt_up:
            sent_again = self._copies.tell_copy_from_replay(session, f_cnt, digest, reception)
            return Copy(opened.key, self._answer(opened, reception, f_cnt, ledger) if sent_again else None)
        ledger.advance_up(session, f_cnt, digest, reception.received_at)
        stored, problem = self._keep(opened, reception, ledger)
        acked = bool(frame.fhdr.f_ctrl & ACK)
        event = ledger.downlinks.heard(session.dev_eui, session.session, acked, self._confirmed_tries)
        answer = self._answer(opened, reception, session.f_cnt_up, ledger)
        self._copies.begin(session.id, f_cnt, digest, reception)
        return Accepted(opened.key, frame.f_port, data_rate, reception.rssi_dbm, stored, problem, answer, event)

    def _keep(self, opened: Opened, reception: Reception, ledger: Ledger) -> tuple[bool, str]:
        """Put the readings into the outbox, or the payload into quarantine or the waiting room; (stored, problem)."""
        if not opened.frame.f_port:  # none, or MAC commands
            return False, ""
        payload = Payload(opened.key, opened.frame.f_port, opened.session.profile, opened.frm_payload)
        if reception.gps_ms is None:
            ledger.wait_for_time(payload, self._boot_id, reception.received_at)
            return True, ""
        problem = keep(ledger, self._gateway_eui, payload, reception.gps_ms, reception.received_at)
        return not problem, problem

    def _answer(self, opened: Opened, reception: Reception, heard_f_cnt: int, ledger: Ledger) -> Answer | None:
        """What the node is owed, or what waits for it; uses up downlink counter values.

        ``heard_f_cnt`` is the uplink by which concentrators are counted: with no wait for copies, that of this one
        is not yet known.
        """
        heard = max(1, self._copies.concentrators(opened.session.id, heard_f_cnt))
        f_opts = answer_commands(opened, reception, heard)
        ack = opened.frame.m_type == CONFIRMED_UP
        owed = bool(f_opts or ack or opened.frame.fhdr.f_ctrl & ADR_ACK_REQ)
        now = None if reception.gps_ms is None else reception.received_at
        frames = variants(ledger, opened.session, owed=owed, ack=ack, f_opts=f_opts, now=now)
        if not frames:
            return None
        return Answer(opened.session.dev_eui, windows_after(reception, RECEIVE_DELAY1_MS), frames)


def find_session(phy_payload: bytes, frame: DataFrame, sessions: Sequence[Session]) -> Opened:
    """Whose frame it is, by the MIC under each candidate key and counter; raises Refused or MicMismatch."""
    if not sessions:
        raise Refused("unknown_dev_addr")
    for session in sessions:
        for f_cnt in candidate_counters(session.f_cnt_up, frame.fhdr.f_cnt):
            try:
                verify_data(phy_payload, session.nwk_s_key, f_cnt)
            except MicMismatch:
                continue
            return Opened(frame, session, f_cnt, frame.decrypt(session.nwk_s_key, session.app_s_key, f_cnt))
    raise MicMismatch


def candidate_counters(last: int, low_16: int) -> list[int]:
    """The 32-bit counters that 16 bits on air may stand for, after ``last`` (-1: none), the likelier one first.

    TS001-1.0.4 "Frame counter (FCnt)". There is the next one above ``last``, up to 65,535 lost frames away, and
    the nearest one not above it: a copy or a replay.
    """
    if last < 0:
        return [low_16]
    near = last & ~0xFFFF | low_16
    above, below = (near, near - 0x1_0000) if near > last else (near + 0x1_0000, near)
    order = (below, above) if below == last else (above, below)
    return [f_cnt for f_cnt in order if 0 <= f_cnt <= _MAX_F_CNT]


def answer_commands(opened: Opened, reception: Reception, concentrators: int) -> bytes:
    """FOpts that answer the node's requests, in their order, whole answers only."""
    fhdr, payload = opened.frame.fhdr, opened.frm_payload
    answers = b""
    for command, _ in mac_commands.parse_uplink(payload if opened.frame.f_port == 0 else fhdr.f_opts):
        if command == mac_commands.DEVICE_TIME:
            if reception.gps_ms is None:  # better no time than a wrong one
                continue
            gps_s, rest_ms = divmod(reception.gps_ms, 1000)
            answer = mac_commands.device_time_ans(gps_s, rest_ms * 256 // 1000)
        elif command == mac_commands.LINK_CHECK:
            margin_db = int(max(0.0, reception.snr_db - FLOOR_DB[reception.sf]))
            answer = mac_commands.link_check_ans(min(margin_db, 254), min(concentrators, 255))
        else:  # answers to requests that this server never sends
            continue
        if len(answers) + len(answer) > _MAX_F_OPTS:
            break
        answers += answer
    return answers
