"""``template-service dead-letters``: dead letters, and messages that consumers hold."""

from __future__ import annotations

import re
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import click

from db.units import counted
from worker.cli.base import Group
from worker.cli.options import json_option, limit_option, yes_option
from worker.cli.output import confirm, local_time, print_json, print_result, print_table
from worker.queues import CONSUMED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kombu import Connection

    from worker.dead_letters import DeadLetter
    from worker.transport.inspection import Consumer, Inspection, Reserved

# Headers hold whatever a producer wrote; what looks like a name is shown.
_NAME: Final = re.compile(r"[\w.@:+-]{1,100}", re.ASCII)
_SHOWN: Final = ("task", "id", "root_id", "parent_id", "retries", "eta", "expires", "lang")
_all_option = click.option("--all", "is_all", is_flag=True, help="All dead letters.")
_ids_argument = click.argument("ids", nargs=-1, metavar="[LETTER]...")


@click.group(
    "dead-letters", cls=Group, example="dead-letters list\ndead-letters replay 0a1b2c3d4e5f"
)
def dead_letters() -> None:
    """List, show, replay and delete dead letters; inspect reserved messages."""


@dead_letters.command("list", example="dead-letters list --limit 10")
@limit_option(50, "Maximum number, the oldest first.")
@json_option
def list_(*, limit: int, json_: bool) -> None:
    """List dead letters, without the contents of their messages."""
    from worker.dead_letters import browsed

    with _broker() as connection, browsed(connection) as letters:
        rows = [_row(letter) for letter in islice(letters, limit)]
    if json_:
        print_json(rows)
    else:
        print_table(rows, empty="no dead letters")


@dead_letters.command(example="dead-letters show 0a1b2c3d4e5f --body")
@click.argument("letter")
@click.option(
    "--body", "with_body", is_flag=True, help="Also show the message's body and all its headers."
)
@json_option
def show(*, letter: str, with_body: bool, json_: bool) -> None:
    """Show a dead letter: reason, problems, and the headers that hold no personal data."""
    from worker.dead_letters import find

    with _broker() as connection:
        dead_letter = find(connection, letter)
    if dead_letter is None:
        raise _missing([letter])
    raw = dead_letter.raw
    shown = _row(dead_letter) | {
        "problems": dead_letter.kept.get("problems") or [],
        "content_type": _name(dead_letter.kept.get("content_type")),
        "bytes": len(dead_letter.body if raw is None else raw),
        "headers": {name: _name(dead_letter.headers.get(name)) for name in _SHOWN},
    }
    if with_body:
        shown |= {
            "headers": dead_letter.headers,
            "properties": dead_letter.kept.get("properties"),
            "body": dead_letter.body.decode("utf-8", "backslashreplace"),
            "raw": None if raw is None else raw.decode("utf-8", "backslashreplace"),
        }
    if json_:
        print_json(shown)
        return
    for name, value in shown.items():
        if name in {"problems", "headers", "properties"}:
            print(f"{name}:")
            print_json(value)
        else:
            print(f"{name}: {'' if value is None else value}")


@dead_letters.command(example="dead-letters replay 0a1b2c3d4e5f\ndead-letters replay --all")
@_ids_argument
@_all_option
@click.option(
    "--queue",
    type=click.Choice([queue.value for queue in CONSUMED]),
    help="Target queue (default: the message's own).",
)
@yes_option
@json_option
def replay(
    *, ids: tuple[str, ...], is_all: bool, queue: str | None, yes: bool, json_: bool
) -> None:
    """Move messages back to their queues, unchanged. Exits 1 if a dead letter is missing."""
    from worker import dead_letters as letters

    with _broker() as connection:
        letter_ids = _confirmed_ids(connection, ids, is_all=is_all, yes=yes, verb="Replay")
        done = letters.replay(connection, letter_ids, queue)
    _report("replayed", done, letter_ids, json_=json_)


@dead_letters.command(example="dead-letters discard 0a1b2c3d4e5f")
@_ids_argument
@_all_option
@yes_option
@json_option
def discard(*, ids: tuple[str, ...], is_all: bool, yes: bool, json_: bool) -> None:
    """Delete dead letters permanently. Exits 1 if one is missing."""
    from worker import dead_letters as letters

    with _broker() as connection:
        letter_ids = _confirmed_ids(connection, ids, is_all=is_all, yes=yes, verb="Delete")
        done = letters.discard(connection, letter_ids)
    _report("deleted", done, letter_ids, json_=json_)


@dead_letters.command(example="dead-letters reserved")
@limit_option(50, "Maximum number of messages of each kind.")
@json_option
def reserved(*, limit: int, json_: bool) -> None:
    """List messages that consumers hold, and delayed messages.

    A dead consumer has not renewed its lease for some seconds; any worker returns its messages to
    their queues. Messages of workers with kombu's own transport are listed under the consumer
    "unacked".
    """
    from worker.reserved import inspected

    with _broker() as connection, inspected(connection) as inspection:
        every = (
            message for each in inspection.consumers() for message in inspection.reserved(each)
        )
        held = [_reserved_row(message) for message in islice(every, limit)]
        delayed = [
            {"due": local_time(message.due), **_message_row(message.list, message.raw)}
            for message in islice(inspection.delayed(), limit)
        ]
    if json_:
        print_json({"reserved": held, "delayed": delayed})
        return
    print_table(held, title="Reserved", empty="no reserved messages")
    if delayed:
        print_table(delayed, title="Delayed")


