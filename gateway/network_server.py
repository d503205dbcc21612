# SPDX-License-Identifier: EUPL-1.2
"""The network server: one data uplink through a list of named steps, values in and values out.

    parse -> find_session (address, counter, MIC, decrypt) -> tell_copy_from_replay -> advance_up
          -> decode -> append | quarantine -> settle the last downlink
          -> control (what the node answers, its link) -> answer_commands -> what to ask for -> an answer

The first copy of a frame is handled at once, also when it comes late, after that of a newer frame (replay_window.py);
later copies only add who heard it, and most of them need no transaction (``copy``). When and through whom an answer
goes is the scheduler's (downlinks.py). ``handle`` runs inside the store's transaction: the frame counter and the
reading are stored together or not at all. TS001-1.0.4 "MAC frame formats".
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from decoders.downlink import DownlinkEvent
from decoders.lorawan import mac_commands
from decoders.lorawan.errors import MicMismatch
from decoders.lorawan.frame import ACK, ADR, ADR_ACK_REQ, CONFIRMED_UP, DataFrame, verify_data
from decoders.records import UplinkKey
from gateway import adr, mac_control
from gateway.copies import Copies
from gateway.downlink_frames import variants
from gateway.errors import Refused
from gateway.mac_control import State, Wanted
from gateway.radio import FLOOR_DB, Answer, Reception, windows_after
from gateway.readings import keep
from gateway.reception_time import Moment
from gateway.replay_window import is_late_first
from gateway.store import Ledger, Payload, Session

_MAX_F_CNT = 0xFFFF_FFFF
_MAX_F_OPTS = 15
_AS_BY_DEFAULT = Wanted()


class Accepted(NamedTuple):
    """An uplink whose counter and content are stored. ``problem``: why its payload is in quarantine, or "".

    ``event``: what this uplink says about the last downlink of an application. ``frm_payload`` is plain.
    """

    key: UplinkKey
    f_port: int | None
    data_rate: int
    rssi_dbm: float
    stored: bool
    problem: str
    answer: Answer | None
    event: DownlinkEvent | None = None
    frm_payload: bytes = b""
    profile: str = ""


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

    def __init__(
        self,
        gateway_eui: str,
        duplicate_window_s: float,
        boot_id: str,
        confirmed_tries: int = 3,
        wanted: Wanted = _AS_BY_DEFAULT,
        adapt: bool = True,
    ) -> None:
        self._wanted = wanted
        self._adapt = adapt
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
            self._copies.begin(opened.key, digest, reception)
            return Accepted(
                opened.key, frame.f_port, data_rate, reception.rssi_dbm, stored, problem, None, None,
                opened.frm_payload, session.profile,
            )  # fmt: skip
        if f_cnt <= session.f_cnt_up:
            sent_again = self._copies.tell_copy_from_replay(session, f_cnt, digest, reception)
            if not sent_again:
                return Copy(opened.key, None)
            state = mac_control.parse(session.mac)
            return Copy(opened.key, self._answer(opened, reception, f_cnt, state, ledger))
        ledger.advance_up(session, f_cnt, digest, reception.received_at)
        stored, problem = self._keep(opened, reception, ledger)
        acked = bool(frame.fhdr.f_ctrl & ACK)
        event = ledger.downlinks.heard(session.dev_eui, session.session, acked, self._confirmed_tries)
        state = self._control(opened, reception, ledger)
        answer = self._answer(opened, reception, session.f_cnt_up, state, ledger)
        self._copies.begin(opened.key, digest, reception)
        if answer is not None:
            self._copies.answered(opened.key)
        return Accepted(
            opened.key, frame.f_port, data_rate, reception.rssi_dbm, stored, problem, answer, event,
            opened.frm_payload, session.profile,
        )  # fmt: skip

    def stored(self, key: UplinkKey, phy_payload: bytes) -> None:
        """The transaction in which this uplink was accepted is on the disk. Any thread."""
        self._copies.stored(key, phy_payload)

    def copy(self, reception: Reception) -> Copy | None:
        """A copy of a stored uplink, which needs no transaction; None: ``handle`` must look at it. Any thread."""
        key = self._copies.merge(reception)
        return None if key is None else Copy(key, None)

    def _keep(self, opened: Opened, reception: Reception, ledger: Ledger) -> tuple[bool, str]:
        """Put the readings into the outbox, or the payload into quarantine or the waiting room; (stored, problem)."""
        if not opened.frame.f_port:  # none, or MAC commands
            return False, ""
        payload = Payload(opened.key, opened.frame.f_port, opened.session.profile, opened.frm_payload)
        if reception.gps_ms is None:
            ledger.wait_for_time(payload, self._boot_id, reception.received_at)
            return True, ""
        moment = Moment(reception.received_at, reception.time_quality, self._boot_id, reception.boot_s)
        problem = keep(ledger, payload, moment)
        return not problem, problem

    def _control(self, opened: Opened, reception: Reception, ledger: Ledger) -> State:
        """Take what the node answers, learn about its link, and decide what to ask for; the new state, stored."""
        session, fhdr = opened.session, opened.frame.fhdr
        lost = opened.f_cnt - session.f_cnt_up - 1 if session.f_cnt_up >= 0 else 0
        commands = commands_of(opened)
        heard = mac_control.heard(mac_control.parse(session.mac), commands, reception.data_rate, lost)
        if heard.status is not None:
            ledger.keep_status(session.dev_eui, *heard.status, reception.received_at)
        link = self._link(opened, reception, heard.setting, lost)
        advice = None
        if self._adapt and fhdr.f_ctrl & ADR:
            advice = adr.advise(link, heard.state.allows)
        now = None if reception.gps_ms is None else reception.received_at
        link_adr = advice if advice != link.setting else None
        made = mac_control.requests(heard.state, self._wanted, now, link_adr, [cid for cid, _ in commands])
        state = heard.state
        answers = len(answer_commands(opened, reception, 1))
        if made and (answers or owes_an_answer(opened) or mac_control.worth_a_downlink(state)):
            state = mac_control.asked(state, made, _MAX_F_OPTS - answers, now)
        elif made:
            state = mac_control.passed_over(state)
        ledger.keep_control(session, adr.serialize(link), mac_control.serialize(state))
        return state

    def _link(self, opened: Opened, reception: Reception, setting: adr.Setting | None, lost: int) -> adr.Link:
        """The history of the link with this uplink; ``setting``: what the node has just agreed to."""
        session = opened.session
        link = adr.parse(session.link) if session.link else adr.Link(adr.Setting(reception.data_rate, 0, 1))
        before = self._copies.reach(UplinkKey(session.dev_eui, session.session, session.f_cnt_up))
        if before is not None:
            expected = before.transmissions if before.answered else link.setting.nb_trans
            link = adr.settled(link, before.snr_db, before.transmissions, expected)
        if setting is not None:
            link = adr.changed(link, setting)
        if link.setting.data_rate != reception.data_rate:  # gone back by itself: with full power
            link = adr.changed(link, adr.Setting(reception.data_rate, 0, link.setting.nb_trans))
        return adr.heard(link, reception.snr_db, lost)

    def _answer(
        self, opened: Opened, reception: Reception, heard_f_cnt: int, state: State, ledger: Ledger
    ) -> Answer | None:
        """What the node is owed, or what waits for it; uses up downlink counter values.

        ``heard_f_cnt`` is the uplink by which concentrators are counted: with no wait for copies, that of this one
        is not yet known.
        """
        before = opened.key._replace(f_cnt=heard_f_cnt)
        heard = max(1, self._copies.concentrators(before))
        f_opts = answer_commands(opened, reception, heard) + b"".join(state.pending)
        ack = opened.frame.m_type == CONFIRMED_UP
        owed = bool(f_opts) or owes_an_answer(opened)
        now = None if reception.gps_ms is None else reception.received_at
        frames = variants(ledger, opened.session, owed=owed, ack=ack, f_opts=f_opts, now=now)
        if not frames:
            return None
        windows = windows_after(
            reception,
            1000 * state.rx1_delay_s,
            rx1_dr_offset=state.rx1_dr_offset,
            rx1_frequency_hz=state.rx1_frequency_hz(reception.frequency_hz),
            rx2=state.rx2,
        )
        return Answer(opened.session.dev_eui, windows, frames)


def owes_an_answer(opened: Opened) -> bool:
    """Whether the node waits for an ACK or a sign of life."""
    return opened.frame.m_type == CONFIRMED_UP or bool(opened.frame.fhdr.f_ctrl & ADR_ACK_REQ)


def commands_of(opened: Opened) -> list[tuple[int, bytes]]:
    """The MAC commands of an uplink, wherever they stand."""
    in_payload = opened.frame.f_port == 0
    return mac_commands.parse_uplink(opened.frm_payload if in_payload else opened.frame.fhdr.f_opts)


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
    answers = b""
    for command, _ in commands_of(opened):
        if command == mac_commands.DEVICE_TIME:
            if reception.gps_ms is None or reception.time_quality == "saved":  # better no time than a wrong one
                continue
            gps_s, rest_ms = divmod(reception.gps_ms, 1000)
            answer = mac_commands.device_time_ans(gps_s, rest_ms * 256 // 1000)
        elif command == mac_commands.LINK_CHECK:
            margin_db = int(max(0.0, reception.snr_db - FLOOR_DB[reception.sf]))
            answer = mac_commands.link_check_ans(min(margin_db, 254), min(concentrators, 255))
        else:  # answers to requests: mac_control.py
            continue
        if len(answers) + len(answer) > _MAX_F_OPTS:
            break
        answers += answer
    return answers
