"""The command and the group that every command of ``template-service`` is made with.

Modules of commands import click and nothing else at the top, so that help is quick and needs
neither Celery nor SQLAlchemy; each command imports what it runs when it runs. A mistyped command or
option gets click's own "Did you mean".
"""

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from db.errors import OperationError, file_error


class _WithExample(click.Command):
    """A command whose help ends with an example.

    Parameters
    ----------
    example
        Command lines without the program's name, one a line.
    """

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401 - as in click
        example: str,
        **options: Any,  # noqa: ANN401 - as in click
    ) -> None:
        super().__init__(*arguments, **options)
        self.examples = [f"template-service {line}" for line in example.splitlines()]

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, unwrapped, so that they can be copied."""
        super().format_epilog(ctx, formatter)
        with formatter.section("Example" if len(self.examples) == 1 else "Examples"):
            for example in self.examples:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


class Command(_WithExample):
    """A command that ends with exit status 1 and a sentence when an operator can fix the error."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - what click returns
        """Run the command; explain the errors of operations, of files and of PostgreSQL."""
        try:
            result = super().invoke(ctx)
            _flush()
        except Exception as error:
            if (sentence := explanation(error)) is None:
                raise
            raise click.ClickException(sentence) from error
        return result


class Group(_WithExample, click.Group):
    """A group that imports only the command that is run, and all of them for its help.

    https://click.palletsprojects.com/en/stable/complex/#lazily-loading-subcommands

    Parameters
    ----------
    lazy
        The name of each command, and where it is defined as ``module:attribute``. Others may be
        added as to any group.
    """

    command_class = Command

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401 - as in click
        lazy: Mapping[str, str] | None = None,
        **options: Any,  # noqa: ANN401 - as in click
    ) -> None:
        super().__init__(*arguments, **options)
        self._lazy = dict(lazy or {})

    def main(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as in click
        """Run the command line; an error in writing help or completions is a sentence too."""
        try:
            return super().main(*arguments, **options)
        except OSError as error:
            _discard_output()
            click.echo(f"Error: {_of_system(error)}", err=True)
            sys.exit(1)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in alphabetical order."""
        return sorted({*super().list_commands(ctx), *self._lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported on first use; None if it does not exist."""
        if cmd_name in self._lazy and cmd_name not in self.commands:
            module, _, attribute = self._lazy[cmd_name].partition(":")
            self.add_command(getattr(import_module(module), attribute), cmd_name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is named first; click suggests only those in ``commands``."""
        if args and args[0] not in self.list_commands(ctx):
            for name in self.list_commands(ctx):
                self.get_command(ctx, name)
        return super().resolve_command(ctx, args)


def explanation(error: Exception) -> str | None:
    """Return what an operator has to know of an error, None for a bug."""
    if isinstance(error, OperationError):
        return f"{error.message}\n{error.remedy}"
    if _is(error, "worker.producer", "Refusal"):
        return str(error)
    if isinstance(error, OSError):
        return _of_system(error)
    if _is(error, "sqlalchemy.exc", "DBAPIError"):
        error = getattr(error, "orig", error)
    if _is(error, "psycopg", "Error"):
        diagnosis = getattr(error, "diag", None)
        primary = getattr(diagnosis, "message_primary", None)
        return f"PostgreSQL: {primary or str(error).splitlines()[0]}"
    return None


def _flush() -> None:
    """Flush the output, so that a full disk is an error of the command."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError:
        _discard_output()
        raise


def _discard_output() -> None:
    # The interpreter would try to write it once more at its end:
    # https://docs.python.org/3/library/signal.html#note-on-sigpipe
    with Path(os.devnull).open("wb") as null:
        os.dup2(null.fileno(), sys.stdout.fileno())


def _of_system(error: OSError) -> str | None:
    """Explain an error of a file or a connection, ``None`` for a reader of the output that left."""
    if isinstance(error, BrokenPipeError):
        return None
    known = file_error(error, what="standard output")
    if known is not None:
        return f"{known.message}\n{known.remedy}"
    return f"the system reports: {error.strerror or error}"


def _is(error: Exception, module: str, name: str) -> bool:
    """Return whether an error is of a class, without importing the module of the class."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(error, getattr(loaded, name))
