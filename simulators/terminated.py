# SPDX-License-Identifier: EUPL-1.2
"""SIGTERM ends a command as Ctrl-C does: what it started is stopped, what it holds is closed."""

import signal


def stop_as_by_ctrl_c() -> None:
    """From now on SIGTERM is a KeyboardInterrupt."""
    signal.signal(signal.SIGTERM, _stop)


def _stop(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt
