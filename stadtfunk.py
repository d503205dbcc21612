# SPDX-License-Identifier: EUPL-1.2
"""The one command line: joins the commands that the installed folders offer through entry points."""

from importlib.metadata import entry_points

import click


class _Commands(click.Group):
    """Loads a command's folder only when it is called, so a gateway needs nothing of the cloud."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(entry_points(group="stadtfunk.commands").names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for entry in entry_points(group="stadtfunk.commands", name=cmd_name):
            try:
                command = entry.load()
            except ModuleNotFoundError as missing:
                raise click.ClickException(
                    f"'{cmd_name}' needs the Python package {missing.name!r}; "
                    "install Stadtfunk with the extra that brings it (see README, 'Install')"
                ) from missing
            assert isinstance(command, click.Command)
            return command
        return None


@click.command(cls=_Commands)
@click.version_option(package_name="stadtfunk")
def main() -> None:
    """Stadtfunk: from the soil beside a city tree to open data and the crew's watering list."""


if __name__ == "__main__":
    main()
