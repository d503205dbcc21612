# SPDX-License-Identifier: EUPL-1.2
"""How far a long job has come: a bar on standard error while that is a terminal, and else nothing."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

_STEPS = 1000


@contextmanager
def progress(label: str) -> Iterator[Callable[[float], None]]:
    """To be told the share that is done, 0 to 1; ``label``: of what."""
    with click.progressbar(length=_STEPS, label=label, file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:
        yield lambda done: bar.update(round(done * _STEPS) - bar.pos)
