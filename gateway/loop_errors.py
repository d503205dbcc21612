# SPDX-License-Identifier: EUPL-1.2
"""What goes wrong in the event loop beside all tasks: a line where it is no bug, as asyncio prints a traceback for all.

Out of file handles or memory no connection is accepted; asyncio tries again every second, and says so a hundred times.
"""

import asyncio
import errno
import logging
import math
from typing import Any

_log = logging.getLogger(__name__)

_OUT_OF = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_SILENT_S = 60.0


class LoopErrors:
    """An exception handler for one event loop."""

    def __init__(self) -> None:
        self._said_at_s = -math.inf

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, OSError):
            loop.default_exception_handler(context)
        elif error.errno not in _OUT_OF:
            _log.debug("%s: %s", context["message"], error)
        elif loop.time() - self._said_at_s >= _SILENT_S:
            self._said_at_s = loop.time()
            _log.warning("no connection can be accepted: %s", error.strerror)
