"""``template-service demo``: the main job, through the queue, to a real worker and back."""

import json
import sys
import tempfile
import textwrap
import time
from typing import Any, Final

import click
from celery import Celery

from db.cluster.processes import private_directory
from worker.cli import story
from worker.cli.operator import explained
from worker.local import LocalStack, local_directory

WAIT_SECONDS: Final = 30
WIDTH: Final = 100
LONGEST_SHOWN: Final = 60


@click.command()
@explained
def demo() -> None:
    """Start servers and a worker, send the main job through the queue, show the answers, stop."""
    home = private_directory(local_directory())
    with tempfile.TemporaryDirectory(prefix="demo-", dir=home) as folder:
        click.echo("Starting PostgreSQL, Valkey and a worker …")
        with (
            LocalStack(
                private_directory(home / folder), beat=False, flower=False, die_with_parent=True
            ) as stack,
            stack.producer() as producer,
        ):
            _show(producer)
    click.echo("\nStopped; nothing is left running.")


def _show(producer: Celery) -> None:
    """Send the messages of the story as any producer would, and print what comes back."""
    for message in story.TEMPLATES:
        title = f"A template of type {message['type']}"
        _accepted(producer, title, "template.create", message, ("template_id",))
    for title, message in (
        ("A footer in three languages", story.FOOTER_TEXT),
        ("A layout that includes it", story.LAYOUT_TEXT),
        ("An e-mail that extends it, in English and Polish", story.EMAIL_TEXT),
        ("An SMS", story.SMS_TEXT),
    ):
        _accepted(producer, title, "version.publish", message, ("version",))
    _accepted(producer, "German, written later", "translation.upsert", story.GERMAN, ("created",))
    shown = ("language", "language_reason", "fallback_chain", "subject", "body", "text")
    for title, language in (
        ("English", "en"),
        ("Polish, whose plurals have three forms", "pl"),
        ("Austrian German, for which there is German", "de-AT"),
    ):
        message = {"template_id": story.EMAIL, "language": language, "variables": story.VALUES}
        _accepted(producer, title, "render.one", message, shown)
    _refused(
        producer,
        "A misspelt name is refused, never left blank",
        "render.one",
        {"template_id": story.EMAIL, "language": "pl", "variables": story.MISSPELT},
    )
    _accepted(
        producer,
        "An SMS, and what it will cost",
        "render.one",
        {"template_id": story.SMS, "variables": story.VALUES},
        ("body", "encoding", "length", "segments"),
    )
    _batch(producer)


def _batch(producer: Celery) -> None:
    message = story.batch()
    start = time.perf_counter()
    _accepted(
        producer,
        f"A batch of {story.BATCH:,} customers, in two languages",
        "render.batch",
        message,
        ("version", "rendered", "failed"),
    )
    seconds = time.perf_counter() - start
    _print("rate", f"{story.BATCH / seconds:,.0f} items/s, from sending it to having the answer")


def _accepted(
    producer: Celery, title: str, task: str, message: dict[str, Any], shown: tuple[str, ...]
) -> None:
    stored = _answer(producer, title, task, message)
    if stored["status"] != "SUCCESS":
        raise click.ClickException(f"{task} was refused: {stored['result']}")
    for name in shown:
        _print(name, stored["result"][name])


def _refused(producer: Celery, title: str, task: str, message: dict[str, Any]) -> None:
    stored = _answer(producer, title, task, message)
    if stored["status"] != "FAILURE":
        raise click.ClickException(f"{task} was not refused")
    code, told, details = stored["result"]["exc_message"]
    _print("code", code)
    _print("message", told)
    for detail in details:
        _print("detail", detail)


def _answer(producer: Celery, title: str, task: str, message: dict[str, Any]) -> dict[str, Any]:
    """Send one message and return what the result backend holds, as any client can read it."""
    short = {name: _shortened(value) for name, value in message.items()}
    click.echo(f"\n{title}\n  → {task} {_json(short)}")
    result = producer.send_task(task, kwargs=message, queue=_queue(task))
    result.get(timeout=WAIT_SECONDS, propagate=False)
    stored: dict[str, Any] = json.loads(
        producer.backend.get(producer.backend.get_key_for_task(result.id))
    )
    return stored


def _queue(task: str) -> str:
    if not task.startswith("render."):
        return "templates"
    return "render-bulk" if task == "render.batch" else "render"


def _shortened(value: object) -> object:
    """Return a part of a message as it fits the screen."""
    return value if len(_json(value)) <= LONGEST_SHOWN else "…"


def _print(name: str, value: object) -> None:
    text = value if isinstance(value, str) else _json(value)
    first, *rest = [
        part
        for line in text.splitlines()
        for part in textwrap.wrap(line, WIDTH - 20, break_long_words=False) or [""]
    ]
    sys.stdout.write(f"  ← {name:<15} {first}\n")
    for line in rest:
        sys.stdout.write(f"{' ' * 20}{line}\n")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
