"""Groups of commands of which only the one that is asked for is imported.

An operator types many commands, and each would otherwise wait a second for the libraries of all:
https://click.palletsprojects.com/en/stable/complex/#lazily-loading-subcommands.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """A group whose commands are named by where they are.

    Parameters
    ----------
    places
        The name of each command, and its place as ``module:attribute``. Others may be added as to
        any group.
    """

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401 - those of click
        places: Mapping[str, str],
        **options: Any,  # noqa: ANN401 - those of click
    ) -> None:
        super().__init__(*arguments, **options)
        self._places = dict(places)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in alphabetical order."""
        return sorted({*super().list_commands(ctx), *self._places})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported when it is first asked for; None when there is none."""
        if cmd_name in self._places and cmd_name not in self.commands:
            module, _, attribute = self._places[cmd_name].partition(":")
            self.add_command(getattr(import_module(module), attribute), cmd_name)
        return super().get_command(ctx, cmd_name)
