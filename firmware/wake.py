# SPDX-License-Identifier: EUPL-1.2
"""One wake of a node: load, sample, exchange, save, sleep. At most one radio exchange a wake.

Samples are taken on a grid of network time: every ``interval_s``, moved by an offset that each node draws from its
DevEUI, so that a fleet does not speak at once. Each goes to flash (firmware/history.py) before anything is sent. An
uplink carries the newest and older ones (firmware/reports.py); what the gateway is not known to have is sent again
(firmware/delivery.py). Until the network has told the time, samples wait with local times and a message of diagnostics
goes out instead; if it does not answer, they are sent as "so long ago", once.
"""

import binascii

from firmware import network_time
from firmware.mac import Mac
from firmware.node import unload
from firmware.settings import Settings

if False:  # types only
    from firmware.hal import Values
    from firmware.history import History
    from firmware.node import Node

_START_SPREAD_S = 30  # after a power cut in the street, nodes do not all speak in the same second
# A network that does not answer for so long has perhaps forgotten the session
_FORGOTTEN_S = 10 * 3600
_UNANSWERED_LIMIT = 3
_STRETCH = 4  # times the interval when the battery is low
_RECOVERED_MV = 50  # above a limit: low no more
_OK = 0
_LOW = 1
EMPTY = 2


