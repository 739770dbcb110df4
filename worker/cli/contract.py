"""``template-service contract``: the contract as AsyncAPI, and its breaking changes."""

import json
from pathlib import Path
from typing import Any

import click

from worker.cli.base import Command
from worker.cli.options import json_option
from worker.cli.output import print_json


@click.command(
    cls=Command,
    example="contract\ncontract --json-schema\ncontract --against docs/contract-released.json",
)
@click.option(
    "--json-schema", is_flag=True, help="Print only the JSON Schemas of messages and results."
)
@click.option(
    "--against",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="An earlier contract; only changes that break its producers are printed.",
)
@json_option
def contract(*, json_schema: bool, against: Path | None, json_: bool) -> None:
    """Print the contract for producers as AsyncAPI 3.1.

    Tasks, queues, messages and results as JSON Schema, limits, error codes and examples. It is JSON
    with or without --json. With --against the exit status is 1 if there are breaking changes,
    unless the major version (before 1.0: the minor version) is higher.
    """
    from worker.contract import asyncapi, breaking_changes, is_announced, json_schemas

    if against is None:
        print_json(json_schemas() if json_schema else asyncapi())
        return
    before, after = _read(against), asyncapi()
    breaks = breaking_changes(before, after)
    if json_:
        print_json([each._asdict() for each in breaks])
    else:
        print("\n".join(map(str, breaks)) or "nothing breaks producers")
    if breaks and not is_announced(before, after):
        raise click.exceptions.Exit(1)


def _read(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text())
    except ValueError as error:
        raise click.BadParameter(f"{file}: expected JSON: {error}") from None
    if not isinstance(document, dict) or "asyncapi" not in document:
        raise click.BadParameter(f"{file}: not a contract that 'template-service contract' printed")
    return document
