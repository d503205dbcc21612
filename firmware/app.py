# SPDX-License-Identifier: EUPL-1.2
"""One wake of a node: load, measure, exchange, save, sleep. At most one radio exchange a wake.

Samples are taken on a grid of network time: every ``interval_s``, moved by an offset that each node draws from its
DevEUI, so that a fleet does not speak at once. Until the network has told the time, samples go out as taken "now"
(time 0), once; with it they carry their time and are sent again with the next ``KEPT_SAMPLES`` - 1 uplinks.
"""

import binascii
import gc
import sys

import firmware
from firmware import profile_tree
from firmware.errors import BandBusy, IdentityInvalid
from firmware.journal import Journal
from firmware.link import ERROR_US, LOST_ERROR_US, Link
from firmware.mac import Accepted, Mac, NetworkTime
from firmware.provisioning import parse_identity
from firmware.radio.sx1262 import RadioFault
from firmware.state import KEPT_SAMPLES, Store

if False:  # types only
    from firmware.hal import Board, Sample, Values
    from firmware.mac import Event, Transmit
    from firmware.provisioning import Identity

_START_SPREAD_S = 30  # after a power cut in the street, nodes do not all speak in the same second
_TIME_EVERY_S = 86_400
_LONGEST_AGE_S = 0xFFFF  # what a message can say about an older sample
# A network that has answered nothing to so many requests has perhaps forgotten the session: try a join now and then.
_UNANSWERED_LIMIT = 48
_REJOIN_EVERY = 24
_FORGET_AFTER_CRASHES = 3
_LONGEST_BACK_OFF_S = 4 * 3600


def run(board: "Board") -> None:
    """Run one wake of ``board`` (firmware/README.md says what a board offers) and send it to sleep."""
    try:
        identity = _identity(board.folder)
    except IdentityInvalid as fault:
        _silence(board)
        print(fault, "- provision this node")  # and stay awake, so that a technician's tool can
        return
    store = Store(board.rtc, Journal(board.folder), tuple([field.name for field in profile_tree.LAYOUT.sample]))
    crashes = store.crashes()
    if crashes and not board.slept():  # a reset ended the last wake, and nobody has slept it off yet
        _silence(board)
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


def _unload_sensors() -> None:
    """Make room for the exchange: what drives the sensors is loaded anew at every wake. CPython has room enough."""
    if sys.implementation.name == "micropython":
        for name in [name for name in sys.modules if name.startswith("firmware.sensors")]:
            del sys.modules[name]
        del firmware.sensors  # type: ignore[attr-defined]  # profile_tree.measure has loaded it
        gc.collect()


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
        self._mac = Mac(identity)
        self._woken_s = self._clock.time()
        self._memory = store.load(self._mac, self._woken_s)

    def wake(self, crashes: int = 0) -> int:
        """Do what is due; return how long to sleep, seconds."""
        memory = self._memory
        memory.total_crashes += crashes
        if memory.cold:
            for _ in range(self._start_delay_s):
                self._clock.sleep_ms(1000)
                self._board.watchdog_feed()
        if self._mac.session is None:
            return self._join_when_due()
        header, samples = self._measure()
        overdue = memory.unanswered - _UNANSWERED_LIMIT
        if overdue >= 0 and overdue % _REJOIN_EVERY == 0:
            memory.unanswered += 1
            if self._join():
                return 1
        else:
            self._report(header, samples)
        return self._until_next_sample_s()

    # --- joining ---

    def _join_when_due(self) -> int:
        """Join if the back-off allows; return how long to sleep until the first uplink or the next try."""
        early_s = self._memory.next_join_local_s - self._clock.time()
        if early_s > 0:
            return early_s
        if self._join():
            return max(1, self._mac.wait_s(self._clock.time()))
        return max(1, self._memory.next_join_local_s - self._clock.time())

    def _join(self) -> bool:
        """One join request and its windows; True if there is a new session."""
        mac = self._mac
        before = mac.session
        try:
            error_us = ERROR_US if mac.join_attempts == 0 else LOST_ERROR_US
            transmit = mac.join_request(self._clock.time())
        except BandBusy as busy:
            self._memory.next_join_local_s = self._clock.time() + busy.wait_s
            self._save()
            return False
        self._store.checkpoint(mac)  # the DevNonce is spent, whatever happens now
        self._save()
        self._exchange(transmit, error_us)
        joined = mac.session is not before
        if joined:
            self._store.checkpoint(mac)
            self._memory.unanswered = 0
            self._memory.next_join_local_s = 0
            self._memory.time_set_local_s = 0  # ask again, whatever the clock says
        else:
            now_s = self._clock.time()
            self._memory.next_join_local_s = now_s + mac.join_back_off_s(now_s)
        self._save()
        return joined

    # --- reporting ---

    def _measure(self) -> "tuple[Values, list[Sample]]":
        """Return (header, the samples to send, newest first); what has a time is kept for the next uplinks."""
        memory = self._memory
        header, sample = profile_tree.measure(self._board)
        _unload_sensors()
        self._board.watchdog_feed()
        if not memory.time_known:
            return header, [(0, sample)]
        gps_s = self._clock.time() + memory.gps_less_local_s
        older = [(at, values) for at, values in memory.history if 0 < gps_s - at <= _LONGEST_AGE_S]
        memory.history = [(gps_s, sample)]
        memory.history.extend(older[: KEPT_SAMPLES - 1])
        return header, memory.history

    def _report(self, header: "Values", samples: "list[Sample]") -> None:
        mac = self._mac
        memory = self._memory
        now_s = self._clock.time()
        asking = memory.time_set_local_s == 0 or now_s - memory.time_set_local_s >= _TIME_EVERY_S
        if asking:
            mac.ask_time()
        self._store.reserve(mac)
        layout = profile_tree.LAYOUT
        payload = layout.encode(header, samples[: layout.samples_that_fit(mac.room())])
        try:
            transmit = mac.uplink(now_s, layout.f_port, payload)
        except BandBusy:
            self._save()  # the sample is in the history
            return
        self._save()  # the counter is spent, whatever happens now
        events, ended_s = self._exchange(transmit, ERROR_US)
        answered = False
        for event in events:
            if isinstance(event, NetworkTime):
                memory.gps_less_local_s = event.gps_s - ended_s
                memory.time_set_local_s = max(1, ended_s)
                memory.time_known = True
            if isinstance(event, Accepted):
                answered = True
        if answered:
            memory.unanswered = 0
            self._store.checkpoint(mac)  # so that a downlink replayed after a power cut is known
        elif asking:
            memory.unanswered += 1
        self._save()

    # --- shared ---

    def _exchange(self, transmit: "Transmit", error_us: int) -> "tuple[list[Event], int]":
        """Return (events, end of the uplink); a radio that fails is counted and costs only this exchange."""
        board = self._board
        radio = board.radio()
        try:
            radio.start()
            link = Link(radio, self._clock, board.watchdog_feed, board.antenna_gain_dbi)
            ended_s, events = link.exchange(self._mac, transmit, error_us)
            radio.sleep()
        except RadioFault as fault:
            self._memory.radio_faults += 1
            print("radio:", fault)
            _silence(board)
            return [], 0
        return events, ended_s

    def _save(self) -> None:
        self._store.save(self._mac, self._memory, self._clock.time())

    def _until_next_sample_s(self) -> int:
        """Seconds to this node's next place on the grid, at least half an interval away; without time, one interval."""
        now_s = self._clock.time()
        if not self._memory.time_known:
            return max(1, self._woken_s + self._interval_s - now_s)
        wait_s = (self._phase_s - now_s - self._memory.gps_less_local_s) % self._interval_s
        return wait_s + self._interval_s if wait_s < self._interval_s // 2 else wait_s
