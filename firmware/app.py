# SPDX-License-Identifier: EUPL-1.2
"""One wake of a node: load, measure, exchange, save, sleep. At most one radio exchange a wake.

Samples are taken on a grid of network time: every ``interval_s``, moved by an offset that each node draws from its
DevEUI, so that a fleet does not speak at once. Until the network has told the time, samples go out as taken "now"
(time 0), once; with it they carry their time and are sent again with the next ``KEPT_SAMPLES`` - 1 uplinks.
"""

import binascii
import gc
import sys

from firmware.errors import BandBusy, IdentityInvalid
from firmware.identity import parse_identity
from firmware.journal import Journal
from firmware.link import Link
from firmware.mac import Accepted, Mac, NetworkTime
from firmware.radio.sx1262 import RadioFault
from firmware.state import KEPT_SAMPLES, Store

if False:  # types only
    from firmware.hal import Board, Sample, Values
    from firmware.identity import Identity
    from firmware.mac import Event, Transmit

_START_SPREAD_S = 30  # after a power cut in the street, nodes do not all speak in the same second
_ASK_FIRST_S = 3600  # network time is asked for again: soon at first, daily when the clock's drift is known
_ASK_LAST_S = 86_400
_GOOD_S = 10  # off by no more than that when the time comes: wait longer the next time
_DRIFT_FROM_S = 1800  # a shorter span between two network times says nothing about the drift
_MOST_DRIFT_PPM = 60_000
_LONGEST_AGE_S = 0xFFFF  # what a message can say about an older sample
# A network that is silent for so long is asked; if it does not answer for longer, it has perhaps forgotten the session
_SILENT_S = 6 * 3600
_FORGOTTEN_S = 10 * 3600
_UNANSWERED_LIMIT = 3
_TECHNICIAN_S = 600  # a node without identity stays awake after a reset,
_NO_IDENTITY_S = 3600  # then looks for one now and then
_FORGET_AFTER_CRASHES = 3
_LONGEST_BACK_OFF_S = 4 * 3600
_UNLOADED = ("firmware.boards.lines", "firmware.sensors", "firmware.profile", "decoders.payload")
_AWAKE_MS = 4000  # a repetition due sooner is waited for; for a later one the node sleeps deeply


def run(board: "Board") -> None:
    """Run one wake of ``board`` (firmware/README.md says what a board offers) and send it to sleep."""
    if not board.slept():
        _silence(board)  # whatever it was doing when the processor was reset
    try:
        identity = _identity(board.folder)
    except IdentityInvalid as fault:
        print(fault, "- provision this node")
        if not board.slept():
            for _ in range(_TECHNICIAN_S):  # whose tool interrupts this
                board.clock.sleep_ms(1000)
        board.deep_sleep(_NO_IDENTITY_S * 1000)
        return
    from firmware import profile_tree

    store = Store(board.rtc, Journal(board.folder), tuple([field.name for field in profile_tree.LAYOUT.sample]))
    del profile_tree
    crashes = store.crashes()
    if crashes and not board.slept():  # a reset ended the last wake, and nobody has slept it off yet
        sleep_s = _back_off_s(identity, crashes)
    else:
        store.note_crash(min(crashes + 1, 0xFFFF))  # until this wake has ended well
        board.watchdog_start()
        try:
            sleep_s = Node(board, identity, store).wake(crashes)
            store.note_crash(0)
        except Exception as error:
            getattr(sys, "print_exception", print)(error)
            _silence(board)
            if store.crashes() % _FORGET_AFTER_CRASHES == 0:
                store.forget()  # perhaps that is where it comes from; flash has the session
            sleep_s = _back_off_s(identity, store.crashes())
    board.deep_sleep(max(1, sleep_s) * 1000)


def _back_off_s(identity: "Identity", crashes: int) -> int:
    return min(identity.interval_s, _LONGEST_BACK_OFF_S, 30 << min(crashes, 10))


