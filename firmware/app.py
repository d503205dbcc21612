# SPDX-License-Identifier: EUPL-1.2
"""Starts a wake and sleeps off whatever goes wrong in it; ``firmware.node`` says what happens in one that goes well.

A wake that crashes is followed by a longer and longer sleep. After ``_SAFE_FROM`` crashes the next one is safe: no
sensor, no flash but the session, only diagnostics go out, so that the network can still give orders. Then again
ordinary ones are tried; one more crash, and the next is safe again. Only a wake that takes a sample and ends well
clears the count: one that merely sends what is left, after a safe one, proves nothing.
"""

import os
import sys

from firmware.errors import IdentityInvalid
from firmware.identity import parse_identity
from firmware.journal import Journal
from firmware.node import Node, silence, unload

if False:  # types only
    from firmware.hal import Board
    from firmware.identity import Identity
    from firmware.starter import Start

_TECHNICIAN_S = 600  # a node without identity stays awake after a reset,
_LISTEN_MS = 3_000  # 0.03 mAh; a board with USB of its own needs a second until the laptop sees it again
_NO_IDENTITY_S = 3600  # then looks for one now and then
_FORGET_AFTER_CRASHES = 3
_SAFE_FROM = 5
_LONGEST_BACK_OFF_S = 4 * 3600


def run(board: "Board", start: "Start | None" = None) -> None:
    """Run one wake of ``board`` (firmware/README.md says what a board offers) and send it to sleep.

    ``start``: what chose this application, and wants to know how its wakes end.
    """
    if not board.slept():
        silence(board)  # whatever it was doing when the processor was reset
        _update(board, start)
    from firmware.state import Store  # an update needs its room in the heap

    try:
        identity = _identity(board.folder)
    except IdentityInvalid as fault:
        print(fault, "- provision this node")
        if not board.slept():
            for _ in range(_TECHNICIAN_S):  # whose tool interrupts this
                board.clock.sleep_ms(1000)
        board.deep_sleep(_NO_IDENTITY_S * 1000)
        return
    store = Store(board.rtc, Journal(board.folder))
    crashes, uncounted, resets = store.crashes()
    if crashes and not board.slept():  # a reset ended the last wake, and nobody has slept it off yet
        store.note_crash(crashes, uncounted, resets + 1)
        sleep_s = _back_off_s(identity, crashes)
    else:
        store.note_crash(crashes + 1, uncounted + 1, resets)  # until this wake has ended well
        board.watchdog_start()
        try:
            node = Node(board, identity, store, crashes >= _SAFE_FROM)
            if start is not None:
                node.version = start.version(True) or start.version()
            sleep_s = node.wake(uncounted, resets)
            crashes = min(crashes, _SAFE_FROM - 1)
            if not node.counts():
                store.note_crash(0 if node.sampled else crashes)
            _ended(start, node)
            while node.counts():  # a wake has ended well when it has listened, too
                node.sampled = False
                node.listen(sleep_s)
                sleep_s = node.wake()
                if node.sampled:
                    crashes = 0
                listens = node.counts()
                store.note_crash(crashes + listens, listens)
                _ended(start, node)
        except Exception as error:
            getattr(sys, "print_exception", print)(error)
            silence(board)
            crashes = store.crashes()[0]
            if crashes % _FORGET_AFTER_CRASHES == 0:
                store.forget()  # perhaps that is where it comes from; flash has the session
            sleep_s = _back_off_s(identity, crashes)
    board.deep_sleep(max(1, sleep_s) * 1000)


def _update(board: "Board", start: "Start | None") -> None:
    """A technician's tool may call now; a bundle that somebody has left is installed at the reset that follows."""
    try:
        if _called(board):
            from firmware.serial_update import talk

            talk(board, start)
        try:
            os.stat(board.folder + "/update.sfb")
        except OSError:
            return
        from firmware.update import take

        take(board, start)
        unload()
    except Exception as error:
        getattr(sys, "print_exception", print)(error)


def _called(board: "Board") -> bool:
    """Whether a frame begins on the console (decoders/console_frame.py) in the first seconds after a reset."""
    import select

    poll = select.poll()
    poll.register(sys.stdin, select.POLLIN)
    clock = board.clock
    began_ms = clock.ticks_ms()
    while (left_ms := _LISTEN_MS - clock.ticks_diff(clock.ticks_ms(), began_ms)) > 0:
        if poll.poll(left_ms) and sys.stdin.buffer.read(1) == b"~":
            return True
    return False


def _ended(start: "Start | None", node: Node) -> None:
    """A wake has ended well; an update on trial is judged by it."""
    if start is not None:
        start.ended(node.sent, node.heard)
        node.sent = False


def _back_off_s(identity: "Identity", crashes: int) -> int:
    return min(identity.interval_s, _LONGEST_BACK_OFF_S, 30 << min(crashes, 10))


def _identity(folder: str) -> "Identity":
    try:
        with open(folder + "/identity.bin", "rb") as file:
            return parse_identity(file.read())
    except OSError:
        raise IdentityInvalid("file") from None
