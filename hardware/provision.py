# SPDX-License-Identifier: EUPL-1.2
"""What is put on a node at the bench, step by step, over the raw REPL (raw_repl.py): application, then identity.

What is there already is left alone, so a second run goes on where the first has ended. The identity comes last and by
a rename: a node has a whole one or none. Everything is read back before the node is let go.

ProvisionFailed (hardware/errors.py)
"""

import binascii
import hashlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from hardware.errors import BenchError
from hardware.raw_repl import Reset, Work

IDENTITY = "/data/identity.bin"
UPDATE_KEY = "/data/update_key.bin"
_MAIN = "/main.py"
_PORTS = {"pico_waveshare": "rp2"}  # all others: esp32
_PIECE = 1_536  # bytes of a file in one program, base64 in 2 kB: a fresh board has 30 kB and more to compile in
_ASKED_AT_ONCE = 16
_SPARE = 64 * 1024  # of flash, for what a node keeps in two weeks without a network

_TOOLS = """
import binascii, gc, hashlib, os, sys
def _there(path):
    try:
        os.stat(path)
        return 1
    except OSError:
        return 0
def _sum(path):
    try:
        f = open(path, 'rb')
    except OSError:
        return '-'
    h, b = hashlib.sha256(), bytearray(512)
    while True:
        n = f.readinto(b)
        if not n:
            break
        h.update(memoryview(b)[:n])
    f.close()
    return binascii.hexlify(h.digest()).decode()
def _clear(folder, but):
    for name, kind, *_ in list(os.ilistdir(folder)):
        path = folder + '/' + name
        if kind & 0x4000:
            _clear(path, but)
            os.rmdir(path)
        elif path != but:
            os.remove(path)
def _folders(path):
    at = path.find('/', 1)
    while at > 0:
        if not _there(path[:at]):
            os.mkdir(path[:at])
        at = path.find('/', at + 1)
def _who():
    try:
        with open('/data/identity.bin', 'rb') as f:
            return binascii.hexlify(f.read(12)[4:]).decode() or '-'
    except OSError:
        return '-'
"""
_FACTS = """
_v = os.statvfs('/')
print(sys.platform, sys.implementation._mpy & 255, _v[0] * _v[3], _there('/rom/main.mpy'), \
int('firmware' in sys.modules), _who())
"""


class ProvisionFailed(BenchError):
    """The node cannot be provisioned like this."""


class Facts(NamedTuple):
    """What a board says of itself. ``in_rom``: the application is flashed; ``began``: an application has run."""

    platform: str
    mpy: int
    free: int
    in_rom: bool
    began: bool
    dev_eui: str | None


@dataclass(frozen=True)
class Wanted:
    """What the node is to be. ``application``: compiled modules by path; none to leave what is there.

    ``replace``: it may be another node so far, whose session, settings and readings go.
    """

    board: str
    identity: bytes
    update_key: bytes | None = None
    application: Mapping[str, bytes] | None = None
    replace: bool = False


class Provisioning:
    """The work for a RawRepl. ``size`` and ``held``: bytes of files, all and done; ``written``: how many files.

    ``in_rom`` tells afterwards whether the application was flashed with MicroPython.
    """

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self.in_rom = False
        self.written = 0
        self.held = 0
        self.size = sum(len(content) for content in self._files(False).values())

    def steps(self) -> Work:
        facts = _facts((yield _TOOLS + _FACTS))
        if facts.began:  # perhaps with a watchdog, which only a reset stops
            yield Reset.AND_CALL
            facts = _facts((yield _TOOLS + _FACTS))
        self.in_rom = facts.in_rom
        self._check(facts)
        files = self._files(facts.in_rom)
        self.size = sum(len(content) for content in files.values())
        sums = yield from _sums(list(files))
        missing = {path: content for path, content in files.items() if sums[path] != _sum(content)}
        self.held = self.size - sum(len(content) for content in missing.values())
        self._check_room(facts, missing)
        if IDENTITY in missing and facts.dev_eui is not None:
            if not self._wanted.replace:
                raise ProvisionFailed(
                    f"it is the node {facts.dev_eui} already; with --replace it forgets that one's session and readings"
                )
            yield f"_clear('/data', {UPDATE_KEY!r})"
            missing |= {path: content for path, content in files.items() if path.startswith("/data/")}
        for path, content in missing.items():
            yield from self._write(path, content)
        sums = yield from _sums(list(files))
        for path, content in files.items():
            if sums[path] != _sum(content):
                raise ProvisionFailed(f"{path} is not what was written: run this again; its flash may be worn")
        self.written = len(missing)
        yield Reset.AND_LEAVE

    def _files(self, in_rom: bool) -> dict[str, bytes]:
        """By path, in the order of writing."""
        wanted, files = self._wanted, {}
        if wanted.application is not None:
            if not in_rom:
                files = {f"/lib/{path}": content for path, content in wanted.application.items()}
            start = f'import sys\nsys.path.insert(0, "{"/rom" if in_rom else "/lib"}")\nimport main\n'
            files[_MAIN] = start.encode()
        if wanted.update_key is not None:
            files[UPDATE_KEY] = wanted.update_key
        return {**files, IDENTITY: wanted.identity}

    def _check(self, facts: Facts) -> None:
        wanted = self._wanted
        port = _PORTS.get(wanted.board, "esp32")
        if facts.platform in {"esp32", "rp2"} - {port}:
            raise ProvisionFailed(f"{wanted.board} is an {port}, this is an {facts.platform}: give the right --board")
        if wanted.application and not facts.in_rom:
            mpy = next(iter(wanted.application.values()))[1]
            if facts.mpy != mpy:
                raise ProvisionFailed(
                    f"its MicroPython reads byte code {facts.mpy}, the application is {mpy}: install 1.25 or newer"
                )

    def _check_room(self, facts: Facts, missing: Mapping[str, bytes]) -> None:
        needed = sum(len(content) + 4096 for content in missing.values()) + _SPARE
        if missing and facts.free < needed:
            raise ProvisionFailed(f"its flash has {facts.free // 1024} kB free, {needed // 1024} kB are needed")

    def _write(self, path: str, content: bytes) -> Work:
        """Under another name first: a file is whole or not there."""
        yield f"_folders({path!r}); _f = open({path + '.new'!r}, 'wb')"
        for at in range(0, max(1, len(content)), _PIECE):
            piece = content[at : at + _PIECE]
            yield f"_f.write(binascii.a2b_base64({binascii.b2a_base64(piece, newline=False)!r}))"
            self.held += len(piece)
        yield f"_f.close(); os.rename({path + '.new'!r}, {path!r}); gc.collect()"


def _facts(printed: str) -> Facts:
    try:
        platform, mpy, free, in_rom, began, dev_eui = printed.split()
        return Facts(platform, int(mpy), int(free), in_rom == "1", began == "1", None if dev_eui == "-" else dev_eui)
    except ValueError:
        raise ProvisionFailed("the board's answer is not understood: is it MicroPython?") from None


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _sums(paths: list[str]) -> Generator[str, str, dict[str, str]]:
    found: dict[str, str] = {}
    for at in range(0, len(paths), _ASKED_AT_ONCE):
        some = paths[at : at + _ASKED_AT_ONCE]
        printed = yield f"for p in {some!r}: print(_sum(p))"
        found |= dict(zip(some, printed.split(), strict=True))
    return found