@dead_letters.command("return", example="dead-letters return --all")
@click.argument("consumer", required=False)
@click.argument("tags", nargs=-1, metavar="[TAG]...")
@click.option("--all", "is_all", is_flag=True, help="Return messages of all dead consumers.")
@click.option(
    "--force",
    is_flag=True,
    help="Also return messages of live consumers; those that are running run twice.",
)
@yes_option
@json_option
def return_(  # noqa: PLR0913 - the options of the command
    *,
    consumer: str | None,
    tags: tuple[str, ...],
    is_all: bool,
    force: bool,
    yes: bool,
    json_: bool,
) -> None:
    """Return reserved messages to their queues: all of CONSUMER, or only those with a TAG."""
    from worker.reserved import inspected

    if is_all == bool(consumer):
        raise click.UsageError("name a consumer, or pass --all")
    with _broker() as connection, inspected(connection) as inspection:
        held = _held(inspection, consumer, force=force)
        if tags:
            held = {each: [tag for tag in known if tag in tags] for each, known in held.items()}
        count = sum(map(len, held.values()))
        if missing := sorted(set(tags) - {tag for known in held.values() for tag in known}):
            raise click.ClickException(
                f"{consumer} holds no message {', '.join(missing)}\n"
                "list them with: template-service dead-letters reserved"
            )
        if count:
            confirm(f"Return {counted(count, 'message')} to their queues?", yes=yes)
        returned = 0
        for each, known in held.items():
            done = inspection.put_back(each.name, known, may_be_alive=force) if known else 0
            if done is None:
                raise _alive([each])
            returned += done
    print_result({"returned": returned}, f"Returned {counted(returned, 'message')}.", json_=json_)


@contextmanager
def _broker() -> Iterator[Connection]:
    """Yield a connection to the broker.

    Raises
    ------
    click.ClickException
        The broker does not answer.
    """
    from worker import broker
    from worker.settings import load

    connection = broker.connection(load())
    try:
        with connection:
            yield connection
    except connection.recoverable_connection_errors as error:
        raise click.ClickException(
            "the broker does not answer\ncheck CELERY_BROKER_URL, and that the broker is running"
        ) from error


def _held(inspection: Inspection, name: str | None, *, force: bool) -> dict[Consumer, list[str]]:
    """Return the tags of the messages that the selected consumers hold."""
    every = inspection.consumers()
    consumers = [
        each for each in every if (each.name == name if name else force or each.is_alive is False)
    ]
    if name and not consumers:
        raise click.ClickException(
            f"consumer {name} does not exist\n"
            "list them with: template-service dead-letters reserved"
        )
    if not force and (alive := [each for each in consumers if each.is_alive is not False]):
        raise _alive(alive)
    return {each: [message.tag for message in inspection.reserved(each)] for each in consumers}


def _alive(consumers: Sequence[Consumer]) -> click.ClickException:
    names = ", ".join(each.name for each in consumers)
    return click.ClickException(
        f"{names} may be working on its messages\n"
        "stop that worker, or pass --force to run them twice"
    )


def _confirmed_ids(
    connection: Connection, ids: tuple[str, ...], *, is_all: bool, yes: bool, verb: str
) -> set[str]:
    from worker.dead_letters import ids as all_ids

    if is_all == bool(ids):
        raise click.UsageError("name dead letters, or pass --all")
    letter_ids = set(all_ids(connection)) if is_all else set(ids)
    confirm(f"{verb} {counted(len(letter_ids), 'dead letter')}?", yes=yes)
    return letter_ids


def _report(action: str, done: list[str], letter_ids: set[str], *, json_: bool) -> None:
    missing = sorted(letter_ids - set(done))
    sentence = f"{action.capitalize()} {counted(len(done), 'dead letter')}."
    print_result({action: done, "missing": missing}, sentence, json_=json_)
    if missing:
        raise _missing(missing)


def _missing(ids: list[str]) -> click.ClickException:
    return click.ClickException(
        f"dead letter {', '.join(ids)} does not exist\n"
        "list them with: template-service dead-letters list"
    )


def _row(letter: DeadLetter) -> dict[str, Any]:
    return {
        "letter": letter.id,
        "kept_at": local_time(letter.kept_at),
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
        "since": local_time(message.since),
        **_message_row(message.list, message.raw),
        "deliveries": message.deliveries,
    }


def _message_row(name: str, raw: bytes) -> dict[str, Any]:
    from worker.dead_letters import parts_of
    from worker.transport.inspection import queue_of

    headers = parts_of(raw).get("headers")
    known = headers if isinstance(headers, dict) else {}
    return {
        "queue": queue_of(name),
        "task": _name(known.get("task")),
        "id": _name(known.get("id")),
    }


def _name(value: object) -> str | int | None:
    """Return names, numbers and times; anything else is only reported as present."""
    if value is None or isinstance(value, int):
        return value
    return value if isinstance(value, str) and _NAME.fullmatch(value) else "?"
