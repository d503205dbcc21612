# SPDX-License-Identifier: EUPL-1.2
"""The raw REPL's conversation, byte by byte: MicroPython documentation, "The raw REPL"."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.errors import BenchError
from hardware.raw_repl import FellSilent, NoPrompt, NoRawPaste, ProgramFailed, RawRepl, Reset

PROMPT = b"raw REPL; CTRL-B to exit\r\n>"


class Job:
    """Yields programs and keeps what they printed."""

    size = held = 0

    def __init__(self, *programs):
        self.programs = programs
        self.printed = []

    def steps(self):
        for program in self.programs:
            self.printed.append((yield program))


class Line:
    """The tool at a board that a test plays."""

    def __init__(self, *programs):
        self.job = Job(*programs)
        self.repl = RawRepl(self.job, 0.0, 60.0)
        self.now_s = 0.0

    def passes(self, seconds):
        self.now_s += seconds
        return self.repl.poll(self.now_s)

    def says(self, data):
        self.repl.receive(data, self.now_s)
        return self.passes(0.01)

    def asked(self, window=b"\x20\x00"):
        """Up to the first program: the board has a prompt and offers a window."""
        assert self.passes(0.0) == b"\r\x03\x03\x01"
        assert self.says(b"MicroPython v1.29\r\n>>> \r\n" + PROMPT) == b""
        assert self.passes(0.5) == b"\x05A\x01"
        return self.says(b"R\x01" + window)


class TestEntering:
    """ "Ctrl-A ... enters raw REPL"."""

    def test_it_calls_until_somebody_answers(self):
        line = Line("x")

        assert line.passes(0.0) == b"\r\x03\x03\x01"
        assert line.passes(0.1) == b""
        assert line.passes(0.3) == b"\r\x03\x03\x01"
        with pytest.raises(NoPrompt):
            line.passes(60.0)

    def test_answers_to_calls_that_were_under_way_do_not_disturb(self):
        line = Line("print(1)")
        line.passes(0.0)
        line.says(PROMPT)
        line.passes(0.5)

        assert line.says(b"\r\n" + PROMPT + b"R\x01\x80\x00") == b"print(1)\x04"


class TestRawPaste:
    """ "Raw-paste mode": the device reports the window size increment, and 0x01 for each increment it can take."""

    def test_never_more_is_sent_than_the_board_can_take(self):
        line = Line("a" * 70)

        assert line.asked() == b"a" * 32
        assert line.passes(1.0) == b""
        assert line.says(b"\x01") == b"a" * 32
        assert line.says(b"\x01") == b"a" * 6 + b"\x04"

    def test_what_was_printed_goes_to_the_job_and_the_next_program_follows(self):
        line = Line("print(1)", "print(2)")
        line.asked()

        assert line.says(b"\x04" + b"1\r\n\x04" + b"\x04>") == b"\x05A\x01"

        assert line.job.printed == ["1\r\n"]

    def test_an_answer_that_comes_in_pieces_is_one(self):
        line = Line("print(1)", "print(2)")
        line.asked()

        assert [line.says(bytes([byte])) for byte in b"\x041\r\n\x04\x04>"][-1] == b"\x05A\x01"

    def test_a_traceback_is_a_failure_with_its_last_line(self):
        line = Line("1/0")
        line.asked()

        with pytest.raises(ProgramFailed, match="the board says: ZeroDivisionError: divide by zero; run this again"):
            line.says(b'\x04\x04Traceback (most recent call last):\r\n  File "<stdin>", line 1\r\n'
                      b"ZeroDivisionError: divide by zero\r\n\x04>")  # fmt: skip

    @pytest.mark.parametrize("answer", [b"R\x00", b"\r\n" + PROMPT])
    def test_an_old_one_without_it_is_told_from_a_silent_board(self, answer):
        line = Line("x")
        line.passes(0.0)
        line.says(PROMPT)
        line.passes(0.5)

        with pytest.raises(NoRawPaste):
            assert line.says(answer) + line.passes(5.0) == b""

    def test_a_board_that_says_nothing_more_is_given_up(self):
        line = Line("x" * 100)
        line.asked()

        with pytest.raises(FellSilent):
            line.passes(21.0)


class TestReset:
    def test_after_one_the_board_is_called_again(self):
        line = Line(Reset.AND_CALL, "print(1)")
        assert line.asked(b"\x00\x01").endswith(b"machine.reset()\x04")

        assert line.repl.is_calling
        assert line.passes(1.0) == b"\r\x03\x03\x01"

    def test_the_last_one_is_over_when_the_board_has_it(self):
        line = Line(Reset.AND_LEAVE)
        line.asked(b"\x00\x01")
        assert not line.repl.is_done

        line.says(b"\x04")

        assert line.repl.is_done


@given(st.lists(st.binary(max_size=20) | st.sampled_from([PROMPT, b"R\x01\x20\x00", b"\x01", b"\x04\x04\x04>"])))
def test_whatever_a_board_says_is_understood_or_one_clear_error(said):
    line = Line("print(1)", "print(2)")
    with contextlib.suppress(BenchError):
        for data in said:
            line.says(data)
            line.passes(0.5)
