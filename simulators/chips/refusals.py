# SPDX-License-Identifier: EUPL-1.2
"""What a chip's master did that the chip ignores or rejects."""


class Refusals(list[str]):
    """In words, oldest first."""

    def note(self, why: str) -> None:
        """Add ``why``, unless it was the last thing added."""
        if not self or self[-1] != why:
            self.append(why)
