"""``template-service dead-letters``: messages that could not be worked on."""

import functools
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Concatenate, Final, ParamSpec

import click
from kombu import Connection

from db.monitoring.checks.finding import counted
from worker import broker
from worker import dead_letters as post
from worker.cli.operator import as_json, as_table, confirmed, explained
from worker.dead_letters import Letter
from worker.queues import CONSUMED
from worker.reserved import inspected
from worker.settings import load
from worker.transport.inspection import Consumer, Delayed, Inspection, Reserved, queue_of

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
    with post.browsed(connection) as letters:
        rows = [_row(letter) for letter in islice(letters, limit)]
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
        "problems": found.kept.get("problems") or [],
        "content_type": _name(found.kept.get("content_type")),
        "bytes": len(found.body if found.raw is None else found.raw),
        "headers": {name: _name(found.headers.get(name)) for name in _SHOWN},
    }
    if with_body:
        shown |= {
            "headers": found.headers,
            "properties": found.kept.get("properties"),
            "body": found.body.decode("utf-8", "backslashreplace"),
            "raw": None if found.raw is None else found.raw.decode("utf-8", "backslashreplace"),
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


@dead_letters.command()
@click.option("--limit", default=50, show_default=True, help="Number of messages of each kind.")
@_json_option
@_with_broker
def reserved(connection: Connection, *, limit: int, is_json: bool) -> None:
    """List messages that consumers hold, and messages delayed until their time.

    A consumer that is dead has not renewed its lease for some seconds; any worker returns its
    messages to their queues by itself. Messages of workers with kombu's own transport are shown
    under the consumer "unacked".
    """
    with inspected(connection) as inspection:
        every = (
            message for each in inspection.consumers() for message in inspection.reserved(each)
        )
        held = [_reserved_row(message) for message in islice(every, limit)]
        delayed = [_delayed_row(message) for message in islice(inspection.delayed(), limit)]
    if is_json:
        as_json({"reserved": held, "delayed": delayed})
        return
    as_table(held, title="Reserved", empty="no reserved messages")
    if delayed:
        as_table(delayed, title="Delayed")


@dead_letters.command("return")
@click.argument("consumer", required=False)
@click.argument("tags", nargs=-1, metavar="[TAG]...")
@click.option("--all", "is_all", is_flag=True, help="Messages of all dead consumers.")
@click.option(
    "--force",
    is_flag=True,
    help="Also messages of live consumers, which may be working on them: they are done twice.",
)
@_yes_option
@_with_broker
def return_(  # noqa: PLR0913 - the options of the command
    connection: Connection,
    *,
    consumer: str | None,
    tags: tuple[str, ...],
    is_all: bool,
    force: bool,
    yes: bool,
) -> None:
    """Return reserved messages to their queues: all of a consumer, or those with a TAG."""
    if is_all == bool(consumer):
        raise click.UsageError("name a consumer, or pass --all")
    with inspected(connection) as inspection:
        held = _held(inspection, consumer, force=force)
        if tags:
            held = {each: [tag for tag in known if tag in tags] for each, known in held.items()}
        count = sum(map(len, held.values()))
        if missing := sorted(set(tags) - {tag for known in held.values() for tag in known}):
            raise click.ClickException(
                f"{consumer} holds no message {', '.join(missing)}\n"
                "see template-service dead-letters reserved"
            )
        if count:
            confirmed(f"Return {counted(count, 'message')} to their queues?", yes=yes)
        returned = 0
        for each, known in held.items():
            done = inspection.put_back(each.name, known, may_be_alive=force) if known else 0
            if done is None:
                raise _alive([each])
            returned += done
    print(f"Returned {counted(returned, 'message')}.")


def _held(inspection: Inspection, name: str | None, *, force: bool) -> dict[Consumer, list[str]]:
    """Return the tags of what the chosen consumers hold."""
    every = inspection.consumers()
    chosen = [
        each for each in every if (each.name == name if name else force or each.is_alive is False)
    ]
    if name and not chosen:
        raise click.ClickException(
            f"there is no consumer {name}\nsee template-service dead-letters reserved"
        )
    if not force and (alive := [each for each in chosen if each.is_alive is not False]):
        raise _alive(alive)
    return {each: [message.tag for message in inspection.reserved(each)] for each in chosen}


def _alive(consumers: Sequence[Consumer]) -> click.ClickException:
    names = ", ".join(each.name for each in consumers)
    return click.ClickException(
        f"{names} may be working on its messages\n"
        "stop that worker, or pass --force to have them done twice"
    )


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
        "kept_at": _time(letter.kept_at),
        "reason": letter.reason,
        "queue": letter.queue,
        "task": _name(letter.headers.get("task")),
        "id": _name(letter.task_id),
    }


def _reserved_row(message: Reserved) -> dict[str, Any]:
    is_alive = message.consumer.is_alive
    return {
        "consumer": message.consumer.name,
        "state": "unknown" if is_alive is None else "alive" if is_alive else "dead",
        "tag": message.tag,
        "since": _time(message.since),
        **_message_row(message.list, message.raw),
        "deliveries": message.deliveries,
    }


def _delayed_row(message: Delayed) -> dict[str, Any]:
    return {"due": _time(message.due), **_message_row(message.list, message.raw)}


def _message_row(name: str, raw: bytes) -> dict[str, Any]:
    headers = post.parts_of(raw).get("headers")
    known = headers if isinstance(headers, dict) else {}
    return {
        "queue": queue_of(name),
        "task": _name(known.get("task")),
        "id": _name(known.get("id")),
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def _name(value: object) -> str | int | None:
    """Return what is a name, a number or a time; of all else only that it is there."""
    if value is None or isinstance(value, int):
        return value
    return value if isinstance(value, str) and _NAME.fullmatch(value) else "?"
