# SPDX-License-Identifier: EUPL-1.2
"""EUI-64s as text: 16 lower-case hex digits, most significant byte first, everywhere but on air."""

import re

EUI = "[0-9a-f]{16}"  # a regular expression
_WHOLE = re.compile(EUI)


def is_eui(text: str) -> bool:
    """Whether ``text`` is an EUI as we write it."""
    return _WHOLE.fullmatch(text) is not None
