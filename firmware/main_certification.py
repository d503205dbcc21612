# SPDX-License-Identifier: EUPL-1.2
"""The program of a node under certification, in the place of main: never shipped."""

import gc

gc.threshold(4096)

from firmware import certification  # noqa: E402
from firmware.boards import this  # noqa: E402

certification.run(this.Board(this))
