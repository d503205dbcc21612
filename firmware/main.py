# SPDX-License-Identifier: EUPL-1.2
"""The program of a node; the board runs it at every boot and after every deep sleep.

``app`` sleeps off what goes wrong in a wake; what keeps even that from starting ends here, not in the REPL, which
draws current until somebody comes. Ctrl-C still leads there.
"""

import gc
import sys

gc.threshold(4096)  # collect early while modules load: what stays then lies close together, with room behind it

_AGAIN_MS = 600_000

board = None
try:
    from firmware.boards import this

    board = this.Board(this)
    from firmware import app

    app.run(board)
except Exception as error:
    import machine

    getattr(sys, "print_exception", print)(error)
    if board is None:
        machine.deepsleep(_AGAIN_MS)
    else:
        board.deep_sleep(_AGAIN_MS)
