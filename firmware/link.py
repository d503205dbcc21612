# SPDX-License-Identifier: EUPL-1.2
"""The shell around the MAC core: radio, clock and core through one exchange.

The network opens its windows within 20 us of the end of the uplink; every other error is ours. So the end is computed,
not observed (instant of SetTx + start of the transmitter + exact time on air), the receiver is staged early and
launched with one command, and the garbage collector runs only where there is time for it: from before the uplink to
after the last window never by itself.
"""

import gc

from decoders.lorawan.airtime import symbol_us, time_on_air_us
from decoders.lorawan.region import EU868
from firmware.radio.sx1262 import RX_DONE, RX_START_US, RX_WAITING, TX_START_US, RadioFault

if False:  # types only
    from collections.abc import Callable

    from decoders.lorawan.region import DataRate, Plan
    from firmware.hal import Clock, TicksUs
    from firmware.mac import Event, Mac, OpenWindow, Transmit
    from firmware.radio.sx1262 import Sx1262

# Error budget of a window, either way: scheduler tick 10 ms, interpreter at launch some ms, crystals 2 x 20 ppm of 6 s
ERROR_US = 20_000
LOST_ERROR_US = 100_000  # when the last join went unanswered: perhaps this board is slower than thought
_PREAMBLE_SYMBOLS = 6  # of a downlink's 8, enough for the receiver to lock
_COLLECT_US = 300_000  # what a collection may take at worst: 286 ms were seen with 8 MB of heap
_STAGE_US = 60_000  # a dozen commands and the TCXO's start, on a slow interpreter
_SPIN_US = 3_000  # the last of a wait is not left to the scheduler
_LATEST_END_US = 50_000  # past the longest downlink: the chip has hung


class Window:
    """When to launch the receiver and for how long, for one data rate and error budget."""

    __slots__ = ("early_us", "symbols", "us")

    def __init__(self, rate: "DataRate", error_us: int) -> None:
        symbol = symbol_us(rate.sf, rate.bandwidth_hz)
        self.early_us = RX_START_US + error_us
        self.symbols = min(248, -(-(RX_START_US + 2 * error_us) // symbol) + _PREAMBLE_SYMBOLS)
        self.us = self.symbols * symbol


class Link:
    """``radio``: firmware.radio.sx1262.Sx1262, started; ``clock``: the time module; ``feed()`` shows progress.

    ``antenna_gain_dbi`` is taken off the radiated power that the core asks for.
    """

    def __init__(
        self,
        radio: "Sx1262",
        clock: "Clock",
        feed: "Callable[[], None]",
        antenna_gain_dbi: int = 0,
        plan: "Plan" = EU868,
    ) -> None:
        self._radio = radio
        self._clock = clock
        self._feed = feed
        self._antenna_gain_dbi = antenna_gain_dbi
        self._plan = plan
        self._buffer = bytearray(255)
        self.least_free = 1 << 30  # bytes of heap when it was fullest, just before a collection

    def exchange(self, mac: "Mac", transmit: "Transmit", error_us: int = ERROR_US) -> "tuple[int, list[Event]]":
        """Send, then listen as ``mac`` says; return (clock.time() at the end of the uplink, events).

        Raises RadioFault; the collector runs again afterwards in any case.
        """
        radio = self._radio
        rate = self._plan.data_rates[transmit.dr]
        power_dbm = transmit.eirp_dbm - self._antenna_gain_dbi
        radio.stage_tx(transmit.frequency_hz, rate.sf, rate.bandwidth_hz, power_dbm, transmit.phy_payload)
        events: "list[Event]" = []
        gc.collect()
        gc.disable()
        try:
            launched = radio.launch_tx()
            ended = self._clock.ticks_add(launched, TX_START_US + transmit.airtime_us)
            self._sleep_until(ended)
            radio.finish_tx()
            ended_s = self._clock.time()
            window = mac.next_window()
            while window is not None:
                self._feed()
                length = self._listen(window, ended, error_us)
                if length:
                    events += mac.received(bytes(self._buffer[:length]), radio.snr_quarter_db)
                else:
                    mac.window_closed()
                window = mac.next_window()
        finally:
            self._note_free()
            gc.enable()
            self._feed()
        return ended_s, events

    def _listen(self, window: "OpenWindow", ended: "TicksUs", error_us: int) -> int:
        """Open ``window``; return the length of what was received, 0 for nothing."""
        clock = self._clock
        radio = self._radio
        rate = self._plan.data_rates[window.dr]
        opening = Window(rate, error_us)
        opens = clock.ticks_add(ended, window.after_us - opening.early_us)
        self._sleep_until(clock.ticks_add(opens, -_STAGE_US - _COLLECT_US))
        radio.stage_rx(window.frequency_hz, rate.sf, rate.bandwidth_hz, opening.symbols)
        if clock.ticks_diff(opens, clock.ticks_us()) > _COLLECT_US:
            self._note_free()
            gc.collect()
        self._sleep_until(opens)
        launched = radio.launch_rx()
        longest = time_on_air_us(rate.max_payload + 5, rate.sf, rate.bandwidth_hz, crc=False)
        pause_ms = max(1, symbol_us(rate.sf, rate.bandwidth_hz) // 1000)
        clock.sleep_ms(opening.us // 1000)
        state = radio.rx_state()
        while state == RX_WAITING:
            if clock.ticks_diff(clock.ticks_us(), launched) > opening.us + longest + _LATEST_END_US:
                raise RadioFault("reception does not end")
            clock.sleep_ms(pause_ms)
            state = radio.rx_state()
        return radio.read_packet(self._buffer) if state == RX_DONE else 0

    def _note_free(self) -> None:
        if hasattr(gc, "mem_free"):  # MicroPython
            self.least_free = min(self.least_free, gc.mem_free())

    def _sleep_until(self, ticks: "TicksUs") -> None:
        clock = self._clock
        left_us = clock.ticks_diff(ticks, clock.ticks_us())
        if left_us > 2 * _SPIN_US:
            clock.sleep_ms((left_us - _SPIN_US) // 1000)
            left_us = clock.ticks_diff(ticks, clock.ticks_us())
        if left_us > 0:
            clock.sleep_us(left_us)
