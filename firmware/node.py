# SPDX-License-Identifier: EUPL-1.2
"""One wake of a node: load, sample, exchange, save, sleep. At most one radio exchange a wake.

Samples are taken on a grid of network time: every ``interval_s``, moved by an offset that each node draws from its
DevEUI, so that a fleet does not speak at once. Each goes to flash (firmware/history.py) before anything is sent. An
uplink carries the newest and older ones (firmware/reports.py); what the gateway is not known to have is sent again
(firmware/delivery.py). Until the network has told the time, samples wait with local times and a message of diagnostics
goes out instead; if it does not answer, they are sent as "so long ago", once.
"""

import binascii
import gc
import struct
import sys

from firmware import network_time
from firmware.errors import BandBusy
from firmware.history import History
from firmware.mac import Accepted, Acknowledged, LinkChecked, Mac, NetworkTime
from firmware.settings import COUNTERS, READ_ONLY, Settings
from firmware.state import SENT

if False:  # types only
    from firmware.hal import Board, Counter
    from firmware.identity import Identity
    from firmware.mac import Event, Transmit
    from firmware.reports import Report
    from firmware.state import Store

_START_SPREAD_S = 30  # after a power cut in the street, nodes do not all speak in the same second
# A network that is silent for so long is asked; if it does not answer for longer, it has perhaps forgotten the session
_SILENT_S = 6 * 3600
_FORGOTTEN_S = 10 * 3600
_UNANSWERED_LIMIT = 3
# What measures, writes payloads and updates
UNLOADED = (
    "decoders.bundle",
    "decoders.faults",
    "decoders.layouts",
    "decoders.payload",
    "decoders.settings",
    "firmware.boards.lines",
    "firmware.p256",
    "firmware.profile",
    "firmware.reports",
    "firmware.sensors",
    "firmware.starter",
    "firmware.tracking",
    "firmware.update",
)
CONTINUOUS = ("traffic",)  # profiles that count all the time
_POLL_MS = 4_000  # the radars' buffers hold 10 s, and so long tubes wait
_AWAKE_MS = 4000  # a repetition due sooner is waited for; for a later one the node sleeps deeply
_FOLLOW_S = 15  # least pause before an uplink besides those with a new sample; up to twice that, by DevEUI
_TRIES = 3  # of one, until the network is heard again
_STRETCH = 4  # times the interval when the battery is low
_RECOVERED_MV = 50  # above a limit: low no more
OK, LOW, EMPTY = range(3)


def silence(board: "Board") -> None:
    """Whatever state the radio is in, put it to sleep if it can be."""
    try:
        radio = board.radio()
        radio.start()
        radio.sleep()
    except Exception as error:
        getattr(sys, "print_exception", print)(error)


def unload() -> None:
    """Make room for the exchange: measuring and writing payloads are loaded anew at every wake. CPython has room."""
    if sys.implementation.name == "micropython":
        for name in [name for name in sys.modules if name.startswith(UNLOADED)]:
            package, _, module = name.rpartition(".")
            if package in sys.modules and hasattr(sys.modules[package], module):
                delattr(sys.modules[package], module)
            del sys.modules[name]
        gc.collect()


