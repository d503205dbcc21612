# SPDX-License-Identifier: EUPL-1.2
"""The program of a node; the board runs it at every boot and after every deep sleep.

``starter`` says which application that is: what was flashed, or an update in the file system. ``app`` sleeps off what
goes wrong in a wake; what keeps even that from starting ends here, not in the REPL, which draws current until somebody
comes. Ctrl-C still leads there.
"""

import gc
import os
import sys

gc.threshold(4096)  # collect early while modules load: what stays then lies close together, with room behind it

_AGAIN_MS = 600_000
_ROOT = "/data"

board = start = None
try:
    os.stat(_ROOT + "/start.a")  # without it there has never been an update
    from firmware.starter import Start

    start = Start(_ROOT)
    if start.folder:  # its modules, and none of the flashed ones
        for name in [name for name in sys.modules if name.startswith("firmware")]:
            del sys.modules[name]
        sys.path.insert(0, start.folder)
        gc.collect()  # the application finds the heap as it was
except OSError:
    pass
except Exception as error:  # no update then
    getattr(sys, "print_exception", print)(error)
try:
    from firmware.boards import this

    board = this.Board(this)
    if start is not None and start.changed:
        board.rtc.memory(b"")  # it is another application's; flash has what must not be lost
    from firmware import app
except Exception as error:
    import machine

    getattr(sys, "print_exception", print)(error)
    if start is not None and start.folder:
        start.failed()
        machine.reset()
    if board is None:
        machine.deepsleep(_AGAIN_MS)
    else:
        board.deep_sleep(_AGAIN_MS)
else:
    try:
        app.run(board, start)
    except Exception as error:
        getattr(sys, "print_exception", print)(error)
        board.deep_sleep(_AGAIN_MS)
