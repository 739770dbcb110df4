"""The command line as a whole: help, options that commands share, suggestions, examples."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click
import pytest
from click.testing import CliRunner

from tasks.messages.fields import TemplateType
from tests.support.cases import each
from worker.cli import main
from worker.cli.templates_session import TYPES

HELP_OF_EACH = """
import sys
from click.testing import CliRunner
from worker.cli import main

HEAVY = {"celery", "kombu", "sqlalchemy"}
for line in sys.stdin.read().splitlines():
    arguments = line.split()
    result = CliRunner().invoke(main, [*arguments, "--help"], catch_exceptions=False)
    assert result.exit_code == 0, (arguments, result.output)
    assert not HEAVY & set(sys.modules), (arguments, HEAVY & set(sys.modules))
"""
WITHOUT_JSON = {("backup", "cat")}
"""Standard output is the dump."""


def commands(
    group: click.Group = main, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield each command and group below ``group``, and how it is called."""
    yield path, group
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = list(commands())
LEAVES = [(path, command) for path, command in ALL if not isinstance(command, click.Group)]


def option(command: click.Command, name: str) -> click.Option | None:
    """Return the option of a command that is called ``name``."""
    for parameter in command.params:
        if isinstance(parameter, click.Option) and name in parameter.opts:
            return parameter
    return None


def test_help_imports_neither_celery_nor_sqlalchemy() -> None:
    """Help is quick because no library is loaded for it."""
    done = subprocess.run(
        [sys.executable, "-c", HELP_OF_EACH],
        input="\n".join(" ".join(path) for path, _ in ALL),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_help_has_a_sentence_and_an_example() -> None:
    """An example is a command line that can be copied: its command and its options exist."""
    for path, command in ALL:
        text = CliRunner().invoke(main, [*path, "--help"]).output
        assert (command.help or "").split("\n\n")[0].strip().endswith("."), path
        (*_, section) = text.partition("\nExample")
        examples = [line.strip() for line in section.splitlines() if "template-service " in line]
        assert examples, path
        for example in examples:
            check_example(example.partition(" | ")[0])


def check_example(line: str) -> None:
    """Parse a command line without running it."""
    program, *arguments = shlex.split(line)
    assert program == "template-service"
    command: click.Command = main
    while isinstance(command, click.Group):
        subcommand = command.get_command(click.Context(command), arguments.pop(0))
        assert subcommand is not None, line
        command = subcommand
    if "--help" not in arguments:
        command.make_context(line, arguments).close()


def test_every_command_has_json() -> None:
    """A program reads any command's result."""
    assert [path for path, command in LEAVES if option(command, "--json") is None] == sorted(
        WITHOUT_JSON
    )


@each("name", ["--json", "--yes", "--dry-run"])
def test_a_shared_option_has_one_wording(name: str) -> None:
    """It is one object in the code."""
    shared = [
        shared_option
        for _, command in LEAVES
        if (shared_option := option(command, name)) is not None
    ]
    assert len(shared) > 1
    assert len({(shared_option.help, shared_option.is_flag) for shared_option in shared}) == 1


def test_every_option_has_help() -> None:
    """Of a flag an imperative, of another option a noun phrase; it ends with a full stop."""
    for path, command in LEAVES:
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert (parameter.help or "").endswith((".", ")")), (path, parameter.name)


@each(
    ("arguments", "meant"),
    [
        (["bakcup"], "backup"),
        (["backup", "lst"], "list"),
        (["backup", "restor"], "restore"),
        (["db", "lock"], "locks"),
        (["db", "locks", "--jsn"], "--json"),
    ],
)
def test_a_mistyped_name_gets_a_suggestion(arguments: list[str], meant: str) -> None:
    """Commands that are not imported yet are suggested, too."""
    done = subprocess.run(
        [sys.executable, "-m", "worker", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "Did you mean" in done.stderr
    assert f"'{meant}'" in done.stderr


def test_a_shell_completes_commands_and_options() -> None:
    """As docs/operations.md sets it up for bash."""
    for words, expected in (
        ("template-service backup re", "restore"),
        ("template-service up --d", "--detach"),
    ):
        done = CliRunner().invoke(
            main,
            [],
            prog_name="template-service",
            env={
                "_TEMPLATE_SERVICE_COMPLETE": "bash_complete",
                "COMP_WORDS": words,
                "COMP_CWORD": str(len(words.split()) - 1),
            },
        )
        assert f"plain,{expected}" in done.output.splitlines()


def test_a_question_needs_a_terminal_or_yes() -> None:
    """A script without --yes gets an error, and nothing is done."""
    done = CliRunner().invoke(
        main,
        ["db", "roles", "drop"],
        env={"DATABASE_URL": "postgresql://localhost:1/none"},
    )
    assert done.exit_code == 1
    assert "Not a terminal; pass --yes" in done.output


def test_an_unusable_path_is_a_sentence(tmp_path: Path) -> None:
    """Whatever the system says of it: a file in the way, a name too long, a missing directory."""
    (tmp_path / "file").touch()
    for path in ("file", "file/below", "x" * 300, "/proc/none"):
        for command in (["up", "--detach"], ["status"]):
            done = CliRunner().invoke(
                main, command, env={"TEMPLATE_SERVICE_LOCAL_DIR": str(tmp_path / path)}
            )
            assert isinstance(done.exception, SystemExit), done.exception
            assert done.exit_code in {1, 3}


@each("arguments", [["--help"], ["backup", "create", "--help"], ["--version"]])
def test_a_full_disk_under_the_output_is_a_sentence(arguments: list[str]) -> None:
    """The exit status says that the output is incomplete."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "worker", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "Error: standard output cannot be written: No space left on device",
        "free some space",
    ]


def test_output_is_utf_8_in_every_locale(tmp_path: Path) -> None:
    """A locale without a character ends no command."""
    done = subprocess.run(
        [sys.executable, "-m", "worker", "templates", "check", "--folder", tmp_path / "naïve→"],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert "does not exist" in done.stdout.decode(), done.stderr
    assert "naïve→" in done.stdout.decode()


def test_commands_have_the_template_types_of_messages() -> None:
    """They repeat them, so that help does not wait for pydantic."""
    assert sorted(TYPES) == sorted(get_args(TemplateType))


def test_an_error_of_postgresql_is_a_sentence() -> None:
    """No traceback for a server that is away."""
    done = CliRunner().invoke(
        main,
        ["db", "connections", "--json"],
        env={"DATABASE_URL": "postgresql://localhost:1/none"},
    )
    assert done.exit_code == 1
    assert "Error: PostgreSQL: " in done.output
    with pytest.raises(json.JSONDecodeError):
        json.loads(done.output)
