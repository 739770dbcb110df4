"""Shared parts of the commands of templates: the producer, the folder, options."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from worker.authoring.folder import Folder
    from worker.authoring.state import State
    from worker.producer import Producer

# As in tasks.messages.fields, whose import takes pydantic: help is to be quick.
TYPES = ("email", "in_app", "sms", "push", "json", "partial")
folder_option = click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("templates"),
    show_default=True,
    help="Folder of the templates.",
)
id_argument = click.argument("template_id", metavar="TEMPLATE")
ids_argument = click.argument("ids", nargs=-1, metavar="[TEMPLATE]...")
overwrite_option = click.option(
    "--overwrite",
    is_flag=True,
    help="Overwrite the other side's changes instead of reporting conflicts.",
)


@contextmanager
def open_producer() -> Iterator[Producer]:
    """Yield a producer on the broker of the environment, which needs no DATABASE_URL."""
    from worker.producer import Producer
    from worker.settings import from_environment

    unused = {"DATABASE_URL": "postgresql://unused.invalid/none"}
    given = {name: value for name, value in os.environ.items() if value}
    with Producer(from_environment(unused | given)) as producer:
        yield producer


def call(task: str, keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Send one message, without the keywords that are None; return the answer."""
    with open_producer() as producer:
        return producer.call(task, {k: v for k, v in keywords.items() if v is not None})


def read(folder: Path) -> Folder:
    """Return the templates of a folder."""
    from worker.authoring.reading import read_folder
    from worker.authoring.settings import author_settings

    return read_folder(folder, author_settings()[0])


def state_of(folder: Path) -> State:
    """Return the record of what a folder has pulled from the environment's service."""
    from worker.authoring.state import State

    return State(folder, os.environ.get("CELERY_BROKER_URL", ""))


def prefix_of(folder: Path) -> str:
    """Return the path of a folder from here, the prefix of shown findings."""
    return os.path.relpath(folder)
