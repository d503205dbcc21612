# SPDX-License-Identifier: EUPL-1.2
"""What a node knows and must not forget, in two places.

RTC memory, written around every exchange, survives deep sleep and most resets: session, counters, history, network
time, duty cycle, an uplink that is being repeated, what was delivered. The journal on flash survives everything: nonces
and join back-off before each join request, session and delivery after a join, after an accepted downlink, after a
change of data rate and every ``_RESERVED_F_CNTS`` uplinks. Without RTC memory the uplink counter goes on where the
reservation on flash ends, or that of the next record if that one is damaged, so no counter is ever used twice; the
clock has started anew, so the duty cycle and the join back-off count from there, as if the last transmission that flash
knows of, and for data the longest possible, had just been made.
"""

import binascii
import struct

from firmware import VERSION, delivery, diagnostics
from firmware.mac_channels import assume_spent
from firmware.session import Session
from firmware.timing import WindowBudget

if False:  # types only
    from firmware.hal import Rtc
    from firmware.journal import Journal
    from firmware.mac import Mac

_RESERVED_F_CNTS = 32

_VERSION = 4
_OLD_CHECKPOINT = "<IiB"  # next_dev_nonce, last_join_nonce, flags
_CHECKPOINT = "<IiBBI"  # the same, join_attempts, seconds since the first of them
_JOINS = "<BH"  # if _HAS_JOINS: join_period, join_spent_ms
_OLD_CHECKPOINT_SIZE = struct.calcsize(_OLD_CHECKPOINT)
_CHECKPOINT_SIZE = struct.calcsize(_CHECKPOINT)
_HAS_SESSION = 1  # flags
_IS_NEW = 2  # this layout; without it only the nonces are read
_HAS_JOINS = 8
_HAS_DELIVERY = 4  # what was delivered and the counters of diagnostics stand before the session
_MORE = delivery.SIZE + diagnostics.SIZE
# crashes since a sample was taken; of these, not in the counters yet; of those, resets; then the complement of each.
# Outside the record's CRC, so that it outlives a bad record
_CRASHES = "<6B"
_CRASHES_SIZE = struct.calcsize(_CRASHES)
# version, next_dev_nonce, last_join_nonce, join_attempts, join_started_s, saved_s, gps_less_local_s, time_known,
# time_set_local_s, next_join_local_s, unanswered, tries, kept, power, battery, band_free_s, all_free_s,
# next_sample_local_s, asking, heard_local_s, drift_ppm, ask_every_s, follow_local_s, next_diagnostics_local_s, sent,
# budget, delivery, counters, repeats, lengths of requests, frame and answer, has a session; then session, requests,
# frame, answer
_FIXED = "<BIiIiIqBIIHBBBB6IIIBIiIII13s{}s{}s{}sBBBBB".format(WindowBudget.SIZE, delivery.SIZE, diagnostics.SIZE)
_FIXED_SIZE = struct.calcsize(_FIXED)
SENT = "<BIII"  # what the uplink on its way holds: kind, the sample before, the oldest and the newest, GPS s


class Memory:
    """What the application remembers from cycle to cycle. ``local``: seconds of the clock that runs through sleep."""

    __slots__ = (
        "answer",
        "ask_every_s",
        "asking",
        "budget",
        "cold",
        "counters",
        "delivery",
        "drift_ppm",
        "follow_local_s",
        "gps_less_local_s",
        "heard_local_s",
        "kept",
        "next_diagnostics_local_s",
        "next_join_local_s",
        "next_sample_local_s",
        "power",
        "saved_s",
        "sent",
        "time_known",
        "time_set_local_s",
        "tries",
        "unanswered",
        "version",
    )

    def __init__(self) -> None:
        self.cold = True  # RTC memory was lost, or the local clock
        self.budget = WindowBudget()
        self.delivery = delivery.Delivery()
        self.counters = diagnostics.Counters()
        self.time_known = False
        self.gps_less_local_s = 0  # at time_set_local_s
        self.time_set_local_s = 0
        self.drift_ppm = 0  # how much faster than network time the local clock runs
        self.ask_every_s = 0  # how long that is good for
        self.heard_local_s = 0  # the last downlink, or the earliest time known
        self.next_join_local_s = 0
        self.next_sample_local_s = 0
        self.follow_local_s = 0  # when an uplink besides those with a new sample is due; 0: none
        self.next_diagnostics_local_s = 0
        self.asking = False  # the uplink that is being sent wants an answer
        self.unanswered = 0  # uplinks in a row that asked for something, first of all the time, and did not get it
        self.tries = 0  # of what is sent until it is answered
        self.kept = 0  # samples that no uplink has had yet
        self.power = 0  # of the battery: 0 enough, 1 low, 2 empty
        self.sent = struct.pack(SENT, 0, 0, 0, 0)
        self.answer = b""  # to settings, on FPort 21
        self.saved_s = 0  # when what RTC memory holds was written
        self.version = VERSION  # of the application that runs; not kept, for it may be another one at the next boot


