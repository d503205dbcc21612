# SPDX-License-Identifier: EUPL-1.2
"""The shell around the MAC core: radio, clock and core through one exchange.

The network opens its windows within 20 us of the end of the uplink; every other error is ours. So the end is computed,
not observed (instant of SetTx + start of the transmitter + exact time on air), the receiver is staged early and
launched with one command, what the interpreter takes for both is measured at the uplink, and the garbage collector
does not run by itself from before the uplink to after the last window. What is left is ``firmware.timing``'s budget,
which learns from every downlink that was for us. While nothing is on the air, radio and processor sleep.
"""

import gc

from decoders.lorawan.airtime import symbol_us, time_on_air_us
from decoders.lorawan.region import EU868
from firmware.mac import Dropped
from firmware.radio.sx1262 import RX_DONE, RX_START_US, RX_WAITING, TX_START_US, RadioFault
from firmware.timing import Window, WindowBudget

if False:  # types only
    from collections.abc import Callable

    from decoders.lorawan.region import Plan
    from firmware.hal import Clock, TicksUs
    from firmware.mac import Event, Mac, OpenWindow, Transmit
    from firmware.radio.sx1262 import Sx1262

# The collector gets its turn before a window if there is time for it and it is quick, or little heap is left, bytes
_QUICK_US = 50_000
_SCARCE = 16_384
_SPARE_US = 5_000  # more than the last staging took
_WAKE_US = 10_000  # light sleep ends so long before the processor is needed
_LIGHT_FROM_US = 25_000  # shorter waits are not worth it
_DOZE_FROM_US = 100_000  # neither are these for the radio
_SPIN_US = 3_000  # the last of a wait is not left to the scheduler
_LATEST_END_US = 50_000  # past the longest downlink: the chip has hung
# Sync word and header of a downlink, behind what is left of its preamble: before, the receiver has nothing to say
_QUIET_SYMBOLS = 12


