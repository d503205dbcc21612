# SPDX-License-Identifier: EUPL-1.2
"""Driver sources as text, and fresh modules made of it, whole or with one thing broken."""

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

ROOT = Path(__file__).parents[3]


class Mutant(NamedTuple):
    """``old`` stands in the driver's source exactly once; ``new`` breaks it in the way ``name`` says."""

    name: str
    old: str
    new: str


def sources(*modules: str) -> dict[str, str]:
    """Source text of each module, in the order in which they import each other."""
    return {module: (ROOT / (module.replace(".", "/") + ".py")).read_text() for module in modules}


def load(texts: Mapping[str, str]) -> ModuleType:
    """Run the sources as fresh modules that see each other; return the last one."""
    before = {name: sys.modules.get(name) for name in texts}
    try:
        for name, text in texts.items():
            module = sys.modules[name] = ModuleType(name)
            exec(compile(text, name, "exec"), module.__dict__)
        return module
    finally:
        for name, original in before.items():
            if original is None:
                del sys.modules[name]
            else:
                sys.modules[name] = original


def broken(texts: Mapping[str, str], mutant: Mutant) -> dict[str, str]:
    """The sources with ``mutant`` applied, at the only place where it fits."""
    assert sum(text.count(mutant.old) for text in texts.values()) == 1, f"{mutant.old!r} is not there exactly once"
    return {name: text.replace(mutant.old, mutant.new) for name, text in texts.items()}