def _identity(folder: str) -> "Identity":
    try:
        with open(folder + "/identity.bin", "rb") as file:
            return parse_identity(file.read())
    except OSError:
        raise IdentityInvalid("file") from None


def _silence(board: "Board") -> None:
    """Whatever state the radio is in, put it to sleep if it can be."""
    try:
        radio = board.radio()
        radio.start()
        radio.sleep()
    except Exception as error:
        getattr(sys, "print_exception", print)(error)


def _unload() -> None:
    """Make room for the exchange: measuring and writing payloads are loaded anew at every wake. CPython has room."""
    if sys.implementation.name == "micropython":
        for name in [name for name in sys.modules if name.startswith(_UNLOADED)]:
            package, _, module = name.rpartition(".")
            if package in sys.modules and hasattr(sys.modules[package], module):
                delattr(sys.modules[package], module)
            del sys.modules[name]
        gc.collect()


def _payload(header: "Values", samples: "list[Sample]", room: int) -> "tuple[int, bytes]":
    """(FPort, payload) with as many samples as fit; none if answers to the network need all the room."""
    from firmware.profile_tree import LAYOUT

    fit = LAYOUT.samples_that_fit(room)
    return LAYOUT.f_port, LAYOUT.encode(header, samples[:fit]) if fit else b""


