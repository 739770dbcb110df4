"""``template-service demo``: the main job, through the queue, to a real worker and back."""

import json
import sys
import tempfile
import textwrap
from typing import Any, Final

import click
from celery import Celery

from worker.local import LocalServerError, LocalStack, local_directory
from worker.local.processes import private_directory

TEMPLATE: Final = "welcome_email"
WAIT_SECONDS: Final = 30
WIDTH: Final = 100

CREATE: Final = {"template_id": TEMPLATE, "name": "Welcome", "type": "email"}
PUBLISH: Final = {
    "template_id": TEMPLATE,
    "subject": "Welcome, {{ user.name }}",
    "body": "<p>Dear {{ user.name }}, your {{ plan }} plan is ready.</p>",
    "variables": [
        {"name": "user.name", "type": "string", "example": "Ada"},
        {"name": "plan", "type": "string", "default": "free"},
    ],
    "metadata": {"language": "en"},
    "translations": {
        "fr": {
            "subject": "Bienvenue, {{ user.name }}",
            "body": "<p>Bonjour {{ user.name }}, votre offre {{ plan }} est prête.</p>",
        }
    },
}
GERMAN: Final = {
    "template_id": TEMPLATE,
    "language_code": "de",
    "subject": "Willkommen, {{ user.name }}",
    "body": "<p>Hallo {{ user.name }}, dein Tarif {{ plan }} ist bereit.</p>",
}
VALUES: Final = {"user": {"name": "Zoë & Co"}}


@click.command()
def demo() -> None:
    """Start servers and a worker, send the main job through the queue, show the answers, stop."""
    home = private_directory(local_directory())
    try:
        with tempfile.TemporaryDirectory(prefix="demo-", dir=home) as folder:
            click.echo("Starting PostgreSQL, Valkey and a worker …")
            with (
                LocalStack(
                    private_directory(home / folder), beat=False, flower=False, die_with_parent=True
                ) as stack,
                stack.producer() as producer,
            ):
                _show(producer)
    except LocalServerError as error:
        raise click.ClickException(str(error)) from error
    click.echo("\nStopped; nothing is left running.")


def _show(producer: Celery) -> None:
    """Send the messages of the demo as any producer would, and print what comes back."""
    _accepted(producer, "A template", "template.create", CREATE, ("template_id", "type"))
    _accepted(
        producer, "A version, with French", "version.publish", PUBLISH, ("version", "variables")
    )
    _accepted(
        producer, "German, written later", "translation.upsert", GERMAN, ("created", "translation")
    )
    shown = ("language", "fallback_chain", "subject", "body", "defaulted")
    for title, language in (
        ("English", "en"),
        ("French", "fr"),
        ("Austrian German, for which there is German", "de-AT"),
    ):
        message = {"template_id": TEMPLATE, "language": language, "variables": VALUES}
        _accepted(producer, title, "render.one", message, shown)
    refused = {"template_id": TEMPLATE, "language": "fr", "variables": {"user": {"nmae": "Zoë"}}}
    _refused(producer, "A misspelt name is refused, never left blank", "render.one", refused)


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
    click.echo(f"\n{title}\n  → {task} {_json({**message, **_shortened(message)})}")
    queue = "render" if task.startswith("render.") else "templates"
    result = producer.send_task(task, kwargs=message, queue=queue)
    result.get(timeout=WAIT_SECONDS, propagate=False)
    stored: dict[str, Any] = json.loads(
        producer.backend.get(producer.backend.get_key_for_task(result.id))
    )
    return stored


def _shortened(message: dict[str, Any]) -> dict[str, Any]:
    """Return the members of ``message`` that only fill the screen, shortened."""
    return {
        name: "…"
        for name in ("body", "translations", "variables")
        if "body" in message and name in message
    }


def _print(name: str, value: object) -> None:
    text = value if isinstance(value, str) else _json(value)
    indent = " " * 20
    sys.stdout.write(
        textwrap.fill(text, WIDTH, initial_indent=f"  ← {name:<15} ", subsequent_indent=indent)
        + "\n"
    )


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
