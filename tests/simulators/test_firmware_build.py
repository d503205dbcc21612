# SPDX-License-Identifier: EUPL-1.2
"""What runs on the node is compiled from the manifest, once."""

from pathlib import Path

import pytest

from simulators.firmware_build import CompileError, build


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
    """Build; return every compiled module with the time it was written."""
    target = build(repository / "out", repository / "firmware" / "manifest.py")
    return {str(path.relative_to(target)): path.stat().st_mtime_ns for path in target.rglob("*.mpy")}


class TestBuild:
    def test_main_moves_to_the_top_and_the_rest_keeps_its_place(self, repository: Path) -> None:
        assert set(built(repository)) == {"decoders/frame.mpy", "main.mpy"}

    def test_only_what_changed_is_compiled_again(self, repository: Path) -> None:
        first = built(repository)
        (repository / "decoders" / "frame.py").write_text("A = 2\n")

        second = built(repository)

        assert second["main.mpy"] == first["main.mpy"]
        assert second["decoders/frame.mpy"] > first["decoders/frame.mpy"]

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