class Node:
    """The parts of a node for one wake."""

    def __init__(self, board: "Board", identity: "Identity", store: Store) -> None:
        self._board = board
        self._clock = board.clock
        self._store = store
        self._interval_s = identity.interval_s
        spread: int = binascii.crc32(bytes.fromhex(identity.dev_eui))
        self._phase_s = spread % identity.interval_s
        self._start_delay_s = spread % _START_SPREAD_S
        self._confirmed = identity.confirmed
        self._abp = identity.session is not None
        self._mac = Mac(identity)
        self._mac.adr = identity.adr
        self._woken_s = self._clock.time()
        self._memory = store.load(self._mac, self._woken_s)
        if identity.session is not None:
            self._personalise(identity.session)

    def _personalise(self, provisioned: "tuple[int, bytes, bytes]") -> None:
        """TS001 "Activation by Personalization": the session is provisioned; once begun, its counters never go back."""
        session = self._mac.session
        if session is None or (session.dev_addr, session.nwk_s_key, session.app_s_key) != provisioned:
            from firmware.session import Session

            self._mac.session = Session(*provisioned, 0)
            self._mac.frame = b""

    def wake(self, crashes: int = 0) -> int:
        """Do what is due; return how long to sleep, seconds."""
        memory = self._memory
        memory.total_crashes += crashes
        mac = self._mac
        if memory.cold and not crashes:  # after a crash it has slept long enough
            wait_s = self._start_delay_s
            if mac.session is not None:
                wait_s = max(wait_s, mac.wait_s(self._woken_s))
            if wait_s > 0:
                self._save()
                return wait_s
        if mac.session is None:
            return self._join_when_due()
        if mac.frame and mac.repeats and not self._sample_due():
            self._repeat()
            return self._sleep_s(memory.next_sample_local_s - self._clock.time())
        header, samples = self._measure()
        if self._rejoin_due():
            try:
                self._join()
            except BandBusy:
                pass  # nothing is sent until the next wake, so then it is free
        else:
            self._report(header, samples)
        return self._sleep_s(self._until_next_sample_s())

    # --- joining ---

    def _join_when_due(self) -> int:
        """Join if the back-off allows; return how long to sleep until the first uplink or the next try."""
        early_s = self._memory.next_join_local_s - self._clock.time()
        if early_s > 0:
            self._save()
            return early_s
        try:
            joined = self._join()
        except BandBusy as busy:
            self._save()
            return busy.wait_s
        if joined:
            return max(1, self._mac.wait_s(self._clock.time()))
        return max(1, self._memory.next_join_local_s - self._clock.time())

    def _rejoin_due(self) -> bool:
        """Whether the network seems to have forgotten the session, which stays until a join succeeds."""
        memory = self._memory
        if self._abp or memory.unanswered < _UNANSWERED_LIMIT:
            return False
        now_s = self._clock.time()
        return now_s - memory.heard_local_s >= _FORGOTTEN_S and now_s >= memory.next_join_local_s

    def _join(self) -> bool:
        """One join request and its windows; True if there is a new session. Raises BandBusy."""
        mac = self._mac
        memory = self._memory
        before = mac.session
        _unload()
        if mac.join_attempts:
            memory.budget.missed()  # perhaps that was why
        transmit = mac.join_request(self._clock.time())
        self._store.checkpoint(mac, self._clock.time())  # the DevNonce is spent, whatever happens now
        self._save()
        self._exchange(transmit)
        joined = mac.session is not before
        now_s = self._clock.time()
        if joined:
            self._store.checkpoint(mac, now_s)
            memory.unanswered = 0
            memory.next_join_local_s = 0
            memory.heard_local_s = now_s
            memory.ask_every_s = 0  # ask again, whatever the clock says
        else:
            wait_s = mac.join_back_off_s(now_s)
            if mac.session is not None:  # every other wake at most: reports go on
                wait_s = max(wait_s, self._interval_s * 3 // 2)
            memory.next_join_local_s = now_s + wait_s
        self._save()
        return joined

    # --- reporting ---

    def _measure(self) -> "tuple[Values, list[Sample]]":
        """Return (header, the samples to send, newest first); what has a time is kept for the next uplinks."""
        memory = self._memory
        from firmware import profile_tree

        header, sample = profile_tree.measure(self._board)
        self._mac.battery_level = profile_tree.battery_level(header)
        self._board.watchdog_feed()
        if not memory.time_known:
            return header, [(0, sample)]
        gps_s = self._gps_s(self._clock.time())
        if memory.history:
            gps_s = max(gps_s, memory.history[0][0] + 1)  # the clock may just have been put back
        older = [(at, values) for at, values in memory.history if 0 < gps_s - at <= _LONGEST_AGE_S]
        memory.history = [(gps_s, sample)]
        memory.history.extend(older[: KEPT_SAMPLES - 1])
        return header, memory.history

    def _report(self, header: "Values", samples: "list[Sample]") -> None:
        mac = self._mac
        memory = self._memory
        now_s = self._clock.time()
        asking = not memory.time_known or now_s - memory.time_set_local_s >= memory.ask_every_s
        if asking:
            mac.ask_time()
        elif now_s - memory.heard_local_s >= _SILENT_S:
            asking = True
            mac.ask_link()
        f_port, payload = _payload(header, samples, mac.room())
        _unload()
        self._store.reserve(mac, now_s)
        try:
            transmit = mac.uplink(now_s, f_port, payload, self._confirmed)
        except BandBusy:
            self._save()  # the sample is in the history
            return
        memory.asking = asking
        self._send(transmit)

    def _repeat(self) -> None:
        """Send the last uplink once more, as soon as the duty cycle allows."""
        try:
            transmit = self._mac.repeat(self._clock.time())
        except BandBusy:
            self._save()
            return
        self._send(transmit)

    def _send(self, transmit: "Transmit") -> None:
        """The uplink, and its repetitions if they are due soon; note what came back."""
        mac = self._mac
        memory = self._memory
        while True:
            self._save()  # the counter is spent, whatever happens now
            if self._exchange(transmit):
                memory.unanswered = 0
                memory.heard_local_s = self._clock.time()
                self._store.checkpoint(
                    mac, self._clock.time()
                )  # so that a downlink replayed after a power cut is known
                break
            wait_ms = mac.repeat_wait_ms(self._clock.time())
            if wait_ms is None:
                if memory.asking:
                    memory.unanswered += 1
                if memory.asking or self._confirmed:
                    memory.budget.missed()  # perhaps the windows were too narrow
                break
            if wait_ms > _AWAKE_MS:
                break
            self._clock.sleep_ms(wait_ms)
            self._board.watchdog_feed()
            try:
                transmit = mac.repeat(self._clock.time())
            except BandBusy:
                break
        self._save()

    # --- shared ---

    def _exchange(self, transmit: "Transmit") -> bool:
        """Whether there was a downlink for us; a radio that errs is counted, and costs this exchange at most."""
        board = self._board
        memory = self._memory
        radio = board.radio()
        mac = self._mac
        before = None if mac.session is None else mac.session.f_cnt_down
        events: "list[Event]" = []
        ended_s = 0
        fault = "" if radio.asleep() else "not asleep"  # since the last exchange
        try:
            radio.start()
            gain_dbi = board.antenna_gain_dbi
            link = Link(radio, self._clock, board.watchdog_feed, gain_dbi, memory.budget, board.light_sleep)
            ended_s, events = link.exchange(mac, transmit)
            radio.sleep()
            fault = fault or radio.oddity
        except RadioFault as raised:
            fault = raised.reason
            _silence(board)
        except Exception:
            if mac.session is not None and mac.session.f_cnt_down != before:  # a frame that we fail on fails us once
                self._store.checkpoint(mac, self._clock.time())
                self._save()
            raise
        if fault:
            memory.radio_faults += 1
            print("radio:", fault)
        accepted = False
        for event in events:
            if isinstance(event, NetworkTime):
                self._set_clock(event.gps_s, ended_s)
            if isinstance(event, Accepted):
                accepted = True
        return accepted

    def _set_clock(self, gps_s: int, local_s: int) -> None:
        """It was ``gps_s`` when the local clock stood at ``local_s``; two such pairs tell its drift."""
        memory = self._memory
        memory.ask_every_s = memory.ask_every_s or _ASK_FIRST_S
        if not memory.time_known:
            memory.time_known = True
            memory.drift_ppm = memory.budget.drift_ppm()
        else:
            span_s = local_s - memory.time_set_local_s
            true_s = gps_s - memory.gps_less_local_s - memory.time_set_local_s
            off_s = abs(gps_s - self._gps_s(local_s))
            if true_s >= _DRIFT_FROM_S:
                drift_ppm = (span_s - true_s) * 1_000_000 // true_s
                memory.drift_ppm = max(-_MOST_DRIFT_PPM, min(_MOST_DRIFT_PPM, drift_ppm))
                every_s = memory.ask_every_s * 4 if off_s <= _GOOD_S else memory.ask_every_s // 4
                memory.ask_every_s = max(_ASK_FIRST_S, min(_ASK_LAST_S, every_s))
        memory.gps_less_local_s = gps_s - local_s
        memory.time_set_local_s = local_s

    def _gps_s(self, local_s: int) -> int:
        memory = self._memory
        drift_s = (local_s - memory.time_set_local_s) * memory.drift_ppm // (1_000_000 + memory.drift_ppm)
        return local_s + memory.gps_less_local_s - drift_s

    def _save(self) -> None:
        self._store.save(self._mac, self._memory, self._clock.time())

    def _sleep_s(self, sleep_s: int) -> int:
        """``sleep_s`` to the next sample, or less to a repetition before it."""
        now_s = self._clock.time()
        self._memory.next_sample_local_s = now_s + sleep_s
        wait_ms = self._mac.repeat_wait_ms(now_s)
        if wait_ms is not None:
            sleep_s = min(sleep_s, wait_ms // 1000 + 1)
        self._save()
        return sleep_s

    def _sample_due(self) -> bool:
        return self._clock.time() >= self._memory.next_sample_local_s

    def _until_next_sample_s(self) -> int:
        """Seconds to this node's next place on the grid, at least half an interval away; without time, one interval."""
        now_s = self._clock.time()
        if not self._memory.time_known:
            return max(1, self._woken_s + self._interval_s - now_s)
        wait_s = (self._phase_s - self._gps_s(now_s)) % self._interval_s
        if wait_s < self._interval_s // 2:
            wait_s += self._interval_s
        return max(1, wait_s + wait_s * self._memory.drift_ppm // 1_000_000)
