# SPDX-License-Identifier: EUPL-1.2
"""A node over the wakes of one boot: almost always one, after which it sleeps deeply.

A wake has phases, and each loads its own modules and finds those of the others gone: to measure, to write a payload, to
join or to exchange frames, to act on what came back. So what the heap must hold at once is the largest phase, not the
sum. A node that counts all the time keeps no more of a wake than one that has slept deeply does.
"""

import gc
import sys

from firmware import VERSION

if False:  # types only
    from firmware.hal import Board, Counter
    from firmware.identity import Identity
    from firmware.state import Store

# What only one phase of a wake needs
UNLOADED = (
    "decoders.bundle",
    "decoders.faults",
    "decoders.layouts",
    "decoders.lorawan.join_frame",
    "decoders.lorawan.mac_command_list",
    "decoders.payload",
    "decoders.settings",
    "firmware.boards.lines",
    "firmware.exchange",
    "firmware.history",
    "firmware.join",
    "firmware.link",
    "firmware.mac_commands",
    "firmware.mac_join",
    "firmware.p256",
    "firmware.profile",
    "firmware.radio",
    "firmware.reports",
    "firmware.sample",
    "firmware.sensors",
    "firmware.starter",
    "firmware.talk",
    "firmware.tracking",
    "firmware.update",
)
CONTINUOUS = ("traffic",)  # profiles that count all the time
# Of garbage before the collector runs by itself, bytes, for who begins with a fresh heap at each wake; a third of its
# computing was collecting. Who counts for months must not let the heap be scattered.
_GARBAGE = 16_384
_POLL_MS = 4_000  # the radars' buffers hold 10 s, and so long tubes wait


def silence(board: "Board") -> None:
    """Whatever state the radio is in, put it to sleep if it can be."""
    try:
        radio = board.radio()
        radio.start()
        radio.sleep()
    except Exception as error:
        getattr(sys, "print_exception", print)(error)
    board.radio_done()


def unload() -> None:
    """A phase has ended: make room for the next, which loads what it needs. CPython has room."""
    if sys.implementation.name == "micropython":
        for name in [name for name in sys.modules if name.startswith(UNLOADED)]:
            package, _, module = name.rpartition(".")
            if package in sys.modules and hasattr(sys.modules[package], module):
                delattr(sys.modules[package], module)
            del sys.modules[name]
        gc.collect()


class Node:
    """``safe``: no sensors, only diagnostics go out."""

    def __init__(self, board: "Board", identity: "Identity", store: "Store", safe: bool = False) -> None:
        self.board = board
        self.identity = identity
        self.store = store
        self.safe = safe
        self.restart = False  # was asked for
        self.version = VERSION  # of what was flashed, unless whoever starts an update says another
        self.sent = self.heard = self.sampled = False  # anything; a data downlink; with sensors
        self.probes: "list[Counter]" = []  # that count all the time, once begun
        self.draws_ua = 0  # what these draw, at the battery

    def wake(self, crashes: int = 0, resets: int = 0) -> int:
        """Do what is due; return how long to sleep, seconds. Of the wakes before, ``resets`` ended in a reset."""
        from firmware.wake import Wake

        begun = Wake(self)
        if not self.counts() and hasattr(gc, "threshold"):  # CPython's collects garbage by itself
            gc.threshold(_GARBAGE)
        return begun.run(crashes, resets)

    def counts(self) -> bool:
        """Whether this node has to listen between its wakes: then it does not sleep deeply."""
        return self.identity.profile in CONTINUOUS and not self.safe and not self.restart

    def _begin(self) -> None:
        from firmware import profile
        from firmware.settings import Settings

        settings = Settings(self.board.folder, self.identity.interval_s)
        self.probes = profile.listen(self.board, self.identity.profile, settings)
        self.draws_ua = profile.draws_uas(self.identity.profile, settings, 1000)

    def listen(self, seconds: int) -> None:
        """Instead of deep sleep: let the sensors count."""
        clock = self.board.clock
        unload()
        if not self.probes:
            self._begin()
            unload()
        began_ms = clock.ticks_ms()
        left_ms = seconds * 1000
        while left_ms > 0:
            for probe in self.probes:
                probe.poll()
            self.board.watchdog_feed()
            clock.sleep_ms(min(_POLL_MS, left_ms))
            left_ms = seconds * 1000 - clock.ticks_diff(clock.ticks_ms(), began_ms)
