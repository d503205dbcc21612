# SPDX-License-Identifier: EUPL-1.2
"""What is put on a node, against a board of a few lines; the real MicroPython stands in ``test_provision_cli``."""

import binascii
import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.errors import BenchError
from hardware.provision import IDENTITY, ProvisionFailed, Provisioning, Wanted
from hardware.raw_repl import Reset

FACTS = "esp32 6 1900000 0 0 -\n"
MODULES = {"main.mpy": b"M\x06" + bytes(range(250)) * 20, "firmware/app.mpy": b"M\x06" + bytes(50)}


class Board:
    """Keeps files as it is told; ``damages`` is the path of one whose first byte changes by itself."""

    def __init__(self, facts=FACTS, damages=None):
        self.files = {}
        self.renamed = []
        self.resets = []
        self._facts = facts
        self._damages = damages
        self._open = ""

    def answer(self, program):
        if isinstance(program, Reset):
            self.resets.append(program)
            return ""
        if "sys.platform" in program:
            return self._facts
        if found := re.fullmatch(r"for p in (\[.*\]): print\(_sum\(p\)\)", program):
            paths = re.findall(r"'([^']+)'", found[1])
            return "".join(f"{self._sum(path)}\r\n" for path in paths)
        if found := re.search(r"_f = open\('([^']+)', 'wb'\)", program):
            self._open = found[1]
            self.files[self._open] = b""
        elif found := re.search(r"a2b_base64\(b'([^']*)'\)", program):
            self.files[self._open] += binascii.a2b_base64(found[1])
        elif found := re.search(r"os.rename\('([^']+)', '([^']+)'\)", program):
            self.files[found[2]] = self.files.pop(found[1])
            self.renamed.append(found[2])
        return ""

    def _sum(self, path):
        if path not in self.files:
            return "-"
        content = self.files[path]
        return hashlib.sha256(b"?" + content[1:] if path == self._damages else content).hexdigest()

    def takes(self, wanted):
        job = Provisioning(wanted)
        steps = job.steps()
        program = next(steps)
        try:
            while True:
                program = steps.send(self.answer(program))
        except StopIteration:
            return job


def wanted(**changes):
    return Wanted(**{"board": "heltec_v3", "identity": bytes(range(44)), "application": MODULES, **changes})


class TestWriting:
    def test_all_is_there_and_the_identity_came_last(self):
        board = Board()

        job = board.takes(wanted(update_key=bytes(64)))

        assert board.files == {
            "/lib/main.mpy": MODULES["main.mpy"],
            "/lib/firmware/app.mpy": MODULES["firmware/app.mpy"],
            "/main.py": b'import sys\nsys.path.insert(0, "/lib")\nimport main\n',
            "/data/update_key.bin": bytes(64),
            "/data/identity.bin": bytes(range(44)),
        }
        assert board.renamed[-1] == IDENTITY
        assert (job.held, job.written, board.resets) == (job.size, 5, [Reset.AND_LEAVE])

    @pytest.mark.parametrize("path", ["/lib/firmware/app.mpy", IDENTITY])
    def test_what_is_not_read_back_as_it_was_written_is_said_and_the_node_not_let_go(self, path):
        board = Board(damages=path)

        with pytest.raises(ProvisionFailed, match=f"{path} is not what was written"):
            board.takes(wanted())

        assert board.resets == []

    def test_a_flash_without_room_is_left_as_it_is(self):
        board = Board(facts="esp32 6 70000 0 0 -\n")

        with pytest.raises(ProvisionFailed, match="its flash has 68 kB free"):
            board.takes(wanted())

        assert board.files == {}


@given(st.text(max_size=60))
def test_whatever_a_board_says_of_itself_is_understood_or_one_clear_error(facts):
    board = Board(facts=facts)

    try:
        board.takes(wanted())
    except BenchError as failed:
        said = str(failed)
    else:
        said = "understood"

    assert len(said.splitlines()) == 1
