# SPDX-License-Identifier: EUPL-1.2
"""Builds the frames that would do as an answer: with the next downlink of an application if one fits, and without it.

Each frame uses up a counter value, for only the scheduler will know which of them is sent; a node accepts any that is
above its last. TS001-1.0.4 "Frame counter (FCnt)". Runs inside the store's transaction.
"""

from decoders.lorawan.frame import ACK, CONFIRMED_DOWN, F_PENDING, UNCONFIRMED_DOWN, DataFrame, Fhdr
from decoders.lorawan.region import EU868
from gateway.downlink_queue import QueuedDownlink
from gateway.radio import Priority, Variant
from gateway.store import Ledger, Session

# A frame that fits the slowest data rate fits every window
_MAX_MAC_PAYLOAD = min(rate.max_payload for rate in EU868.data_rates)
_FHDR_AND_F_PORT = 8


def variants(
    ledger: Ledger, session: Session, *, owed: bool, ack: bool, f_opts: bytes, now: float | None
) -> tuple[Variant, ...]:
    """The fullest first; none where nothing is ``owed`` (an answer to this uplink) and nothing waits.

    A downlink of an application never displaces what is owed: it has a frame of its own to fail with.
    """
    item, more = ledger.downlinks.next(session.dev_eui, now)
    fits = item is not None and _FHDR_AND_F_PORT + len(f_opts) + len(item.frm_payload) <= _MAX_MAC_PAYLOAD
    made = []
    if item is not None and fits:
        ledger.downlinks.give(item.id, session.session)
        phy_payload = _frame(ledger, session, ack, more, f_opts, item)
        made.append(Variant(Priority.APPLICATION, phy_payload, item.id))
    if owed:
        priority = Priority.MAC if f_opts and not ack else Priority.ACK
        made.append(Variant(priority, _frame(ledger, session, ack, item is not None, f_opts, None)))
    return tuple(made)


def _frame(
    ledger: Ledger, session: Session, ack: bool, pending: bool, f_opts: bytes, item: QueuedDownlink | None
) -> bytes:
    f_cnt = ledger.next_f_cnt_down(session)
    flags = (ACK if ack else 0) | (F_PENDING if pending else 0)
    fhdr = Fhdr(session.dev_addr, flags, f_cnt & 0xFFFF, f_opts)
    if item is None:
        frame = DataFrame(UNCONFIRMED_DOWN, fhdr, None, b"")
    else:
        m_type = CONFIRMED_DOWN if item.confirmed else UNCONFIRMED_DOWN
        frame = DataFrame(m_type, fhdr, item.f_port, item.frm_payload)
    return frame.serialize(session.nwk_s_key, session.app_s_key, f_cnt)
