# SPDX-License-Identifier: EUPL-1.2
"""The MAC core's tests have teeth: each mutant is killed by the test that is named for it, with a failed assertion."""

import inspect
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from types import ModuleType

import pytest

import firmware
from tests.firmware.mutants.loading import ROOT, Mutant, broken, sources
from tests.firmware.mutants.mac import MODULES, MUTANTS, MacMutant

SUPPORT = "tests.firmware.lorawan_peer"
SUITES = ("test_mac", "test_mac_answers", "test_mac_commands", "test_mac_repetition")


@contextmanager
def replaced(texts: Mapping[str, str], suite: str) -> Iterator[ModuleType]:
    """The tests of ``suite`` as a fresh module over firmware made of ``texts``; all is as it was afterwards."""
    names = [*texts, SUPPORT, *(f"tests.firmware.{name}" for name in SUITES)]
    before = {name: sys.modules.pop(name, None) for name in names}
    package = firmware
    attributes = {name.rpartition(".")[2]: package.__dict__.get(name.rpartition(".")[2]) for name in texts}
    try:
        for name, text in texts.items():
            module = sys.modules[name] = ModuleType(name)
            setattr(package, name.rpartition(".")[2], module)
            exec(compile(text, name, "exec"), module.__dict__)
        for name in (SUPPORT, *(f"tests.firmware.{test}" for test in SUITES)):
            module = sys.modules[name] = ModuleType(name)
            text = (ROOT / (name.replace(".", "/") + ".py")).read_text()
            exec(compile(text, name, "exec"), module.__dict__)
        yield sys.modules[f"tests.firmware.{suite}"]
    finally:
        for name, original in before.items():
            sys.modules.pop(name, None)
            if original is not None:
                sys.modules[name] = original
        for name, attribute in attributes.items():
            if attribute is not None:
                setattr(package, name, attribute)
            else:  # nobody had imported it yet, and whoever does shall not find the broken one
                delattr(package, name)


def parameters(test: object) -> list[dict[str, object]]:
    """Every set of arguments that pytest would call ``test`` with."""
    axes = []
    for mark in getattr(test, "pytestmark", []):
        names, values = mark.args[:2]
        names = [names] if isinstance(names, str) else list(names)
        axes.append([dict(zip(names, value if len(names) > 1 else (value,), strict=True)) for value in values])
    return [{key: value for part in parts for key, value in part.items()} for parts in product(*axes)]


def failure(texts: Mapping[str, str], path: str) -> str | None:
    """Run one test with all its parameters; its first failed assertion, or None."""
    suite, class_name, name = path.split(".")
    with replaced(texts, suite) as module:
        suite_class = getattr(module, class_name)
        test = inspect.getattr_static(suite_class, name)
        for arguments in parameters(test):
            try:
                getattr(suite_class(), name)(**arguments)
            except (AssertionError, pytest.fail.Exception) as failed:
                return str(failed) or "assertion"
    return None


@pytest.mark.parametrize("path", sorted({mutant.test for mutant in MUTANTS}))
def test_the_whole_core_passes(path: str) -> None:
    assert failure(sources(*MODULES), path) is None


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_the_broken_core_fails(mutant: MacMutant) -> None:
    texts = broken(sources(*MODULES), Mutant(mutant.name, mutant.old, mutant.new))

    assert failure(texts, mutant.test) is not None, "the mutant survives"


def test_no_mutant_stays_behind() -> None:
    program = (
        "from tests.firmware.mutants import test_mac_mutants as tests\n"
        "texts = tests.sources(*tests.MODULES)\n"
        "with tests.replaced(texts, 'test_mac'):\n"
        "    from firmware import mac_join as replaced\n"
        "from firmware import mac_join\n"
        "assert mac_join is not replaced\n"
        "assert mac_join.__file__\n"
    )

    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_there_are_enough_mutants_and_no_name_twice() -> None:
    names = [mutant.name for mutant in MUTANTS]

    assert len(names) >= 40
    assert len(set(names)) == len(names)