class Wake:
    """What a node knows for one wake; ``firmware.talk`` and ``firmware.join`` work on it."""

    def __init__(self, node: "Node") -> None:
        self.node = node
        self.clock = node.board.clock
        self.started_ms = self.clock.ticks_ms()
        self.airtime_us = 0
        self._light_ms = node.board.light_ms
        self._sensors_uas = 0
        self.spread: int = binascii.crc32(bytes.fromhex(node.identity.dev_eui))
        self.mac = Mac(node.identity)
        self.mac.adr = node.identity.adr
        self._woken_s = self.clock.time()
        self.memory = node.store.load(self.mac, self._woken_s)
        self.memory.version = node.version
        self.settings = Settings(node.board.folder, node.identity.interval_s)
        if self.settings.safe_mode:
            node.safe = True
        self._urgent = False
        if node.identity.session is not None:
            self._personalise(node.identity.session)
        unload()  # what loaded

    def _personalise(self, provisioned: "tuple[int, bytes, bytes]") -> None:
        """TS001 "Activation by Personalization": the session is provisioned; once begun, its counters never go back."""
        session = self.mac.session
        if session is None or (session.dev_addr, session.nwk_s_key, session.app_s_key) != provisioned:
            from firmware.session import Session

            self.mac.session = Session(*provisioned, 0)
            self.mac.frame = b""

    def run(self, crashes: int, resets: int) -> int:
        """Do what is due; return how long to sleep, seconds. Of the wakes before, ``resets`` ended in a reset."""
        memory = self.memory
        mac = self.mac
        memory.counters.crashes += crashes - resets
        memory.counters.watchdog_resets += resets
        if memory.cold:
            memory.counters.power_resets += 1
            memory.counters.readings_lost += self.history().drop_local()
        elif not self.node.board.slept() and not self.node.probes:
            memory.counters.other_resets += 1
        if memory.cold and not crashes:  # after a crash it has slept long enough
            wait_s = self.spread % _START_SPREAD_S
            if mac.session is not None:
                wait_s = max(wait_s, mac.wait_s(self._woken_s))
            if wait_s > 0:
                memory.next_sample_local_s = self._woken_s
                return self._sleep_s(wait_s)
        sampled = self.clock.time() >= memory.next_sample_local_s
        if sampled:
            self._sample()
        self._talk(sampled)
        unload()
        sleep_s = self._sleep_s()
        if self.node.restart:
            self.node.store.forget()  # as after a power cut: flash has the session
            return 1
        return sleep_s

    def _talk(self, sampled: bool) -> None:
        """At most one exchange, of what is due most."""
        memory = self.memory
        mac = self.mac
        if mac.session is None or ((sampled or self._follow_due()) and self._rejoin_due()):
            from firmware import join

            join.if_due(self)
        elif mac.frame and mac.repeats and not sampled:
            from firmware import talk

            talk.repeat(self)
        elif memory.power == EMPTY:
            memory.follow_local_s = 0  # nothing is sent; the history goes on
        elif self._follow_due() or (sampled and self._worth_sending()):
            from firmware import talk

            talk.report(self, sampled)

    def _worth_sending(self) -> bool:
        return self.node.safe or self._urgent or self.memory.kept >= self.settings.send_every

    def _follow_due(self) -> bool:
        follow_s = self.memory.follow_local_s
        return follow_s != 0 and self.clock.time() >= follow_s

    def _rejoin_due(self) -> bool:
        """Whether the network seems to have forgotten the session, which stays until a join succeeds."""
        memory = self.memory
        if self.node.identity.session is not None or memory.unanswered < _UNANSWERED_LIMIT:
            return False
        now_s = self.clock.time()
        return now_s - memory.heard_local_s >= _FORGOTTEN_S and now_s >= memory.next_join_local_s

    def history(self) -> "History":
        """Not kept, so that its module can go."""
        from firmware.history import History

        return History(self.node.board.folder)

    # --- sampling ---

    def interval_s(self) -> int:
        """Between two samples."""
        return self.settings.interval_s * (_STRETCH if self.memory.power else 1)

    def _sample(self) -> None:
        """Measure, put it into the history, and say when the next one is due."""
        if not self.node.safe:
            at_s = self.clock.time()
            values, last_s, self._sensors_uas = self._measure()
            unload()  # the drivers make room for the layout
            self._keep(values, at_s, last_s)
            self.node.board.watchdog_feed()
            self.node.sampled = True
        self.schedule()
        unload()

    def _measure(self) -> "tuple[Values, int, int]":
        from firmware import sample

        node = self.node
        return sample.measure(node.board, node.identity.profile, self.settings, self.history(), node.probes)

    def _keep(self, values: "Values", at_s: int, last_s: int) -> None:
        from firmware import sample

        memory = self.memory
        local = not memory.time_known
        time_s = at_s if local else max(network_time.gps_at(memory, at_s), last_s + 1)
        profile = self.node.identity.profile
        self._urgent = sample.keep(memory, profile, self.settings, self.history(), time_s, values, local)
        self.mac.battery_level = sample.battery_level(values)
        memory.counters.sensor_faults += len([1 for value in values.values() if isinstance(value, str)])
        memory.kept += 1
        self._judge_battery(values.get("battery_voltage", ""))

    def schedule(self) -> None:
        """Say when the next sample is due."""
        memory = self.memory
        now_s = self.clock.time()
        interval_s = self.interval_s()
        if memory.time_known:
            wait_s = network_time.until_grid_s(memory, now_s, self.spread % interval_s, interval_s)
        else:
            wait_s = max(1, self._woken_s + interval_s - now_s)
        memory.next_sample_local_s = now_s + wait_s

    def _judge_battery(self, battery_mv: "int | str") -> None:
        """LOW and EMPTY come at a limit and go a little above it; a battery that cannot be measured changes nothing."""
        memory = self.memory
        if isinstance(battery_mv, str):
            return
        level = _OK
        for state, limit_mv in ((_LOW, self.settings.low_battery_mv), (EMPTY, self.settings.empty_battery_mv)):
            if battery_mv < limit_mv + (_RECOVERED_MV if memory.power >= state else 0):
                level = state
        memory.power = level

    # --- the end ---

    def save(self) -> None:
        """To RTC memory."""
        self.node.store.save(self.mac, self.memory, self.clock.time())

    def _sleep_s(self, wait_s: int = 0) -> int:
        """How long to sleep: ``wait_s``, or until whatever is due first."""
        memory = self.memory
        mac = self.mac
        now_s = self.clock.time()
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
        self._note_charge(sleep_s)
        self.save()
        return sleep_s

    def _note_charge(self, sleep_s: int) -> None:
        """Of this wake, and of the sleep after it, or of the listening."""
        node = self.node
        board = node.board
        awake_ms = self.clock.ticks_diff(self.clock.ticks_ms(), self.started_ms)
        light_ms = board.light_ms - self._light_ms
        awake_ms -= light_ms
        sensors_uas = self._sensors_uas
        if node.counts():
            awake_ms += sleep_s * 1000
            sensors_uas += sleep_s * node.draws_ua
            sleep_s = 0
        asleep_ua = board.table.ASLEEP_UA
        sensors_uas += light_ms * asleep_ua // 1000
        self.memory.counters.note_wake(awake_ms, self.airtime_us, sleep_s, asleep_ua, sensors_uas)
