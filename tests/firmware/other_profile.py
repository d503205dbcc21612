# SPDX-License-Identifier: EUPL-1.2
"""Other modules in the place of the firmware's own, on a node that runs them from files below a folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simulators.firmware_build import compile_module

_PROFILE = """
def layout(profile):
    from decoders.layouts.{layout} import LAYOUT
    return LAYOUT

def battery_level(values):
    return 255

def draws_uas(*_):
    return 0

def measure(board, profile, settings):
    {measure}
"""


def measures(folder: Path, measure: str, layout: str = "tree", more: str = "") -> None:
    """From now on the node's measuring is the line ``measure``; ``more``: further functions of the profile."""
    _install(folder, "profile", _PROFILE.format(layout=layout, measure=measure) + more)


@contextmanager
def measuring(folder: Path, measure: str) -> Iterator[None]:
    """For a while the node's measuring is the line ``measure``."""
    with _kept(folder, "profile"):
        measures(folder, measure)
        yield


@contextmanager
def replaced(folder: Path, module: str, text: str) -> Iterator[None]:
    """For a while the source of a module of the firmware is ``text``."""
    with _kept(folder, module):
        _install(folder, module, text)
        yield


@contextmanager
def _kept(folder: Path, module: str) -> Iterator[None]:
    good = _compiled(folder, module).read_bytes()
    yield
    _compiled(folder, module).write_bytes(good)


def _install(folder: Path, module: str, text: str) -> None:
    source = folder / f"{module}.py"
    source.write_text(text)
    compile_module(source, _compiled(folder, module), source.name)


def _compiled(folder: Path, module: str) -> Path:
    return folder / f"firmware/firmware/{module}.mpy"
