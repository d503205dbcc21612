# SPDX-License-Identifier: EUPL-1.2
"""The program of a node; the board runs it at every boot and after every deep sleep."""

from firmware import app
from firmware.boards.heltec_v3 import Board

app.run(Board())