class Node:
    """The parts of a node for one wake. ``safe``: no sensors, only diagnostics go out."""

    def __init__(self, board: "Board", identity: "Identity", store: "Store", safe: bool = False) -> None:
        self._board = board
        self._clock = board.clock
        self._store = store
        self._profile = identity.profile
        self._started_ms = self._clock.ticks_ms()
        self._airtime_us = 0
        self._measured_ms = 0  # until the exchange, in which it sleeps most of the time
        self.sent = self.heard = self.sampled = False  # anything; a data downlink; with sensors
        self._spread: int = binascii.crc32(bytes.fromhex(identity.dev_eui))
        self._confirmed = identity.confirmed
        self._abp = identity.session is not None
        self._mac = Mac(identity)
        self._mac.adr = identity.adr
        self._woken_s = self._clock.time()
        self._memory = store.load(self._mac, self._woken_s)
        self._settings = Settings(board.folder, identity.interval_s)
        self._safe = safe or bool(self._settings.safe_mode)
        self._history = History(board.folder)
        self._urgent = False
        self._restart = False
        self._probes: "list[Counter]" = []  # that count all the time, once begun
        if identity.session is not None:
            self._personalise(identity.session)

    def _personalise(self, provisioned: "tuple[int, bytes, bytes]") -> None:
        """TS001 "Activation by Personalization": the session is provisioned; once begun, its counters never go back."""
        session = self._mac.session
        if session is None or (session.dev_addr, session.nwk_s_key, session.app_s_key) != provisioned:
            from firmware.session import Session

            self._mac.session = Session(*provisioned, 0)
            self._mac.frame = b""

    def wake(self, crashes: int = 0, resets: int = 0) -> int:
        """Do what is due; return how long to sleep, seconds. Of the wakes before, ``resets`` ended in a reset."""
        memory = self._memory
        mac = self._mac
        memory.counters.crashes += crashes - resets
        memory.counters.watchdog_resets += resets
        if memory.cold:
            memory.counters.power_resets += 1
            memory.counters.readings_lost += self._history.drop_local()
        elif not self._board.slept() and not self._probes:
            memory.counters.other_resets += 1
        if memory.cold and not crashes:  # after a crash it has slept long enough
            wait_s = self._spread % _START_SPREAD_S
            if mac.session is not None:
                wait_s = max(wait_s, mac.wait_s(self._woken_s))
            if wait_s > 0:
                memory.next_sample_local_s = self._woken_s
                return self._sleep_s(wait_s)
        sampled = self._sample_due()
        if sampled:
            self._sample()
        if mac.session is None:
            self._join_if_due()
        elif mac.frame and mac.repeats and not sampled:
            self._repeat()
        elif sampled and self._rejoin_due():
            self._join_if_due()
        elif memory.power == EMPTY:
            memory.follow_local_s = 0  # nothing is sent; the history goes on
        elif self._follow_due() or (sampled and self._worth_sending()):
            self._report(sampled)
        sleep_s = self._sleep_s()
        if self._restart:
            self._store.forget()  # as after a power cut: flash has the session
            return 1
        return sleep_s

    def _worth_sending(self) -> bool:
        return self._safe or self._urgent or self._memory.kept >= self._settings.send_every

    # --- counting all the time ---

    def counts(self) -> bool:
        """Whether this node has to listen between its wakes: then it does not sleep deeply."""
        return self._profile in CONTINUOUS and not self._safe and not self._restart

    def listen(self, seconds: int) -> None:
        """Instead of deep sleep: let the sensors count."""
        clock = self._clock
        if not self._probes:
            from firmware import profile

            self._probes = profile.listen(self._board, self._profile, self._settings)
            unload()
        began_ms = clock.ticks_ms()
        left_ms = seconds * 1000
        while left_ms > 0:
            for probe in self._probes:
                probe.poll()
            self._board.watchdog_feed()
            clock.sleep_ms(min(_POLL_MS, left_ms))
            left_ms = seconds * 1000 - clock.ticks_diff(clock.ticks_ms(), began_ms)
        self._woken_s = clock.time()
        self._started_ms = clock.ticks_ms()
        self._airtime_us = self._measured_ms = 0
        self._memory.cold = False

    # --- sampling ---

    def _interval_s(self) -> int:
        return self._settings.interval_s * (_STRETCH if self._memory.power else 1)

    def _sample_due(self) -> bool:
        return self._clock.time() >= self._memory.next_sample_local_s

    def _follow_due(self) -> bool:
        follow_s = self._memory.follow_local_s
        return follow_s != 0 and self._clock.time() >= follow_s

    def _sample(self) -> None:
        """Measure, put it into the history, and say when the next one is due."""
        memory = self._memory
        at_s = self._clock.time()
        if not self._safe:
            from firmware import reports

            local = not memory.time_known
            values, last_s = reports.measure(self._board, self._profile, self._settings, self._history, self._probes)
            del reports
            unload()  # the drivers make room for the layout
            from firmware import reports

            time_s = at_s if local else max(network_time.gps_at(memory, at_s), last_s + 1)
            self._urgent = reports.keep(memory, self._profile, self._settings, self._history, time_s, values, local)
            self._mac.battery_level = reports.battery_level(values)
            memory.counters.sensor_faults += len([1 for value in values.values() if isinstance(value, str)])
            memory.kept += 1
            self._judge_battery(values.get("battery_voltage", ""))
            self._board.watchdog_feed()
            self.sampled = True
        self._schedule()

    def _schedule(self) -> None:
        memory = self._memory
        now_s = self._clock.time()
        interval_s = self._interval_s()
        if memory.time_known:
            wait_s = network_time.until_grid_s(memory, now_s, self._spread % interval_s, interval_s)
        else:
            wait_s = max(1, self._woken_s + interval_s - now_s)
        memory.next_sample_local_s = now_s + wait_s

    def _judge_battery(self, battery_mv: "int | str") -> None:
        """LOW and EMPTY come at a limit and go a little above it; a battery that cannot be measured changes nothing."""
        memory = self._memory
        if isinstance(battery_mv, str):
            return
        level = OK
        for state, limit_mv in ((LOW, self._settings.low_battery_mv), (EMPTY, self._settings.empty_battery_mv)):
            if battery_mv < limit_mv + (_RECOVERED_MV if memory.power >= state else 0):
                level = state
        memory.power = level

    # --- joining ---

    def _join_if_due(self) -> None:
        """Join if battery, back-off and duty cycle allow."""
        memory = self._memory
        now_s = self._clock.time()
        if memory.power == EMPTY or now_s < memory.next_join_local_s:
            return
        try:
            self._join()
        except BandBusy as busy:
            memory.next_join_local_s = now_s + busy.wait_s

    def _rejoin_due(self) -> bool:
        """Whether the network seems to have forgotten the session, which stays until a join succeeds."""
        memory = self._memory
        if self._abp or memory.unanswered < _UNANSWERED_LIMIT:
            return False
        now_s = self._clock.time()
        return now_s - memory.heard_local_s >= _FORGOTTEN_S and now_s >= memory.next_join_local_s

    def _join(self) -> None:
        """One join request and its windows. Raises BandBusy."""
        mac = self._mac
        memory = self._memory
        before = mac.session
        unload()
        if mac.join_attempts:
            memory.budget.missed()  # perhaps that was why
        transmit = mac.join_request(self._clock.time())
        self._store.checkpoint(mac, memory, self._clock.time())  # the DevNonce is spent, whatever happens now
        self._save()
        self._exchange(transmit)
        now_s = self._clock.time()
        if mac.session is not before:
            self._store.checkpoint(mac, memory, now_s)
            memory.unanswered = 0
            memory.next_join_local_s = 0
            memory.heard_local_s = now_s
            memory.ask_every_s = 0  # ask again, whatever the clock says
            memory.follow_local_s = now_s + max(1, mac.wait_s(now_s))
        else:
            wait_s = mac.join_back_off_s(now_s)
            if mac.session is not None:  # every other wake at most: reports go on
                wait_s = max(wait_s, self._interval_s() * 3 // 2)
            memory.next_join_local_s = now_s + wait_s
        self._save()

    # --- reporting ---

    def _report(self, sampled: bool) -> None:
        """Send what is due most."""
        mac = self._mac
        memory = self._memory
        now_s = self._clock.time()
        unload()  # what measured
        report = self._choose(sampled, now_s)
        asking = network_time.time_due(memory, now_s)
        if asking:
            mac.ask_time()
        silent = now_s - memory.heard_local_s >= _SILENT_S
        if (report.asks or silent) and (not asking or memory.unanswered):  # a network without time answers that
            asking = True
            mac.ask_link()
        unload()
        self._store.reserve(mac, memory, now_s)
        try:
            transmit = mac.uplink(now_s, report.f_port, report.payload, self._confirmed)
        except BandBusy as busy:
            memory.follow_local_s = now_s + busy.wait_s  # what is to be said is in the history
            return
        memory.follow_local_s = 0
        memory.asking = asking
        memory.sent = struct.pack(SENT, report.kind, report.before_s, report.oldest_s, report.newest_s)
        report.noted(memory, self._history, now_s)
        del report
        self._send(transmit)

    def _choose(self, sampled: bool, now_s: int) -> "Report":
        from firmware import reports

        room = self._mac.room() - 2  # for two requests of one byte
        return reports.choose(
            self._memory, self._settings, self._history, self._profile, max(0, room), now_s, sampled, self._safe
        )

    def _repeat(self) -> None:
        """Send the last uplink once more, as soon as the duty cycle allows."""
        try:
            transmit = self._mac.repeat(self._clock.time())
        except BandBusy:
            return
        self._send(transmit)

    def _send(self, transmit: "Transmit") -> None:
        """The uplink, and its repetitions if they are due soon; note what came back."""
        mac = self._mac
        memory = self._memory
        while True:
            self._save()  # the counter is spent, whatever happens now
            if self._exchange(transmit):
                self.heard = True
                # a network that is there and does not tell the time: see reports.choose
                memory.unanswered = 0 if memory.time_known else memory.unanswered + memory.asking
                memory.heard_local_s = self._clock.time()
                # so that a downlink replayed after a power cut is known
                self._store.checkpoint(mac, memory, self._clock.time())
                break
            wait_ms = mac.repeat_wait_ms(self._clock.time())
            if wait_ms is None:
                if memory.asking:
                    memory.unanswered += 1
                    memory.tries += 1
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
        self._follow()
        self._save()

    def _follow(self) -> None:
        """Say when the next uplink besides those with new samples is due, if there is anything to say."""
        from firmware import reports

        memory = self._memory
        if self._mac.session is None or memory.follow_local_s:
            return
        if memory.tries >= _TRIES:
            reports.give_up(memory)
        now_s = self._clock.time()
        if reports.more(memory, self._settings, self._history, now_s):
            pause_s = _FOLLOW_S + (self._spread + self._mac.session.f_cnt_up * 7) % _FOLLOW_S
            memory.follow_local_s = now_s + max(pause_s, self._mac.wait_s(now_s) + 1)

    # --- shared ---

    def _exchange(self, transmit: "Transmit") -> bool:
        """Whether there was a downlink for us; a radio that errs is counted, and costs this exchange at most."""
        from firmware.link import Link  # not before: measuring and writing reports need the room
        from firmware.radio.sx1262 import RadioFault

        board = self._board
        memory = self._memory
        radio = board.radio()
        mac = self._mac
        before = None if mac.session is None else mac.session.f_cnt_down
        events: "list[Event]" = []
        ended_s = 0
        if not self._airtime_us:
            self._measured_ms = self._clock.ticks_diff(self._clock.ticks_ms(), self._started_ms)
        self._airtime_us += transmit.airtime_us
        self.sent = True
        asked = memory.asking and mac.joining is None
        fault = "" if radio.asleep() else "not asleep"  # since the last exchange
        try:
            radio.start()
            gain_dbi = board.antenna_gain_dbi
            light_sleep = None if self._probes else board.light_sleep  # what counts hears nothing in it
            link = Link(radio, self._clock, board.watchdog_feed, gain_dbi, memory.budget, light_sleep)
            ended_s, events = link.exchange(mac, transmit)
            radio.sleep()
            fault = fault or radio.oddity
            memory.counters.note_free(link.least_free)
        except RadioFault as raised:
            fault = raised.reason
            silence(board)
        except Exception:
            if mac.session is not None and mac.session.f_cnt_down != before:  # a frame that we fail on fails us once
                self._store.checkpoint(mac, memory, self._clock.time())
                self._save()
            raise
        if fault:
            memory.counters.radio_faults += 1
            print("radio:", fault)
        memory.counters.asked += asked
        return self._heard(events, ended_s)

    def _heard(self, events: "list[Event]", ended_s: int) -> bool:
        """Act on what came back; whether there was a downlink for us."""
        memory = self._memory
        accepted = answered = False
        for event in events:
            if isinstance(event, NetworkTime):
                first = not memory.time_known
                network_time.set_clock(memory, event.gps_s, ended_s)
                if first:
                    self._stamp()
            if isinstance(event, (NetworkTime, LinkChecked, Acknowledged)):
                answered = True
            if isinstance(event, Accepted):
                accepted = True
                memory.counters.answered += memory.asking
                if event.payload:
                    self._obey(event.f_port, event.payload)
        if answered:
            from firmware import reports

            memory.tries = 0
            self._restart = reports.arrived(memory, self._clock.time())
        return accepted

    def _stamp(self) -> None:
        """The time is known: give it to the samples that have been waiting for it."""
        memory = self._memory
        samples = self._history.newest(1)[1]
        if self._history.stamp(memory.gps_less_local_s, samples[0][0] if samples else 0):
            memory.kept = 0xFF  # send them as soon as may be
        self._schedule()

    def _obey(self, f_port: int, payload: bytes) -> None:
        """A downlink of the application: settings."""
        from decoders.settings import F_PORT

        if f_port != F_PORT:
            return
        from decoders.layouts import of

        settings = self._settings
        interval_s = settings.interval_s
        probes = settings.probes, settings.slow_below_kmh, settings.fast_above_kmh
        fields = len(of(self._profile).fields)
        known = COUNTERS if self._profile in CONTINUOUS else READ_ONLY
        self._memory.answer = settings.obey(payload, fields, self._memory.delivery, known)
        self._memory.tries = 0
        if settings.interval_s != interval_s:
            self._schedule()
        self._safe = self._safe or bool(settings.safe_mode)
        if self._safe or probes != (settings.probes, settings.slow_below_kmh, settings.fast_above_kmh):
            while self._probes:  # ``listen`` begins with others
                self._probes.pop().stop()
                self._board.sensor_power(False)

    def _save(self) -> None:
        self._store.save(self._mac, self._memory, self._clock.time())

    def _sleep_s(self, wait_s: int = 0) -> int:
        """How long to sleep: ``wait_s``, or until whatever is due first."""
        memory = self._memory
        mac = self._mac
        now_s = self._clock.time()
        due_s = now_s + wait_s if wait_s else memory.next_sample_local_s
        if not wait_s:
            if mac.session is None and memory.power != EMPTY:
                due_s = min(due_s, memory.next_join_local_s)
            if memory.follow_local_s:
                due_s = min(due_s, memory.follow_local_s)
            wait_ms = mac.repeat_wait_ms(now_s)
            if wait_ms is not None:
                due_s = min(due_s, now_s + wait_ms // 1000 + 1)
        sleep_s = max(1, due_s - now_s)
        awake_ms = self._clock.ticks_diff(self._clock.ticks_ms(), self._started_ms)
        memory.counters.note_wake(self._measured_ms or awake_ms, self._airtime_us, sleep_s)
        self._save()
        return sleep_s
