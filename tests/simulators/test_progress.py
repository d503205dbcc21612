# SPDX-License-Identifier: EUPL-1.2
"""A bar for people, and nothing in a log."""

import os
import subprocess
import sys

_JOB = """
from simulators.progress import progress
with progress("days") as told:
    told(0.5)
    told(1)
print("done")
"""


def test_where_nobody_looks_only_the_answer_is_told():
    done = subprocess.run([sys.executable, "-c", _JOB], capture_output=True, text=True, timeout=120, check=True)

    assert (done.stdout, done.stderr) == ("done\n", "")


def test_on_a_terminal_there_is_a_bar():
    ours, theirs = os.openpty()
    try:
        subprocess.run([sys.executable, "-c", _JOB], stderr=theirs, stdout=subprocess.DEVNULL, timeout=120, check=True)
        os.close(theirs)
        shown = os.read(ours, 65_536).decode()
    finally:
        os.close(ours)

    assert "days" in shown
    assert "100%" in shown
