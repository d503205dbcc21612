# SPDX-License-Identifier: EUPL-1.2
"""Who heard an accepted uplink, so that a late copy or a retransmission is told from a replay.

A copy has the same counter and the same bytes, and comes within ``window_s`` of the first. The node has sent the frame
again (NbTrans), and listens again, when a concentrator that has heard it hears it at another moment, or another one
hears it when the windows of the first time are over. TS001-1.0.4 "Data messages".
Only statistics live here, in memory: the counter decides what is stored.

Most copies need no transaction: ``merge`` knows the frames that are on the disk by their bytes, and any thread may call
it.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

from decoders.lorawan.region import RECEIVE_DELAY2_MS
from decoders.records import UplinkKey
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

    def add(self, reception: Reception) -> None:
        """One more that heard it."""
        self.by[reception.concentrator] = reception.tmst_us
        self.snr_db = max(self.snr_db, reception.snr_db)

    def is_new_transmission(self, reception: Reception) -> bool:
        """Whether this is not a transmission that somebody has reported already."""
        tmst_us = self.by.get(reception.concentrator)
        if tmst_us == reception.tmst_us:
            return False
        if tmst_us is not None and self.sent_by == reception.concentrator:
            return True
        return reception.received_at - self.sent_at >= _WINDOWS_S


class Copies:
    """The last few thousand accepted uplinks; those stored also by their bytes."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._lock = Lock()
        self._heard: OrderedDict[UplinkKey, _Heard] = OrderedDict()
        self._stored: OrderedDict[bytes, tuple[UplinkKey, _Heard]] = OrderedDict()

    def begin(self, key: UplinkKey, digest: bytes, reception: Reception) -> None:
        """Remember the first copy."""
        first = _Heard(digest, reception.received_at, {reception.concentrator: reception.tmst_us})
        first.sent_at, first.sent_by, first.snr_db = reception.received_at, reception.concentrator, reception.snr_db
        with self._lock:
            self._heard[key] = first
            if len(self._heard) > _REMEMBERED:
                self._heard.popitem(last=False)

    def stored(self, key: UplinkKey, phy_payload: bytes) -> None:
        """That uplink is on the disk now: its copies may be merged."""
        with self._lock:
            heard = self._heard.get(key)
            if heard is not None:
                self._stored[phy_payload] = key, heard
                if len(self._stored) > _REMEMBERED:
                    self._stored.popitem(last=False)

    def merge(self, reception: Reception) -> UplinkKey | None:
        """Take a copy of a stored uplink; None where that has to be found out, or the node has sent it again."""
        with self._lock:
            key, heard = self._stored.get(reception.phy_payload, (None, None))
            if heard is None or self._too_late(heard, reception) or heard.is_new_transmission(reception):
                return None
            heard.add(reception)
            return key

    def concentrators(self, key: UplinkKey) -> int:
        """How many concentrators heard that uplink, as far as remembered."""
        with self._lock:
            heard = self._heard.get(key)
            return len(heard.by) if heard else 0

    def reach(self, key: UplinkKey) -> Reach | None:
        """How well that uplink was heard, if remembered."""
        with self._lock:
            heard = self._heard.get(key)
            return Reach(heard.snr_db, heard.sent, heard.answered) if heard else None

    def answered(self, key: UplinkKey) -> None:
        """That uplink is answered: the node will not send it again. TS001-1.0.4 "Link ADR commands"."""
        with self._lock:
            heard = self._heard.get(key)
            if heard is not None:
                heard.answered = True

    def tell_copy_from_replay(self, session: Session, f_cnt: int, digest: bytes, reception: Reception) -> bool:
        """Merge a copy and return whether the node has sent the frame again; raises Refused("replay")."""
        key = UplinkKey(session.dev_eui, session.session, f_cnt)
        with self._lock:
            heard = self._heard.get(key)
            if heard is None and f_cnt == session.f_cnt_up:  # accepted before a restart
                heard = _Heard(session.last_digest, session.last_at, sent_at=session.last_at)
                self._heard[key] = heard
            if heard is None or heard.digest != digest or self._too_late(heard, reception):
                raise Refused("replay")
            sent_again = heard.is_new_transmission(reception)
            heard.add(reception)
            if sent_again:
                heard.sent += 1
                heard.sent_at, heard.sent_by = reception.received_at, reception.concentrator
            return sent_again and heard.sent <= _MAX_NB_TRANS

    def _too_late(self, heard: _Heard, reception: Reception) -> bool:
        return abs(reception.received_at - heard.at) > self._window_s
