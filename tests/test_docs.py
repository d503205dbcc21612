# SPDX-License-Identifier: EUPL-1.2
"""The documentation is true: every command is in it, its examples run, its links lead somewhere."""

import json
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("docs/*.md")]


def leaves(command, path):
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from leaves(below, f"{path} {name}")
    else:
        yield path, command


COMMANDS = [
    leaf
    for entry in entry_points(group="stadtfunk.commands")
    for leaf in leaves(entry.load(), f"stadtfunk {entry.name.replace('.', ' ')}")
]


def run(*arguments, **settings):
    return subprocess.run(
        [sys.executable, "-m", "stadtfunk", *arguments], capture_output=True, text=True, check=False, **settings
    )


class TestCommands:
    @pytest.mark.parametrize("path", [path for path, _ in COMMANDS])
    def test_every_command_is_in_the_readme(self, path):
        assert path in README

    @pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[path for path, _ in COMMANDS])
    def test_every_option_says_what_it_does(self, path, command):
        assert command.help
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{path} {parameter.opts[0]}"

    def test_a_mistake_is_one_line_and_exit_status_2(self):
        done = run("decode", "--profile", "oak", "00")

        assert done.returncode == 2
        assert (
            done.stderr == "Error: Invalid value for '--profile': 'oak' is not one of 'air', 'diagnostics', 'traffic', "
            "'tree'. See 'stadtfunk decode --help'.\n"
        )

    def test_an_unknown_command_is_one_line(self):
        done = run("fly")

        assert done.returncode == 2
        assert done.stderr == "Error: No such command 'fly'. See 'stadtfunk --help'.\n"

    def test_a_part_that_is_not_installed_says_how_to_get_it(self, tmp_path):
        # A gateway without the cloud's packages: they are hidden by modules that cannot be imported.
        for name in ("fastapi", "uvicorn", "aiosqlite"):
            (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError(name={name!r})")

        done = run("ingest", "run", env={"PYTHONPATH": str(tmp_path)})

        assert done.returncode == 1
        assert (
            done.stderr == "Error: 'ingest' needs the Python package 'uvicorn'; it comes with: pip install '.[cloud]'\n"
        )


class TestReadme:
    def test_the_decode_example_prints_what_the_readme_says(self):
        example = re.search(r"```sh\n\S*stadtfunk (decode .*)\n```\n\n```json\n(.*?)```", README, re.DOTALL)

        done = run(*example[1].split())

        assert json.loads(done.stdout) == json.loads(example[2])

    def test_every_make_target_exists(self):
        makefile = (ROOT / "Makefile").read_text()
        for document in DOCUMENTS:
            for target in re.findall(r"^make ([a-z-]+)", document.read_text("utf-8"), re.MULTILINE):
                assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{document.name}: make {target}"

    @pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
    def test_every_link_leads_to_a_file(self, document):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text("utf-8")):
            assert (document.parent / target).exists(), target

    def test_every_folder_has_a_readme(self):
        for folder in ("decoders", "firmware", "gateway", "cloud_ingest", "simulators", "hardware"):
            assert (ROOT / folder / "README.md").exists(), folder
