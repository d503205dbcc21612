# SPDX-License-Identifier: EUPL-1.2
"""The program of a node; the board runs it at every boot and after every deep sleep."""

import gc

gc.threshold(4096)  # collect early while modules load: what stays then lies close together, with room behind it

from firmware import app  # noqa: E402
from firmware.boards.heltec_v3 import Board  # noqa: E402

app.run(Board())
