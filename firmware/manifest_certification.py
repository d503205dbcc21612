# SPDX-License-Identifier: EUPL-1.2
"""What goes on a board that a certification laboratory drives; ``firmware/main_certification.py`` is ``main`` there."""

from firmware.manifest import BOARDS as BOARDS
from firmware.manifest import MODULES as SHIPPED

MODULES = (*SHIPPED, "firmware/certification.py", "firmware/main_certification.py")
