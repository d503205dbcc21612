# SPDX-License-Identifier: EUPL-1.2
"""Who heard an accepted uplink, so that a late copy or a retransmission is told from a replay.

A copy has the same counter and the same bytes, and comes within ``window_s`` of the first. The node has sent the frame
again (NbTrans), and listens again, when a concentrator that has heard it hears it at another moment, or another one
hears it when the windows of the first time are over. TS001-1.0.4 "Data messages".
Only statistics live here, in memory: the counter decides what is stored.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

from decoders.lorawan.region import RECEIVE_DELAY2_MS
from gateway.errors import Refused
from gateway.radio import Reception
from gateway.store import Session

_REMEMBERED = 4096
_WINDOWS_S = RECEIVE_DELAY2_MS / 1000  # a node repeats a frame after its second window at the earliest
_MAX_NB_TRANS = 15  # TS001-1.0.4 "Link ADR commands": NbTrans


class Reach(NamedTuple):
    """How well an uplink was heard: its best SNR in dB, how many of its transmissions, whether one was answered."""

    snr_db: float
    transmissions: int
    answered: bool


@dataclass
class _Heard:
    digest: bytes
    at: float
    by: dict[str, int] = field(default_factory=dict)  # concentrator: tmst_us of its latest copy
    sent: int = 1
    sent_at: float = 0.0  # the latest transmission that we know of, and who reported it
    sent_by: str = ""
    snr_db: float = -128.0
    answered: bool = False

    def is_new_transmission(self, reception: Reception) -> bool:
        """Whether this is not a transmission that somebody has reported already."""
        tmst_us = self.by.get(reception.concentrator)
        if tmst_us == reception.tmst_us:
            return False
        if tmst_us is not None and self.sent_by == reception.concentrator:
            return True
        return reception.received_at - self.sent_at >= _WINDOWS_S


class Copies:
    """The last few thousand accepted uplinks, by session row and counter."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._heard: OrderedDict[tuple[int, int], _Heard] = OrderedDict()

    def begin(self, session_id: int, f_cnt: int, digest: bytes, reception: Reception) -> None:
        """Remember the first copy."""
        first = _Heard(digest, reception.received_at, {reception.concentrator: reception.tmst_us})
        first.sent_at, first.sent_by, first.snr_db = reception.received_at, reception.concentrator, reception.snr_db
        self._heard[session_id, f_cnt] = first
        if len(self._heard) > _REMEMBERED:
            self._heard.popitem(last=False)

    def concentrators(self, session_id: int, f_cnt: int) -> int:
        """How many concentrators heard that uplink, as far as remembered."""
        heard = self._heard.get((session_id, f_cnt))
        return len(heard.by) if heard else 0

    def reach(self, session_id: int, f_cnt: int) -> Reach | None:
        """How well that uplink was heard, if remembered."""
        heard = self._heard.get((session_id, f_cnt))
        return Reach(heard.snr_db, heard.sent, heard.answered) if heard else None

    def answered(self, session_id: int, f_cnt: int) -> None:
        """That uplink is answered: the node will not send it again. TS001-1.0.4 "Link ADR commands"."""
        heard = self._heard.get((session_id, f_cnt))
        if heard is not None:
            heard.answered = True

    def tell_copy_from_replay(self, session: Session, f_cnt: int, digest: bytes, reception: Reception) -> bool:
        """Merge a copy and return whether the node has sent the frame again; raises Refused("replay")."""
        heard = self._heard.get((session.id, f_cnt))
        if heard is None and f_cnt == session.f_cnt_up:  # accepted before a restart
            heard = self._heard[session.id, f_cnt] = _Heard(
                session.last_digest, session.last_at, sent_at=session.last_at
            )
        if heard is None or heard.digest != digest or abs(reception.received_at - heard.at) > self._window_s:
            raise Refused("replay")
        sent_again = heard.is_new_transmission(reception)
        heard.by[reception.concentrator] = reception.tmst_us
        heard.snr_db = max(heard.snr_db, reception.snr_db)
        if sent_again:
            heard.sent += 1
            heard.sent_at, heard.sent_by = reception.received_at, reception.concentrator
        return sent_again and heard.sent <= _MAX_NB_TRANS
