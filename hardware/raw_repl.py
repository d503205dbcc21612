# SPDX-License-Identifier: EUPL-1.2
"""Programs run on a board through MicroPython's raw REPL: bytes and times in, bytes out.

MicroPython documentation, "The raw REPL" and "Raw-paste mode", which lets the board say how much it can take: no
program is too long for its buffers, and no byte is lost.

ReplFailed
    NoPrompt             nobody has answered: no MicroPython, or an application that takes no Ctrl-C
    NoRawPaste           a MicroPython older than 1.14
    FellSilent           the board has stopped answering
    ProgramFailed        last: the last line of its traceback
"""

from collections.abc import Generator
from enum import Enum
from typing import Protocol

from hardware.errors import BenchError

CALL_EVERY_S = 0.3
QUIET_S = 0.4  # after the prompt, for answers to calls that were under way
RESET_S = 0.5
OLD_S = 3.0
SILENT_S = 20.0  # longer than a program takes that writes a block of flash or reads all files
_CALL = b"\r\x03\x03\x01"  # Ctrl-C ends what runs, Ctrl-A asks for the raw REPL
_RESET = "import machine, time\ntime.sleep_ms(200)\nmachine.reset()"  # its port outlives the answer
_PROMPT = b"raw REPL; CTRL-B to exit\r\n>"
_ASK = b"\x05A\x01"
_YES = b"R\x01"
_MORE, _END = b"\x01", b"\x04"


class ReplFailed(BenchError):
    """Root of the tree."""


class NoPrompt(ReplFailed):
    def __init__(self, waited_s: float) -> None:
        super().__init__(
            f"no MicroPython has answered within {waited_s:g} s: press the board's reset button while this waits; "
            "a new board gets MicroPython first"
        )


class NoRawPaste(ReplFailed):
    def __init__(self) -> None:
        super().__init__("the MicroPython on it is too old: install 1.25 or newer")


class FellSilent(ReplFailed):
    def __init__(self) -> None:
        super().__init__("the board has stopped answering: press its reset button and run this again")


class ProgramFailed(ReplFailed):
    def __init__(self, last: str) -> None:
        super().__init__(f"the board says: {last}; run this again")
        self.last = last


class Reset(Enum):
    """What the work may yield instead of a program."""

    AND_CALL = "the board is reset, then called again before its application has begun"
    AND_LEAVE = "the board is reset; the conversation is over"


class _Stage(Enum):
    CALLING = "calling"
    SETTLING = "the prompt is there; more of the same may come"
    ASKING = "asking for raw-paste mode"
    PASTING = "pasting"
    RUNNING = "running"
    READY = "for the next program"
    LEAVING = "until the board has the last program"
    DONE = "done"


Work = Generator["str | Reset", str, None]


class Job(Protocol):
    """``steps`` yields programs and is sent what each has printed; they share their globals.

    ``held`` of ``size`` bytes are done.
    """

    @property
    def size(self) -> int: ...
    @property
    def held(self) -> int: ...
    def steps(self) -> Work: ...


