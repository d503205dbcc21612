# SPDX-License-Identifier: EUPL-1.2
"""The one command line: joins the commands that the installed folders offer through entry points.

An entry point ``node.energy`` is the command ``stadtfunk node energy``: so several folders share one group.
"""

import sys
from importlib.metadata import entry_points

import click

_EXIT_USAGE = 2
_EXTRAS = {
    "gateway": "gateway",
    "ingest": "cloud",
    "demo": "gateway,cloud,simulators",
    "provision": "simulators,technician",
    "update": "technician",
}  # what others need: simulators
_GROUPS = {"node": "Nodes in the hand: what they draw, and what they are given."}  # those that several folders share
_EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


class _Commands(click.Group):
    """Loads a command's folder only when it is called, so a gateway needs nothing of the cloud."""

    prefix = ""  # of the names of its entry points

    def list_commands(self, ctx: click.Context) -> list[str]:
        names = entry_points(group="stadtfunk.commands").names
        return sorted({name[len(self.prefix) :].split(".")[0] for name in names if name.startswith(self.prefix)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _GROUPS and not self.prefix:
            group = _Commands(cmd_name, help=_GROUPS[cmd_name])
            group.prefix = f"{cmd_name}."
            return group
        for entry in entry_points(group="stadtfunk.commands", name=self.prefix + cmd_name):
            try:
                command = entry.load()
            except ModuleNotFoundError as missing:
                return _unavailable(cmd_name, missing.name)
            assert isinstance(command, click.Command)
            return command
        return None


def _unavailable(name: str, package: str | None) -> click.Command:
    """Stands for a command whose extra is not installed: in the list it says so, and it fails with one line."""
    reason = _missing(name, package)

    @click.command(name, help=f"Not installed: {reason}.", context_settings={"ignore_unknown_options": True})
    @click.argument("ignored", nargs=-1)
    def command(ignored: tuple[str, ...]) -> None:
        raise click.ClickException(reason)

    return command


def _missing(command: str, package: str | None) -> str:
    extra = _EXTRAS.get(command, "simulators")
    return f"'{command}' needs the Python package {package!r}; it comes with: pip install '.[{extra}]'"


@click.group(cls=_Commands)
@click.version_option(package_name="stadtfunk")
def commands() -> None:
    """Stadtfunk: from the soil beside a city tree to open data and the crew's watering list."""


def main() -> None:
    """Run one command. Exit status: 0 done, 1 the work failed, 2 bad usage; an error is one line on stderr."""
    try:
        sys.exit(commands.main(prog_name="stadtfunk", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as no_arguments:
        no_arguments.show()
        sys.exit(_EXIT_USAGE)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "stadtfunk"
        message = " ".join(error.format_message().split()).removesuffix(".")
        click.echo(f"Error: {message}. See '{path} --help'.", err=True)
        sys.exit(_EXIT_USAGE)
    except click.ClickException as error:
        click.echo(f"Error: {error.format_message()}", err=True)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as missing:  # commands import what only they need when they run
        click.echo(f"Error: {_missing(sys.argv[1], missing.name)}", err=True)
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(_EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
