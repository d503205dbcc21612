# SPDX-License-Identifier: EUPL-1.2
"""Property tests are repeatable (the same examples every time) and never fail because a machine is busy.

With pytest-xdist (``-n 2``; ``make test`` does it) what is made once for several tests is still made once: tests that
share it go to the same process, all others to whichever is free.
"""

import functools
import re
import signal
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("stadtfunk", deadline=None, derandomize=True)
settings.load_profile("stadtfunk")

# A shell starts background jobs with SIGINT ignored, and what they start inherits that; tests that send it need it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@functools.cache
def _shared_in(path: Path) -> str | None:
    """What the tests of a file share: the dry town, something of its own, or nothing."""
    text = path.read_text("utf-8")
    if re.search(r"\bdry_town\b", text):
        return "dry_town"
    return str(path) if re.search(r'fixture\(.*scope="(module|class)"', text) else None


# By the files and not by marks (--dist loadgroup), which xdist 3.8 loses with pytest 9.2.
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    from xdist.scheduler import LoadScopeScheduling

    class ByFixtures(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _shared_in(config.rootpath / nodeid.partition("::")[0]) or nodeid

    return ByFixtures(config, log)
