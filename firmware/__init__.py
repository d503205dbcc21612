# SPDX-License-Identifier: EUPL-1.2
"""The node. An update has its version in its bundle (firmware/starter.py)."""

VERSION = 1  # of what is flashed; an update is newer. To be raised with every release of an image.
