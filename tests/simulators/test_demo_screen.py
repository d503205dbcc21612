# SPDX-License-Identifier: EUPL-1.2
"""The demo's screen on a terminal that is too small."""

import io

import pytest

from simulators.demo import Screen


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("LINES", "4")


class TestScreen:
    def test_clips_what_would_wrap_or_scroll_and_goes_up_by_what_it_drew(self, small):
        out = Terminal()
        screen = Screen(out)

        screen.show(["a" * 50, "b", "c", "d", "e"])
        screen.show(["f"])

        assert out.getvalue() == "\x1b[J" + "a" * 19 + "\nb\nc\n" + "\x1b[3A\x1b[J" + "f\n"

    def test_says_it_in_one_line_where_nobody_can_redraw(self):
        out = io.StringIO()

        Screen(out).show(["title", "  nodes     2 of 2", "  alerts    none yet", "Ctrl-C"])

        assert out.getvalue() == "nodes 2 of 2 | alerts none yet\n"
