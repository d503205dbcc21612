# SPDX-License-Identifier: EUPL-1.2
"""The demo's screen on a terminal that is too small."""

import io

import pytest

from simulators.demo import Screen, lines
from simulators.town import Town


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


class TestLines:
    def test_every_page_and_where_its_password_is_can_be_read_off(self, tmp_path):
        town = Town(tmp_path / "town", http_port=18_080, nodes=1)

        told = lines(town, {}, {}, {})

        assert told[1] == "  page      http://127.0.0.1:18080/   crew: http://127.0.0.1:18080/crew"
        assert told[2] == (
            f"  operator  http://127.0.0.1:18080/operator   any user name, password in {tmp_path}/town/operator.token"
        )
        assert told[3] == (
            f"  gateway   http://127.0.0.1:{town.page_port}/   any user name, password in {tmp_path}/town/page.token"
        )
        town.stop()