class RawRepl:
    """One conversation, until the job is done.

    Call ``poll`` often and send what it returns; give ``receive`` what comes. Both raise BenchError.
    """

    farewell = b"\x03\x02"  # back to the ordinary prompt

    def __init__(self, job: Job, now_s: float, wait_s: float = 60.0) -> None:
        self._job = job
        self._work = job.steps()
        self._wait_s = wait_s
        self._stage = _Stage.CALLING
        self._began_s = self._heard_s = self._next_s = now_s
        self._received = b""
        self._step: str | Reset = ""
        self._paste = b""
        self._window = self._increment = 0
        self._begun = False
        self._printed = ""

    @property
    def size(self) -> int:
        return self._job.size

    @property
    def held(self) -> int:
        return self._job.held

    @property
    def is_calling(self) -> bool:
        return self._stage in (_Stage.CALLING, _Stage.SETTLING)

    @property
    def is_done(self) -> bool:
        return self._stage is _Stage.DONE

    def poll(self, now_s: float) -> bytes:
        """What to send now, often nothing."""
        if self._stage is _Stage.CALLING:
            if now_s - self._began_s > self._wait_s:
                raise NoPrompt(self._wait_s)
            if now_s >= self._next_s:
                self._next_s = now_s + CALL_EVERY_S
                return _CALL
            return b""
        if self._stage is _Stage.SETTLING:
            if now_s - self._heard_s < QUIET_S:
                return b""
            self._received = b""
            self._printed = ""
            return self._go_on(now_s)
        if self._stage is _Stage.READY:
            return self._go_on(now_s)
        if self._stage is _Stage.PASTING:
            return self._piece(now_s)
        if self._stage is _Stage.ASKING and now_s - self._heard_s > OLD_S and _PROMPT in self._received:
            raise NoRawPaste  # to which the question was only another Ctrl-A
        if self._stage is not _Stage.DONE and now_s - self._heard_s > SILENT_S:
            raise FellSilent
        return b""

    def receive(self, data: bytes, now_s: float) -> None:
        """Take what the board has said."""
        if not data:
            return
        self._received += data
        self._heard_s = now_s
        if self._stage is _Stage.CALLING and _PROMPT in self._received:
            self._stage = _Stage.SETTLING
        elif self._stage is _Stage.ASKING:
            self._answered()
        elif self._stage is _Stage.PASTING:
            self._window += self._increment * self._received.count(_MORE)
            if _END in self._received:  # it wants no more of this: a program that does not compile
                self._paste = b""
            self._received = b""
        elif self._stage is _Stage.RUNNING:
            self._ran()
        elif self._stage is _Stage.LEAVING and _END in self._received:
            self._stage = _Stage.DONE

    def _go_on(self, now_s: float) -> bytes:
        """The next step of the work; return what to send for it."""
        try:
            self._step = self._work.send(self._printed) if self._begun else next(self._work)
        except StopIteration:
            self._stage = _Stage.DONE
            return b"\x02"
        self._begun = True
        self._heard_s = now_s
        self._stage = _Stage.ASKING
        program = _RESET if isinstance(self._step, Reset) else self._step
        self._paste = program.encode()
        return _ASK

    def _answered(self) -> None:
        """``R``, 1, and two bytes of window; before it perhaps prompts for calls that were under way."""
        begin = self._received.find(_YES)
        if b"R\x00" in self._received:
            raise NoRawPaste
        if begin >= 0 and len(self._received) >= begin + len(_YES) + 2:
            answer = self._received[begin + len(_YES) :]
            self._window = self._increment = int.from_bytes(answer[:2], "little")
            self._window += self._increment * answer[2:].count(_MORE)
            self._received = b""
            self._stage = _Stage.PASTING

    def _piece(self, now_s: float) -> bytes:
        if now_s - self._heard_s > SILENT_S:
            raise FellSilent
        piece, self._paste = self._paste[: self._window], self._paste[self._window :]
        self._window -= len(piece)
        if self._paste:
            return piece
        if self._step is Reset.AND_LEAVE:
            self._received = b""
            self._stage = _Stage.LEAVING
        elif self._step is Reset.AND_CALL:
            self._stage = _Stage.CALLING
            self._received = b""
            self._began_s, self._next_s = now_s, now_s + RESET_S
        else:
            self._stage = _Stage.RUNNING
        return piece + _END

    def _ran(self) -> None:
        """More window, the end of the program; what it printed, its traceback, a prompt."""
        parts = self._received.split(_END, 3)
        if len(parts) < 4 or not parts[3].endswith(b">"):
            return
        _, printed, failed, _ = parts
        self._received = b""
        if failed:
            raise ProgramFailed(failed.decode("utf-8", "replace").strip().splitlines()[-1])
        self._printed = printed.decode("utf-8", "replace")
        self._stage = _Stage.READY
