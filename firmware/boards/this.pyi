# SPDX-License-Identifier: EUPL-1.2
"""On a board ``this`` is that board's table: the build puts one of the tables of ``manifest.BOARDS`` there."""

from firmware.boards.esp32 import Board as Board
from firmware.boards.heltec_v3 import *  # noqa: F403