class Link:
    """``radio``: firmware.radio.sx1262.Sx1262, started; ``clock``: the time module; ``feed()`` shows progress.

    ``antenna_gain_dbi`` is taken off the radiated power that the core asks for. ``budget`` learns. ``light_sleep(ms)``:
    the board's, if it has one.
    """

    def __init__(
        self,
        radio: "Sx1262",
        clock: "Clock",
        feed: "Callable[[], None]",
        antenna_gain_dbi: int = 0,
        budget: "WindowBudget | None" = None,
        light_sleep: "Callable[[int], None] | None" = None,
        plan: "Plan" = EU868,
    ) -> None:
        self._radio = radio
        self._clock = clock
        self._feed = feed
        self._antenna_gain_dbi = antenna_gain_dbi
        self._budget = WindowBudget() if budget is None else budget
        self._light_sleep = light_sleep
        self._plan = plan
        self._buffer = bytearray(255)
        self._stage_us = 0  # what this interpreter takes to stage,
        self._launch_us = 0  # to launch and to read the clock: what that makes ``ended`` late, it makes windows early
        self._collect_us = 0  # and for a collection, twice
        self._asleep_us = 0  # light sleep since the uplink began, by the node's clock
        self.least_free = 1 << 30  # bytes of heap when it was fullest

    def exchange(self, mac: "Mac", transmit: "Transmit") -> "tuple[int, list[Event]]":
        """Send, then listen as ``mac`` says; return (clock.time() at the end of the uplink, events).

        Raises RadioFault; the collector runs again afterwards in any case.
        """
        clock = self._clock
        radio = self._radio
        rate = self._plan.data_rates[transmit.dr]
        power_dbm = transmit.eirp_dbm - self._antenna_gain_dbi
        events: "list[Event]" = []
        try:
            started = clock.ticks_us()
            radio.stage_tx(transmit.frequency_hz, rate.sf, rate.bandwidth_hz, power_dbm, transmit.phy_payload)
            staged = clock.ticks_us()
            gc.collect()
            gc.disable()
            asked = clock.ticks_us()
            launched = radio.launch_tx()
            self._stage_us = clock.ticks_diff(staged, started) * 3 // 2 + _SPARE_US
            self._collect_us = 2 * clock.ticks_diff(asked, staged)
            self._launch_us = clock.ticks_diff(launched, asked)
            self._asleep_us = 0
            ended = clock.ticks_add(launched, TX_START_US + transmit.airtime_us)
            most_us = min(transmit.airtime_us, self._budget.most_asleep_us())
            self._sleep_until(clock.ticks_add(ended, self._budget.correction_us(most_us)))
            radio.finish_tx()
            ended_s = clock.time()
            window = mac.next_window()
            while window is not None:
                self._feed()
                length = self._listen(window, ended)
                if length:
                    gc.enable()  # judging a frame takes room, and there is time: RX2 opens a second after RX1
                    told = mac.received(bytes(memoryview(self._buffer)[:length]), radio.snr_quarter_db)
                    events += told
                    if not isinstance(told[0], Dropped):
                        self._learn(window, ended, length)
                    gc.disable()
                else:
                    mac.window_closed()
                window = mac.next_window()
        finally:
            self._note_free()
            gc.enable()
            self._feed()
        return ended_s, events

    def _listen(self, window: "OpenWindow", ended: "TicksUs") -> int:
        """Open ``window``; return the length of what was received, 0 for nothing."""
        clock = self._clock
        radio = self._radio
        budget = self._budget
        rate = self._plan.data_rates[window.dr]
        symbol = symbol_us(rate.sf, rate.bandwidth_hz)
        after_us = window.after_us
        most_us = 0  # what may have been slept when the window opens
        if self._light_sleep is not None:
            due = clock.ticks_add(ended, after_us)
            most_us = self._asleep_us + max(0, clock.ticks_diff(due, clock.ticks_us()))
            most_us = min(most_us, budget.most_asleep_us())
        early_us = budget.error_us(after_us, most_us) - budget.correction_us(most_us) + RX_START_US
        ready = clock.ticks_add(ended, after_us - early_us - self._launch_us - self._stage_us)
        collecting = self._collect_us if self._collect_us < _QUICK_US or self._scarce() else 0
        self._doze_until(clock.ticks_add(ready, -collecting))
        if collecting and clock.ticks_diff(ready, clock.ticks_us()) >= self._collect_us // 2:
            gc.collect()
        # now it is known how much of the wait was slept
        opening = Window(symbol, budget.error_us(after_us, self._asleep_us), RX_START_US)
        opens = clock.ticks_add(ended, after_us + budget.correction_us(self._asleep_us) - opening.early_us)
        symbols = radio.stage_rx(window.frequency_hz, rate.sf, rate.bandwidth_hz, opening.symbols)
        ready = clock.ticks_add(opens, -self._launch_us)
        if clock.ticks_diff(clock.ticks_us(), ready) > opening.us:
            return 0  # the window before took too long: there is no preamble any more
        self._sleep_until(ready, awake=True)
        launched = radio.launch_rx()
        longest = time_on_air_us(rate.max_payload + 5, rate.sf, rate.bandwidth_hz, crc=False)
        deadline = clock.ticks_add(launched, opening.us + longest + _LATEST_END_US)
        pause_ms = max(1, symbol // 4000)
        self._sleep_until(clock.ticks_add(launched, min(symbols, _QUIET_SYMBOLS) * symbol))
        left_us = clock.ticks_diff(clock.ticks_add(launched, opening.us), clock.ticks_us())
        if left_us > 0:
            clock.sleep_ms(left_us // 1000)
        state = radio.rx_state()
        while state == RX_WAITING:
            clock.sleep_ms(pause_ms)
            late = clock.ticks_diff(clock.ticks_us(), deadline) > 0
            state = radio.rx_state(late)
            if late and state == RX_WAITING:
                raise RadioFault("reception does not end")
        return radio.read_packet(self._buffer) if state == RX_DONE else 0

    def _learn(self, window: "OpenWindow", ended: "TicksUs", length: int) -> None:
        """Tell the budget how late a downlink of ``length`` bytes came that was for us."""
        done = self._radio.done
        if done is not None and not self._radio.oddity:
            rate = self._plan.data_rates[window.dr]
            due_us = window.after_us + time_on_air_us(length, rate.sf, rate.bandwidth_hz, crc=False)
            due_us += self._budget.correction_us(self._asleep_us)
            self._budget.heard(self._clock.ticks_diff(done, ended) - due_us, self._asleep_us)

    # --- waiting ---

    def _doze_until(self, ticks: "TicksUs") -> None:
        """Wait with the radio asleep, if that pays."""
        if self._clock.ticks_diff(ticks, self._clock.ticks_us()) > _DOZE_FROM_US + self._stage_us:
            self._radio.sleep(True)
            self._sleep_until(self._clock.ticks_add(ticks, -(self._stage_us >> 1)))
            self._radio.wake()
        self._sleep_until(ticks)

    def _sleep_until(self, ticks: "TicksUs", awake: bool = False) -> None:
        clock = self._clock
        left_us = clock.ticks_diff(ticks, clock.ticks_us())
        may_us = min(left_us, self._budget.most_asleep_us() - self._asleep_us)
        if self._light_sleep is not None and may_us > _LIGHT_FROM_US and not awake:
            light_ms = (may_us - _WAKE_US) // 1000
            self._light_sleep(light_ms)
            self._asleep_us += light_ms * 1000
            left_us = clock.ticks_diff(ticks, clock.ticks_us())
        if left_us > 2 * _SPIN_US:
            clock.sleep_ms((left_us - _SPIN_US) // 1000)
            left_us = clock.ticks_diff(ticks, clock.ticks_us())
        if left_us > 0:
            clock.sleep_us(left_us)

    # --- the heap ---

    def _free(self) -> int:
        return gc.mem_free() if hasattr(gc, "mem_free") else 1 << 30  # MicroPython, CPython

    def _note_free(self) -> None:
        self.least_free = min(self.least_free, self._free())

    def _scarce(self) -> bool:
        self._note_free()
        return self._free() < _SCARCE
