"""``template-service dead-letters``: messages that could not be worked on."""

import functools
import re
from collections.abc import Callable
from typing import Any, Concatenate, Final, ParamSpec

import click
from kombu import Connection

from worker import broker
from worker import dead_letters as post
from worker.cli.operator import as_json, as_table, confirmed, explained
from worker.dead_letters import Letter
from worker.queues import CONSUMED
from worker.settings import load

P = ParamSpec("P")
# Headers hold whatever a producer wrote; what looks like a name is shown.
_NAME: Final = re.compile(r"[\w.@:+-]{1,100}", re.ASCII)
_SHOWN: Final = ("task", "id", "root_id", "parent_id", "retries", "eta", "expires", "lang")
_json_option = click.option("--json", "is_json", is_flag=True, help="Print JSON.")
_yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
_all_option = click.option("--all", "is_all", is_flag=True, help="All letters.")
_ids_argument = click.argument("ids", nargs=-1, metavar="[LETTER]...")


def _with_broker(command: Callable[Concatenate[Connection, P], None]) -> Callable[P, None]:
    @explained
    @functools.wraps(command)
    def run(*arguments: P.args, **options: P.kwargs) -> None:
        connection = broker.connection(load())
        try:
            with connection:
                command(connection, *arguments, **options)
        except connection.recoverable_connection_errors as error:
            raise click.ClickException(
                "the broker does not answer\n"
                "see whether CELERY_BROKER_URL names it, and whether it runs"
            ) from error

    return run


@click.group("dead-letters")
def dead_letters() -> None:
    """List, show, replay and discard messages that could not be worked on."""


@dead_letters.command("list")
@click.option("--limit", default=50, show_default=True, help="How many, the oldest first.")
@_json_option
@_with_broker
def list_(connection: Connection, *, limit: int, is_json: bool) -> None:
    """List the letters, without what producers sent."""
    rows = [_row(letter) for letter in post.letters(connection, limit)]
    if is_json:
        as_json(rows)
    else:
        as_table(rows, empty="no dead letters")


@dead_letters.command()
@click.argument("letter")
@click.option("--body", "with_body", is_flag=True, help="Show the message as its producer sent it.")
@_with_broker
def show(connection: Connection, *, letter: str, with_body: bool) -> None:
    """Show one letter as JSON; its headers that are names and times only."""
    found = post.find(connection, letter)
    if found is None:
        raise _missing([letter])
    shown = _row(found) | {
        "content_type": _name(found.kept.get("content_type")),
        "bytes": len(found.body),
        "headers": {name: _name(found.headers.get(name)) for name in _SHOWN},
    }
    if with_body:
        shown |= {
            "headers": found.headers,
            "properties": found.kept.get("properties"),
            "body": found.body.decode("utf-8", "backslashreplace"),
        }
    as_json(shown)


@dead_letters.command()
@_ids_argument
@_all_option
@click.option(
    "--queue",
    type=click.Choice([queue.value for queue in CONSUMED]),
    help="In place of the queue that the message came from.",
)
@_yes_option
@_with_broker
def replay(
    connection: Connection, *, ids: tuple[str, ...], is_all: bool, queue: str | None, yes: bool
) -> None:
    """Put messages back on their queues, byte for byte."""
    chosen = _chosen(connection, ids, is_all=is_all, yes=yes, verb="Replay")
    done = post.replay(connection, chosen, queue)
    _report("Replayed", done, chosen)


@dead_letters.command()
@_ids_argument
@_all_option
@_yes_option
@_with_broker
def discard(connection: Connection, *, ids: tuple[str, ...], is_all: bool, yes: bool) -> None:
    """Delete letters for good."""
    chosen = _chosen(connection, ids, is_all=is_all, yes=yes, verb="Delete")
    done = post.discard(connection, chosen)
    _report("Deleted", done, chosen)


def _chosen(
    connection: Connection, ids: tuple[str, ...], *, is_all: bool, yes: bool, verb: str
) -> set[str]:
    if is_all == bool(ids):
        raise click.UsageError("name letters, or give --all")
    chosen = set(ids)
    if is_all:
        chosen = set(post.ids(connection))
    confirmed(f"{verb} {len(chosen)} letters?", yes=yes)
    return chosen


def _report(did: str, done: list[str], chosen: set[str]) -> None:
    print(f"{did} {len(done)} letters.")
    if missing := sorted(chosen - set(done)):
        raise _missing(missing)


def _missing(ids: list[str]) -> click.ClickException:
    return click.ClickException(
        f"there is no letter {', '.join(ids)}\nsee template-service dead-letters list"
    )


def _row(letter: Letter) -> dict[str, Any]:
    return {
        "letter": letter.id,
        "kept_at": None if letter.kept_at is None else f"{letter.kept_at:%Y-%m-%d %H:%M:%S}",
        "reason": letter.reason,
        "queue": letter.queue,
        "task": _name(letter.headers.get("task")),
        "id": _name(letter.headers.get("id")),
    }


def _name(value: object) -> str | int | None:
    """Return what is a name, a number or a time; of all else only that it is there."""
    if value is None or isinstance(value, int):
        return value
    return value if isinstance(value, str) and _NAME.fullmatch(value) else "?"
