# SPDX-License-Identifier: EUPL-1.2
"""Would wait by the wall clock: refused (runs on MicroPython)."""

raise ImportError("the bench does not simulate select")
