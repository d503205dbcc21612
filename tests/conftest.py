# SPDX-License-Identifier: EUPL-1.2
"""Property tests are repeatable (the same examples every time) and never fail because a machine is busy.

With pytest-xdist (``-n 2 --dist loadgroup``, as ``make test`` has it) a fixture that is made once for several tests
is still made once: whatever shares one goes to the same process.
"""

import signal

import pytest
from hypothesis import settings

settings.register_profile("stadtfunk", deadline=None, derandomize=True)
settings.load_profile("stadtfunk")

# A shell starts background jobs with SIGINT ignored, and what they start inherits that; tests that send it need it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        shared = _shared(item)
        if shared is not None:
            item.add_marker(pytest.mark.xdist_group(shared))


def _shared(item: pytest.Item) -> str | None:
    """The widest fixture of ours that ``item`` shares with others: the town's name, or its own file for a module's."""
    found = None
    for name, definitions in item._fixtureinfo.name2fixturedefs.items():
        scope, owner = definitions[-1].scope, definitions[-1].baseid
        if owner and scope in ("session", "package"):
            return str(name)
        if owner and scope in ("module", "class"):
            found = item.nodeid.partition("::")[0]
    return found
