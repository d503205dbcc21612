# SPDX-License-Identifier: EUPL-1.2
"""Numbers as people write them: 2,500.5 in English, 2.500,5 in German."""

_GERMAN = str.maketrans(",.", ".,")


def written(value: float, spec: str, language: str) -> str:
    """``value`` by the format specification ``spec``, in which a comma asks for thousands; ``language``: de or en."""
    text = format(value, spec)
    return text.translate(_GERMAN) if language == "de" else text
