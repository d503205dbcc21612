# SPDX-License-Identifier: EUPL-1.2
"""The dependency rule of the folders: a star, and hardware only behind ``firmware/boards`` and ``firmware/main.py``.

``simulators/micropython`` is that hardware on the bench: its ``machine`` is the one beside it.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# folder: what it may import of ours, itself apart
MAY_IMPORT = {
    "decoders": set(),
    "firmware": {"decoders"},
    "gateway": {"decoders"},
    "cloud_ingest": {"decoders"},
    "simulators": {"decoders", "firmware"},
    "hardware": {"decoders", "firmware.boards"},
}
TOUCH_THE_MACHINE = ("firmware/main.py", "firmware/boards/", "simulators/micropython/")
OURS = (*MAY_IMPORT, "tests", "stadtfunk")
SOURCES = sorted(
    path
    for folder in (*MAY_IMPORT, "tests")
    for path in (ROOT / folder).rglob("*.py*")
    if path.suffix in {".py", ".pyi"} and not {"node_modules", "__pycache__", "dist"} & set(path.parts)
)


def imported(source, package):
    """Every module that ``source`` names in an import statement, wherever it stands; ``package`` resolves dots."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: 1 - node.level or None] if node.level else []
            parts += [node.module] if node.module else []
            yield from (".".join([*parts, alias.name]) for alias in node.names)


def trespasses(path, source):
    """What ``path`` imports against the rule."""
    folder = path.parts[0]
    for module in imported(source, ".".join(path.parts[:-1])):
        top = module.split(".")[0]
        if top == "machine":
            if not str(path).startswith(TOUCH_THE_MACHINE):
                yield module
        elif (
            top in OURS
            and top != folder
            and folder in MAY_IMPORT
            and not any(f"{module}.".startswith(f"{allowed}.") for allowed in MAY_IMPORT[folder])
        ):
            yield module


@pytest.mark.parametrize("folder", sorted(MAY_IMPORT))
def test_folder_imports_only_what_the_star_allows(folder):
    paths = [path.relative_to(ROOT) for path in SOURCES if path.relative_to(ROOT).parts[0] == folder]

    found = {str(path): list(trespasses(path, (ROOT / path).read_text())) for path in paths}

    assert paths
    assert {path: modules for path, modules in found.items() if modules} == {}


def test_the_one_command_line_imports_no_folder():
    source = (ROOT / "stadtfunk.py").read_text()

    assert not {module.split(".")[0] for module in imported(source, "")} & set(OURS)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("decoders/x.py", "import gateway.store"),
        ("decoders/lorawan/x.py", "from firmware import mac"),
        ("firmware/mac.py", "def f():\n    import simulators.air"),
        ("firmware/mac.py", "import machine"),
        ("firmware/radio/x.py", "from machine import SPI"),
        ("firmware/radio/x.py", "if False:\n    from machine import SPI"),
        ("firmware/boards.py", "import machine"),
        ("simulators/x.py", "import machine"),
        ("tests/x.py", "import machine"),
        ("gateway/x.py", "from cloud_ingest.store import Store"),
        ("cloud_ingest/api/x.py", "if 1:\n    import gateway"),
        ("simulators/x.py", "import hardware.boards"),
        ("hardware/x.py", "from firmware import mac"),
        ("hardware/x.py", "import firmware.boardsecrets"),
        ("gateway/backhaul/x.py", "from ... import simulators"),
        ("gateway/x.py", "from tests.gateway import nodes"),
    ],
)
def test_the_rule_sees_a_trespass(path, source):
    assert list(trespasses(Path(path), source))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("decoders/x.py", "import json\nfrom decoders.lorawan import aes\nfrom . import y\nfrom .lorawan import frame"),
        ("firmware/boards/heltec.py", "import machine"),
        ("firmware/main.py", "from machine import Pin"),
        ("simulators/micropython/x.py", "import machine"),
        ("hardware/x.py", "from firmware.boards import heltec\nimport firmware.boards.heltec"),
        ("simulators/chips/x.py", "from firmware.radio import sx1262\nimport decoders"),
        ("tests/x.py", "import simulators.air, gateway.store"),
    ],
)
def test_the_rule_lets_the_star_pass(path, source):
    assert list(trespasses(Path(path), source)) == []


def test_every_source_names_its_licence_in_its_first_line():
    sources = [*SOURCES, *ROOT.glob("*.py")]

    missing = [
        path.relative_to(ROOT) for path in sources if not path.read_text().startswith("# SPDX-License-Identifier: ")
    ]

    assert missing == []