class Store:
    """Keeps a ``firmware.mac.Mac`` and a Memory.

    ``rtc`` is like machine.RTC: ``memory()`` reads, ``memory(data)`` writes; ``journal`` is a firmware.journal.Journal.
    """

    def __init__(self, rtc: "Rtc", journal: "Journal") -> None:
        self._rtc = rtc
        self._journal = journal
        self._reserved_to = 0  # uplink counters below this may be used without writing to flash
        self._reserved_dr = 0

    def load(self, mac: "Mac", now_s: int) -> Memory:
        """Fill ``mac`` and return the Memory: from RTC memory, else what flash has, else as new."""
        memory = Memory()
        session = self._load_checkpoint(mac, memory, now_s)
        record = self._rtc_record()
        memory.cold = record is None
        if record is not None:
            rtc_session = self._unpack(record, mac, memory, now_s)
            if session is None or rtc_session is None or rtc_session.nwk_s_key != session.nwk_s_key:
                mac.frame = b""
                if session is None or (self._journal.damaged and rtc_session is not None):
                    session = rtc_session
            elif session.f_cnt_down > rtc_session.f_cnt_down:  # a reset came between flash and RTC memory
                session.f_cnt_up = rtc_session.f_cnt_up
            else:
                session = rtc_session  # newer than its checkpoint
        mac.session = session
        if memory.cold or now_s < memory.saved_s:
            memory.cold = True
            memory.heard_local_s = now_s
            assume_spent(mac, now_s)
            if mac.join_attempts:
                memory.next_join_local_s = now_s + mac.join_after_power_up_s(now_s)
        return memory

    def save(self, mac: "Mac", memory: Memory, now_s: int) -> None:
        """Write everything to RTC memory; before an uplink goes out, or its counter would be used again."""
        record = self._pack(mac, memory, now_s)
        crashes = (bytes(self._rtc.memory()[:_CRASHES_SIZE]) + bytes(_CRASHES_SIZE))[:_CRASHES_SIZE]
        self._rtc.memory(crashes + struct.pack("<I", binascii.crc32(record)) + record)

    def checkpoint(self, mac: "Mac", memory: Memory, now_s: int) -> None:
        """Write nonces, session and what was delivered to flash. Raises OSError."""
        session = mac.session
        elapsed_s = max(0, now_s - mac.join_started_s) if mac.join_attempts else 0
        flags = _IS_NEW | _HAS_JOINS | _HAS_DELIVERY | (0 if session is None else _HAS_SESSION)
        attempts = mac.join_attempts if mac.join_attempts < 250 else 240 + mac.join_attempts % 6  # the same data rate
        data = struct.pack(_CHECKPOINT, mac.next_dev_nonce, mac.last_join_nonce, flags, attempts, elapsed_s)
        data += struct.pack(_JOINS, mac.join_period, mac.join_spent_ms)
        data += memory.delivery.pack() + memory.counters.pack()
        self._journal.append(data if session is None else data + session.pack())
        if session is not None:
            self._reserved_to = session.f_cnt_up + _RESERVED_F_CNTS
            self._reserved_dr = session.dr

    def reserve(self, mac: "Mac", memory: Memory, now_s: int) -> None:
        """See to it that flash allows the session's next uplink counter and knows its data rate. Raises OSError."""
        session = mac.session
        if session is not None and (session.f_cnt_up >= self._reserved_to or session.dr != self._reserved_dr):
            self.checkpoint(mac, memory, now_s)

    def crashes(self) -> "tuple[int, int, int]":
        """Crashes since a sample was taken; those of them that no wake has counted yet; how many of those were resets.

        Zeros if RTC memory does not say.
        """
        record = bytes(self._rtc.memory()[:_CRASHES_SIZE])
        if len(record) < _CRASHES_SIZE or [1 for at in range(3) if record[at] ^ record[at + 3] != 0xFF]:
            return 0, 0, 0
        return record[0], record[1], record[2]

    def note_crash(self, count: int, crashes: int = 0, resets: int = 0) -> None:
        """Set what ``crashes`` returns, each at most 255."""
        record = [min(number, 0xFF) for number in (count, crashes, resets)]
        record += [0xFF ^ number for number in record]
        self._rtc.memory(struct.pack(_CRASHES, *record) + bytes(self._rtc.memory()[_CRASHES_SIZE:]))

    def forget(self) -> None:
        """Drop everything in RTC memory but the count of crashes."""
        self._rtc.memory(bytes(self._rtc.memory()[:_CRASHES_SIZE]))

    # --- flash ---

    def _load_checkpoint(self, mac: "Mac", memory: Memory, now_s: int) -> "Session | None":
        """Set nonces and join back-off; return the session with its counter past all that may have been used."""
        data = self._journal.load()
        self._reserved_to = 0
        if data is None:
            return None
        mac.next_dev_nonce, mac.last_join_nonce, flags = struct.unpack(_OLD_CHECKPOINT, data[:_OLD_CHECKPOINT_SIZE])
        damaged = self._journal.damaged  # then there may have been one record more, with a join request or 32 uplinks
        mac.next_dev_nonce += damaged
        if not flags & _IS_NEW:
            return None
        mac.join_attempts, elapsed_s = struct.unpack(_CHECKPOINT, data[:_CHECKPOINT_SIZE])[3:]
        mac.join_started_s = now_s - elapsed_s
        at = _CHECKPOINT_SIZE
        if flags & _HAS_JOINS:
            mac.join_period, mac.join_spent_ms = struct.unpack(_JOINS, data[at : at + 3])
            at += 3
        if flags & _HAS_DELIVERY:
            memory.delivery = delivery.Delivery.unpack(data[at : at + delivery.SIZE])
            memory.counters = diagnostics.Counters.unpack(data[at + delivery.SIZE : at + _MORE])
            at += _MORE
        if not flags & _HAS_SESSION:
            return None
        session = Session.unpack(data[at:])
        session.f_cnt_up += _RESERVED_F_CNTS * (1 + damaged)
        self._reserved_to = 0 if damaged else session.f_cnt_up
        self._reserved_dr = session.dr
        return session

    # --- RTC memory ---

    def _rtc_record(self) -> "bytes | None":
        data = bytes(self._rtc.memory()[_CRASHES_SIZE:])
        if len(data) < 4 + _FIXED_SIZE:
            return None
        record = data[4:]
        if binascii.crc32(record) != struct.unpack("<I", data[:4])[0] or record[0] != _VERSION:
            return None
        return record

    def _pack(self, mac: "Mac", memory: Memory, now_s: int) -> bytes:
        session = b"" if mac.session is None else mac.session.pack()
        record = struct.pack(
            _FIXED,
            _VERSION,
            mac.next_dev_nonce,
            mac.last_join_nonce,
            mac.join_attempts,
            mac.join_started_s,
            now_s,
            memory.gps_less_local_s,
            memory.time_known,
            memory.time_set_local_s,
            memory.next_join_local_s,
            min(memory.unanswered, 0xFFFF),
            min(memory.tries, 0xFF),
            min(memory.kept, 0xFF),
            memory.power,
            mac.battery_level,
            *mac.band_free_s,
            mac.all_free_s,
            memory.next_sample_local_s,
            memory.asking,
            memory.heard_local_s,
            memory.drift_ppm,
            memory.ask_every_s,
            memory.follow_local_s,
            memory.next_diagnostics_local_s,
            memory.sent,
            memory.budget.pack(),
            memory.delivery.pack(),
            memory.counters.pack(),
            mac.repeats,
            len(mac.requests),
            len(mac.frame),
            len(memory.answer),
            len(session) > 0,
        )
        return record + session + mac.requests + mac.frame + memory.answer

    def _unpack(self, record: bytes, mac: "Mac", memory: Memory, now_s: int) -> "Session | None":
        """Fill ``mac`` and ``memory``; return the session or None."""
        fields = struct.unpack(_FIXED, record[:_FIXED_SIZE])
        at = _FIXED_SIZE
        session = None
        if fields[-1]:
            size = Session.packed_size(record[at:])
            session = Session.unpack(record[at : at + size])
            at += size
        mac.repeats, requests, frame, answer = fields[-5:-1]
        mac.requests = record[at : at + requests]
        at += requests
        mac.frame = record[at : at + frame]
        at += frame
        memory.answer = record[at : at + answer]
        mac.next_dev_nonce = max(mac.next_dev_nonce, fields[1])
        mac.last_join_nonce = max(mac.last_join_nonce, fields[2])
        memory.unanswered, memory.tries, memory.kept, memory.power = fields[10:14]
        mac.battery_level = fields[14]
        memory.budget = WindowBudget.unpack(fields[-8])
        memory.delivery = delivery.Delivery.unpack(fields[-7])
        memory.counters = diagnostics.Counters.unpack(fields[-6])
        memory.sent = fields[29]
        memory.saved_s = fields[5]
        memory.asking = bool(fields[23])
        memory.drift_ppm = fields[25]
        if fields[5] <= now_s:  # otherwise the clock has been set back: it says nothing about these times
            mac.join_attempts, mac.join_started_s = fields[3:5]
            mac.band_free_s = list(fields[15:21])
            mac.all_free_s, memory.next_sample_local_s = fields[21:23]
            memory.gps_less_local_s, time_known = fields[6:8]
            memory.time_known = bool(time_known)
            memory.time_set_local_s, memory.next_join_local_s = fields[8:10]
            memory.heard_local_s, memory.ask_every_s = fields[24], fields[26]
            memory.follow_local_s, memory.next_diagnostics_local_s = fields[27], fields[28]
        return session
