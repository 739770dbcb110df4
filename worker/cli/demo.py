"""``template-service demo``: publish and render templates through the queue."""

from __future__ import annotations

import json
import re
import sys
import tempfile
import textwrap
import time
from typing import TYPE_CHECKING, Any, Final

import click

from worker.cli import demo_messages as messages
from worker.cli.base import Command
from worker.cli.options import json_option
from worker.cli.output import print_addresses, print_json

if TYPE_CHECKING:
    from celery import Celery

WAIT_SECONDS: Final = 30
WIDTH: Final = 100
LONGEST_SHOWN: Final = 60
_PADDING: Final = re.compile(r"(?:&#847;&zwnj;&nbsp;)+")
"""Invisible padding of a preheader, which would fill the screen."""


@click.command(cls=Command, example="demo")
@json_option
def demo(*, json_: bool) -> None:
    """Start a worker and its servers, publish and render templates through the queue, then stop."""
    from db.cluster.processes import private_directory
    from worker.directories import local_directory
    from worker.local.stack import LocalStack

    home = private_directory(local_directory())
    with tempfile.TemporaryDirectory(prefix="demo-", dir=home) as folder:
        click.echo("Starting PostgreSQL, Valkey and a worker …", err=json_)
        with (
            LocalStack(private_directory(home / folder), beat=False, die_with_parent=True) as stack,
            stack.producer() as producer,
        ):
            if not json_:
                print_addresses(stack)
            answers = _run(Walkthrough(producer, is_quiet=json_))
    if json_:
        print_json(answers)
    else:
        click.echo("\nStopped; nothing is left running.")


class Walkthrough:
    """Sends messages as any producer would, prints the answers, and collects them."""

    def __init__(self, producer: Celery, *, is_quiet: bool) -> None:
        self._producer = producer
        self._is_quiet = is_quiet
        self.answers: list[dict[str, Any]] = []

    def accepted(
        self, title: str, task: str, message: dict[str, Any], shown: tuple[str, ...]
    ) -> None:
        """Send a message; print fields of its result."""
        stored = self._answer(title, task, message)
        if stored["status"] != "SUCCESS":
            raise click.ClickException(f"{task} was refused: {stored['result']}")
        for name in shown:
            self.print(name, stored["result"][name])

    def refused(self, title: str, task: str, message: dict[str, Any]) -> None:
        """Send a message that must be refused; print the error."""
        stored = self._answer(title, task, message)
        if stored["status"] != "FAILURE":
            raise click.ClickException(f"{task} was not refused")
        code, sentence, details = stored["result"]["exc_message"]
        self.print("code", code)
        self.print("message", sentence)
        for detail in details:
            self.print("detail", detail)

    def print(self, name: str, value: object) -> None:
        """Print a field, wrapped to the screen."""
        if self._is_quiet:
            return
        text = _PADDING.sub("…", value) if isinstance(value, str) else _json(value)
        first, *rest = [
            part
            for line in text.splitlines()
            for part in textwrap.wrap(line, WIDTH - 20, break_long_words=False) or [""]
        ]
        sys.stdout.write(f"  ← {name:<15} {first}\n")
        for line in rest:
            sys.stdout.write(f"{' ' * 20}{line}\n")

    def _answer(self, title: str, task: str, message: dict[str, Any]) -> dict[str, Any]:
        """Send one message; return its entry in the result backend, which any client can read."""
        short = {name: _shortened(value) for name, value in message.items()}
        if not self._is_quiet:
            click.echo(f"\n{title}\n  → {task} {_json(short)}")
        result = self._producer.send_task(task, kwargs=message, queue=_queue(task))
        result.get(timeout=WAIT_SECONDS, propagate=False)
        backend = self._producer.backend
        stored: dict[str, Any] = json.loads(backend.get(backend.get_key_for_task(result.id)))
        self.answers.append(
            {"title": title, "task": task, "status": stored["status"], "result": stored["result"]}
        )
        return stored


def _run(walkthrough: Walkthrough) -> list[dict[str, Any]]:
    """Send the messages of the demo; return the answers."""
    for message in messages.TEMPLATES:
        title = f"A template of type {message['type']}"
        walkthrough.accepted(title, "template.create", message, ("template_id",))
    for title, message in (
        ("A footer in four languages", messages.FOOTER_TEXT),
        ("A layout that includes it", messages.LAYOUT_TEXT),
        ("An e-mail that extends it, in English, Polish and Arabic", messages.EMAIL_TEXT),
        ("An SMS", messages.SMS_TEXT),
        ("A chat message, in JSON", messages.CHAT_TEXT),
    ):
        walkthrough.accepted(title, "version.publish", message, ("version",))
    walkthrough.accepted(
        "German, written later", "translation.upsert", messages.GERMAN, ("created",)
    )
    shown = ("language", "language_reason", "fallback_chain", "subject", "body", "text", "stale")
    for title, language in (
        ("English, with a preheader, hidden and padded, at the beginning of the body", "en"),
        ("Polish, whose plurals have three forms", "pl"),
        ("Austrian German, which falls back to German", "de-AT"),
        ("Arabic, written from right to left, with a Latin name and numbers", "ar"),
    ):
        message = {
            "template_id": messages.EMAIL,
            "language": language,
            "variables": messages.VALUES,
        }
        walkthrough.accepted(title, "render.one", message, shown)
    walkthrough.refused(
        "A misspelt variable is refused, never left blank",
        "render.one",
        {"template_id": messages.EMAIL, "language": "pl", "variables": messages.MISSPELT},
    )
    walkthrough.accepted(
        "An SMS, and its length in segments",
        "render.one",
        {"template_id": messages.SMS, "variables": messages.VALUES},
        ("body", "encoding", "length", "segments"),
    )
    walkthrough.accepted(
        "A JSON notification, whose values are encoded by their position",
        "render.one",
        {"template_id": messages.CHAT, "variables": {**messages.VALUES, "name": 'Zoë "Z" & Co'}},
        ("document",),
    )
    start = time.perf_counter()
    walkthrough.accepted(
        f"A batch of {messages.BATCH:,} customers, in two languages",
        "render.batch",
        messages.batch(),
        ("version", "rendered", "failed"),
    )
    seconds = time.perf_counter() - start
    walkthrough.print("rate", f"{messages.BATCH / seconds:,.0f} items/s, from sending to answer")
    return walkthrough.answers


def _queue(task: str) -> str:
    if not task.startswith("render."):
        return "templates"
    return "render-bulk" if task == "render.batch" else "render"


def _shortened(value: object) -> object:
    """Return a part of a message as it fits the screen."""
    return value if len(_json(value)) <= LONGEST_SHOWN else "…"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
